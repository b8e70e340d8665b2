package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// hung is how long a primary may be mute before a replica takes its place, unless the others elect one before.
const hung = 10 * time.Second

// heal makes a cache of nodes whole again, whatever has happened to it: where a primary died the replica with the newest data takes its
// place, records follow what the engines decided by themselves, and nodes that died come back, as replicas if their shard has a primary. A
// primary that died is never started as one while a replica has its data: it would come back empty, and empty its replicas. That holds
// without automatic failover too, as otherwise the data would be gone.
//
// It changes nothing on a cache that is well, and may be repeated. Nodes that are still being made are not its business. Replicas
// that are to go may still save their shard's data, but are not started again. The deployment that it returns is what is on record afterwards; errGone if the cache is not in one of the states.
func (w *Worker) heal(ctx context.Context, r *job.Running, cacheID string, states ...resource.CacheStatus) (*resource.Deployment, error) {
	d, err := w.deploymentIn(ctx, cacheID, states...)
	if err != nil {
		return nil, err
	}
	h := &healing{Worker: w, r: r, d: d, unsure: map[string]bool{}, since: map[string]time.Time{}}
	if err := h.adopt(ctx); err != nil {
		return nil, err
	}
	if err := h.observe(ctx); err != nil {
		return nil, err
	}
	if err := h.choose(ctx); err != nil {
		return nil, err
	}
	if err := h.restart(ctx); err != nil {
		return nil, err
	}
	if err := h.settle(ctx); err != nil {
		return nil, err
	}
	if err := h.close(ctx); err != nil {
		return nil, err
	}
	for _, n := range h.d.Nodes {
		if h.unsure[n.ID] && (n.Primary || !leaving(n)) {
			return nil, fmt.Errorf("node %s of %s does not answer, and cannot be taken over", n.ID, h.d.Name)
		}
	}
	return h.d, nil
}

// healing is one run of heal.
type healing struct {
	*Worker
	r      *job.Running
	d      *resource.Deployment
	unsure map[string]bool      // by node ID: its process seems to run and could not be taken over
	since  map[string]time.Time // by node ID: when it was first found mute
	sights map[string]sight
	lost   []*resource.Node // primaries that died with all data of their shard
}

// concerns tells whether a node is to be healed.
func (h *healing) concerns(n *resource.Node) bool {
	switch n.Status {
	case resource.NodeCreating:
		return n.Primary && h.Engines.Started(n.ID) // it may have slots already
	case resource.NodeDeleting:
		// A shard has data, and perhaps only here, for as long as it has a primary on record.
		_, err := h.Engines.Node(n.ID)
		return err == nil && h.d.Primary(n.Shard) != nil
	}
	return true
}

// adopt takes over all nodes that run. One whose directory is gone gets a new one: the data directory came back from a backup without it.
func (h *healing) adopt(ctx context.Context) error {
	for _, n := range h.d.Nodes {
		if !h.concerns(n) {
			continue
		}
		_, err := h.Engines.Adopt(ctx, n.ID)
		switch {
		case errors.Is(err, supervisor.ErrUnknownNode):
			binary, err := h.Catalog.Resolve(h.d.Engine, h.d.EngineVersion())
			if err != nil {
				return job.Cancel(err)
			}
			if _, err := h.placeNode(ctx, h.r, h.d, n, binary); err != nil {
				return err
			}
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			h.unsure[n.ID] = true // it is busy, or hangs
		}
	}
	return nil
}

// observe looks at all nodes. A primary that is mute gets some time to answer, or its replicas to elect another.
func (h *healing) observe(ctx context.Context) error {
	for {
		now := h.Now()
		h.sights = h.lookAround(ctx, h.d)
		waiting := false
		for _, shard := range shardsOf(h.d) {
			p := h.d.Primary(shard)
			if p == nil || !h.mute(p) || h.leader(shard) != nil || h.successor(shard) == nil {
				continue
			}
			if h.since[p.ID].IsZero() {
				h.since[p.ID] = h.watch.since(p.ID, now)
			}
			waiting = waiting || h.Now().Before(h.since[p.ID].Add(h.hung))
		}
		if !waiting {
			return nil
		}
		if err := sleep(ctx, 500*time.Millisecond); err != nil {
			return err
		}
	}
}

func (h *healing) mute(n *resource.Node) bool {
	s := h.sights[n.ID]
	return (s.runs || h.unsure[n.ID]) && !s.answers
}

