package elasticache

import (
	"strings"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// refusal is a parameter that a request may not give, and why.
type refusal struct {
	param string
	given bool
	why   string
}

// refused is the answer to the first parameter that was given and may not be.
func refused(all ...refusal) error {
	for _, r := range all {
		if r.given {
			return resource.Errorf(resource.InvalidValue, resource.TypeParameter, r.param, "%s is not available: %s.", r.param, r.why)
		}
	}
	return nil
}

const (
	noOutposts  = "nodes run on the machines of this server, and none of them is an AWS Outpost"
	noTiering   = "nodes keep all data in memory"
	noDelivery  = "nodes write their logs into files of this server"
	noPreferred = "stock engines cannot serve plain and encrypted connections on one port; required is"
	noIPv6      = "nodes listen on IPv4 addresses"
	noEC2       = "cache security groups belong to EC2-Classic, which is no more; use SecurityGroupIds"
)

func on(b *bool) bool { return b != nil && *b }

// delivers tells whether logs shall be sent somewhere; a configuration that is not enabled asks for nothing.
func delivers(all []ecapi.LogDeliveryConfigurationRequest) bool {
	for _, c := range all {
		if c.Enabled == nil || *c.Enabled {
			return true
		}
	}
	return false
}

func groupIn(c *gateway.Call, in *ecapi.CreateReplicationGroupInput) (out control.CreateDeployment, err error) {
	err = refused(
		refusal{"GlobalReplicationGroupId", text(in.GlobalReplicationGroupId) != "", "a global datastore spans regions, and a server is one place"},
		refusal{"CacheSecurityGroupNames", len(in.CacheSecurityGroupNames) > 0, noEC2},
		refusal{"LogDeliveryConfigurations", delivers(in.LogDeliveryConfigurations), noDelivery},
		refusal{"DataTieringEnabled", on(in.DataTieringEnabled), noTiering},
		refusal{"IpDiscovery", text(in.IpDiscovery) == string(ecapi.IpDiscoveryIpv6), noIPv6},
		refusal{"TransitEncryptionMode preferred", text(in.TransitEncryptionMode) == string(ecapi.TransitEncryptionModePreferred), noPreferred},
		refusal{"ClusterMode compatible", text(in.ClusterMode) == string(ecapi.ClusterModeCompatible), "a node either has cluster mode or has not"},
		refusal{"Durability", notDefault(in.Durability), "groups replicate asynchronously and write no log; MemoryDB clusters are durable"},
	)
	if err != nil {
		return out, err
	}
	if text(in.TransitEncryptionMode) != "" && !on(in.TransitEncryptionEnabled) {
		return out, resource.Errorf(resource.InvalidCombination, resource.TypeParameter, "TransitEncryptionMode", "TransitEncryptionMode needs TransitEncryptionEnabled.")
	}
	replicas, err := replicasIn(in.NumCacheClusters, in.ReplicasPerNodeGroup, in.NumNodeGroups)
	if err != nil {
		return out, err
	}
	shards, err := shardsIn(in.NodeGroupConfiguration)
	if err != nil {
		return out, err
	}
	out = control.CreateDeployment{
		Scope: c.Scope, Kind: resource.ReplicationGroup, Name: text(in.ReplicationGroupId), Description: text(in.ReplicationGroupDescription),
		Engine: text(in.Engine), EngineVersion: text(in.EngineVersion), NodeType: text(in.CacheNodeType), Port: number(in.Port),
		ParameterGroup: text(in.CacheParameterGroupName), SubnetGroup: text(in.CacheSubnetGroupName), SecurityGroups: in.SecurityGroupIds,
		NetworkType: text(in.NetworkType), NumShards: number(in.NumNodeGroups), Replicas: replicas, Shards: shards, Zones: in.PreferredCacheClusterAZs,
		MultiZone: in.MultiAZEnabled, Failover: in.AutomaticFailoverEnabled, SnapshotName: text(in.SnapshotName),
		ServerlessSnapshotName: text(in.ServerlessCacheSnapshotName), SnapshotArns: in.SnapshotArns, PrimaryCluster: text(in.PrimaryClusterId),
		MaintenanceWindow: text(in.PreferredMaintenanceWindow), SnapshotWindow: text(in.SnapshotWindow), SnapshotRetention: number(in.SnapshotRetentionLimit),
		AutoMinorUpgrade: in.AutoMinorVersionUpgrade, Topic: text(in.NotificationTopicArn), TransitEncryption: in.TransitEncryptionEnabled,
		AtRestEncryption: in.AtRestEncryptionEnabled, KMSKeyID: text(in.KmsKeyId), AuthToken: secretIn(in.AuthToken), UserGroups: in.UserGroupIds, Tags: tagsIn(in.Tags),
	}
	if in.ClusterMode != nil {
		out.ClusterMode = ptr(*in.ClusterMode == ecapi.ClusterModeEnabled)
	}
	return out, nil
}

func secretIn[S ~string](s *S) resource.Secret { return resource.Secret(text(s)) }

// notDefault tells whether a durability is asked for that a replication group does not have.
func notDefault(d *ecapi.Durability) bool {
	switch text(d) {
	case "", string(ecapi.DurabilityDefault), string(ecapi.DurabilityDisabled):
		return false
	}
	return true
}

// replicasIn is the number of replicas per node group, which a group without cluster mode gives as its number of nodes.
func replicasIn(nodes, perGroup, groups *int32) (*int, error) {
	switch {
	case nodes == nil:
		return number(perGroup), nil
	case perGroup != nil && *perGroup != *nodes-1:
		return nil, resource.Errorf(resource.InvalidCombination, resource.TypeParameter, "NumCacheClusters", "NumCacheClusters and ReplicasPerNodeGroup cannot be given together.")
	case groups != nil && *groups > 1:
		return nil, resource.Errorf(resource.InvalidCombination, resource.TypeParameter, "NumCacheClusters", "NumCacheClusters is for one node group; use ReplicasPerNodeGroup.")
	case *nodes < 1 || *nodes > 6:
		return nil, resource.Errorf(resource.InvalidValue, resource.TypeParameter, "NumCacheClusters", "NumCacheClusters must be between 1 and 6; %d was given.", *nodes)
	}
	return ptr(int(*nodes) - 1), nil
}

func shardsIn(in []ecapi.NodeGroupConfiguration) (out []control.ShardWanted, err error) {
	for _, g := range in {
		if err := refused(refusal{"PrimaryOutpostArn", text(g.PrimaryOutpostArn) != "", noOutposts},
			refusal{"ReplicaOutpostArns", len(g.ReplicaOutpostArns) > 0, noOutposts}); err != nil {
			return nil, err
		}
		s := control.ShardWanted{Name: text(g.NodeGroupId), Replicas: number(g.ReplicaCount), PrimaryZone: text(g.PrimaryAvailabilityZone), ReplicaZones: g.ReplicaAvailabilityZones}
		if text(g.Slots) != "" {
			if s.Slots, err = resource.ParseSlots(*g.Slots); err != nil {
				return nil, resource.Errorf(resource.InvalidValue, resource.TypeParameter, "Slots", "NodeGroupConfiguration: %v.", err)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

func clusterIn(c *gateway.Call, in *ecapi.CreateCacheClusterInput) (out control.CreateDeployment, err error) {
	err = refused(
		refusal{"CacheSecurityGroupNames", len(in.CacheSecurityGroupNames) > 0, noEC2},
		refusal{"LogDeliveryConfigurations", delivers(in.LogDeliveryConfigurations), noDelivery},
		refusal{"IpDiscovery", text(in.IpDiscovery) == string(ecapi.IpDiscoveryIpv6), noIPv6},
		refusal{"OutpostMode", in.OutpostMode != nil, noOutposts},
		refusal{"PreferredOutpostArn", text(in.PreferredOutpostArn) != "", noOutposts},
		refusal{"PreferredOutpostArns", len(in.PreferredOutpostArns) > 0, noOutposts},
	)
	if err != nil {
		return out, err
	}
	zones := in.PreferredAvailabilityZones
	if z := text(in.PreferredAvailabilityZone); z != "" {
		if len(zones) > 0 {
			return out, resource.Errorf(resource.InvalidCombination, resource.TypeParameter, "PreferredAvailabilityZone",
				"PreferredAvailabilityZone and PreferredAvailabilityZones cannot be given together.")
		}
		zones = []string{z}
	}
	out = control.CreateDeployment{
		Scope: c.Scope, Kind: resource.CacheCluster, Name: text(in.CacheClusterId), JoinGroup: text(in.ReplicationGroupId),
		Engine: text(in.Engine), EngineVersion: text(in.EngineVersion), NodeType: text(in.CacheNodeType), Port: number(in.Port),
		ParameterGroup: text(in.CacheParameterGroupName), SubnetGroup: text(in.CacheSubnetGroupName), SecurityGroups: in.SecurityGroupIds,
		NetworkType: text(in.NetworkType), Nodes: number(in.NumCacheNodes), Zones: zones, SnapshotName: text(in.SnapshotName), SnapshotArns: in.SnapshotArns,
		MaintenanceWindow: text(in.PreferredMaintenanceWindow), SnapshotWindow: text(in.SnapshotWindow), SnapshotRetention: number(in.SnapshotRetentionLimit),
		AutoMinorUpgrade: in.AutoMinorVersionUpgrade, Topic: text(in.NotificationTopicArn), TransitEncryption: in.TransitEncryptionEnabled,
		AuthToken: secretIn(in.AuthToken), Tags: tagsIn(in.Tags),
	}
	if in.AZMode != nil {
		out.MultiZone = ptr(*in.AZMode == ecapi.AZModeCrossAz)
	}
	if out.JoinGroup != "" && strings.TrimSpace(out.JoinGroup) == "" {
		out.JoinGroup = ""
	}
	return out, nil
}
