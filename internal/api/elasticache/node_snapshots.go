package elasticache

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// nodeSpace is where the names of snapshots of cache clusters and replication groups are unique.
var nodeSpace = resource.CacheCluster.SnapshotSpace()

// nodeSnapshotRoutes serves snapshots of node-based caches.
func (h handler) nodeSnapshotRoutes(f *gateway.API) {
	gateway.Route(f, ecapi.OpCreateSnapshot, func(c *gateway.Call, in *ecapi.CreateSnapshotInput) []policy.Need {
		needs := tagged(c, "CreateSnapshot", named(c, "snapshot", in.SnapshotName), in.Tags)
		condition(needs, map[string]string{"KmsKeyId": text(in.KmsKeyId)})
		return append(needs, uses(c, "CreateSnapshot", map[string]*string{"cluster": in.CacheClusterId, "replicationgroup": in.ReplicationGroupId})...)
	}, h.createNodeSnapshot)
	gateway.Route(f, ecapi.OpCopySnapshot, func(c *gateway.Call, in *ecapi.CopySnapshotInput) []policy.Need {
		source := need("CopySnapshot", named(c, "snapshot", in.SourceSnapshotName))
		if text(in.TargetBucket) != "" {
			return source
		}
		needs := tagged(c, "CopySnapshot", named(c, "snapshot", in.TargetSnapshotName), in.Tags)
		condition(needs, map[string]string{"KmsKeyId": text(in.KmsKeyId)})
		return append(needs, source...)
	}, h.copyNodeSnapshot)
	gateway.Route(f, ecapi.OpDescribeSnapshots, func(c *gateway.Call, in *ecapi.DescribeSnapshotsInput) []policy.Need {
		return need("DescribeSnapshots", named(c, "snapshot", in.SnapshotName))
	}, h.describeNodeSnapshots)
	gateway.Route(f, ecapi.OpDeleteSnapshot, func(c *gateway.Call, in *ecapi.DeleteSnapshotInput) []policy.Need {
		return need("DeleteSnapshot", named(c, "snapshot", in.SnapshotName))
	}, h.deleteNodeSnapshot)
}

