package worker

import (
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// Adopt brings the engines back under our eyes when a server starts: those that run are taken over as they are, those that
// died while nobody looked are restarted by a job.
func (w *Worker) Adopt(ctx context.Context) error {
	var nodes []*resource.Node
	err := w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		nodes, err = tx.Nodes(w.Host)
		return err
	})
	if err != nil {
		return err
	}
	g := errgroup.Group{}
	g.SetLimit(16)
	for _, n := range nodes {
		g.Go(func() error { return w.adopt(ctx, n) })
	}
	return g.Wait()
}

// running are the states of caches whose engines are to run. Those of others have a job that starts or removes them.
var running = []resource.CacheStatus{resource.CacheAvailable, resource.CacheModifying, resource.CacheSnapshotting, resource.CacheRebooting}

// patience is how long a start waits for an engine that does not answer. The jobs of the others must not wait much longer.
const patience = 3 * time.Second

func (w *Worker) adopt(ctx context.Context, n *resource.Node) error {
	cache, err := w.cacheIn(ctx, n.CacheID, running...)
	if err != nil {
		return done(err) // its own job starts or removes it
	}
	if n.Status == resource.NodeCreating || n.Status == resource.NodeDeleting {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	alive, err := w.Engines.Adopt(limited, n.ID)
	switch {
	case err != nil: // perhaps it is only busy: the job that looks after it tries until it answers
		w.Log.Error("cannot take over an engine and will try again", "cache", cache.Name, "node", n.ID, "err", err)
		w.lost(supervisor.Death{ID: n.ID}, false)
	case !alive:
		// An engine that was to be replaced by another has ended as its job wanted: nothing to tell of.
		w.lost(supervisor.Death{ID: n.ID, Status: "found dead when the server started"}, cache.Status == resource.CacheAvailable)
	}
	return nil
}

// Died orders the restart of a node whose process ended unexpectedly.
func (w *Worker) Died(d supervisor.Death) { w.lost(d, true) }

func (w *Worker) lost(d supervisor.Death, tell bool) {
	ctx := context.Background()
	err := w.DB.Update(ctx, func(tx *metastore.Tx) error {
		nodes, err := tx.Nodes(w.Host)
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if n.ID != d.ID {
				continue
			}
			// One that is being created has a job that will see the death, or is about to say that it is available.
			cache, err := cacheIn(tx, n.CacheID, slices.Concat(running, []resource.CacheStatus{resource.CacheCreating})...)
			if err != nil {
				return done(err)
			}
			if cache.Layout != nil {
				return w.lostNode(tx, cache, n, tell)
			}
			if !tell || cache.Status == resource.CacheCreating {
				return w.enqueueRecovery(tx, n)
			}
			if err := w.tell(tx, cache, "The engine of cache %s ended unexpectedly (%s) and is being restarted.", cache.Name, d.Status); err != nil {
				return err
			}
			return w.enqueueRecovery(tx, n)
		}
		return nil
	})
	if err != nil {
		w.Log.Error("cannot order the restart of an engine", "node", d.ID, "status", d.Status, "err", err)
	}
}

// lostNode orders the recovery of a node of a cache of nodes. Clients are not sent to it until it is back.
func (w *Worker) lostNode(tx *metastore.Tx, cache *resource.Cache, n *resource.Node, tell bool) error {
	if n.Status == resource.NodeAvailable {
		n.Status = resource.NodeRebooting
		if err := tx.UpdateNode(n); err != nil {
			return err
		}
		if tell {
			if err := w.tellMember(tx, cache, n, "Recovering cache nodes %s", n.Number); err != nil {
				return err
			}
		}
	}
	return w.enqueueRecovery(tx, n)
}

// recoverNode brings a node that died back, or makes a cache of nodes whole again.
func (w *Worker) recoverNode(ctx context.Context, r *job.Running, t resource.RecoverNodeTask) error {
	cache, err := w.cacheIn(ctx, t.CacheID, running...)
	if err != nil {
		return done(err)
	}
	if cache.Layout == nil {
		return w.recoverServerless(ctx, r, t)
	}
	if cache.Status == resource.CacheModifying || cache.Status == resource.CacheRebooting {
		return nil // the job behind this one heals it, and knows what its nodes are to run
	}
	if _, err := w.heal(ctx, r, t.CacheID, running...); err != nil {
		return done(err)
	}
	return r.Close(ctx, func(*metastore.Tx) error { return nil })
}

