package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// promote makes a replica that runs the primary of its shard. The primary before it must not run any more.
func (w *Worker) promote(ctx context.Context, d *resource.Deployment, next *resource.Node, sights map[string]sight) error {
	if !d.Layout.ClusterMode {
		return w.Engines.SetReplicaOf(ctx, next.ID, resource.Endpoint{})
	}
	// The others must agree if they are enough for it: then they all know of it at once. Fewer than three primaries cannot elect.
	primaries, votes := 0, 0
	for _, shard := range shardsOf(d) {
		primaries++
		for _, n := range d.Of(shard) {
			if s := sights[n.ID]; s.answers && s.leads && s.slots {
				votes++
				break
			}
		}
	}
	if votes > primaries/2 {
		err := w.command(ctx, next.ID, "CLUSTER", "FAILOVER", "FORCE")
		if err == nil {
			err = w.leading(ctx, d, next, 5*time.Second)
		}
		if err == nil || ctx.Err() != nil {
			return err
		}
		w.Log.Warn("a cluster did not elect the replica that was proposed to it, which takes over by itself", "node", next.ID, "err", err)
	}
	if w.lookAt(ctx, d, next).leads {
		return nil
	}
	if err := w.command(ctx, next.ID, "CLUSTER", "FAILOVER", "TAKEOVER"); err != nil {
		return err
	}
	return w.leading(ctx, d, next, 10*time.Second)
}

// leading waits until a node is a primary by its own account.
func (w *Worker) leading(ctx context.Context, d *resource.Deployment, n *resource.Node, limit time.Duration) error {
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("node %s did not become a primary within %s", n.ID, limit))
	defer cancel()
	for {
		if s := w.lookAt(limited, d, n); s.answers && s.leads && s.slots {
			return nil
		}
		if !w.Engines.Running(n.ID) {
			return fmt.Errorf("node %s ended before it became a primary", n.ID)
		}
		if err := sleep(limited, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// lead puts on record that a node is the primary of its shard now, in the place of the one that d names, and tells of it.
func (w *Worker) lead(tx *metastore.Tx, d *resource.Deployment, lead *resource.Node) error {
	nodes, err := tx.NodesOf(d.ID)
	if err != nil {
		return err
	}
	cache, err := tx.CacheByID(d.ID)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Shard != lead.Shard || n.Primary == (n.ID == lead.ID) {
			continue
		}
		n.Primary = n.ID == lead.ID
		if err := tx.UpdateNode(n); err != nil {
			return err
		}
	}
	if lead.Shard == cache.Layout.Shards[0].Name && cache.Endpoint != lead.Endpoint() {
		cache.Endpoint = lead.Endpoint()
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
	}
	was := d.Primary(lead.Shard)
	if was == nil {
		return nil
	}
	message := fmt.Sprintf("Failover from primary node %s to replica node %s completed", was.Name, lead.Name)
	if err := w.tell(tx, cache, "%s", message); err != nil {
		return err
	}
	return w.tellMember(tx, cache, lead, "%s", message)
}
