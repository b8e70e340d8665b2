package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// deploymentIn reads a cache that is in one of some states, and its nodes; errGone otherwise.
func (w *Worker) deploymentIn(ctx context.Context, id string, states ...resource.CacheStatus) (d *resource.Deployment, err error) {
	err = w.DB.View(ctx, func(tx *metastore.Tx) error {
		cache, err := cacheIn(tx, id, states...)
		if err == nil {
			d, err = tx.Deployment(cache)
		}
		return err
	})
	return d, err
}

// fresh tells whether a node is to be made.
func fresh(n *resource.Node) bool { return n.Status == resource.NodeCreating }

// leaving tells whether a node is to go.
func leaving(n *resource.Node) bool { return n.Status == resource.NodeDeleting }

// addNodes makes the nodes that are recorded and do not exist: first those that lead a shard of their own, then replicas.
func (w *Worker) addNodes(ctx context.Context, r *job.Running, d *resource.Deployment, choice engine.Choice, c *changing) error {
	if !slices.ContainsFunc(d.Nodes, fresh) {
		return nil
	}
	for _, n := range d.Nodes {
		if !fresh(n) {
			continue
		}
		if _, err := w.placeNode(ctx, r, d, n, choice); err != nil {
			return err
		}
		failpoint.Hit("reshape.placed")
		if !n.Primary && d.Engine != resource.Memcached {
			continue
		}
		if d.Layout.ClusterMode {
			if err := w.Engines.JoinCluster(n.ID); err != nil {
				return err
			}
		}
		if err := w.Engines.Start(ctx, n.ID); err != nil {
			return err
		}
		if err := w.Engines.WaitUp(ctx, n.ID); err != nil {
			return err
		}
	}
	failpoint.Hit("reshape.started")
	if d.Layout.ClusterMode && slices.ContainsFunc(d.Nodes, func(n *resource.Node) bool { return fresh(n) && n.Primary }) {
		if err := w.introduceAll(ctx, d); err != nil {
			return err
		}
	}
	failpoint.Hit("reshape.joined")
	for _, n := range d.Nodes {
		if !fresh(n) {
			continue
		}
		if !n.Primary && d.Engine != resource.Memcached {
			if err := w.startReplica(ctx, d, n); err != nil {
				return err
			}
		}
		if err := w.ready(ctx, d, n); err != nil {
			return err
		}
		failpoint.Hit("reshape.followed")
		if err := w.added(ctx, r, d, n, c); err != nil {
			return err
		}
	}
	return nil
}

// added puts on record that a node serves.
func (w *Worker) added(ctx context.Context, r *job.Running, d *resource.Deployment, n *resource.Node, c *changing) error {
	c.Added = true
	return r.Update(ctx, func(tx *metastore.Tx) error {
		n.Status = resource.NodeAvailable
		if err := editNode(tx, n, func(n *resource.Node) { n.Status = resource.NodeAvailable }); err != nil {
			return err
		}
		if err := w.tellMember(tx, d.Cache, n, "Added cache node %s in availability zone %s", n.Number, n.Zone); err != nil {
			return err
		}
		return r.SaveIn(tx, c)
	})
}

// alive are the nodes of a cache that run.
func (w *Worker) alive(d *resource.Deployment) (nodes []*resource.Node) {
	for _, n := range d.Nodes {
		if w.Engines.Running(n.ID) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// introduceAll has the new primaries of a cluster and all other nodes know each other.
func (w *Worker) introduceAll(ctx context.Context, d *resource.Deployment) error {
	g, err := w.openRing(ctx, w.alive(d))
	if err != nil {
		return err
	}
	defer g.close()
	var last time.Time
	return g.until(ctx, func() error { return g.introduce(ctx, &last) })
}

// removeNodes ends the nodes that shall go. The primary of a shard that stays hands over first.
func (w *Worker) removeNodes(ctx context.Context, r *job.Running, d *resource.Deployment, c *changing) error {
	var going, staying []*resource.Node
	for _, n := range d.Nodes {
		if leaving(n) {
			going = append(going, n)
		} else {
			staying = append(staying, n)
		}
	}
	if len(going) == 0 {
		return nil
	}
	if len(staying) == 0 {
		return job.Cancel(fmt.Errorf("no node of %s would be left", d.Name))
	}
	if err := w.handOver(ctx, r, d, going); err != nil {
		return err
	}
	if d.Layout.ClusterMode {
		if err := w.unlist(ctx, staying, going); err != nil {
			return err
		}
	}
	failpoint.Hit("reshape.forgotten")
	if err := w.linger(ctx, d, going); err != nil {
		return err
	}
	for _, n := range going {
		if err := w.Engines.Remove(ctx, n.ID); err != nil {
			return err
		}
		failpoint.Hit("reshape.removed")
		if err := w.removed(ctx, r, d, n, c); err != nil {
			return err
		}
	}
	return nil
}

// handOver takes the role of primary from nodes that go: where their shard stays another takes it, and nobody looks after those that are
// without a shard any more.
func (w *Worker) handOver(ctx context.Context, r *job.Running, d *resource.Deployment, going []*resource.Node) error {
	for _, n := range going {
		if !n.Primary {
			continue
		}
		if slices.ContainsFunc(d.Of(n.Shard), func(o *resource.Node) bool { return !leaving(o) }) && d.Engine != resource.Memcached {
			next, err := w.candidate(ctx, d, resource.FailoverTask{CacheID: d.ID, Shard: n.Shard})
			if err != nil {
				return err
			}
			if err := w.switchPrimary(ctx, r, d, next); err != nil {
				return err
			}
			continue
		}
		n.Primary = false
		if err := r.Update(ctx, func(tx *metastore.Tx) error {
			return editNode(tx, n, func(n *resource.Node) { n.Primary = false })
		}); err != nil {
			return err
		}
	}
	return nil
}

// unlist has the nodes that stay strike those that go off their lists. They would come back by hearsay, if engines did not refuse them
// for a minute.
func (w *Worker) unlist(ctx context.Context, staying, going []*resource.Node) error {
	g, err := w.openRing(ctx, staying)
	if err != nil {
		return err
	}
	defer g.close()
	for _, n := range staying {
		for _, m := range g.views[n.ID] {
			if !slices.ContainsFunc(going, func(o *resource.Node) bool { return engine.ClusterID(o.ID) == m.ID }) {
				continue
			}
			if len(m.Slots) > 0 {
				return fmt.Errorf("node %s still sees slots at a node that is to go", n.ID)
			}
			if err := g.tell(ctx, n, "CLUSTER", "FORGET", m.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// removed forgets a node that is gone.
func (w *Worker) removed(ctx context.Context, r *job.Running, d *resource.Deployment, n *resource.Node, c *changing) error {
	c.Removed = true
	return r.Update(ctx, func(tx *metastore.Tx) error {
		if err := w.strike(tx, d.Cache, n); err != nil {
			return err
		}
		return r.SaveIn(tx, c)
	})
}

func (w *Worker) strike(tx *metastore.Tx, cache *resource.Cache, n *resource.Node) error {
	if cache.Kind == resource.ReplicationGroup {
		if err := tx.DeleteTags(resource.CacheARN(resource.CacheCluster, cache.Scope, n.Name)); err != nil {
			return err
		}
	}
	if err := w.tellMember(tx, cache, n, "Removed cache node %s in availability zone %s", n.Number, n.Zone); err != nil {
		return err
	}
	return tx.DeleteNode(n.ID)
}

// errStale says that the records changed while they were carried out.
var errStale = errors.New("the settings changed meanwhile")
