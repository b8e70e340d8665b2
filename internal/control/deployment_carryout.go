package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// carryOut writes a change and enqueues what follows from it. What interrupts service waits unless it is to be made now;
// then what waited before is made with it.
func (c *Control) carryOut(tx *metastore.Tx, d *resource.Deployment, ch *change, now bool) error {
	heavy := merge(d.Layout.Pending, ch.heavy)
	d.Layout.Pending = nil
	if !now && heavy != nil {
		d.Layout.Pending, heavy = heavy, nil
	}
	scaled := ch.replicas != nil || ch.shards != nil
	if ch.promote != nil && (heavy != nil || scaled) {
		return conflicting("A new primary, and changes of nodes or of the engine, are to be asked for one after the other.")
	}
	switch {
	case heavy != nil || scaled:
		fresh, task, err := c.reshapeTo(tx, d, heavy, ch)
		if err != nil {
			return err
		}
		if len(fresh) > 0 {
			return c.addNodesWith(tx, d, task, fresh)
		}
		return c.reshape(tx, d, task)
	case ch.promote != nil:
		d.Status = resource.CacheModifying
	}
	if err := tx.UpdateCache(d.Cache); err != nil {
		return err
	}
	if ch.configure {
		if _, err := c.enqueue(tx, resource.TaskConfigureCache, d.ID, resource.ConfigureCacheTask{CacheID: d.ID}); err != nil {
			return err
		}
	}
	if ch.promote == nil {
		return nil
	}
	_, err := c.enqueue(tx, resource.TaskFailover, d.ID, resource.FailoverTask{CacheID: d.ID, Shard: ch.promote.Shard, NodeID: ch.promote.ID})
	return err
}

// merge adds a change to what waits; nil when that is nothing.
func merge(old *resource.Pending, p resource.Pending) *resource.Pending {
	if old != nil {
		if p.Engine == "" {
			p.Engine, p.EngineVersion, p.ParameterGroup = old.Engine, old.EngineVersion, old.ParameterGroup
		}
		p.NodeType = cmp.Or(p.NodeType, old.NodeType)
		if p.Nodes == 0 {
			p.Nodes, p.RemoveNodes, p.NewZones = old.Nodes, old.RemoveNodes, old.NewZones
		}
	}
	if p.Engine == "" && p.NodeType == "" && p.Nodes == 0 {
		return nil
	}
	return &p
}

// reshapeTo changes layout and node records to what is asked for, and returns the nodes that are new.
func (c *Control) reshapeTo(tx *metastore.Tx, d *resource.Deployment, p *resource.Pending, ch *change) (fresh []*resource.Node, task resource.ModifyCacheTask, err error) {
	if p != nil {
		if p.Engine != "" {
			task.Engine, task.Major = p.Engine, p.EngineVersion
			if err := c.followFamily(d, p); err != nil {
				return nil, task, err
			}
		}
		d.Layout.NodeType = cmp.Or(p.NodeType, d.Layout.NodeType)
		if p.Nodes > 0 {
			if fresh, err = c.resizeMemcached(tx, d, p); err != nil {
				return nil, task, err
			}
		}
	}
	if ch.replicas != nil {
		for i := range d.Layout.Shards {
			more, err := c.setReplicas(tx, d, &d.Layout.Shards[i], *ch.replicas, nil)
			if err != nil {
				return nil, task, err
			}
			fresh = append(fresh, more...)
		}
	}
	if ch.shards != nil && *ch.shards != len(d.Layout.Shards) {
		more, err := c.setShards(tx, d, ReshardDeployment{Count: *ch.shards})
		if err != nil {
			return nil, task, err
		}
		gone := func(n *resource.Node) bool { // a replica that was to come to a shard that goes
			return !slices.ContainsFunc(d.Layout.Shards, func(s resource.Shard) bool { return s.Name == n.Shard })
		}
		fresh = append(slices.DeleteFunc(fresh, gone), more...)
	}
	if d.Kind == resource.MemoryDBCluster {
		d.Layout.MultiAZ = !slices.ContainsFunc(d.Layout.Shards, func(s resource.Shard) bool { return s.Replicas == 0 })
	}
	return fresh, task, nil
}

// followFamily gives a cache the parameter group that was asked for with its new engine, or the default one of its family if it had such a one.
func (c *Control) followFamily(d *resource.Deployment, p *resource.Pending) error {
	choice, err := c.engines.Resolve(p.Engine, p.EngineVersion)
	if err != nil {
		return err
	}
	l := d.Layout
	if p.ParameterGroup != "" {
		l.ParameterGroup = p.ParameterGroup
	} else if engine.IsDefaultGroup(l.ParameterGroup) {
		l.ParameterGroup = engine.DefaultGroup(engine.FamilyOf(d.Kind.Service(), choice.Offer), l.ClusterMode)
	}
	return nil
}

// resizeMemcached adds or removes nodes of a memcached cluster. What waited may meet another number of nodes than when it was asked for.
func (c *Control) resizeMemcached(tx *metastore.Tx, d *resource.Deployment, p *resource.Pending) (fresh []*resource.Node, err error) {
	used := map[string]bool{}
	left := 0
	for _, n := range d.Nodes {
		used[n.Number] = true
		if slices.Contains(p.RemoveNodes, n.Number) {
			if err := c.dropNode(tx, n); err != nil {
				return nil, err
			}
			continue
		}
		left++
	}
	for i := 1; left < p.Nodes; i++ {
		number := fmt.Sprintf("%04d", i)
		if used[number] {
			continue
		}
		where := d.Nodes[0].Zone
		if d.Layout.MultiAZ {
			where = zone(d.Scope, i-1)
		}
		if k := len(fresh); k < len(p.NewZones) {
			where = p.NewZones[k]
		}
		n := newNode(d.Cache, d.Layout.Shards[0], d.Name, where)
		n.Number, n.Primary, n.CreatedAt = number, true, c.now()
		d.Layout.MultiAZ = d.Layout.MultiAZ || where != d.Nodes[0].Zone
		fresh = append(fresh, n)
		left++
	}
	d.Layout.MemcachedNodes = left
	return fresh, nil
}

// maintain makes the changes that waited for the maintenance window of their cache.
func (c *Control) maintain(ctx context.Context) error {
	var due []string
	err := c.db.View(ctx, func(tx *metastore.Tx) error {
		for cache, err := range tx.AllCaches() {
			if err != nil {
				return err
			}
			if c.inWindow(cache) {
				due = append(due, cache.ID)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var failed []error
	for _, id := range due {
		err := c.db.Update(ctx, func(tx *metastore.Tx) error {
			cache, err := tx.CacheByID(id)
			if err != nil {
				return ignoreNotFound(err)
			}
			if !c.inWindow(cache) || idle(tx, cache) != nil {
				return nil
			}
			d, err := tx.Deployment(cache)
			if err != nil {
				return err
			}
			return c.carryOut(tx, d, &change{}, true)
		})
		if err != nil {
			failed = append(failed, fmt.Errorf("pending change of cache %s: %w", id, err))
		}
	}
	return errors.Join(failed...)
}

// inWindow tells whether a cache has a change that waits, and its maintenance window is open.
func (c *Control) inWindow(cache *resource.Cache) bool {
	if cache.Layout == nil || cache.Layout.Pending == nil || cache.Status != resource.CacheAvailable {
		return false
	}
	w, err := parseMaintenance("", cache.Layout.MaintenanceWindow)
	now := c.now().UTC()
	minute := int(now.Weekday()-time.Sunday)*day + now.Hour()*60 + now.Minute()
	return err == nil && (minute-w.start+week)%week < w.length
}
