package control

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// ExportSnapshot asks for a snapshot's files in a bucket: RDB, or the items of memcached.
type ExportSnapshot struct {
	Scope    resource.Scope
	Space    string // of the snapshot, as Kind.SnapshotSpace says
	Name     string
	Bucket   string
	Prefix   string         // that the object keys begin with: TargetSnapshotName; empty for the snapshot's name
	KMSKeyID string         // refused: the files are plain
	Tags     []resource.Tag // refused: there is nothing to tag

	// Allowed, if not nil, tells whether the caller may write the first object, whose key follows from the snapshot's engine.
	Allowed func(key string) error
}

// longestPrefix is the greatest length of TargetSnapshotName in an export, in characters.
const longestPrefix = 1000

// ExportSnapshot accepts the command after it has looked at the bucket; the snapshot shows copying until the job is done.
func (c *Control) ExportSnapshot(ctx context.Context, in ExportSnapshot) (*resource.Snapshot, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	var s *resource.Snapshot
	check := func(tx *metastore.Tx) (err error) {
		s, err = readySnapshot(tx, in.Scope, in.Space, in.Name)
		return err
	}
	if err := c.db.View(ctx, check); err != nil {
		return nil, err
	}
	if in.Allowed != nil {
		if err := in.Allowed(s.ExportKey(in.Prefix, 1)); err != nil {
			return nil, err
		}
	}
	if err := c.usableKey(ctx, s); err != nil {
		return nil, err
	}
	for k := range max(1, len(s.Shards)) {
		if err := c.targets.Probe(ctx, s.Kind.Service(), in.Scope.Account, in.Scope.Region, in.Bucket, s.ExportKey(in.Prefix, k+1)); err != nil {
			return nil, err
		}
	}
	err := c.db.Update(ctx, func(tx *metastore.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		id, err := c.enqueue(tx, resource.TaskExportSnapshot, s.ID, resource.ExportSnapshotTask{SnapshotID: s.ID, Bucket: in.Bucket, Name: in.Prefix})
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

// check refuses what can never be right.
func (in *ExportSnapshot) check() error {
	param := "TargetBucket"
	if in.Space == serverlessSpace {
		param = "S3BucketName"
	}
	switch {
	case in.Bucket == "":
		return invalid(param, "The parameter %s must be provided and must not be blank.", param)
	case !bucketName.MatchString(in.Bucket):
		return invalid(param, "The S3 bucket %s does not exist.", clip(in.Bucket))
	case in.KMSKeyID != "":
		return conflicting("KmsKeyId cannot be given together with TargetBucket: an export is plain files.")
	case len(in.Tags) > 0:
		return conflicting("Tags cannot be given together with TargetBucket: an export makes no snapshot that could have them.")
	case in.Prefix == "":
		return nil
	case !utf8.ValidString(in.Prefix) || strings.ContainsRune(in.Prefix, 0):
		return invalid("TargetSnapshotName", "The parameter TargetSnapshotName must be valid UTF-8 without zero bytes.")
	case utf8.RuneCountInString(in.Prefix) > longestPrefix || len(resource.ExportKey(in.Prefix, 1)) > longestObjectKey:
		return invalid("TargetSnapshotName", "The parameter TargetSnapshotName must have at most %d characters, and the object keys that begin with it %d bytes.",
			longestPrefix, longestObjectKey)
	}
	return nil
}
