package memorydb

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// space is where the names of snapshots are unique.
var space = resource.MemoryDBCluster.SnapshotSpace()

// snapshotRoutes serves snapshots.
func (h handler) snapshotRoutes(f *gateway.API) {
	gateway.Route(f, mdbapi.OpCreateSnapshot, func(c *gateway.Call, in *mdbapi.CreateSnapshotInput) []policy.Need {
		return append(tagged(c, "CreateSnapshot", "snapshot", in.SnapshotName, in.Tags), need(c, "CreateSnapshot", "cluster", in.ClusterName)...)
	}, h.createSnapshot)
	gateway.Route(f, mdbapi.OpCopySnapshot, func(c *gateway.Call, in *mdbapi.CopySnapshotInput) []policy.Need {
		source := need(c, "CopySnapshot", "snapshot", in.SourceSnapshotName)
		if text(in.TargetBucket) != "" {
			return source
		}
		return append(tagged(c, "CopySnapshot", "snapshot", in.TargetSnapshotName, in.Tags), source...)
	}, h.copySnapshot)
	gateway.Route(f, mdbapi.OpDescribeSnapshots, func(c *gateway.Call, in *mdbapi.DescribeSnapshotsInput) []policy.Need {
		return need(c, "DescribeSnapshots", "snapshot", in.SnapshotName)
	}, h.describeSnapshots)
	gateway.Route(f, mdbapi.OpDeleteSnapshot, func(c *gateway.Call, in *mdbapi.DeleteSnapshotInput) []policy.Need {
		return need(c, "DeleteSnapshot", "snapshot", in.SnapshotName)
	}, h.deleteSnapshot)
}

func (h handler) createSnapshot(ctx context.Context, c *gateway.Call, in *mdbapi.CreateSnapshotInput) (*mdbapi.CreateSnapshotOutput, error) {
	s, err := h.control.CreateSnapshot(ctx, control.CreateSnapshot{
		Scope: c.Scope, Space: space, Name: text(in.SnapshotName), Cache: text(in.ClusterName), KMSKeyID: text(in.KmsKeyId), Tags: tagsIn(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &mdbapi.CreateSnapshotOutput{Snapshot: snapshotOut(s, false)}, nil
}

// copySnapshot copies, or exports when a bucket is named: then no snapshot is made, and the answer shows what is being written.
func (h handler) copySnapshot(ctx context.Context, c *gateway.Call, in *mdbapi.CopySnapshotInput) (*mdbapi.CopySnapshotOutput, error) {
	if bucket := text(in.TargetBucket); bucket != "" {
		if err := c.MayExport(bucket, resource.ExportKey(text(in.TargetSnapshotName), 1)); err != nil {
			return nil, err
		}
		s, err := h.control.ExportSnapshot(ctx, control.ExportSnapshot{
			Scope: c.Scope, Space: space, Name: text(in.SourceSnapshotName), Bucket: bucket, Prefix: text(in.TargetSnapshotName),
			KMSKeyID: text(in.KmsKeyId), Tags: tagsIn(in.Tags),
		})
		if err != nil {
			return nil, err
		}
		out := snapshotOut(s, false)
		out.Name, out.Status, out.Source, out.ARN, out.KmsKeyId = in.TargetSnapshotName, ptr(string(resource.SnapshotCreating)), ptr(string(resource.Manual)), nil, nil
		return &mdbapi.CopySnapshotOutput{Snapshot: out}, nil
	}
	s, err := h.control.CopySnapshot(ctx, control.CopySnapshot{
		Scope: c.Scope, Space: space, Source: text(in.SourceSnapshotName), Target: text(in.TargetSnapshotName), KMSKeyID: text(in.KmsKeyId), Tags: tagsIn(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &mdbapi.CopySnapshotOutput{Snapshot: snapshotOut(s, false)}, nil
}

func (h handler) describeSnapshots(ctx context.Context, c *gateway.Call, in *mdbapi.DescribeSnapshotsInput) (*mdbapi.DescribeSnapshotsOutput, error) {
	snapshots, next, err := h.control.DescribeSnapshots(ctx, control.DescribeSnapshots{
		Scope: c.Scope, Space: space, Name: text(in.SnapshotName), Cache: text(in.ClusterName), Type: text(in.Source),
		Page: control.Page{Most: number(in.MaxResults), Token: text(in.NextToken)},
	})
	if err != nil {
		return nil, err
	}
	out := &mdbapi.DescribeSnapshotsOutput{NextToken: shown(next), Snapshots: make([]mdbapi.Snapshot, len(snapshots))}
	for i, s := range snapshots {
		out.Snapshots[i] = *snapshotOut(s, in.ShowDetail != nil && *in.ShowDetail)
	}
	return out, nil
}

func (h handler) deleteSnapshot(ctx context.Context, c *gateway.Call, in *mdbapi.DeleteSnapshotInput) (*mdbapi.DeleteSnapshotOutput, error) {
	s, err := h.control.DeleteSnapshot(ctx, c.Scope, space, text(in.SnapshotName))
	if err != nil {
		return nil, err
	}
	return &mdbapi.DeleteSnapshotOutput{Snapshot: snapshotOut(s, false)}, nil
}

// snapshotOut is a snapshot as the API shows it in every phase, its shards only if they are asked for.
func snapshotOut(s *resource.Snapshot, shards bool) *mdbapi.Snapshot {
	source := &s.Source
	from := &mdbapi.ClusterConfiguration{
		Name: &source.Name, Description: &source.Description, Engine: ptr(string(source.Engine)), NumShards: ptr(int32(len(s.Shards))),
		SnapshotRetentionLimit: ptr(int32(source.SnapshotRetention)),
	}
	if l := source.Layout; l != nil {
		from.NodeType, from.EngineVersion, from.Port = &l.NodeType, ptr(shortVersion(l.EngineVersion)), ptr(int32(l.Port))
		from.MaintenanceWindow, from.SnapshotWindow, from.TopicArn = shown(l.MaintenanceWindow), shown(l.SnapshotWindow), shown(l.Topic)
		from.ParameterGroupName, from.SubnetGroupName = shown(l.ParameterGroup), shown(l.SubnetGroup)
		if l.SubnetGroup != "" {
			from.VpcId = ptr(control.VPC(s.Scope))
		}
	}
	if shards {
		for i := range s.Shards {
			from.Shards = append(from.Shards, snapshotShard(&s.Shards[i]))
		}
	}
	out := &mdbapi.Snapshot{Name: &s.Name, Status: ptr(string(s.Status)), Source: ptr(string(s.Type)), ARN: ptr(s.ARN()), ClusterConfiguration: from,
		DataTiering: ptr(mdbapi.DataTieringStatusFalse)}
	if !s.KMSDefault {
		out.KmsKeyId = shown(s.KMSKeyID)
	}
	return out
}

// snapshotShard shows one shard. Its size is empty, and the instant of its data absent, until the data is there.
func snapshotShard(shard *resource.ShardData) mdbapi.ShardDetail {
	out := mdbapi.ShardDetail{Name: &shard.Shard.Name, Size: ptr(""), SnapshotCreationTime: stamp(shard.CreatedAt),
		Configuration: &mdbapi.ShardConfiguration{Slots: ptr(resource.FormatSlots(shard.Shard.Slots)), ReplicaCount: ptr(int32(shard.Shard.Replicas))}}
	if !shard.CreatedAt.IsZero() {
		out.Size = ptr(resource.SizeText(shard.Bytes))
	}
	return out
}
