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

// reshape brings the nodes of a cache in line with its records: a new engine version, nodes that shall be there and are not, slots that
// belong to another shard, nodes that shall go. It looks what is there, does what is missing and looks again, so that it may be killed
// anywhere and repeated.
func (w *Worker) reshape(ctx context.Context, r *job.Running, t resource.ModifyCacheTask) error {
	d, err := w.deploymentIn(ctx, t.CacheID, resource.CacheModifying)
	if err != nil {
		return done(err)
	}
	choice, err := w.choiceOf(d.Cache, t)
	if err != nil {
		return err
	}
	if err := w.reviveAll(ctx, r, d); err != nil {
		return err
	}
	if t.Engine != "" {
		if err := w.changeVersion(ctx, r, d, choice); err != nil {
			return err
		}
	}
	if err := w.addNodes(ctx, r, d, choice); err != nil {
		return err
	}
	if d.Layout.ClusterMode {
		if err := w.moveSlots(ctx, r, d); err != nil {
			return err
		}
	}
	if err := w.removeNodes(ctx, r, d); err != nil {
		return err
	}
	return w.settle(ctx, r, d, t, choice)
}

// settle ends a reshape, with the settings of the records on every node.
func (w *Worker) settle(ctx context.Context, r *job.Running, d *resource.Deployment, t resource.ModifyCacheTask, choice engine.Choice) error {
	for {
		now, s, err := w.configured(ctx, t.CacheID)
		if err != nil {
			return err
		}
		pending, err := w.apply(ctx, now, s)
		if err != nil {
			return err
		}
		failpoint.Hit("reshape.settled")
		err = r.Close(ctx, func(tx *metastore.Tx) error {
			if err := w.inForce(tx, t.CacheID, s, pending); err != nil {
				return err
			}
			return w.reshaped(tx, d, t, choice)
		})
		if !errors.Is(err, errStale) {
			return err
		}
	}
}

// choiceOf is the engine that the nodes of a cache shall run.
func (w *Worker) choiceOf(c *resource.Cache, t resource.ModifyCacheTask) (engine.Choice, error) {
	e, version := c.Engine, c.EngineVersion()
	if t.Engine != "" {
		e, version = t.Engine, t.Major
	}
	choice, err := w.Catalog.Resolve(e, version)
	if err != nil {
		return choice, job.Cancel(err)
	}
	return choice, nil
}

// fresh tells whether a node is to be made.
func fresh(n *resource.Node) bool { return n.Status == resource.NodeCreating }

// addNodes makes the nodes that are recorded and do not exist: first those that lead a shard of their own, then replicas.
func (w *Worker) addNodes(ctx context.Context, r *job.Running, d *resource.Deployment, choice engine.Choice) error {
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
	if d.Layout.ClusterMode {
		if err := w.introduceAll(ctx, d); err != nil {
			return err
		}
	}
	failpoint.Hit("reshape.joined")
	for _, n := range d.Nodes {
		if fresh(n) && (n.Primary || d.Engine == resource.Memcached) {
			if err := w.Engines.WaitReady(ctx, n.ID, nil); err != nil {
				return err
			}
		}
	}
	if d.Engine == resource.Memcached {
		return nil
	}
	for _, n := range d.Nodes {
		if fresh(n) && !n.Primary {
			if err := w.startReplica(ctx, d, n); err != nil {
				return err
			}
			failpoint.Hit("reshape.followed")
		}
	}
	return nil
}

// introduceAll has the new primaries of a cluster and all other nodes know each other.
func (w *Worker) introduceAll(ctx context.Context, d *resource.Deployment) error {
	if !slices.ContainsFunc(d.Nodes, func(n *resource.Node) bool { return fresh(n) && n.Primary }) {
		return nil
	}
	g, err := w.openRing(ctx, slices.DeleteFunc(slices.Clone(d.Nodes), func(n *resource.Node) bool { return !w.Engines.Running(n.ID) }))
	if err != nil {
		return err
	}
	defer g.close()
	var last time.Time
	return g.until(ctx, func() error { return g.introduce(ctx, &last) })
}

