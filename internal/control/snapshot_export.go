package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// ExportSnapshot asks for a snapshot's RDB files in a bucket.
type ExportSnapshot struct {
	Scope  resource.Scope
	Name   string
	Bucket string
}

// ExportSnapshot accepts the command after it has looked at the bucket; the snapshot shows copying until the job is done.
func (c *Control) ExportSnapshot(ctx context.Context, in ExportSnapshot) (*resource.Snapshot, error) {
	if in.Bucket == "" {
		return nil, invalid("S3BucketName", "The parameter S3BucketName must be provided and must not be blank.")
	}
	if !bucketName.MatchString(in.Bucket) {
		return nil, invalid("S3BucketName", "The S3 bucket %s does not exist.", clip(in.Bucket))
	}
	var s *resource.Snapshot
	check := func(tx *metastore.Tx) (err error) {
		s, err = readySnapshot(tx, in.Scope, serverlessSpace, in.Name)
		return err
	}
	if err := c.db.View(ctx, check); err != nil {
		return nil, err
	}
	if err := c.usableKey(ctx, s); err != nil {
		return nil, err
	}
	if err := c.targets.Probe(ctx, s.Kind.Service(), in.Scope.Account, in.Scope.Region, in.Bucket, resource.ExportKey(s.Name, 1)); err != nil {
		return nil, err
	}
	err := c.db.Update(ctx, func(tx *metastore.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		id, err := c.enqueue(tx, resource.TaskExportSnapshot, s.ID, resource.ExportSnapshotTask{SnapshotID: s.ID, Bucket: in.Bucket})
		if err != nil {
			return err
		}
		if err := tx.AddUse(s.ID, id, resource.UseExport); err != nil {
			return err
		}
		s, err = tx.SnapshotByID(s.ID)
		return err
	})
	return s, err
}
