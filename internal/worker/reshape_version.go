package worker

import (
	"context"
	"fmt"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// changeVersion puts every node of a cache on another engine. Where a shard has replicas they go first, then one of them takes over, and
// the old primary follows it: an older engine cannot load what a newer one sends. Where it has none the primary saves its data and the
// new engine loads it. In d the cache has its new engine already.
func (w *Worker) changeVersion(ctx context.Context, r *job.Running, d *resource.Deployment, choice engine.Choice, c *changing) error {
	for _, shard := range shardsOf(d) {
		if err := w.changeShard(ctx, r, d, shard, choice, c); err != nil {
			return fmt.Errorf("shard %s: %w", shard, err)
		}
	}
	return nil
}

func (w *Worker) changeShard(ctx context.Context, r *job.Running, d *resource.Deployment, shard string, choice engine.Choice, c *changing) error {
	var ready *resource.Node // a replica that runs the new engine
	for _, n := range d.Of(shard) {
		if fresh(n) || n.Primary && d.Engine != resource.Memcached {
			continue
		}
		old, err := w.outdated(n, choice)
		if err != nil {
			return err
		}
		if old {
			if err := w.Engines.Stop(ctx, n.ID); err != nil {
				return err
			}
			if err := w.outfit(ctx, d, n, choice); err != nil {
				return err
			}
			failpoint.Hit("reshape.outfitted")
			if d.Engine == resource.Memcached {
				err = w.Engines.Start(ctx, n.ID)
			} else {
				err = w.startReplica(ctx, d, n)
			}
			if err == nil {
				err = w.ready(ctx, d, n)
			}
			if err != nil {
				return err
			}
		}
		if !leaving(n) {
			ready = n
		}
	}
	lead := d.Primary(shard)
	if lead == nil || d.Engine == resource.Memcached {
		return nil
	}
	if old, err := w.outdated(lead, choice); err != nil || !old {
		return err
	}
	if ready == nil {
		return w.changeAlone(ctx, r, d, lead, choice, c)
	}
	if err := w.turnTo(ctx, r, d, ready); err != nil {
		return err
	}
	failpoint.Hit("reshape.turned")
	if err := w.linger(ctx, d, []*resource.Node{lead}); err != nil {
		return err
	}
	if err := w.Engines.Stop(ctx, lead.ID); err != nil {
		return err
	}
	if err := w.outfit(ctx, d, lead, choice); err != nil {
		return err
	}
	if err := w.startReplica(ctx, d, lead); err != nil {
		return err
	}
	return w.ready(ctx, d, lead)
}

// outdated tells whether a node runs another binary than it shall.
func (w *Worker) outdated(n *resource.Node, choice engine.Choice) (bool, error) {
	node, err := w.Engines.Node(n.ID)
	return err == nil && node.Binary != choice.Binary, err
}

// outfit gives a node that does not run another engine, and the parameters that this engine shall have.
func (w *Worker) outfit(ctx context.Context, d *resource.Deployment, n *resource.Node, choice engine.Choice) error {
	if err := w.Engines.SetBinary(n.ID, choice.Binary); err != nil {
		return err
	}
	return w.reparameter(ctx, d, n)
}

// reparameter gives a node that does not run the parameters of its cache.
func (w *Worker) reparameter(ctx context.Context, d *resource.Deployment, n *resource.Node) error {
	var s settings
	err := w.DB.View(ctx, func(tx *metastore.Tx) (err error) { s, err = w.settingsOf(tx, d.Cache); return err })
	if err != nil {
		return err
	}
	_, err = w.Engines.SetParameters(ctx, n.ID, s.Parameters)
	return err
}

// turnTo makes a replica the primary of its shard, and has the other replicas follow it. The primary before it is left as it is: it may be
// too old to follow.
func (w *Worker) turnTo(ctx context.Context, r *job.Running, d *resource.Deployment, next *resource.Node) error {
	was := d.Primary(next.Shard)
	turn := w.turnSlots
	if !d.Layout.ClusterMode {
		turn = w.turnReplication
	}
	if err := turn(ctx, d, was, next); err != nil {
		return err
	}
	if err := r.Update(ctx, func(tx *metastore.Tx) error { return w.lead(tx, d, next) }); err != nil {
		return err
	}
	was.Primary, next.Primary = false, true
	if d.Layout.ClusterMode {
		return nil
	}
	at, err := w.Engines.Node(next.ID)
	if err != nil {
		return err
	}
	for _, n := range d.Of(next.Shard) {
		if n == next || n == was || fresh(n) {
			continue
		}
		if err := w.Engines.SetReplicaOf(ctx, n.ID, at.Endpoint()); err != nil {
			return err
		}
		if err := w.inStep(ctx, d, n, at); err != nil {
			return err
		}
	}
	return nil
}

// changeAlone puts a primary without replicas on another engine.
func (w *Worker) changeAlone(ctx context.Context, r *job.Running, d *resource.Deployment, n *resource.Node, choice engine.Choice, c *changing) error {
	if d.Layout.DurableLog {
		if err := w.Engines.Stop(ctx, n.ID); err != nil {
			return err
		}
		if err := w.outfit(ctx, d, n, choice); err != nil {
			return err
		}
		if err := w.Engines.Start(ctx, n.ID); err != nil {
			return err
		}
		return w.ready(ctx, d, n)
	}
	err := w.restartWithData(ctx, r, c, restart{node: n.ID, replicas: len(d.Of(n.Shard)) > 1, binary: &choice.Binary, prepare: func() error { return w.reparameter(ctx, d, n) },
		emptied: func(tx *metastore.Tx) error { return w.tell(tx, d.Cache, "%s", emptyAgain(d, n)) }})
	if err != nil {
		return err
	}
	return w.ready(ctx, d, n)
}

// finishRestarts brings nodes back that an earlier run had saved and stopped. Nobody else may start them before.
func (w *Worker) finishRestarts(ctx context.Context, r *job.Running, d *resource.Deployment, choice engine.Choice, c *changing) error {
	for id := range c.Saved {
		n := d.Node(id)
		if n == nil {
			continue
		}
		if err := w.restartWithData(ctx, r, c, restart{node: id, binary: &choice.Binary, prepare: func() error { return w.reparameter(ctx, d, n) }}); err != nil {
			return err
		}
	}
	return nil
}