// moveSlots gives every slot of a cluster to its shard.
func (w *Worker) moveSlots(ctx context.Context, r *job.Running, d *resource.Deployment) error {
	g, err := w.openRing(ctx, slices.DeleteFunc(slices.Clone(d.Nodes), func(n *resource.Node) bool {
		return n.Status == resource.NodeDeleting && !w.Engines.Running(n.ID)
	}))
	if err != nil {
		return err
	}
	defer g.close()
	return w.reshard(ctx, g, d.Layout.Shards, func(m migration) { r.Progress(ctx, m) })
}

// removeNodes ends the nodes that shall go. The primary of a shard that stays hands over first.
func (w *Worker) removeNodes(ctx context.Context, r *job.Running, d *resource.Deployment) error {
	var going, staying []*resource.Node
	for _, n := range d.Nodes {
		if n.Status == resource.NodeDeleting {
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
	for _, n := range going {
		if err := w.Engines.Remove(ctx, n.ID); err != nil {
			return err
		}
		failpoint.Hit("reshape.removed")
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
			for _, old := range going {
				if m.ID != engine.ClusterID(old.ID) {
					continue
				}
				if len(m.Slots) > 0 {
					return fmt.Errorf("node %s still serves slots in the eyes of %s", old.ID, n.ID)
				}
				if err := g.tell(ctx, n, "CLUSTER", "FORGET", m.ID); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// reshaped is the closing transaction of a reshape.
func (w *Worker) reshaped(tx *metastore.Tx, d *resource.Deployment, t resource.ModifyCacheTask, choice engine.Choice) error {
	cache, err := cacheIn(tx, t.CacheID, resource.CacheModifying)
	if err != nil {
		return done(err)
	}
	cache.Status, cache.FullEngineVersion = resource.CacheAvailable, choice.FullVersion
	if t.Engine != "" {
		cache.Engine, cache.MajorEngineVersion, cache.Layout.EngineVersion = t.Engine, choice.Major, t.Major
		if err := w.tell(tx, cache, "The engine of %s was changed to %s %s.", cache.Name, t.Engine, choice.FullVersion); err != nil {
			return err
		}
	}
	shards := make(map[string]resource.Shard)
	for _, s := range cache.Layout.Shards {
		shards[s.Name] = s
	}
	c := census{}
	for _, n := range d.Nodes {
		was := n.Status
		if was == resource.NodeDeleting {
			c.removed = append(c.removed, n)
			if err := w.strike(tx, cache, n); err != nil {
				return err
			}
			continue
		}
		if was == resource.NodeCreating {
			c.added = append(c.added, n)
		}
		n.Status, n.Slots = resource.NodeAvailable, shards[n.Shard].Slots
		if err := tx.UpdateNode(n); err != nil {
			return err
		}
	}
	if err := w.tellCensus(tx, cache, c); err != nil {
		return err
	}
	return tx.UpdateCache(cache)
}

// strike forgets a node that is gone.
func (w *Worker) strike(tx *metastore.Tx, cache *resource.Cache, n *resource.Node) error {
	if cache.Kind == resource.ReplicationGroup {
		if err := tx.DeleteTags(resource.CacheARN(resource.CacheCluster, cache.Scope, n.Name)); err != nil {
			return err
		}
	}
	return tx.DeleteNode(n.ID)
}

// census is what came and what went.
type census struct{ added, removed []*resource.Node }

// tellCensus tells of nodes that came and went, in AWS's manner.
func (w *Worker) tellCensus(tx *metastore.Tx, cache *resource.Cache, c census) error {
	if cache.Kind == resource.CacheCluster {
		for _, n := range c.added {
			if err := w.tell(tx, cache, "Added cache node %s in availability zone %s", n.Number, n.Zone); err != nil {
				return err
			}
		}
		for _, n := range c.removed {
			if err := w.tell(tx, cache, "Removed cache node %s in availability zone %s", n.Number, n.Zone); err != nil {
				return err
			}
		}
		return nil
	}
	what := "Replication group"
	if cache.Kind == resource.MemoryDBCluster {
		what = "Cluster"
	}
	if len(c.added) > 0 {
		if err := w.tell(tx, cache, "%s %s scale-out complete", what, cache.Name); err != nil {
			return err
		}
	}
	if len(c.removed) > 0 {
		return w.tell(tx, cache, "%s %s scale-in complete", what, cache.Name)
	}
	return nil
}