func (h *healing) dead(n *resource.Node) bool { return !h.sights[n.ID].runs && !h.unsure[n.ID] }

// leader is the node that is the primary of a shard in reality, or nil.
func (h *healing) leader(shard string) (best *resource.Node) {
	for _, n := range h.d.Of(shard) {
		s := h.sights[n.ID]
		switch {
		case !h.concerns(n) || !s.answers || !s.leads:
		case s.busy && !n.Primary:
		case best == nil, s.slots && !h.sights[best.ID].slots:
			best = n
		case h.sights[best.ID].slots && !s.slots:
		case s.epoch > h.sights[best.ID].epoch, s.epoch == h.sights[best.ID].epoch && n.Primary:
			best = n
		}
	}
	if best == nil {
		// A primary that loads, or that a script holds, is one still.
		if p := h.d.Primary(shard); p != nil && h.sights[p.ID].busy {
			return p
		}
	}
	return best
}

// successor is the replica of a shard with the newest data, or nil if none has any.
func (h *healing) successor(shard string) (best *resource.Node) {
	for _, n := range h.d.Of(shard) {
		s := h.sights[n.ID]
		if n.Primary || !h.concerns(n) || !s.answers || s.busy || s.leads || s.syncing {
			continue
		}
		if s.alone < 0 && s.offset <= 1 {
			continue // it was restarted, and has got nothing yet
		}
		if h.d.Layout.DurableLog && (s.alone < 0 || s.alone > behind) && h.returns(shard) {
			continue
		}
		if best == nil || s.offset > h.sights[best.ID].offset {
			best = n
		}
	}
	return best
}

// behind is for how many seconds a replica may have been without its primary until more may be missing from it than the moment of a death. What the
// primary's append-only file has counts for more then.
const behind = 30

// returns tells whether a shard's primary is dead and comes back with what it had.
func (h *healing) returns(shard string) bool {
	p := h.d.Primary(shard)
	return p != nil && h.concerns(p) && h.dead(p) && h.Engines.Started(p.ID)
}

// shardsOf names the shards that a cache's nodes are of, in order: also those that its layout does not have any more.
func shardsOf(d *resource.Deployment) (names []string) {
	for _, n := range d.Nodes {
		if len(names) == 0 || names[len(names)-1] != n.Shard {
			names = append(names, n.Shard)
		}
	}
	return names
}

// choose finds or makes the primary of every shard, and then puts it on record.
func (h *healing) choose(ctx context.Context) error {
	if h.d.Engine == engine.Memcached { // no node of it depends on another
		for _, n := range h.d.Nodes {
			if h.concerns(n) && h.dead(n) {
				h.lost = append(h.lost, n)
			}
		}
		return h.record(ctx, nil)
	}
	leads := map[string]*resource.Node{}
	for _, shard := range shardsOf(h.d) {
		lead, was := h.leader(shard), h.d.Primary(shard)
		if was != nil && !h.concerns(was) {
			continue // the shard is being made
		}
		if lead == nil {
			var err error
			if lead, err = h.succeed(ctx, shard); err != nil {
				return err
			}
		}
		switch {
		case lead == nil:
			continue
		case h.dead(lead):
			h.lost = append(h.lost, lead)
		case was != nil && was != lead && h.mute(was):
			// The others elected another. It may wake up and serve what it has for a moment.
			if err := h.fence(ctx, was); err != nil {
				return err
			}
		}
		leads[shard] = lead
		if !h.d.Layout.ClusterMode {
			if err := h.align(ctx, shard, lead); err != nil {
				return err
			}
		}
	}
	return h.record(ctx, leads)
}

// fence makes sure that a node that was a primary serves nobody any more.
func (h *healing) fence(ctx context.Context, n *resource.Node) error {
	if err := h.Engines.Kill(ctx, n.ID); err != nil {
		return err
	}
	delete(h.unsure, n.ID)
	h.sights[n.ID] = sight{}
	return nil
}

