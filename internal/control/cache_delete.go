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
	final, err := c.newFinal(resource.Serverless, in.Scope, "FinalSnapshotName", in.FinalSnapshot)
	if err != nil {
		return nil, err
	}
	var cache *resource.Cache
	check := func(tx *metastore.Tx) (err error) {
		if err := final.free(tx); err != nil {
			return err
		}
		if cache, err = tx.CacheByName(in.Scope, resource.Serverless, oldName(in.Name)); err != nil {
			return notFound(err, resource.TypeCache, in.Name)
		}
		if cache.Status == resource.CacheCreateFailed && !final.wanted() {
			return nil
		}
		if err := final.check(tx, cache); err != nil {
			return err
		}
		return idle(tx, cache)
	}
	if final.wanted() {
		if err := c.db.View(ctx, check); err != nil {
			return nil, err
		}
		if err := final.key(ctx, cache); err != nil {
			return nil, err
		}
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) (err error) {
		if err := check(tx); err != nil {
			return err
		}
		task := resource.DeleteCacheTask{CacheID: cache.ID}
		if task.FinalSnapshotID, err = final.record(tx, cache); err != nil {
			return err
		}
		cache.Status = resource.CacheDeleting
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
		_, err = c.enqueue(tx, resource.TaskDeleteCache, cache.ID, task)
		return err
	})
	return cache, err
}
