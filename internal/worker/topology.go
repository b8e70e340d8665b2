package worker

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// watch remembers what the last look at the nodes found.
type watch struct {
	mu   sync.Mutex
	mute map[string]time.Time // by node ID: since when it does not answer
}

// since is when a node was first found mute; now if it answered at the last look.
func (w *watch) since(nodeID string, now time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t, ok := w.mute[nodeID]; ok {
		return t
	}
	return now
}

// Watch compares the roles of engines with the records, for caches that have replicas: engines in cluster mode elect primaries by
// themselves, and a process that hangs never dies. What does not fit is put right by a job. Call it every few seconds.
func (w *Worker) Watch(ctx context.Context) error {
	var all []*resource.Deployment
	err := w.DB.View(ctx, func(tx *metastore.Tx) error {
		for c, err := range tx.AllCaches() {
			if err != nil {
				return err
			}
			if !replicated(c) || c.Status != resource.CacheAvailable && c.Status != resource.CacheSnapshotting {
				continue // nobody could take over, or a job is about to look anyway
			}
			d, err := tx.Deployment(c)
			if err != nil {
				return err
			}
			all = append(all, d)
		}
		return nil
	})
	if err != nil {
		return err
	}
	mute := map[string]time.Time{}
	var g errgroup.Group
	g.SetLimit(4)
	var mu sync.Mutex
	var sick []*resource.Deployment
	for _, d := range all {
		g.Go(func() error {
			sights := w.lookAround(ctx, d)
			mu.Lock()
			defer mu.Unlock()
			if w.deranged(d, sights, mute) {
				sick = append(sick, d)
			}
			return nil
		})
	}
	g.Wait() //nolint:errcheck // a node that does not answer is a finding
	w.watch.mu.Lock()
	w.watch.mute = mute
	w.watch.mu.Unlock()
	if ctx.Err() != nil || len(sick) == 0 {
		return ctx.Err()
	}
	return w.DB.Update(ctx, func(tx *metastore.Tx) error {
		for _, d := range sick {
			spec := recovery(d.Nodes[0])
			spec.UniqueSubject = true
			if _, err := w.Queue.Enqueue(tx, spec); err != nil {
				return err
			}
		}
		return nil
	})
}

func replicated(c *resource.Cache) bool {
	if c.Layout == nil || c.Engine == engine.Memcached {
		return false
	}
	for _, s := range c.Layout.Shards {
		if s.Replicas > 0 {
			return true
		}
	}
	return false
}

// deranged tells whether a cache is not as the records say. It notes in mute who did not answer; once is no reason for anything.
func (w *Worker) deranged(d *resource.Deployment, sights map[string]sight, mute map[string]time.Time) (sick bool) {
	now := w.Now()
	for _, n := range d.Nodes {
		if n.Host != w.Host || n.Status == resource.NodeCreating || n.Status == resource.NodeDeleting {
			continue
		}
		s := sights[n.ID]
		switch {
		case !s.runs:
			sick = true
		case !s.answers:
			mute[n.ID] = w.watch.since(n.ID, now)
			sick = sick || n.Primary && mute[n.ID].Before(now) && automatic(d.Cache)
		case s.busy:
		case s.leads != n.Primary:
			sick = true
		case !n.Primary && !d.Layout.ClusterMode:
			p := d.Primary(n.Shard)
			sick = sick || p != nil && s.follows != p.Endpoint()
		}
	}
	return sick
}

// recovery is the order to look at all nodes of a cache, one of which is n.
func recovery(n *resource.Node) job.Spec {
	spec := job.NewSpec(resource.TaskRecoverNode, n.CacheID, resource.RecoverNodeTask{CacheID: n.CacheID, NodeID: n.ID})
	spec.MaxAttempts = 1000
	return spec
}
