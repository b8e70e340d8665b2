package control

import (
	"context"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// source is what a new cache is filled from: nothing, one snapshot, or files in S3, of RDB or, for memcached, of items.
type source struct {
	param    string // the request parameter that named it, for messages
	space    string // of the snapshot
	name     string // of the snapshot, empty without one
	snapshot *resource.Snapshot
	objects  []resource.S3Object
	arns     []string // as they were given
}

// mostFiles bounds the RDB files that one cache is filled from. A cluster of AWS has at most 500 shards, and as many files.
const mostFiles = 500

// parseSource reads SnapshotArnsToRestore of a serverless cache: nothing, one snapshot, or S3 objects.
func parseSource(scope resource.Scope, arns []string) (*source, error) {
	const param = "SnapshotArnsToRestore"
	if len(arns) == 1 {
		a, ok := resource.ParseARN(arns[0])
		space := map[string]string{"serverlesscachesnapshot": serverlessSpace, "snapshot": resource.CacheCluster.SnapshotSpace()}[a.Type]
		if ok && a.Service == "elasticache" && space != "" {
			if a.Account != scope.Account || a.Region != scope.Region || a.Partition != resource.Partition(scope.Region) {
				return nil, invalid(param, "Snapshot %s belongs to another account or region; export it to S3 and restore the file.", clip(arns[0]))
			}
			return &source{param: param, space: space, name: oldName(a.Name), arns: arns}, nil
		}
	}
	return objectSource(param, "a serverless cache is restored from one snapshot, or from RDB files in S3", scope, arns)
}

// deploymentSource reads what a cache of nodes shall be filled from, and refuses more than one source.
func deploymentSource(in *CreateDeployment) (*source, error) {
	var given []string
	s := &source{}
	if in.SnapshotName != "" {
		given = append(given, "SnapshotName")
		s = &source{param: "SnapshotName", space: in.Kind.SnapshotSpace(), name: oldName(in.SnapshotName)}
	}
	if in.ServerlessSnapshotName != "" {
		given = append(given, "ServerlessCacheSnapshotName")
		s = &source{param: "ServerlessCacheSnapshotName", space: serverlessSpace, name: oldName(in.ServerlessSnapshotName)}
	}
	if len(in.SnapshotArns) > 0 {
		given = append(given, "SnapshotArns")
		if in.Kind == resource.CacheCluster && len(in.SnapshotArns) > 1 {
			return nil, invalid("SnapshotArns", "A cache cluster is restored from exactly one RDB file; %d ARNs were given.", len(in.SnapshotArns))
		}
		var err error
		if s, err = objectSource("SnapshotArns", "the ARN of an RDB file in S3 is expected; a snapshot is restored by its name", in.Scope, in.SnapshotArns); err != nil {
			return nil, err
		}
	}
	for param, name := range map[string]string{"PrimaryClusterId": in.PrimaryCluster, "ReplicationGroupId": in.JoinGroup} {
		if name != "" && len(given) > 0 {
			return nil, conflicting("%s cannot be given together with %s: the data comes from the primary.", given[0], param)
		}
	}
	if len(given) > 1 {
		return nil, conflicting("Only one of %s may be given.", strings.Join(given, " and "))
	}
	return s, nil
}

// objectSource reads ARNs of RDB files in S3.
func objectSource(param, expected string, scope resource.Scope, arns []string) (*source, error) {
	if len(arns) > mostFiles {
		return nil, invalid(param, "At most %d RDB files can be restored; %d ARNs were given.", mostFiles, len(arns))
	}
	s := &source{param: param, arns: arns}
	for _, arn := range arns {
		a, ok := resource.ParseARN(arn)
		if !ok {
			return nil, invalid(param, "%q is not an ARN: %s.", clip(arn), expected)
		}
		if a.Service != "s3" {
			return nil, invalid(param, "%q cannot be restored: %s.", clip(arn), expected)
		}
		bucket, key, ok := strings.Cut(a.Name, "/")
		if !ok || bucket == "" || key == "" || strings.Contains(key, ",") || a.Region != "" || a.Account != "" || a.Partition != resource.Partition(scope.Region) {
			return nil, invalid(param, "%q does not name an S3 object: arn:aws:s3:::bucket/key is expected, and the key may not contain commas.", clip(arn))
		}
		if !bucketName.MatchString(bucket) || len(key) > longestObjectKey {
			return nil, invalid(param, "%q does not name an S3 object: that is no name of a bucket, or its key is longer than %d bytes.", clip(arn), longestObjectKey)
		}
		object := resource.S3Object{Bucket: bucket, Key: key}
		if slices.Contains(s.objects, object) {
			return nil, invalid(param, "%q is given more than once.", clip(arn))
		}
		s.objects = append(s.objects, object)
	}
	return s, nil
}

// empty reports whether the cache starts without data.
func (s *source) empty() bool { return s.name == "" && len(s.objects) == 0 }

// find looks the snapshot up and refuses one that is not ready. No operation that creates a cache declares a fault for it, so the parameter is at fault.
func (s *source) find(tx *metastore.Tx, scope resource.Scope) (err error) {
	if s.name == "" {
		return nil
	}
	s.snapshot, err = readySnapshot(tx, scope, s.space, s.name)
	if is(err, resource.NotFound) || is(err, resource.InvalidState) {
		return invalid(s.param, "%v", err)
	}
	return err
}

// usable refuses a snapshot whose data key cannot be unwrapped; not within a transaction.
func (s *source) usable(ctx context.Context, c *Control) error {
	if s.snapshot == nil {
		return nil
	}
	return c.usableKey(ctx, s.snapshot)
}

// fits refuses a snapshot that the new cache cannot hold, whose engine and layout are settled. For files it is their loading that tells.
func (s *source) fits(cache *resource.Cache) error {
	if cache.Engine == resource.Memcached && len(s.objects) > 1 {
		return invalid(s.param, "A memcached cache is restored from one file, which holds all items; %d were given.", len(s.objects))
	}
	if s.snapshot == nil {
		return nil
	}
	from := &s.snapshot.Source
	if err := upgradeable("a snapshot of", from.Engine, from.EngineVersion(), cache.Engine, cache.EngineVersion()); err != nil {
		return err
	}
	if cache.Layout == nil {
		return nil
	}
	clustered := from.Layout == nil || from.Layout.ClusterMode
	if clustered && !cache.Layout.ClusterMode {
		return conflicting("Snapshot %s was taken with cluster mode enabled and cannot be restored into a cluster mode disabled cache.", s.snapshot.Name)
	}
	if cache.Layout.ClusterMode && s.snapshot.Databases > 1 {
		return conflicting("Snapshot %s has keys in other databases than 0 and cannot be restored into a cluster mode enabled cache, which has no other.", s.snapshot.Name)
	}
	return nil
}

// tags are those of the new cache: the ones that were asked for, else those of the snapshot that a cluster is restored from.
func (s *source) tags(tx *metastore.Tx, cache *resource.Cache, asked []resource.Tag) ([]resource.Tag, error) {
	inherits := cache.Kind == resource.CacheCluster || cache.Kind == resource.MemoryDBCluster
	if len(asked) > 0 || s.snapshot == nil || !inherits {
		return asked, nil
	}
	return tx.Tags(s.snapshot.ARN())
}

// begin enqueues the job that makes the cache, and keeps the snapshot until it is done.
func (s *source) begin(tx *metastore.Tx, c *Control, cache *resource.Cache) error {
	task := resource.CreateCacheTask{CacheID: cache.ID, Objects: s.objects}
	if s.snapshot != nil {
		task.SnapshotID = s.snapshot.ID
	}
	id, err := c.enqueue(tx, resource.TaskCreateCache, cache.ID, task)
	if err != nil || s.snapshot == nil {
		return err
	}
	return tx.AddUse(s.snapshot.ID, id, resource.UseRestore)
}

// origins are the ARNs that the cache is restored from.
func (s *source) origins() []string {
	if len(s.arns) == 0 && s.snapshot != nil {
		return []string{s.snapshot.ARN()}
	}
	return s.arns
}
