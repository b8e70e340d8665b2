package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/oklog/ulid/v2"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// createCache starts the engine of a new cache, with the data of a snapshot or of an RDB file if it is restored from one.
// The cache is available only when every key of the source was counted.
func (w *Worker) createCache(ctx context.Context, r *job.Running, t resource.CreateCacheTask) error {
	cache, err := w.cacheIn(ctx, t.CacheID, resource.CacheCreating)
	if err != nil {
		return done(err)
	}
	binary, err := w.Catalog.Resolve(cache.Engine, cache.MajorEngineVersion)
	if err != nil {
		return job.Cancel(err)
	}
	node, err := w.place(ctx, r, cache, binary)
	if err != nil {
		return err
	}
	failpoint.Hit("create-cache.placed")
	var d *resource.Deployment
	err = w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		d, err = tx.Deployment(cache)
		return err
	})
	if err != nil {
		return err
	}
	expected, err := w.launch(ctx, r, t, d, binary)
	if err != nil {
		return err
	}
	failpoint.Hit("create-cache.started")
	if err := w.Engines.WaitReady(ctx, node.ID, func(p supervisor.Progress) { r.Progress(ctx, p) }); err != nil {
		return w.loadFailure(ctx, node.ID, expected != nil, err)
	}
	failpoint.Hit("create-cache.ready")
	if err := w.admit(ctx, cache, node.ID, expected); err != nil {
		return err
	}
	failpoint.Hit("create-cache.admitted")
	return r.Close(ctx, func(tx *metastore.Tx) error {
		cache, err := cacheIn(tx, t.CacheID, resource.CacheCreating)
		if err != nil {
			return done(err)
		}
		cache.Status, cache.TLS = resource.CacheAvailable, node.TLS
		cache.Endpoint, cache.FullEngineVersion = node.Endpoint(), binary.FullVersion
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
		if err := tx.RemoveUse(r.ID); err != nil {
			return err
		}
		message := "Cache %s is created. Your cache is ready to use."
		if expected != nil {
			message = "Cache %s is created and data was restored from snapshot. Your cache is ready to use."
		}
		if err := w.tell(tx, cache, message, cache.Name); err != nil {
			return err
		}
		return w.tell(tx, cache, "Cache %s runs on %s %s.", cache.Name, binary.Engine, binary.FullVersion)
	})
}

// place gives the cache its node: first a record, so that nothing that exists is unknown, then directory and address.
func (w *Worker) place(ctx context.Context, r *job.Running, cache *resource.Cache, binary engine.Choice) (supervisor.Node, error) {
	var node *resource.Node
	err := r.Update(ctx, func(tx *metastore.Tx) error {
		nodes, err := tx.NodesOf(cache.ID)
		if err != nil {
			return err
		}
		if len(nodes) > 0 {
			node = nodes[0]
			return nil
		}
		node = &resource.Node{ID: ulid.Make().String(), CacheID: cache.ID, Shard: "0001", Primary: true, Host: w.Host, Slots: resource.AllSlots}
		return tx.InsertNode(cache, node)
	})
	if err != nil {
		return supervisor.Node{}, err
	}
	failpoint.Hit("create-cache.recorded")
	placed, err := w.Engines.Create(ctx, supervisor.Spec{
		ID: node.ID, Engine: cache.Engine, Binary: binary.Binary, Cluster: true, Shard: node.Shard, Slots: node.Slots,
		TLS: w.TLS, Password: engine.RandomSecret(),
	})
	if err != nil {
		return placed, err
	}
	failpoint.Hit("create-cache.created")
	at := placed.Endpoint()
	if node.Address == at.Address && node.Port == at.Port {
		return placed, nil
	}
	node.Address, node.Port = at.Address, at.Port
	return placed, r.Update(ctx, func(tx *metastore.Tx) error { return tx.UpdateNode(node) })
}

// maxMemory is the data limit of a cache in bytes.
func (w *Worker) maxMemory(cache *resource.Cache) int64 {
	if cache.Limits.MaxGB != nil {
		return *cache.Limits.MaxGB << 30
	}
	return w.DefaultBytes
}

// admit checks a node that serves before clients learn of it: all keys are there and fit into the limit, which is only now
// put in force, because an engine with a limit evicts at the first command.
func (w *Worker) admit(ctx context.Context, cache *resource.Cache, nodeID string, expected map[string]int64) error {
	limit := w.maxMemory(cache)
	if expected != nil {
		loaded, err := w.Engines.Loaded(ctx, nodeID)
		if err != nil {
			return err
		}
		if got := loaded.Keys + loaded.Expired; got != expected[nodeID] {
			return job.Cancel(fmt.Errorf("the engine loaded %d keys and the source holds %d", got, expected[nodeID]))
		}
		used, err := w.Engines.UsedMemory(ctx, nodeID)
		if err != nil {
			return err
		}
		if used > limit {
			return job.Cancel(fmt.Errorf("the data needs %d bytes of memory and the data limit of the cache is %d", used, limit))
		}
		if err := w.Engines.RemoveData(ctx, nodeID); err != nil {
			return err
		}
		failpoint.Hit("create-cache.unlinked")
	}
	return w.Engines.SetMaxMemory(ctx, nodeID, limit)
}

// loadFailure decides about an engine that did not become ready: one that ended while it loaded a source will do so again.
func (w *Worker) loadFailure(ctx context.Context, nodeID string, restoring bool, err error) error {
	if restoring && errors.Is(err, supervisor.ErrNotRunning) {
		return job.Cancel(err)
	}
	return err
}

// createCacheFailed ends a create that was given up in create-failed. What runs or lies on disk is removed by the delete that
// must follow; until then it can be looked at.
func (w *Worker) createCacheFailed(tx *metastore.Tx, j job.Job, t resource.CreateCacheTask, cause error) error {
	if err := tx.RemoveUse(j.ID); err != nil {
		return err
	}
	cache, err := cacheIn(tx, t.CacheID, resource.CacheCreating)
	if err != nil {
		return done(err)
	}
	cache.Status, cache.StatusReason = resource.CacheCreateFailed, cause.Error()
	if err := tx.UpdateCache(cache); err != nil {
		return err
	}
	if t.SnapshotID == "" && len(t.Objects) == 0 {
		return w.tell(tx, cache, "Failed to create cache %s. %v.", cache.Name, cause)
	}
	return w.tell(tx, cache, "Failed to create cache %s. Data restoration from snapshot failed because %v.", cache.Name, cause)
}
