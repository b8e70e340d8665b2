package worker

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// modifyCache brings the engine in line with the cache's record: the data limit, and engine and version if these change.
func (w *Worker) modifyCache(ctx context.Context, r *job.Running, t resource.ModifyCacheTask) error {
	cache, err := w.cacheIn(ctx, t.CacheID, resource.CacheModifying)
	if err != nil {
		return done(err)
	}
	if cache.Layout != nil && t.Accept {
		return w.accept(ctx, r, t)
	}
	if cache.Layout != nil {
		return w.reshape(ctx, r, t)
	}
	var nodes []*resource.Node
	err = w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		nodes, err = tx.NodesOf(cache.ID)
		return err
	})
	if err != nil {
		return err
	}
	full := cache.FullEngineVersion
	for _, n := range nodes {
		if t.Engine != "" {
			if full, err = w.upgrade(ctx, r, n.ID, t); err != nil {
				return err
			}
			failpoint.Hit("modify-cache.upgraded")
		}
		// The limit reaches only an engine that is known to run, and a busy one may not have been taken over yet.
		if _, err := w.Engines.Adopt(ctx, n.ID); err != nil {
			return err
		}
		if err := w.Engines.SetMaxMemory(ctx, n.ID, w.maxMemory(cache)); err != nil {
			return err
		}
	}
	failpoint.Hit("modify-cache.limited")
	return r.Close(ctx, func(tx *metastore.Tx) error {
		cache, err := cacheIn(tx, t.CacheID, resource.CacheModifying)
		if err != nil {
			return done(err)
		}
		cache.Status, cache.FullEngineVersion = resource.CacheAvailable, full
		if t.Engine != "" {
			cache.Engine, cache.MajorEngineVersion = t.Engine, t.Major
		}
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
		return w.tell(tx, cache, "Cache %s is updated.", cache.Name)
	})
}

// upgrade puts the node of a serverless cache on another binary, and returns the version that runs now.
func (w *Worker) upgrade(ctx context.Context, r *job.Running, nodeID string, t resource.ModifyCacheTask) (string, error) {
	choice, err := w.Catalog.Resolve(t.Engine, t.Major)
	if err != nil {
		return "", job.Cancel(err)
	}
	node, err := w.Engines.Node(nodeID)
	if err != nil {
		return "", err
	}
	c, err := loadChanging(r)
	if err != nil {
		return "", err
	}
	if _, saved := c.Saved[nodeID]; !saved && node.Binary == choice.Binary {
		return choice.FullVersion, nil // another major version on the same binary
	}
	err = w.restartWithData(ctx, r, c, restart{node: nodeID, binary: &choice.Binary,
		emptied: func(tx *metastore.Tx) error { return w.tellEmptied(tx, t.CacheID) }})
	if err != nil {
		return "", err
	}
	return choice.FullVersion, w.Engines.WaitReady(ctx, nodeID, nil)
}

// tellEmptied says that an engine that was to be replaced has ended without saving.
func (w *Worker) tellEmptied(tx *metastore.Tx, cacheID string) error {
	cache, err := cacheIn(tx, cacheID, resource.CacheModifying)
	if err != nil {
		return done(err)
	}
	return w.tell(tx, cache, "The engine of cache %s ended before it could save its data: the new one begins empty. Restore a snapshot to get data back.", cache.Name)
}

// countKeys walks a data file. One that is not there holds no keys: the old engine was dead, and its data with it.
func countKeys(path string) (int64, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sum, err := rdb.NewScanner(f, rdb.Options{}).Scan()
	if err != nil {
		return 0, err
	}
	return sum.Keys, nil
}

// modifyCacheFailed gives a cache whose change was given up back to its user.
func (w *Worker) modifyCacheFailed(tx *metastore.Tx, _ job.Job, t resource.ModifyCacheTask, cause error) error {
	cache, err := cacheIn(tx, t.CacheID, resource.CacheModifying)
	if err != nil {
		return done(err)
	}
	if cache.Layout != nil {
		return w.reshapeFailed(tx, cache, t, cause)
	}
	cache.Status = resource.CacheAvailable
	if err := tx.UpdateCache(cache); err != nil {
		return err
	}
	if err := w.recoverAll(tx, cache.ID); err != nil {
		return err
	}
	return w.tell(tx, cache, "Failed to update cache %s: %v.", cache.Name, cause)
}
