package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// CreateSnapshot asks for a snapshot of a cache.
type CreateSnapshot struct {
	Scope    resource.Scope
	Space    string // of the snapshot, as Kind.SnapshotSpace says: it decides among which caches the source is
	Name     string
	Cache    string         // name of the serverless cache or MemoryDB cluster
	Cluster  string         // or, in ElastiCache, name of a cache cluster or of a member of a replication group without cluster mode
	Group    string         // or name of a replication group; a member of it may be named besides
	KMSKeyID string         // id, ARN or alias; empty for the cache's key, or else the service's default key
	Tags     []resource.Tag // none: the cache's tags are inherited
}

// CreateSnapshot accepts the command: the snapshot is in the state creating when it returns. A cache of nodes is snapshotting until it is taken.
func (c *Control) CreateSnapshot(ctx context.Context, in CreateSnapshot) (*resource.Snapshot, error) {
	param := "SnapshotName"
	if in.Space == serverlessSpace {
		param = "ServerlessCacheSnapshotName"
	}
	name, err := newName(param, in.Name, longestSnapshotName)
	if err != nil {
		return nil, err
	}
	s := &resource.Snapshot{ID: newID(), Scope: in.Scope, Name: name, Type: resource.Manual, Status: resource.SnapshotCreating, RequestedAt: c.now()}
	check := func(tx *metastore.Tx) error {
		if err := absent(tx, in.Scope, in.Space, name); err != nil {
			return err
		}
		cache, member, err := snapshotSource(tx, in)
		if err != nil {
			return err
		}
		s.Kind = cache.Kind
		if err := freeze(tx, s, cache, member, false); err != nil {
			return err
		}
		if err := c.checkSnapshotQuota(tx, cache); err != nil {
			return err
		}
		return c.checkRoom(tx, in.Scope, in.Space)
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
	if s.Kind != resource.Serverless { // whose status never shows it
		cache, err := tx.CacheByID(s.Source.ID)
		if err != nil {
			return err
		}
		cache.Status = resource.CacheSnapshotting
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
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
		from := s.Source.ARN()
		if s.Type == resource.Manual && s.FromNode != "" {
			from = memberARN(s.Scope, s.FromNode) // which has its group's tags and its own
		}
		if tags, err = tx.Tags(from); err != nil {
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
func absent(tx *metastore.Tx, scope resource.Scope, space, name string) error {
	_, err := tx.SnapshotByName(scope, space, name)
	if err == nil {
		return resource.Errorf(resource.AlreadyExists, snapshotType(space), name, "%s %s already exists.", snapshotNoun(space), name)
	}
	if is(err, resource.NotFound) {
		return nil
	}
	return err
}

// idle refuses a cache on which something is going on. A snapshot in the making counts, although a serverless cache shows available.
func idle(tx *metastore.Tx, cache *resource.Cache) error {
	return idleAs(tx, cache, cache.Kind, cache.Name)
}

// idleAs is idle for a cache that the request named as a resource of another kind: a member of a replication group, as a cache cluster.
func idleAs(tx *metastore.Tx, cache *resource.Cache, kind resource.Kind, name string) error {
	if cache.Status != resource.CacheAvailable {
		return resource.Errorf(resource.InvalidState, kind.ErrorType(), name, "%s %s is not in the available state; it is %s.", noun(kind), name, cache.Status)
	}
	busy, err := tx.SnapshotInProgress(cache.ID)
	if err != nil {
		return err
	}
	if busy != "" {
		return resource.Errorf(resource.InvalidState, kind.ErrorType(), name, "%s %s cannot be changed now: its snapshot %s is being created.", noun(kind), name, busy)
	}
	return nil
}

// checkSnapshotQuota counts the manual snapshots of the last 24 hours: deleted ones too, failed ones and copies not.
func (c *Control) checkSnapshotQuota(tx *metastore.Tx, cache *resource.Cache) error {
	n, err := tx.CountTaken(cache.ID, c.now().Add(-24*time.Hour))
	if err != nil {
		return err
	}
	most, text := c.quota.NodeSnapshots, "The maximum number of manual snapshots for this cluster taken within 24 hours has been reached"
	switch cache.Kind {
	case resource.Serverless:
		most = c.quota.ServerlessSnapshots
		text = fmt.Sprintf("The maximum number of manual snapshots for this serverless cache taken within 24 hours has been reached its quota of %d", most)
	case resource.CacheCluster:
		text = fmt.Sprintf("The maximum number of manual snapshots for this node taken within 24 hours has been reached its quota of %d", most)
	}
	if n >= most {
		return resource.Errorf(resource.QuotaExceeded, cache.Kind.SnapshotErrorType(), "", "%s", text)
	}
	return nil
}

// checkRoom refuses one snapshot more than an account may keep in a region. What is being deleted still counts.
func (c *Control) checkRoom(tx *metastore.Tx, scope resource.Scope, space string) error {
	if c.quota.SnapshotsKept == 0 {
		return nil
	}
	n, err := tx.CountSnapshots(scope, space)
	if err != nil {
		return err
	}
	if n >= c.quota.SnapshotsKept {
		return resource.Errorf(resource.QuotaExceeded, snapshotType(space), "",
			"You have already reached your quota of %d %ss in this region.", c.quota.SnapshotsKept, strings.ToLower(snapshotNoun(space)))
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

// notFound gives a not-found error of a serverless resource the text of the API; other errors pass.
func notFound(err error, typ resource.Type, name string) error {
	if typ == resource.TypeSnapshot {
		return noSnapshot(err, serverlessSpace, name)
	}
	return noCache(err, resource.Serverless, name)
}

const (
	longestCacheName    = 40
	longestSnapshotName = 255
)
