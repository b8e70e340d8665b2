package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

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
	c, err := loadChanging(r)
	if err != nil {
		return err
	}
	choice, err := w.choiceOf(d.Cache, t)
	if err != nil {
		return err
	}
	if t.Engine != "" {
		if err := w.finishRestarts(ctx, r, d, choice, c); err != nil {
			return err
		}
	}
	if d, err = w.heal(ctx, r, t.CacheID, resource.CacheModifying); err != nil {
		return done(err)
	}
	become(d.Cache, t, choice)
	if t.Engine != "" {
		if err := w.changeVersion(ctx, r, d, choice, c); err != nil {
			return err
		}
	}
	if err := w.addNodes(ctx, r, d, choice, c); err != nil {
		return err
	}
	if d.Layout.ClusterMode {
		if err := w.moveSlots(ctx, r, d); err != nil {
			return err
		}
	}
	if err := w.removeNodes(ctx, r, d, c); err != nil {
		return err
	}
	return w.conclude(ctx, r, t.CacheID, func(cache *resource.Cache) { become(cache, t, choice) }, func(tx *metastore.Tx, d *resource.Deployment) error {
		return w.reshaped(tx, d, t, c)
	})
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

// become gives a cache the engine that it has after the task.
func become(c *resource.Cache, t resource.ModifyCacheTask, choice engine.Choice) {
	if t.Engine != "" {
		c.Engine, c.MajorEngineVersion, c.FullEngineVersion, c.Layout.EngineVersion = t.Engine, choice.Major, choice.FullVersion, t.Major
	}
}

// moveSlots gives every slot of a cluster to its shard.
func (w *Worker) moveSlots(ctx context.Context, r *job.Running, d *resource.Deployment) error {
	g, err := w.openMembers(ctx, slices.DeleteFunc(slices.Clone(d.Nodes), func(n *resource.Node) bool { return leaving(n) && !w.Engines.Running(n.ID) }))
	if err != nil {
		return err
	}
	defer g.close()
	if err := w.fits(ctx, g, d); err != nil {
		return err
	}
	return w.reshard(ctx, g, d.Layout.Shards, func(m migration) { r.Progress(ctx, m) }) //nolint:errcheck // a lost lease ends the context
}

// fits refuses to move more into a shard than its nodes' memory takes.
func (w *Worker) fits(ctx context.Context, g *ring, d *resource.Deployment) error {
	var s settings
	err := w.DB.View(ctx, func(tx *metastore.Tx) (err error) { s, err = w.settingsOf(tx, d.Cache); return err })
	if err != nil || s.MaxMemory == 0 {
		return err
	}
	owner, _ := g.owners()
	slots, data := make(map[*resource.Node]int), make(map[*resource.Node]int64)
	for _, n := range owner {
		if n != nil {
			slots[n]++
		}
	}
	for n := range slots {
		info, err := g.conns[n.ID].Info(ctx, "memory")
		if err != nil {
			return err
		}
		bytes, err := strconv.ParseUint(info["used_memory_dataset"], 10, 64)
		if err != nil {
			return fmt.Errorf("node %s does not tell how much data it has", n.ID)
		}
		if bytes < math.MaxInt64 { // engines with next to nothing reckon with less than nothing
			data[n] = int64(bytes)
		}
	}
	for _, shard := range d.Layout.Shards {
		comes, grows := 0.0, false
		for _, r := range shard.Slots {
			for slot := r.Start; slot <= r.End; slot++ {
				if n := owner[slot]; n != nil {
					comes += float64(data[n]) / float64(slots[n])
					grows = grows || n.Shard != shard.Name
				}
			}
		}
		if grows && int64(comes) > s.MaxMemory {
			return job.Cancel(fmt.Errorf("shard %s would have %d bytes of data, and a node of type %s takes %d",
				shard.Name, int64(comes), d.Layout.NodeType, s.MaxMemory))
		}
	}
	return nil
}

// conclude gives every node the settings of the records and then runs the closing transaction, in which the cache is as change makes it.
func (w *Worker) conclude(ctx context.Context, r *job.Running, cacheID string, change func(*resource.Cache),
	closing func(*metastore.Tx, *resource.Deployment) error) error {
	for {
		d, s, err := w.configured(ctx, cacheID, change)
		if err != nil {
			return err
		}
		pending, err := w.apply(ctx, d, s)
		if err != nil {
			return err
		}
		failpoint.Hit("reshape.settled")
		err = r.Close(ctx, func(tx *metastore.Tx) error {
			cache, err := cacheIn(tx, cacheID, resource.CacheModifying, resource.CacheRebooting)
			if err != nil {
				return done(err)
			}
			d, err := tx.Deployment(cache)
			if err != nil {
				return err
			}
			change(cache)
			if err := w.inForce(tx, cache, s, pending); err != nil {
				return err
			}
			if err := closing(tx, d); err != nil {
				return err
			}
			cache.Status = resource.CacheAvailable
			return tx.UpdateCache(cache)
		})
		if !errors.Is(err, errStale) {
			return err
		}
	}
}

// reshaped is the closing transaction of a reshape.
func (w *Worker) reshaped(tx *metastore.Tx, d *resource.Deployment, t resource.ModifyCacheTask, c *changing) error {
	for _, n := range d.Nodes {
		for _, s := range d.Layout.Shards {
			if s.Name == n.Shard {
				n.Slots = s.Slots
			}
		}
		if err := tx.UpdateNode(n); err != nil {
			return err
		}
	}
	reachable(d)
	if t.Engine != "" {
		if err := w.tell(tx, d.Cache, "%s runs on %s %s", d.Name, d.Engine, d.FullEngineVersion); err != nil {
			return err
		}
	}
	what := "Replication group"
	switch d.Kind {
	case resource.CacheCluster:
		return nil
	case resource.MemoryDBCluster:
		what = "Cluster"
	}
	if c.Added {
		if err := w.tell(tx, d.Cache, "%s %s scale-out complete", what, d.Name); err != nil {
			return err
		}
	}
	if c.Removed {
		return w.tell(tx, d.Cache, "%s %s scale-in complete", what, d.Name)
	}
	return nil
}

// reachable keeps the endpoint of a cache at a node that it has.
func reachable(d *resource.Deployment) {
	for _, n := range d.Nodes {
		if n.Endpoint() == d.Endpoint {
			return
		}
	}
	if len(d.Nodes) > 0 {
		d.Endpoint = d.Nodes[0].Endpoint()
		if p := d.Primary(d.Nodes[0].Shard); p != nil {
			d.Endpoint = p.Endpoint()
		}
	}
}
