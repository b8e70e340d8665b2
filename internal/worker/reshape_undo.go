package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// accept makes the records of a cache whose change was given up tell what is there: slots as the engines have them, nodes that exist. What
// was made for the change and is not in use is removed, and what was to be removed and is still there stays.
func (w *Worker) accept(ctx context.Context, r *job.Running, t resource.ModifyCacheTask) error {
	d, err := w.deploymentIn(ctx, t.CacheID, resource.CacheModifying)
	if err != nil {
		return done(err)
	}
	engineNow, err := w.returnToEngine(ctx, d)
	if err != nil {
		return err
	}
	if d, err = w.heal(ctx, r, t.CacheID, resource.CacheModifying); err != nil {
		return done(err)
	}
	shards := d.Layout.Shards
	if d.Layout.ClusterMode {
		if shards, err = w.shardsAsTheyAre(ctx, d); err != nil {
			return err
		}
	}
	failing := &changing{}
	var gone []*resource.Node
	for _, n := range d.Nodes {
		serves := slices.ContainsFunc(shards, func(s resource.Shard) bool { return s.Name == n.Shard })
		if w.Engines.Running(n.ID) && serves && (fresh(n) || leaving(n)) {
			err := w.ready(ctx, d, n)
			if err != nil && !errors.Is(err, supervisor.ErrNotRunning) {
				return err // it is not the node's fault: the next run heals what is
			}
			serves = err == nil
		}
		if fresh(n) && !(serves && w.Engines.Running(n.ID)) || leaving(n) && !w.Engines.Running(n.ID) || !serves {
			gone = append(gone, n)
		}
	}
	for _, n := range gone {
		n.Status = resource.NodeDeleting
	}
	for _, n := range d.Nodes {
		if leaving(n) && !slices.Contains(gone, n) {
			n.Status = resource.NodeAvailable
		}
	}
	if err := w.removeNodes(ctx, r, d, failing); err != nil {
		return err
	}
	change := func(c *resource.Cache) {
		if engineNow.Engine != "" {
			become(c, resource.ModifyCacheTask{Engine: engineNow.Engine, Major: engineNow.Version}, engineNow)
		}
		c.Layout.Shards = shards
		w.suit(c)
	}
	return w.conclude(ctx, r, t.CacheID, change, func(tx *metastore.Tx, d *resource.Deployment) error {
		for i := range d.Layout.Shards {
			s := &d.Layout.Shards[i]
			s.Replicas = max(0, len(d.Of(s.Name))-1)
			for _, n := range d.Of(s.Name) {
				n.Status, n.Slots = resource.NodeAvailable, s.Slots
				if err := tx.UpdateNode(n); err != nil {
					return err
				}
			}
		}
		if d.Engine == resource.Memcached {
			d.Layout.MemcachedNodes = len(d.Nodes)
		}
		reachable(d)
		return nil
	})
}

// suit gives a cache that kept its engine the default parameter group of its family, if it has a default group already for the other.
func (w *Worker) suit(c *resource.Cache) {
	choice, err := w.Catalog.Resolve(c.Engine, c.EngineVersion())
	if err == nil && engine.IsDefaultGroup(c.Layout.ParameterGroup) {
		c.Layout.ParameterGroup = engine.DefaultGroup(engine.FamilyOf(c.Kind.Service(), choice.Offer), c.Layout.ClusterMode)
	}
}

// equip gives a node that is down an engine and the parameters that this engine knows.
func (w *Worker) equip(ctx context.Context, d *resource.Deployment, n *resource.Node, b engine.Installed) error {
	cache, layout := *d.Cache, *d.Layout
	cache.Layout, cache.Engine, cache.FullEngineVersion = &layout, b.Engine, b.Version.String()
	if b.Engine == d.Engine {
		w.suit(&cache)
	}
	if err := w.reparameter(ctx, &resource.Deployment{Cache: &cache}, n); err != nil {
		return err
	}
	return w.Engines.SetBinary(n.ID, b)
}