// succeed promotes a replica of a shard whose primary is dead, or mute for too long. Without one it returns the node that is to be started
// as the primary; nil if the shard stays as it is.
func (h *healing) succeed(ctx context.Context, shard string) (*resource.Node, error) {
	was, next := h.d.Primary(shard), h.successor(shard)
	if next == nil {
		if was == nil || h.mute(was) {
			return nil, nil // nobody could do better
		}
		for _, n := range h.d.Of(shard) {
			if s := h.sights[n.ID]; h.concerns(n) && n != was && (h.mute(n) || s.busy || s.syncing) {
				return nil, fmt.Errorf("the primary of shard %s ended, and its replica %s is not ready to take its place", shard, n.Name)
			}
		}
		return h.former(shard)
	}
	if was != nil && h.mute(was) && !automatic(h.d.Cache) {
		h.Log.Warn("a primary does not answer, and may not be replaced", "cache", h.d.Name, "node", was.Name)
		return nil, nil
	}
	// What was the primary must not serve its data to anybody once there is a new one.
	if was != nil {
		if err := h.fence(ctx, was); err != nil {
			return nil, err
		}
	}
	failpoint.Hit("heal.fenced")
	if err := h.promote(ctx, h.d, next, h.sights); err != nil {
		return nil, err
	}
	failpoint.Hit("heal.promoted")
	return next, nil
}

// automatic tells whether a primary that is only mute may be replaced.
func automatic(c *resource.Cache) bool {
	return c.Kind == resource.MemoryDBCluster || c.Layout.AutomaticFailover
}

// former is the node of a shard, all of whose nodes died, that was its primary last. The engines know it better than the records when they
// elected another while nobody looked.
func (h *healing) former(shard string) (*resource.Node, error) {
	was := h.d.Primary(shard)
	if was == nil {
		return nil, fmt.Errorf("shard %s of %s has no primary on record", shard, h.d.Name)
	}
	if !h.d.Layout.ClusterMode {
		return was, nil
	}
	best, epoch := (*resource.Node)(nil), int64(-1)
	for _, n := range h.d.Of(shard) {
		if !h.concerns(n) || !h.dead(n) {
			continue
		}
		m, err := h.Engines.LastRole(n.ID)
		if err != nil {
			h.Log.Warn("a cluster state file cannot be read", "node", n.ID, "err", err)
		}
		if m == nil || !m.Primary || len(m.Slots) == 0 && n != was {
			continue
		}
		if m.Epoch > epoch || m.Epoch == epoch && n == was {
			best, epoch = n, m.Epoch
		}
	}
	if best != nil {
		return best, nil
	}
	// Nobody was, or it is a new directory.
	all, err := h.clusterOf(h.d)
	if err == nil {
		err = h.Engines.ResetCluster(was.ID, all)
	}
	return was, err
}

// align has the nodes of a shard outside of cluster mode follow their primary.
func (h *healing) align(ctx context.Context, shard string, lead *resource.Node) error {
	at, err := h.Engines.Node(lead.ID)
	if err != nil {
		return err
	}
	if at.ReplicaOf.Address != "" {
		if err := h.Engines.SetReplicaOf(ctx, lead.ID, resource.Endpoint{}); err != nil {
			return err
		}
	}
	for _, n := range h.d.Of(shard) {
		s := h.sights[n.ID]
		if n == lead || !h.concerns(n) || !s.answers || s.busy || s.follows == at.Endpoint() {
			continue
		}
		if err := h.Engines.SetReplicaOf(ctx, n.ID, at.Endpoint()); err != nil {
			return err
		}
	}
	return nil
}