// recoverServerless restarts a node that died. It has neither replicas nor an append-only file and returns empty, unless it was
// stopped for a change that was given up: then its data file is there.
func (w *Worker) recoverServerless(ctx context.Context, r *job.Running, t resource.RecoverNodeTask) error {
	cache, err := w.cacheIn(ctx, t.CacheID, resource.CacheAvailable, resource.CacheModifying)
	if err != nil {
		return done(err)
	}
	var begun restarting
	again, err := r.Load(&begun)
	if err != nil {
		return err
	}
	alive, err := w.Engines.Adopt(ctx, t.NodeID)
	if errors.Is(err, supervisor.ErrUnknownNode) {
		alive, err = false, w.replace(ctx, r, cache)
	}
	if err != nil {
		return err
	}
	if alive && !again {
		// It was restarted for another report of the same death. A data file that it may have come from must not come back.
		if err := w.Engines.WaitReady(ctx, t.NodeID, nil); err != nil {
			return err
		}
		return w.Engines.RemoveData(ctx, t.NodeID)
	}
	if !alive {
		if err := w.ownBinary(cache, t.NodeID); err != nil {
			return err
		}
		// Counted at every start: an earlier run's engine may have served, and have died again.
		begun = restarting{Counted: true, Saved: exists(w.Engines.DataPath(t.NodeID))}
		err := r.Update(ctx, func(tx *metastore.Tx) error {
			cache, err := cacheIn(tx, t.CacheID, resource.CacheAvailable, resource.CacheModifying)
			if err != nil {
				return err
			}
			if !begun.Saved {
				cache.Restarts++
			}
			if err := tx.UpdateCache(cache); err != nil {
				return err
			}
			return r.SaveIn(tx, begun)
		})
		if err != nil {
			return done(err)
		}
	}
	failpoint.Hit("recover-node.counted")
	if !alive {
		if err := w.Engines.Start(ctx, t.NodeID); err != nil {
			return err
		}
	}
	failpoint.Hit("recover-node.started")
	if err := w.Engines.WaitReady(ctx, t.NodeID, nil); err != nil {
		return err
	}
	failpoint.Hit("recover-node.ready")
	if err := w.Engines.RemoveData(ctx, t.NodeID); err != nil {
		return err
	}
	if err := w.Engines.SetMaxMemory(ctx, t.NodeID, w.maxMemory(cache)); err != nil {
		return err
	}
	node, err := w.Engines.Node(t.NodeID)
	if err != nil {
		return err
	}
	return r.Close(ctx, func(tx *metastore.Tx) error {
		if err := w.moved(tx, t.CacheID, node); err != nil {
			return err
		}
		if begun.Saved {
			return w.tell(tx, cache, "The engine of cache %s was restarted with the data that it had saved.", cache.Name)
		}
		return w.tell(tx, cache, "The engine of cache %s was restarted. It has no replica and no append-only file: it returned empty. Restore a snapshot to get data back.", cache.Name)
	})
}

// ownBinary puts a node back on the engine that its cache has. A change of engine that was given up left it on the other one,
// which may be why it was given up.
func (w *Worker) ownBinary(cache *resource.Cache, nodeID string) error {
	node, err := w.Engines.Node(nodeID)
	if err != nil || node.Engine == cache.Engine && node.Binary.Version.String() == cache.FullEngineVersion {
		return err
	}
	choice, err := w.Catalog.Resolve(cache.Engine, cache.MajorEngineVersion)
	if err != nil || choice.Binary == node.Binary {
		return err
	}
	return w.Engines.SetBinary(nodeID, choice.Binary)
}

// replace gives a cache a new node in the place of one whose directory is gone: the data directory came back from a backup
// without it, or a delete was given up after it had removed the node.
func (w *Worker) replace(ctx context.Context, r *job.Running, cache *resource.Cache) error {
	binary, err := w.Catalog.Resolve(cache.Engine, cache.MajorEngineVersion)
	if err == nil {
		_, err = w.place(ctx, r, cache, binary)
	}
	return err
}

// moved tells of the new endpoint of a cache whose node was replaced.
func (w *Worker) moved(tx *metastore.Tx, cacheID string, node supervisor.Node) error {
	cache, err := cacheIn(tx, cacheID, resource.CacheAvailable, resource.CacheModifying)
	if err != nil || cache.Endpoint == node.Endpoint() {
		return done(err)
	}
	cache.Endpoint, cache.TLS, cache.FullEngineVersion = node.Endpoint(), node.TLS, node.Binary.Version.String()
	if err := tx.UpdateCache(cache); err != nil {
		return err
	}
	return w.tell(tx, cache, "Cache %s has a new endpoint: %s:%d.", cache.Name, cache.Endpoint.Address, cache.Endpoint.Port)
}

// restarting is the checkpoint of a recovery: the restart is counted, and a process that runs now may be ours.
type restarting struct {
	Counted bool
	Saved   bool // the engine left a data file
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// recoverAll orders a look at all nodes of a cache that is given back to its user: those that died meanwhile are restarted.
func (w *Worker) recoverAll(tx *metastore.Tx, cacheID string) error {
	nodes, err := tx.NodesOf(cacheID)
	if err != nil {
		return err
	}
	if len(nodes) > 1 {
		nodes = nodes[:1] // one look is at all of them
	}
	for _, n := range nodes {
		if err := w.enqueueRecovery(tx, n); err != nil {
			return err
		}
	}
	return nil
}

func (w *Worker) enqueueRecovery(tx *metastore.Tx, n *resource.Node) error {
	_, err := w.Queue.Enqueue(tx, recovery(n))
	return err
}
