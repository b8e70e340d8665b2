package worker

import (
	"context"
	"fmt"

	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// rebootNodes restarts nodes one after the other. They keep their data, but for memcached, which has nowhere to keep it, and run with the
// parameters that were waiting for a restart.
func (w *Worker) rebootNodes(ctx context.Context, r *job.Running, t resource.RebootNodesTask) error {
	d, err := w.deploymentIn(ctx, t.CacheID, resource.CacheRebooting)
	if err != nil {
		return done(err)
	}
	c, err := loadChanging(r)
	if err != nil {
		return err
	}
	if err := w.finishReboots(ctx, r, d, c); err != nil {
		return err
	}
	if err := w.announced(ctx, r, d, t); err != nil {
		return err
	}
	if d, err = w.heal(ctx, r, t.CacheID, resource.CacheRebooting); err != nil {
		return done(err)
	}
	for _, id := range t.NodeIDs {
		n := d.Node(id)
		if n == nil || c.Done[id] {
			continue
		}
		if err := w.reboot(ctx, r, d, n, c); err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
		c.Done[id] = true
		err := r.Update(ctx, func(tx *metastore.Tx) error {
			if err := w.tellMember(tx, d.Cache, n, "Cache node %s restarted", n.Number); err != nil {
				return err
			}
			return r.SaveIn(tx, c)
		})
		if err != nil {
			return err
		}
	}
	// While it was away another may have taken its place.
	if _, err := w.heal(ctx, r, t.CacheID, resource.CacheRebooting); err != nil {
		return done(err)
	}
	return w.conclude(ctx, r, t.CacheID, func(*resource.Cache) {}, func(*metastore.Tx, *resource.Deployment) error { return nil })
}

// announced shows nodes that run as available until it is their turn: what is rebooting otherwise has died.
func (w *Worker) announced(ctx context.Context, r *job.Running, d *resource.Deployment, t resource.RebootNodesTask) error {
	return r.Update(ctx, func(tx *metastore.Tx) error {
		for _, id := range t.NodeIDs {
			if n := d.Node(id); n != nil && n.Status == resource.NodeRebooting && w.Engines.Running(id) {
				if err := editNode(tx, n, func(n *resource.Node) { n.Status = resource.NodeAvailable }); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// reboot restarts one node.
func (w *Worker) reboot(ctx context.Context, r *job.Running, d *resource.Deployment, n *resource.Node, c *changing) error {
	err := r.Update(ctx, func(tx *metastore.Tx) error {
		return editNode(tx, n, func(n *resource.Node) { n.Status = resource.NodeRebooting })
	})
	if err != nil {
		return err
	}
	failpoint.Hit("reboot-nodes.begun")
	switch {
	case d.Engine == resource.Memcached, n.Primary && d.Layout.DurableLog:
		if err = w.Engines.Stop(ctx, n.ID); err == nil {
			err = w.reparameter(ctx, d, n)
		}
		if err == nil {
			err = w.Engines.Start(ctx, n.ID)
		}
	case n.Primary:
		err = w.restartWithData(ctx, r, c, restart{node: n.ID, replicas: len(d.Of(n.Shard)) > 1, prepare: func() error { return w.reparameter(ctx, d, n) }})
	default:
		if err = w.Engines.Stop(ctx, n.ID); err == nil {
			err = w.reparameter(ctx, d, n)
		}
		if err == nil {
			err = w.startReplica(ctx, d, n)
		}
	}
	if err != nil {
		return err
	}
	if err := w.ready(ctx, d, n); err != nil {
		return err
	}
	failpoint.Hit("reboot-nodes.ready")
	return r.Update(ctx, func(tx *metastore.Tx) error {
		return editNode(tx, n, func(n *resource.Node) { n.Status = resource.NodeAvailable })
	})
}

// finishReboots starts primaries that an earlier run had saved and stopped. Where a replica could take over it does instead.
func (w *Worker) finishReboots(ctx context.Context, r *job.Running, d *resource.Deployment, c *changing) error {
	for id := range c.Saved {
		n := d.Node(id)
		if n == nil {
			delete(c.Saved, id)
			continue
		}
		if len(d.Of(n.Shard)) > 1 {
			delete(c.Saved, id)
			alive, err := w.Engines.Adopt(ctx, id)
			if err == nil && alive {
				err = w.Engines.WaitUp(ctx, id)
			}
			if err == nil && alive {
				err = w.Engines.RemoveData(ctx, id) // it is loaded, and must not come back
			}
			if err != nil {
				return err
			}
			continue
		}
		if err := w.restartWithData(ctx, r, c, restart{node: id, prepare: func() error { return w.reparameter(ctx, d, n) }}); err != nil {
			return err
		}
	}
	return nil
}

// rebootNodesFailed gives a cache whose reboot was given up back to its user.
func (w *Worker) rebootNodesFailed(tx *metastore.Tx, _ job.Job, t resource.RebootNodesTask, cause error) error {
	cache, err := cacheIn(tx, t.CacheID, resource.CacheRebooting)
	if err != nil {
		return done(err)
	}
	cache.Status = resource.CacheAvailable
	if err := tx.UpdateCache(cache); err != nil {
		return err
	}
	if err := w.recoverAll(tx, cache.ID); err != nil {
		return err
	}
	return w.tell(tx, cache, "Failed to reboot nodes of %s: %v", cache.Name, cause)
}
