package memorydb

import (
	"strings"

	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/resource"
)

// clusterOut is a cluster as the API shows it, with its shards if they are asked for.
func clusterOut(d *resource.Deployment, shards bool) *mdbapi.Cluster {
	l := d.Layout
	out := &mdbapi.Cluster{
		Name: ptr(d.Name), Description: shown(d.Description), Status: ptr(clusterStatus(d.Status)), NumberOfShards: ptr(int32(len(l.Shards))),
		AvailabilityMode: ptr(mdbapi.AZStatusSingleaz), NodeType: ptr(l.NodeType), Engine: ptr(string(d.Engine)), EngineVersion: ptr(shortVersion(l.EngineVersion)),
		EnginePatchVersion: shown(d.FullEngineVersion), ParameterGroupName: ptr(l.ParameterGroup), ParameterGroupStatus: ptr(parameterStatus(l)),
		SubnetGroupName: shown(l.SubnetGroup), TLSEnabled: ptr(d.TLS), KmsKeyId: shown(d.KMSKeyID), ARN: ptr(d.ARN()), SnsTopicArn: shown(l.Topic),
		SnapshotRetentionLimit: ptr(int32(d.SnapshotRetention)), MaintenanceWindow: shown(l.MaintenanceWindow), SnapshotWindow: shown(l.SnapshotWindow),
		AutoMinorVersionUpgrade: ptr(l.AutoMinorUpgrade), DataTiering: ptr(mdbapi.DataTieringStatusFalse),
		NetworkType: ptr(mdbapi.NetworkTypeIpv4), IpDiscovery: ptr(mdbapi.IpDiscoveryIpv4),
	}
	if l.Topic != "" {
		out.SnsTopicStatus = ptr(strings.ToUpper(l.TopicStatus))
	}
	if len(l.UserGroups) > 0 {
		out.ACLName = ptr(l.UserGroups[0])
	}
	if l.MultiAZ {
		out.AvailabilityMode = ptr(mdbapi.AZStatusMultiaz)
	}
	for _, id := range d.SecurityGroupIDs {
		out.SecurityGroups = append(out.SecurityGroups, mdbapi.SecurityGroupMembership{SecurityGroupId: ptr(id), Status: ptr("active")})
	}
	if len(l.Shards) > 0 {
		if n := d.Primary(l.Shards[0].Name); n != nil {
			out.ClusterEndpoint = endpointOut(n.Endpoint())
		}
	}
	if shards {
		for _, s := range l.Shards {
			out.Shards = append(out.Shards, shardOut(d, s))
		}
	}
	return out
}

func shardOut(d *resource.Deployment, s resource.Shard) mdbapi.Shard {
	nodes := d.Of(s.Name)
	out := mdbapi.Shard{Name: ptr(s.Name), Status: ptr(string(resource.NodeAvailable)), Slots: ptr(resource.FormatSlots(s.Slots)), NumberOfNodes: ptr(int32(len(nodes)))}
	for _, n := range nodes {
		if n.Status != resource.NodeAvailable {
			out.Status = ptr(nodeStatus(n.Status))
		}
		out.Nodes = append(out.Nodes, mdbapi.Node{Name: ptr(n.Name), Status: ptr(nodeStatus(n.Status)), AvailabilityZone: shown(n.Zone),
			CreateTime: stamp(n.CreatedAt), Endpoint: endpointOut(n.Endpoint())})
	}
	return out
}

// nodeStatus has no word for a restart.
func nodeStatus(s resource.NodeStatus) string {
	if s == resource.NodeRebooting {
		return "modifying"
	}
	return string(s)
}

// clusterStatus is the status in MemoryDB's words.
func clusterStatus(s resource.CacheStatus) string {
	switch s {
	case resource.CacheModifying, resource.CacheRebooting:
		return "updating"
	}
	return string(s)
}

// parameterStatus knows no pending reboot: what waits for one is still being applied.
func parameterStatus(l *resource.Layout) string {
	if l.ParameterStatus == resource.ParametersPendingReboot {
		return string(resource.ParametersApplying)
	}
	return string(l.ParameterStatus)
}

// shortVersion is the engine's version in MemoryDB's manner, "7.0" or "8.0": the patch has a field of its own.
func shortVersion(v string) string {
	parts := strings.SplitN(v, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

func endpointOut(e resource.Endpoint) *mdbapi.Endpoint {
	if e.Address == "" {
		return nil
	}
	return &mdbapi.Endpoint{Address: ptr(e.Address), Port: ptr(int32(e.Port))}
}

// enum is the text of an enum, empty when it is absent.
func enum[S ~string](s *S) string {
	if s == nil {
		return ""
	}
	return string(*s)
}
