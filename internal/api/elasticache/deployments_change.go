package elasticache

import (
	"context"
	"slices"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// changeRoutes serves what changes cache clusters and replication groups.
func (h handler) changeRoutes(f *gateway.API) {
	gateway.Route(f, ecapi.OpModifyReplicationGroup, func(c *gateway.Call, in *ecapi.ModifyReplicationGroupInput) []policy.Need {
		needs := conditioned("ModifyReplicationGroup", named(c, "replicationgroup", in.ReplicationGroupId), map[string]string{
			"CacheNodeType": text(in.CacheNodeType), "EngineType": text(in.Engine), "EngineVersion": text(in.EngineVersion),
			"CacheParameterGroupName": text(in.CacheParameterGroupName), "SnapshotRetentionLimit": digits(in.SnapshotRetentionLimit),
			"AutomaticFailoverEnabled": yes(in.AutomaticFailoverEnabled), "MultiAZEnabled": yes(in.MultiAZEnabled),
		})
		needs = append(needs, uses(c, "ModifyReplicationGroup", map[string]*string{"parametergroup": in.CacheParameterGroupName})...)
		for _, g := range slices.Concat(in.UserGroupIdsToAdd, in.UserGroupIdsToRemove) {
			needs = append(needs, need("ModifyReplicationGroup", named(c, "usergroup", &g))...)
		}
		return needs
	}, h.modifyGroup)
	gateway.Route(f, ecapi.OpModifyCacheCluster, func(c *gateway.Call, in *ecapi.ModifyCacheClusterInput) []policy.Need {
		needs := conditioned("ModifyCacheCluster", named(c, "cluster", in.CacheClusterId), map[string]string{
			"CacheNodeType": text(in.CacheNodeType), "EngineType": text(in.Engine), "EngineVersion": text(in.EngineVersion),
			"CacheParameterGroupName": text(in.CacheParameterGroupName), "SnapshotRetentionLimit": digits(in.SnapshotRetentionLimit),
		})
		return append(needs, uses(c, "ModifyCacheCluster", map[string]*string{"parametergroup": in.CacheParameterGroupName})...)
	}, h.modifyCluster)
	gateway.Route(f, ecapi.OpIncreaseReplicaCount, func(c *gateway.Call, in *ecapi.IncreaseReplicaCountInput) []policy.Need {
		return conditioned("IncreaseReplicaCount", named(c, "replicationgroup", in.ReplicationGroupId), map[string]string{"ReplicasPerNodeGroup": digits(in.NewReplicaCount)})
	}, h.increaseReplicas)
	gateway.Route(f, ecapi.OpDecreaseReplicaCount, func(c *gateway.Call, in *ecapi.DecreaseReplicaCountInput) []policy.Need {
		return conditioned("DecreaseReplicaCount", named(c, "replicationgroup", in.ReplicationGroupId), map[string]string{"ReplicasPerNodeGroup": digits(in.NewReplicaCount)})
	}, h.decreaseReplicas)
	gateway.Route(f, ecapi.OpModifyReplicationGroupShardConfiguration, func(c *gateway.Call, in *ecapi.ModifyReplicationGroupShardConfigurationInput) []policy.Need {
		return conditioned("ModifyReplicationGroupShardConfiguration", named(c, "replicationgroup", in.ReplicationGroupId), map[string]string{"NumNodeGroups": digits(in.NodeGroupCount)})
	}, h.reshard)
	gateway.Route(f, ecapi.OpTestFailover, func(c *gateway.Call, in *ecapi.TestFailoverInput) []policy.Need {
		return need("TestFailover", named(c, "replicationgroup", in.ReplicationGroupId))
	}, h.testFailover)
	gateway.Route(f, ecapi.OpRebootCacheCluster, func(c *gateway.Call, in *ecapi.RebootCacheClusterInput) []policy.Need {
		return need("RebootCacheCluster", named(c, "cluster", in.CacheClusterId))
	}, h.reboot)
}

// conditioned is the need of an action with the service's own condition keys.
func conditioned(action, arn string, values map[string]string) []policy.Need {
	needs := need(action, arn)
	needs[0].Conditions = map[string][]string{}
	condition(needs, values)
	return needs
}

// noTransit says why encryption in transit stays as it was made.
const noTransit = "encryption in transit is decided when a cache is created, because stock engines cannot serve both kinds of connections on the way; restore a snapshot with it"

func (h handler) modifyGroup(ctx context.Context, c *gateway.Call, in *ecapi.ModifyReplicationGroupInput) (*ecapi.ModifyReplicationGroupOutput, error) {
	err := refused(
		refusal{"CacheSecurityGroupNames", len(in.CacheSecurityGroupNames) > 0, noEC2},
		refusal{"LogDeliveryConfigurations", delivers(in.LogDeliveryConfigurations), noDelivery},
		refusal{"IpDiscovery", text(in.IpDiscovery) == string(ecapi.IpDiscoveryIpv6), noIPv6},
		refusal{"TransitEncryptionMode preferred", text(in.TransitEncryptionMode) == string(ecapi.TransitEncryptionModePreferred), noPreferred},
		refusal{"ClusterMode compatible", text(in.ClusterMode) == string(ecapi.ClusterModeCompatible), "a node either has cluster mode or has not"},
		refusal{"Durability", notDefault(in.Durability), "groups replicate asynchronously and write no log; MemoryDB clusters are durable"},
	)
	if err != nil {
		return nil, err
	}
	if in.TransitEncryptionEnabled != nil || in.TransitEncryptionMode != nil {
		if err := h.transitStays(ctx, c, in); err != nil {
			return nil, err
		}
	}
	m := control.ModifyDeployment{
		Scope: c.Scope, Kind: resource.ReplicationGroup, Name: text(in.ReplicationGroupId), Immediately: on(in.ApplyImmediately),
		Description: in.ReplicationGroupDescription, Engine: some(in.Engine), EngineVersion: some(in.EngineVersion), NodeType: some(in.CacheNodeType),
		ParameterGroup: some(in.CacheParameterGroupName), SecurityGroups: in.SecurityGroupIds, MaintenanceWindow: some(in.PreferredMaintenanceWindow),
		SnapshotWindow: some(in.SnapshotWindow), SnapshotRetention: number(in.SnapshotRetentionLimit), SnapshottingNode: some(in.SnapshottingClusterId),
		AutoMinorUpgrade: in.AutoMinorVersionUpgrade, Topic: in.NotificationTopicArn, TopicStatus: some(in.NotificationTopicStatus),
		Failover: in.AutomaticFailoverEnabled, MultiZone: in.MultiAZEnabled, Primary: some(in.PrimaryClusterId),
		AuthToken: token(in.AuthToken), AuthStrategy: text(in.AuthTokenUpdateStrategy),
		UserGroupsAdd: in.UserGroupIdsToAdd, UserGroupsRemove: in.UserGroupIdsToRemove, RemoveUserGroups: on(in.RemoveUserGroups),
	}
	if in.ClusterMode != nil {
		m.ClusterMode = ptr(*in.ClusterMode == ecapi.ClusterModeEnabled)
	}
	d, err := h.control.ModifyDeployment(ctx, m)
	if err != nil {
		return nil, err
	}
	return &ecapi.ModifyReplicationGroupOutput{ReplicationGroup: groupOut(d)}, nil
}

// transitStays refuses a change of encryption in transit, and lets a request pass that says what is.
func (h handler) transitStays(ctx context.Context, c *gateway.Call, in *ecapi.ModifyReplicationGroupInput) error {
	all, _, err := h.control.DescribeDeployments(ctx, control.DescribeDeployments{Scope: c.Scope, Kind: resource.ReplicationGroup, Name: text(in.ReplicationGroupId)})
	if err != nil {
		return err
	}
	is := all[0].TLS
	return refused(refusal{"TransitEncryptionEnabled", in.TransitEncryptionEnabled != nil && *in.TransitEncryptionEnabled != is, noTransit},
		refusal{"TransitEncryptionMode", in.TransitEncryptionMode != nil && !is, noTransit})
}

// some is a string that was given and is not empty.
func some(s *string) *string {
	if text(s) == "" {
		return nil
	}
	return s
}

func token[S ~string](s *S) *resource.Secret {
	if text(s) == "" {
		return nil
	}
	return ptr(resource.Secret(*s))
}

func (h handler) modifyCluster(ctx context.Context, c *gateway.Call, in *ecapi.ModifyCacheClusterInput) (*ecapi.ModifyCacheClusterOutput, error) {
	err := refused(
		refusal{"CacheSecurityGroupNames", len(in.CacheSecurityGroupNames) > 0, noEC2},
		refusal{"LogDeliveryConfigurations", delivers(in.LogDeliveryConfigurations), noDelivery},
		refusal{"IpDiscovery", text(in.IpDiscovery) == string(ecapi.IpDiscoveryIpv6), noIPv6},
		refusal{"ScaleConfig", in.ScaleConfig != nil, "nodes are added and removed at once, not by and by"},
	)
	if err != nil {
		return nil, err
	}
	m := control.ModifyDeployment{
		Scope: c.Scope, Kind: resource.CacheCluster, Name: text(in.CacheClusterId), Immediately: on(in.ApplyImmediately),
		Engine: some(in.Engine), EngineVersion: some(in.EngineVersion), NodeType: some(in.CacheNodeType), ParameterGroup: some(in.CacheParameterGroupName),
		SecurityGroups: in.SecurityGroupIds, MaintenanceWindow: some(in.PreferredMaintenanceWindow), SnapshotWindow: some(in.SnapshotWindow),
		SnapshotRetention: number(in.SnapshotRetentionLimit), AutoMinorUpgrade: in.AutoMinorVersionUpgrade, Topic: in.NotificationTopicArn,
		TopicStatus: some(in.NotificationTopicStatus), AuthToken: token(in.AuthToken), AuthStrategy: text(in.AuthTokenUpdateStrategy),
		Nodes: number(in.NumCacheNodes), RemoveNodes: in.CacheNodeIdsToRemove, NewZones: in.NewAvailabilityZones,
	}
	if in.AZMode != nil {
		m.MultiZone = ptr(*in.AZMode == ecapi.AZModeCrossAz)
	}
	d, err := h.control.ModifyDeployment(ctx, m)
	if err != nil {
		return nil, err
	}
	return &ecapi.ModifyCacheClusterOutput{CacheCluster: memberOut(control.MemberOf(d, d.Name), true)}, nil
}

func shardReplicas(in []ecapi.ConfigureShard) (out []control.ShardReplicas, err error) {
	for _, s := range in {
		if err := refused(refusal{"PreferredOutpostArns", len(s.PreferredOutpostArns) > 0, noOutposts}); err != nil {
			return nil, err
		}
		r := control.ShardReplicas{Name: text(s.NodeGroupId), Zones: s.PreferredAvailabilityZones}
		if s.NewReplicaCount != nil {
			r.Count = int(*s.NewReplicaCount)
		}
		out = append(out, r)
	}
	return out, nil
}

func (h handler) increaseReplicas(ctx context.Context, c *gateway.Call, in *ecapi.IncreaseReplicaCountInput) (*ecapi.IncreaseReplicaCountOutput, error) {
	shards, err := shardReplicas(in.ReplicaConfiguration)
	if err != nil {
		return nil, err
	}
	d, err := h.control.ChangeReplicas(ctx, control.ChangeReplicas{Scope: c.Scope, Name: text(in.ReplicationGroupId), Increase: true,
		Immediately: on(in.ApplyImmediately), Count: number(in.NewReplicaCount), Shards: shards})
	if err != nil {
		return nil, err
	}
	return &ecapi.IncreaseReplicaCountOutput{ReplicationGroup: groupOut(d)}, nil
}

func (h handler) decreaseReplicas(ctx context.Context, c *gateway.Call, in *ecapi.DecreaseReplicaCountInput) (*ecapi.DecreaseReplicaCountOutput, error) {
	shards, err := shardReplicas(in.ReplicaConfiguration)
	if err != nil {
		return nil, err
	}
	d, err := h.control.ChangeReplicas(ctx, control.ChangeReplicas{Scope: c.Scope, Name: text(in.ReplicationGroupId),
		Immediately: on(in.ApplyImmediately), Count: number(in.NewReplicaCount), Shards: shards, Remove: in.ReplicasToRemove})
	if err != nil {
		return nil, err
	}
	return &ecapi.DecreaseReplicaCountOutput{ReplicationGroup: groupOut(d)}, nil
}

func (h handler) reshard(ctx context.Context, c *gateway.Call, in *ecapi.ModifyReplicationGroupShardConfigurationInput) (*ecapi.ModifyReplicationGroupShardConfigurationOutput, error) {
	r := control.ReshardDeployment{Scope: c.Scope, Name: text(in.ReplicationGroupId), Immediately: on(in.ApplyImmediately),
		Remove: in.NodeGroupsToRemove, Retain: in.NodeGroupsToRetain}
	if in.NodeGroupCount != nil {
		r.Count = int(*in.NodeGroupCount)
	}
	for _, s := range in.ReshardingConfiguration {
		w := control.ShardWanted{Name: text(s.NodeGroupId)}
		if zones := s.PreferredAvailabilityZones; len(zones) > 0 {
			w.PrimaryZone, w.ReplicaZones = zones[0], zones[1:]
		}
		r.Shards = append(r.Shards, w)
	}
	d, err := h.control.ReshardDeployment(ctx, r)
	if err != nil {
		return nil, err
	}
	return &ecapi.ModifyReplicationGroupShardConfigurationOutput{ReplicationGroup: groupOut(d)}, nil
}

func (h handler) testFailover(ctx context.Context, c *gateway.Call, in *ecapi.TestFailoverInput) (*ecapi.TestFailoverOutput, error) {
	d, err := h.control.FailoverShard(ctx, control.FailoverShard{Scope: c.Scope, Kind: resource.ReplicationGroup, Name: text(in.ReplicationGroupId), Shard: text(in.NodeGroupId)})
	if err != nil {
		return nil, err
	}
	return &ecapi.TestFailoverOutput{ReplicationGroup: groupOut(d)}, nil
}

func (h handler) reboot(ctx context.Context, c *gateway.Call, in *ecapi.RebootCacheClusterInput) (*ecapi.RebootCacheClusterOutput, error) {
	m, err := h.control.RebootMember(ctx, control.RebootMember{Scope: c.Scope, Name: text(in.CacheClusterId), Numbers: in.CacheNodeIdsToReboot})
	if err != nil {
		return nil, err
	}
	return &ecapi.RebootCacheClusterOutput{CacheCluster: memberOut(m, true)}, nil
}
