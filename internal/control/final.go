package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// final is the snapshot that is taken before a cache goes. Without a snapshot its methods do nothing.
type final struct {
	control  *Control
	snapshot *resource.Snapshot
}

// newFinal checks the name of a final snapshot; an empty one means that none is wanted. Param is the request's parameter.
func (c *Control) newFinal(kind resource.Kind, scope resource.Scope, param, name string) (final, error) {
	if name == "" {
		return final{}, nil
	}
	name, err := newName(param, name, longestSnapshotName)
	return final{c, &resource.Snapshot{ID: newID(), Kind: kind, Scope: scope, Name: name, Type: resource.Manual,
		Status: resource.SnapshotCreating, RequestedAt: c.now()}}, err
}

// wanted reports whether there shall be a final snapshot.
func (f final) wanted() bool { return f.snapshot != nil }

// free refuses a name that is taken. It comes before the cache is looked up.
func (f final) free(tx *metastore.Tx) error {
	if f.snapshot == nil {
		return nil
	}
	return absent(tx, f.snapshot.Scope, f.snapshot.Kind.SnapshotSpace(), f.snapshot.Name)
}

// check refuses a cache that no final snapshot can be taken of. The state of the cache is the caller's to check.
func (f final) check(tx *metastore.Tx, cache *resource.Cache) error {
	if f.snapshot == nil {
		return nil
	}
	if err := snapshottable(cache); err != nil {
		return err
	}
	if cache.Kind == resource.CacheCluster || cache.Kind == resource.ReplicationGroup {
		return f.control.checkSnapshotQuota(tx, cache) // the other deletes declare no fault for it
	}
	return nil
}

// key resolves the key of the cache; not within a transaction.
func (f final) key(ctx context.Context, cache *resource.Cache) error {
	if f.snapshot == nil {
		return nil
	}
	err := f.control.resolveKey(ctx, f.snapshot, cache.KMSKeyID)
	f.snapshot.KMSDefault = cache.KMSKeyID == ""
	return err
}

// record writes the snapshot with the configuration of the cache as it is now, and returns its ID for the task that deletes the cache; empty without one.
func (f final) record(tx *metastore.Tx, cache *resource.Cache) (id string, err error) {
	if f.snapshot == nil {
		return "", nil
	}
	if err := freeze(tx, f.snapshot, cache, "", true); err != nil {
		return "", err
	}
	return f.snapshot.ID, f.control.recordSnapshot(tx, f.snapshot, nil)
}