func (h handler) createNodeSnapshot(ctx context.Context, c *gateway.Call, in *ecapi.CreateSnapshotInput) (*ecapi.CreateSnapshotOutput, error) {
	s, err := h.control.CreateSnapshot(ctx, control.CreateSnapshot{
		Scope: c.Scope, Space: nodeSpace, Name: text(in.SnapshotName), Cluster: text(in.CacheClusterId), Group: text(in.ReplicationGroupId),
		KMSKeyID: text(in.KmsKeyId), Tags: tagsIn(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &ecapi.CreateSnapshotOutput{Snapshot: nodeSnapshotOut(s, false)}, nil
}

// copyNodeSnapshot copies, or exports when a bucket is named: then no snapshot is made, and the answer shows what is being written.
func (h handler) copyNodeSnapshot(ctx context.Context, c *gateway.Call, in *ecapi.CopySnapshotInput) (*ecapi.CopySnapshotOutput, error) {
	if bucket := text(in.TargetBucket); bucket != "" {
		if err := c.MayExport(bucket, resource.ExportKey(text(in.TargetSnapshotName), 1)); err != nil {
			return nil, err
		}
		s, err := h.control.ExportSnapshot(ctx, control.ExportSnapshot{
			Scope: c.Scope, Space: nodeSpace, Name: text(in.SourceSnapshotName), Bucket: bucket, Prefix: text(in.TargetSnapshotName),
			KMSKeyID: text(in.KmsKeyId), Tags: tagsIn(in.Tags),
		})
		if err != nil {
			return nil, err
		}
		out := nodeSnapshotOut(s, false)
		out.SnapshotName, out.SnapshotStatus, out.SnapshotSource = in.TargetSnapshotName, ptr(string(resource.SnapshotCreating)), ptr(string(resource.Manual))
		out.ARN, out.KmsKeyId = nil, nil
		return &ecapi.CopySnapshotOutput{Snapshot: out}, nil
	}
	s, err := h.control.CopySnapshot(ctx, control.CopySnapshot{
		Scope: c.Scope, Space: nodeSpace, Source: text(in.SourceSnapshotName), Target: text(in.TargetSnapshotName), KMSKeyID: text(in.KmsKeyId), Tags: tagsIn(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &ecapi.CopySnapshotOutput{Snapshot: nodeSnapshotOut(s, false)}, nil
}

func (h handler) describeNodeSnapshots(ctx context.Context, c *gateway.Call, in *ecapi.DescribeSnapshotsInput) (*ecapi.DescribeSnapshotsOutput, error) {
	snapshots, next, err := h.control.DescribeSnapshots(ctx, control.DescribeSnapshots{
		Scope: c.Scope, Space: nodeSpace, Name: text(in.SnapshotName), Cluster: text(in.CacheClusterId), Group: text(in.ReplicationGroupId),
		Type: text(in.SnapshotSource), Page: control.Page{Most: number(in.MaxRecords), Token: text(in.Marker)},
	})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeSnapshotsOutput{Marker: shown(next), Snapshots: make([]ecapi.Snapshot, len(snapshots))}
	for i, s := range snapshots {
		out.Snapshots[i] = *nodeSnapshotOut(s, in.ShowNodeGroupConfig != nil && *in.ShowNodeGroupConfig)
	}
	return out, nil
}

func (h handler) deleteNodeSnapshot(ctx context.Context, c *gateway.Call, in *ecapi.DeleteSnapshotInput) (*ecapi.DeleteSnapshotOutput, error) {
	s, err := h.control.DeleteSnapshot(ctx, c.Scope, nodeSpace, text(in.SnapshotName))
	if err != nil {
		return nil, err
	}
	return &ecapi.DeleteSnapshotOutput{Snapshot: nodeSnapshotOut(s, false)}, nil
}

// nodeSnapshotOut is a snapshot as the API shows it in every phase, the layout of its shards only if that is asked for. Of a cache cluster,
// or a member of a group that was named, it shows one node; of a group its shards.
func nodeSnapshotOut(s *resource.Snapshot, layout bool) *ecapi.Snapshot {
	source := &s.Source
	out := &ecapi.Snapshot{
		SnapshotName: &s.Name, ARN: ptr(s.ARN()), SnapshotStatus: ptr(string(s.Status)), SnapshotSource: ptr(string(s.Type)),
		Engine: ptr(string(source.Engine)), SnapshotRetentionLimit: ptr(int32(source.SnapshotRetention)), DataTiering: ptr(ecapi.DataTieringStatusDisabled),
	}
	if !s.KMSDefault {
		out.KmsKeyId = shown(s.KMSKeyID)
	}
	if l := source.Layout; l != nil {
		out.CacheNodeType, out.EngineVersion, out.Port = &l.NodeType, ptr(fullVersion(l.EngineVersion)), ptr(int32(l.Port))
		out.PreferredMaintenanceWindow, out.SnapshotWindow = shown(l.MaintenanceWindow), shown(l.SnapshotWindow)
		out.TopicArn, out.CacheParameterGroupName, out.CacheSubnetGroupName = shown(l.Topic), shown(l.ParameterGroup), shown(l.SubnetGroup)
		out.AutoMinorVersionUpgrade = &l.AutoMinorUpgrade
		if l.SubnetGroup != "" {
			out.VpcId = ptr(control.VPC(s.Scope))
		}
	}
	if s.Kind == resource.ReplicationGroup {
		out.ReplicationGroupId, out.ReplicationGroupDescription = &source.Name, shown(source.Description)
		out.AutomaticFailover = ptr(ecapi.AutomaticFailoverStatusDisabled)
		if source.Layout != nil && source.Layout.AutomaticFailover {
			out.AutomaticFailover = ptr(ecapi.AutomaticFailoverStatusEnabled)
		}
	}
	if member := s.Member(); member != "" {
		out.CacheClusterId, out.CacheClusterCreateTime, out.NumCacheNodes = &member, instant(source.CreatedAt), ptr(int32(1))
		if len(s.Shards) > 0 {
			out.PreferredAvailabilityZone = shown(s.Shards[0].NodeZone)
			if s.Kind == resource.ReplicationGroup {
				out.CacheClusterCreateTime = instant(s.Shards[0].NodeCreatedAt)
			}
		}
	} else {
		out.NumNodeGroups = ptr(int32(len(s.Shards)))
	}
	for i := range s.Shards {
		out.NodeSnapshots = append(out.NodeSnapshots, nodeSnapshotShard(s, &s.Shards[i], layout))
	}
	return out
}

// nodeSnapshotShard shows one shard. Its size is empty, and the instant of its data absent, until the data is there.
func nodeSnapshotShard(s *resource.Snapshot, shard *resource.ShardData, layout bool) ecapi.NodeSnapshot {
	out := ecapi.NodeSnapshot{CacheNodeId: ptr("0001"), CacheSize: ptr(""), CacheNodeCreateTime: instant(shard.NodeCreatedAt), SnapshotCreateTime: instant(shard.CreatedAt)}
	if !shard.CreatedAt.IsZero() {
		out.CacheSize = ptr(resource.SizeText(shard.Bytes))
	}
	if s.Member() == "" {
		out.NodeGroupId, out.CacheClusterId = &shard.Shard.Name, shown(shard.Node)
	}
	if layout {
		slots := shard.Shard.Slots
		if len(slots) == 0 {
			slots = resource.AllSlots
		}
		out.NodeGroupConfiguration = &ecapi.NodeGroupConfiguration{NodeGroupId: &shard.Shard.Name, Slots: ptr(resource.FormatSlots(slots)),
			ReplicaCount: ptr(int32(shard.Shard.Replicas)), PrimaryAvailabilityZone: shown(shard.Zone), ReplicaAvailabilityZones: shard.ReplicaZones}
	}
	return out
}