// shardsAsTheyAre finishes the slots that are half moved, and tells which shard has which slots.
func (w *Worker) shardsAsTheyAre(ctx context.Context, d *resource.Deployment) ([]resource.Shard, error) {
	g, err := w.openMembers(ctx, w.alive(d))
	if err != nil {
		return nil, err
	}
	defer g.close()
	if err := w.reshard(ctx, g, nil, nil); err != nil {
		return nil, err
	}
	var shards []resource.Shard
	served := 0
	for _, name := range shardsOf(d) {
		p := g.primary(name)
		if p == nil || len(g.self[p.ID].Slots) == 0 {
			continue
		}
		s := resource.Shard{Name: name, Slots: g.self[p.ID].Slots}
		for _, r := range s.Slots {
			served += r.End - r.Start + 1
		}
		shards = append(shards, s)
	}
	if served != 16384 {
		return nil, fmt.Errorf("the shards of %s serve %d slots", d.Name, served)
	}
	return shards, nil
}

// returnToEngine decides which engine a cache has whose change of version was given up: the old one where any shard is still led by it. Nodes
// that are down get the engine of their shard's primary: an older one could not read its data. The choice is empty when nothing changed.
func (w *Worker) returnToEngine(ctx context.Context, d *resource.Deployment) (now engine.Choice, err error) {
	old, err := w.choiceOf(d.Cache, resource.ModifyCacheTask{})
	if err != nil {
		return now, nil //nolint:nilerr // the engine that runs is not installed any more: nothing to return to
	}
	moved := len(d.Nodes) > 0
	for _, shard := range shardsOf(d) {
		p := d.Primary(shard)
		if p == nil || fresh(p) {
			continue
		}
		lead, err := w.Engines.Node(p.ID)
		if err != nil {
			return now, err
		}
		alive, err := w.Engines.Adopt(ctx, p.ID)
		if err != nil {
			return now, err
		}
		if !alive && len(d.Of(shard)) == 1 {
			// What the old engine saved the new one could not load.
			if err := w.equip(ctx, d, p, old.Binary); err != nil {
				return now, err
			}
			lead.Binary = old.Binary
		}
		moved = moved && lead.Binary != old.Binary
		for _, n := range d.Of(shard) {
			if _, err := w.Engines.Node(n.ID); err != nil || n == p {
				continue
			}
			if alive, err := w.Engines.Adopt(ctx, n.ID); err != nil {
				return now, err
			} else if alive {
				continue
			}
			if err := w.equip(ctx, d, n, lead.Binary); err != nil {
				return now, err
			}
		}
		if moved {
			now = engine.Choice{Offer: engine.Offer{Engine: lead.Binary.Engine, Binary: lead.Binary}, FullVersion: lead.Binary.Version.String()}
		}
	}
	if !moved {
		return engine.Choice{}, nil
	}
	for _, o := range w.Catalog.Offers(now.Engine) {
		if o.Binary == now.Binary {
			now.Offer = o
		}
	}
	return now, nil
}

// reshapeFailed has the records of a cache whose change was given up follow reality. The cache is available after that.
func (w *Worker) reshapeFailed(tx *metastore.Tx, cache *resource.Cache, t resource.ModifyCacheTask, cause error) error {
	if err := w.tell(tx, cache, "Failed to modify %s: %v", cache.Name, cause); err != nil {
		return err
	}
	if !t.Accept {
		spec := job.NewSpec(resource.TaskModifyCache, cache.ID, resource.ModifyCacheTask{CacheID: cache.ID, Accept: true})
		spec.MaxAttempts = 20
		_, err := w.Queue.Enqueue(tx, spec)
		return err
	}
	cache.Status = resource.CacheAvailable
	if err := tx.UpdateCache(cache); err != nil {
		return err
	}
	return w.recoverAll(tx, cache.ID)
}
