package control

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// CreateSnapshot asks for a snapshot of a serverless cache.
type CreateSnapshot struct {
	Scope    resource.Scope
	Name     string
	Cache    string         // name of the cache
	KMSKeyID string         // id, ARN or alias; empty for the cache's key, or else the service's default key
	Tags     []resource.Tag // none: the cache's tags are inherited
}

// CreateSnapshot accepts the command: the snapshot is in the state creating when it returns.
func (c *Control) CreateSnapshot(ctx context.Context, in CreateSnapshot) (*resource.Snapshot, error) {
	name, err := newName("ServerlessCacheSnapshotName", in.Name, longestSnapshotName)
	if err != nil {
		return nil, err
	}
	s := &resource.Snapshot{ID: newID(), Kind: resource.Serverless, Scope: in.Scope, Name: name, Type: resource.Manual,
		Status: resource.SnapshotCreating, RequestedAt: c.now()}
	check := func(tx *metastore.Tx) error {
		if err := absent(tx, in.Scope, name); err != nil {
			return err
		}
		cache, err := c.snapshotSource(tx, in.Scope, in.Cache)
		if err != nil {
			return err
		}
		s.Source = *cache
		if err := c.checkSnapshotQuota(tx, cache.ID); err != nil {
			return err
		}
		return c.checkRoom(tx, in.Scope)
	}
	if err := c.db.View(ctx, check); err != nil {
		return nil, err
	}
	if err := c.checkTags(in.Tags); err != nil {
		return nil, err
	}
	// Data that its owner put under a key of his own does not leave it unasked.
	if err := c.resolveKey(ctx, s, cmp.Or(in.KMSKeyID, s.Source.KMSKeyID)); err != nil {
		return nil, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		return c.insertSnapshot(tx, s, in.Tags)
	})
	return s, err
}

// insertSnapshot writes a snapshot that is to be taken, with its tags, its place in the daily quota and its job.
func (c *Control) insertSnapshot(tx *metastore.Tx, s *resource.Snapshot, tags []resource.Tag) error {
	if err := c.recordSnapshot(tx, s, tags); err != nil {
		return err
	}
	_, err := c.enqueue(tx, resource.TaskCreateSnapshot, s.ID, resource.SnapshotTask{SnapshotID: s.ID})
	return err
}

// recordSnapshot is insertSnapshot without the job: a final snapshot is taken by the job that deletes the cache.
func (c *Control) recordSnapshot(tx *metastore.Tx, s *resource.Snapshot, tags []resource.Tag) error {
	if err := tx.InsertSnapshot(s); err != nil {
		return err
	}
	if len(tags) == 0 {
		var err error
		if tags, err = tx.Tags(s.Source.ARN()); err != nil {
			return err
		}
	}
	if err := tx.SetTags(s.ARN(), tags); err != nil {
		return err
	}
	if s.Type != resource.Manual {
		return nil
	}
	return tx.RecordTaken(s.Source.ID, s.ID, s.RequestedAt)
}

// absent refuses a snapshot name that is taken.
func absent(tx *metastore.Tx, scope resource.Scope, name string) error {
	_, err := tx.SnapshotByName(scope, resource.Serverless.SnapshotSpace(), name)
	if err == nil {
		return resource.Errorf(resource.AlreadyExists, resource.TypeSnapshot, name, "Serverless cache snapshot %s already exists.", name)
	}
	if is(err, resource.NotFound) {
		return nil
	}
	return err
}

// snapshotSource finds the cache that a snapshot is to be taken of and refuses one that is not ready for it.
func (c *Control) snapshotSource(tx *metastore.Tx, scope resource.Scope, name string) (*resource.Cache, error) {
	cache, err := tx.CacheByName(scope, resource.Serverless, oldName(name))
	if err != nil {
		return nil, notFound(err, resource.TypeCache, name)
	}
	return cache, idle(tx, cache)
}

// idle refuses a cache on which something is going on. A snapshot in the making counts, although the cache shows available.
func idle(tx *metastore.Tx, cache *resource.Cache) error {
	if cache.Status != resource.CacheAvailable {
		return resource.Errorf(resource.InvalidState, resource.TypeCache, cache.Name,
			"Serverless cache %s is not in the available state; it is %s.", cache.Name, cache.Status)
	}
	busy, err := tx.SnapshotInProgress(cache.ID)
	if err != nil {
		return err
	}
	if busy != "" {
		return resource.Errorf(resource.InvalidState, resource.TypeCache, cache.Name,
			"Serverless cache %s cannot be changed now: its snapshot %s is being created.", cache.Name, busy)
	}
	return nil
}

// checkSnapshotQuota counts the manual snapshots of the last 24 hours: deleted ones too, failed ones and copies not.
func (c *Control) checkSnapshotQuota(tx *metastore.Tx, cacheID string) error {
	n, err := tx.CountTaken(cacheID, c.now().Add(-24*time.Hour))
	if err != nil {
		return err
	}
	if n >= c.quota.ServerlessSnapshots {
		return resource.Errorf(resource.QuotaExceeded, resource.TypeSnapshot, "",
			"The maximum number of manual snapshots for this serverless cache taken within 24 hours has been reached its quota of %d", c.quota.ServerlessSnapshots)
	}
	return nil
}

// checkRoom refuses one snapshot more than an account may keep in a region. What is being deleted still counts.
func (c *Control) checkRoom(tx *metastore.Tx, scope resource.Scope) error {
	if c.quota.SnapshotsKept == 0 {
		return nil
	}
	n, err := tx.CountSnapshots(scope, resource.Serverless.SnapshotSpace())
	if err != nil {
		return err
	}
	if n >= c.quota.SnapshotsKept {
		return resource.Errorf(resource.QuotaExceeded, resource.TypeSnapshot, "",
			"You have already reached your quota of %d serverless cache snapshots in this region.", c.quota.SnapshotsKept)
	}
	return nil
}

// resolveKey turns what the user wrote into the ARN of an enabled key.
func (c *Control) resolveKey(ctx context.Context, s *resource.Snapshot, ref string) error {
	if err := checkKeyRef(ref); err != nil {
		return err
	}
	arn, err := c.keys.Resolve(ctx, s.Scope, s.Kind.Service(), ref)
	s.KMSKeyID, s.KMSDefault = arn, ref == ""
	return err
}

// is reports whether err is a resource error of this kind.
func is(err error, kind resource.ErrorKind) bool {
	var e *resource.Error
	return errors.As(err, &e) && e.Kind == kind
}

// notFound gives a not-found error the text of the API; other errors pass.
func notFound(err error, typ resource.Type, name string) error {
	if !is(err, resource.NotFound) {
		return err
	}
	what := "Serverless cache"
	if typ == resource.TypeSnapshot {
		what = "Serverless cache snapshot"
	}
	return resource.Errorf(resource.NotFound, typ, name, "%s %s not found.", what, clip(name))
}

const (
	longestCacheName    = 40
	longestSnapshotName = 255
)
