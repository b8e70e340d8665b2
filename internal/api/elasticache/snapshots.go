package elasticache

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// space is where the names of serverless snapshots are unique.
var space = resource.Serverless.SnapshotSpace()

func (h handler) createSnapshot(ctx context.Context, c *gateway.Call, in *ecapi.CreateServerlessCacheSnapshotInput) (*ecapi.CreateServerlessCacheSnapshotOutput, error) {
	s, err := h.control.CreateSnapshot(ctx, control.CreateSnapshot{
		Scope: c.Scope, Space: space, Name: text(in.ServerlessCacheSnapshotName), Cache: text(in.ServerlessCacheName), KMSKeyID: text(in.KmsKeyId), Tags: tagsIn(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &ecapi.CreateServerlessCacheSnapshotOutput{ServerlessCacheSnapshot: snapshotOut(s)}, nil
}

func (h handler) copySnapshot(ctx context.Context, c *gateway.Call, in *ecapi.CopyServerlessCacheSnapshotInput) (*ecapi.CopyServerlessCacheSnapshotOutput, error) {
	s, err := h.control.CopySnapshot(ctx, control.CopySnapshot{
		Scope: c.Scope, Space: space, Source: text(in.SourceServerlessCacheSnapshotName), Target: text(in.TargetServerlessCacheSnapshotName),
		KMSKeyID: text(in.KmsKeyId), Tags: tagsIn(in.Tags),
	})
	if err != nil {
		return nil, err
	}
	return &ecapi.CopyServerlessCacheSnapshotOutput{ServerlessCacheSnapshot: snapshotOut(s)}, nil
}

func (h handler) describeSnapshots(ctx context.Context, c *gateway.Call, in *ecapi.DescribeServerlessCacheSnapshotsInput) (*ecapi.DescribeServerlessCacheSnapshotsOutput, error) {
	snapshots, next, err := h.control.DescribeSnapshots(ctx, control.DescribeSnapshots{
		Scope: c.Scope, Space: space, Name: text(in.ServerlessCacheSnapshotName), Cache: text(in.ServerlessCacheName), Type: text(in.SnapshotType),
		Page: control.Page{Most: number(in.MaxResults), Token: text(in.NextToken)},
	})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeServerlessCacheSnapshotsOutput{NextToken: shown(next), ServerlessCacheSnapshots: make([]ecapi.ServerlessCacheSnapshot, len(snapshots))}
	for i, s := range snapshots {
		out.ServerlessCacheSnapshots[i] = *snapshotOut(s)
	}
	return out, nil
}

func (h handler) deleteSnapshot(ctx context.Context, c *gateway.Call, in *ecapi.DeleteServerlessCacheSnapshotInput) (*ecapi.DeleteServerlessCacheSnapshotOutput, error) {
	s, err := h.control.DeleteSnapshot(ctx, c.Scope, space, text(in.ServerlessCacheSnapshotName))
	if err != nil {
		return nil, err
	}
	return &ecapi.DeleteServerlessCacheSnapshotOutput{ServerlessCacheSnapshot: snapshotOut(s)}, nil
}

func (h handler) exportSnapshot(ctx context.Context, c *gateway.Call, in *ecapi.ExportServerlessCacheSnapshotInput) (*ecapi.ExportServerlessCacheSnapshotOutput, error) {
	bucket := text(in.S3BucketName)
	s, err := h.control.ExportSnapshot(ctx, control.ExportSnapshot{Scope: c.Scope, Space: space, Name: text(in.ServerlessCacheSnapshotName), Bucket: bucket,
		Allowed: func(key string) error { return c.MayExport(bucket, key) }})
	if err != nil {
		return nil, err
	}
	return &ecapi.ExportServerlessCacheSnapshotOutput{ServerlessCacheSnapshot: snapshotOut(s)}, nil
}
