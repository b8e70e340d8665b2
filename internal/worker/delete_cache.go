package worker

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// deleteCache takes the final snapshot if there is to be one, then ends the engine and forgets the cache. A final snapshot
// that fails keeps the cache alive: nothing is deleted that was to be kept.
func (w *Worker) deleteCache(ctx context.Context, r *job.Running, t resource.DeleteCacheTask) error {
	cache, err := w.cacheIn(ctx, t.CacheID, resource.CacheDeleting)
	if err != nil {
		return done(err)
	}
	failpoint.Hit("delete-cache.begun")
	if t.FinalSnapshotID != "" {
		if err := w.takeFinal(ctx, r, cache, t.FinalSnapshotID); err != nil {
			return done(err)
		}
		failpoint.Hit("delete-cache.final-snapshot")
	}
	var nodes []*resource.Node
	err = w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		nodes, err = tx.NodesOf(cache.ID)
		return err
	})
	if err != nil {
		return err
	}
	if err := w.endNodes(ctx, r, nodes); err != nil {
		return err
	}
	failpoint.Hit("delete-cache.removed")
	return r.Close(ctx, func(tx *metastore.Tx) error {
		automated, err := tx.AutomatedSnapshotsOf(cache.ID)
		if err != nil {
			return err
		}
		for _, s := range automated {
			if s.Status != resource.SnapshotAvailable && s.Status != resource.SnapshotFailed {
				// In use: expire at once, and be deleted when it is free.
				s.ExpiresAt = w.Now()
				if err := tx.UpdateSnapshot(s); err != nil {
					return err
				}
				continue
			}
			if err := w.enqueueDelete(tx, s); err != nil {
				return err
			}
		}
		if err := tx.DeleteNodes(cache.ID); err != nil {
			return err
		}
		if err := tx.DeleteTags(cache.ARN()); err != nil {
			return err
		}
		if cache.Kind == resource.ReplicationGroup {
			for _, n := range nodes {
				if err := tx.DeleteTags(resource.CacheARN(resource.CacheCluster, cache.Scope, n.Name)); err != nil {
					return err
				}
			}
		}
		if err := tx.DeleteCache(cache.ID); err != nil {
			return err
		}
		if err := tx.SettleAccess(cache.Scope, cache.Kind.Service(), cache.ID); err != nil {
			return err
		}
		switch cache.Kind {
		case resource.CacheCluster:
			return w.tell(tx, cache, "Cache cluster deleted")
		case resource.ReplicationGroup:
			return w.tell(tx, cache, "Replication group %s deleted", cache.Name)
		case resource.MemoryDBCluster:
			return w.tell(tx, cache, "Cluster deleted.")
		}
		return w.tell(tx, cache, "Cache %s is deleted.", cache.Name)
	})
}

// takeFinal takes the final snapshot, unless an earlier run did: that may have removed nodes since.
func (w *Worker) takeFinal(ctx context.Context, r *job.Running, cache *resource.Cache, id string) error {
	if _, err := w.snapshotIn(ctx, id, resource.SnapshotCreating); err != nil {
		return done(err)
	}
	if cache.Layout != nil {
		// The job that would replace a primary that died waits for this one.
		if _, err := w.heal(ctx, r, cache.ID, resource.CacheDeleting); err != nil {
			return err
		}
	}
	if err := done(w.takeSnapshot(ctx, r, id, r.Update)); err != nil {
		return fmt.Errorf("final snapshot: %w", err)
	}
	return nil
}

// removal is the progress of a delete.
type removal struct{ Removed, Of int }

// endNodes ends the nodes of a cache and removes what they have. Replicas go first: they would elect each other.
func (w *Worker) endNodes(ctx context.Context, r *job.Running, nodes []*resource.Node) error {
	var done atomic.Int64
	for _, primaries := range []bool{false, true} {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(16)
		for _, n := range nodes {
			if n.Primary != primaries {
				continue
			}
			g.Go(func() error {
				err := w.Engines.Remove(gctx, n.ID)
				r.Progress(ctx, removal{int(done.Add(1)), len(nodes)}) //nolint:errcheck // a lost lease ends the context
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (w *Worker) enqueueDelete(tx *metastore.Tx, s *resource.Snapshot) error {
	s.Status = resource.SnapshotDeleting
	if err := tx.UpdateSnapshot(s); err != nil {
		return err
	}
	_, err := w.Queue.Enqueue(tx, job.NewSpec(resource.TaskDeleteSnapshot, s.ID, resource.SnapshotTask{SnapshotID: s.ID}))
	return err
}

// deleteCacheFailed gives a cache whose delete was given up back to its user.
func (w *Worker) deleteCacheFailed(tx *metastore.Tx, j job.Job, t resource.DeleteCacheTask, cause error) error {
	cache, err := cacheIn(tx, t.CacheID, resource.CacheDeleting)
	if err != nil {
		return done(err)
	}
	if t.FinalSnapshotID != "" {
		if err := w.createSnapshotFailed(tx, j, resource.SnapshotTask{SnapshotID: t.FinalSnapshotID}, cause); err != nil {
			return err
		}
	}
	cache.Status = resource.CacheAvailable
	if cache.StatusReason != "" {
		cache.Status = resource.CacheCreateFailed // it never served anybody
		if cache.Layout != nil && len(cache.RestoreFrom) > 0 {
			cache.Status = resource.CacheRestoreFailed
		}
	}
	if err := tx.UpdateCache(cache); err != nil {
		return err
	}
	if err := w.recoverAll(tx, cache.ID); err != nil {
		return err
	}
	return w.tell(tx, cache, "Failed to delete cache %s: %v.", cache.Name, cause)
}