// record makes the roles that were found or made the ones that everybody is told, and marks who is down.
func (h *healing) record(ctx context.Context, leads map[string]*resource.Node) error {
	var down []*resource.Node
	for _, n := range h.d.Nodes {
		if h.concerns(n) && h.dead(n) && n.Status == resource.NodeAvailable {
			down = append(down, n)
		}
	}
	changed := len(down) > 0
	for shard, lead := range leads {
		changed = changed || h.d.Primary(shard) != lead
	}
	if changed {
		err := h.r.Update(ctx, func(tx *metastore.Tx) error {
			for _, n := range down {
				if err := editNode(tx, n, func(n *resource.Node) { n.Status = resource.NodeRebooting }); err != nil {
					return err
				}
			}
			for _, lead := range leads {
				if h.d.Primary(lead.Shard) != lead {
					if err := h.lead(tx, h.d, lead); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, n := range h.d.Nodes {
			if lead := leads[n.Shard]; lead != nil {
				n.Primary = n == lead
			}
		}
		for _, n := range down {
			n.Status = resource.NodeRebooting
		}
	}
	failpoint.Hit("heal.recorded")
	return nil
}

// restart starts what is down: first primaries of shards whose data is lost or in their append-only files, then replicas.
func (h *healing) restart(ctx context.Context) error {
	if err := h.restartLost(ctx); err != nil {
		return err
	}
	failpoint.Hit("heal.led")
	if h.d.Engine == engine.Memcached {
		return nil
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, n := range h.d.Nodes {
		lead := h.d.Primary(n.Shard)
		if n == lead || leaving(n) || !h.concerns(n) || h.mute(n) || lead == nil || h.mute(lead) {
			continue
		}
		s := h.sights[n.ID]
		if s.answers && !s.leads && n.Status != resource.NodeRebooting {
			continue // it follows, or will, as the engines tell each other
		}
		g.Go(func() error { return h.startReplica(gctx, h.d, n) })
	}
	err := g.Wait()
	failpoint.Hit("heal.joined")
	return err
}

// settle gives a cluster some time to agree that it serves. It cannot while some other shard is down.
func (h *healing) settle(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for _, n := range h.d.Nodes {
		if n.Status == resource.NodeRebooting && h.Engines.Running(n.ID) {
			if err := h.Engines.WaitReady(limited, n.ID, nil); err != nil && ctx.Err() != nil {
				return context.Cause(ctx)
			}
		}
	}
	return nil
}

// restartLost starts the primaries that died without a successor. Where there is no append-only file either, the shard is empty now.
func (h *healing) restartLost(ctx context.Context) error {
	if len(h.lost) == 0 {
		return nil
	}
	var emptied []*resource.Node
	for _, n := range h.lost {
		logged := h.d.Layout.DurableLog && h.Engines.Started(n.ID)
		if !logged && !exists(h.Engines.DataPath(n.ID)) {
			emptied = append(emptied, n)
		}
	}
	if len(emptied) > 0 {
		// Counted at every start: an earlier run's engine may have served, and have died again.
		err := h.r.Update(ctx, func(tx *metastore.Tx) error {
			cache, err := tx.CacheByID(h.d.ID)
			if err != nil {
				return err
			}
			cache.Restarts++
			if err := tx.UpdateCache(cache); err != nil {
				return err
			}
			for _, n := range emptied {
				if err := h.tell(tx, cache, "%s", emptyAgain(h.d, n)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	failpoint.Hit("heal.counted")
	for _, n := range h.lost {
		if !h.d.Layout.ClusterMode && h.d.Engine != engine.Memcached {
			if err := h.Engines.SetReplicaOf(ctx, n.ID, resource.Endpoint{}); err != nil {
				return err
			}
		}
		if err := h.Engines.Start(ctx, n.ID); err != nil {
			return err
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, n := range h.lost {
		g.Go(func() error {
			if err := h.Engines.WaitUp(gctx, n.ID); err != nil {
				return err
			}
			node, err := h.Engines.Node(n.ID)
			if err != nil {
				return err
			}
			if err := h.Engines.RemoveData(gctx, n.ID); err != nil {
				return err
			}
			return h.Engines.SetMaxMemory(gctx, n.ID, node.MaxMemory)
		})
	}
	return g.Wait()
}

// emptyAgain says that the data of a node is lost.
func emptyAgain(d *resource.Deployment, n *resource.Node) string {
	switch {
	case d.Engine == engine.Memcached:
		return fmt.Sprintf("Cache node %s of %s ended and was restarted: it returned empty.", n.Number, d.Name)
	case len(d.Of(n.Shard)) > 1:
		return fmt.Sprintf("All nodes of shard %s of %s ended. They have no append-only files: the shard returned empty. Restore a snapshot to get data back.", n.Shard, d.Name)
	}
	return fmt.Sprintf("Node %s ended and was restarted. It has no replica and no append-only file: it returned empty. Restore a snapshot to get data back.", n.Name)
}

// close puts on record who is back.
func (h *healing) close(ctx context.Context) error {
	var back []*resource.Node
	for _, n := range h.d.Nodes {
		if lead := h.d.Primary(n.Shard); h.d.Engine != engine.Memcached && lead != nil && lead != n && h.mute(lead) {
			continue // it was not brought into step
		}
		if n.Status == resource.NodeRebooting && !h.mute(n) && h.Engines.Running(n.ID) {
			back = append(back, n)
		}
	}
	if len(back) == 0 {
		return nil
	}
	return h.r.Update(ctx, func(tx *metastore.Tx) error {
		for _, n := range back {
			n.Status = resource.NodeAvailable
			if err := editNode(tx, n, func(n *resource.Node) { n.Status = resource.NodeAvailable }); err != nil {
				return err
			}
			if err := h.tellMember(tx, h.d.Cache, n, "Finished recovery for cache nodes %s", n.Number); err != nil {
				return err
			}
		}
		return nil
	})
}
