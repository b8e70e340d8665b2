package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// DeleteCache asks for the end of a serverless cache, after a final snapshot if one is named.
type DeleteCache struct {
	Scope         resource.Scope
	Name          string
	FinalSnapshot string
}

// DeleteCache accepts the command: the cache is in the state deleting until process and files are gone. Its automated
// snapshots go with it; manual and final ones stay.
func (c *Control) DeleteCache(ctx context.Context, in DeleteCache) (*resource.Cache, error) {
	final := ""
	if in.FinalSnapshot != "" {
		var err error
		if final, err = newName("FinalSnapshotName", in.FinalSnapshot, longestSnapshotName); err != nil {
			return nil, err
		}
	}
	s := &resource.Snapshot{ID: newID(), Kind: resource.Serverless, Scope: in.Scope, Name: final, Type: resource.Manual,
		Status: resource.SnapshotCreating, RequestedAt: c.now()}
	var cache *resource.Cache
	check := func(tx *metastore.Tx) (err error) {
		if final != "" {
			if err := absent(tx, in.Scope, final); err != nil {
				return err
			}
		}
		if cache, err = tx.CacheByName(in.Scope, resource.Serverless, oldName(in.Name)); err != nil {
			return notFound(err, resource.TypeCache, in.Name)
		}
		if cache.Status == resource.CacheCreateFailed && final == "" {
			return nil
		}
		return idle(tx, cache)
	}
	if final != "" {
		if err := c.db.View(ctx, check); err != nil {
			return nil, err
		}
		if err := c.resolveKey(ctx, s, cache.KMSKeyID); err != nil {
			return nil, err
		}
		s.KMSDefault = cache.KMSKeyID == ""
	}
	err := c.db.Update(ctx, func(tx *metastore.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		task := resource.DeleteCacheTask{CacheID: cache.ID}
		if final != "" {
			s.Source = *cache
			if err := c.recordSnapshot(tx, s, nil); err != nil {
				return err
			}
			task.FinalSnapshotID = s.ID
		}
		cache.Status = resource.CacheDeleting
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
		_, err := c.enqueue(tx, resource.TaskDeleteCache, cache.ID, task)
		return err
	})
	return cache, err
}
