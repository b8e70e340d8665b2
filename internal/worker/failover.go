package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// switching is the checkpoint of a failover: this node was the primary before it began.
type switching struct{ From string }

// failover makes a replica the primary of its shard, and the primary a replica. No write is lost: the primary waits until the replica
// has all of them.
func (w *Worker) failover(ctx context.Context, r *job.Running, t resource.FailoverTask) error {
	// Whoever is dead is replaced here already.
	d, err := w.heal(ctx, r, t.CacheID, resource.CacheAvailable, resource.CacheModifying, resource.CacheSnapshotting)
	if err != nil {
		return done(err)
	}
	was := d.Primary(t.Shard)
	if was == nil {
		return job.Cancel(fmt.Errorf("node group %s has no primary", t.Shard))
	}
	var begun switching
	again, err := r.Load(&begun)
	if err != nil {
		return err
	}
	if !again {
		begun.From = was.ID
		if err := r.Save(ctx, begun); err != nil {
			return err
		}
	}
	failpoint.Hit("failover.begun")
	if was.ID == begun.From && was.ID != t.NodeID {
		next, err := w.candidate(ctx, d, t)
		if err != nil {
			return err
		}
		if err := w.switchPrimary(ctx, r, d, next); err != nil {
			return err
		}
	}
	failpoint.Hit("failover.recorded")
	return r.Close(ctx, func(tx *metastore.Tx) error { return w.reopen(tx, t.CacheID) })
}

// reopen gives a cache back to its user after a change.
func (w *Worker) reopen(tx *metastore.Tx, cacheID string) error {
	cache, err := cacheIn(tx, cacheID, resource.CacheModifying)
	if err != nil {
		return done(err)
	}
	cache.Status = resource.CacheAvailable
	return tx.UpdateCache(cache)
}

// candidate is the replica that is to become the primary.
func (w *Worker) candidate(ctx context.Context, d *resource.Deployment, t resource.FailoverTask) (*resource.Node, error) {
	sights := w.lookAround(ctx, d)
	var best *resource.Node
	for _, n := range d.Of(t.Shard) {
		s := sights[n.ID]
		if n.Primary || n.Status != resource.NodeAvailable || !s.answers || !s.linked || t.NodeID != "" && n.ID != t.NodeID {
			continue
		}
		if best == nil || s.offset > sights[best.ID].offset {
			best = n
		}
	}
	if best == nil {
		return nil, fmt.Errorf("node group %s has no replica in step that could become its primary", t.Shard)
	}
	return best, nil
}

// switchPrimary makes the replica next the primary of its shard, records it, and brings the other nodes into step with it. In d the roles are
// exchanged afterwards.
func (w *Worker) switchPrimary(ctx context.Context, r *job.Running, d *resource.Deployment, next *resource.Node) error {
	was := d.Primary(next.Shard)
	turn := w.turnSlots
	if !d.Layout.ClusterMode {
		turn = w.turnReplication
	}
	if err := turn(ctx, d, was, next); err != nil {
		return err
	}
	failpoint.Hit("failover.switched")
	if err := r.Update(ctx, func(tx *metastore.Tx) error { return w.lead(tx, d, next) }); err != nil {
		return err
	}
	was.Primary, next.Primary = false, true
	at, err := w.Engines.Node(next.ID)
	if err != nil {
		return err
	}
	for _, n := range d.Of(next.Shard) {
		if n == next || n.Status == resource.NodeCreating {
			continue
		}
		if !d.Layout.ClusterMode {
			if err := w.Engines.SetReplicaOf(ctx, n.ID, at.Endpoint()); err != nil {
				return err
			}
		}
		if err := w.inStep(ctx, d, n, at); err != nil {
			return err
		}
	}
	return nil
}

// turnSlots hands the slots of a shard in cluster mode to a replica.
func (w *Worker) turnSlots(ctx context.Context, d *resource.Deployment, was, next *resource.Node) error {
	// A primary does not listen to a node that it has not heard to be its replica, and just after a failover it has not.
	limited, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for !w.hasReplica(limited, was, next) && sleep(limited, 20*time.Millisecond) == nil {
	}
	var err error
	for range 3 {
		if err = w.command(ctx, next.ID, "CLUSTER", "FAILOVER"); err != nil {
			return err
		}
		// The engine gives up after five seconds.
		if err = w.leading(ctx, d, next, 6*time.Second); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// hasReplica tells whether a primary in cluster mode counts a node among its replicas.
func (w *Worker) hasReplica(ctx context.Context, primary, replica *resource.Node) bool {
	seen, err := w.membersAt(ctx, primary.ID)
	return err == nil && slices.ContainsFunc(seen, func(m engine.Member) bool {
		return m.ID == engine.ClusterID(replica.ID) && m.PrimaryID == engine.ClusterID(primary.ID)
	})
}

// turnReplication hands the role of primary to a replica outside of cluster mode.
func (w *Worker) turnReplication(ctx context.Context, d *resource.Deployment, was, next *resource.Node) error {
	to, err := w.Engines.Node(next.ID)
	if err != nil {
		return err
	}
	at := to.Endpoint()
	if err := w.command(ctx, was.ID, "FAILOVER", "TO", at.Address, strconv.Itoa(at.Port), "TIMEOUT", "10000"); err != nil {
		return err
	}
	if err := w.leading(ctx, d, next, 20*time.Second); err != nil {
		return err
	}
	limited, cancel := context.WithTimeoutCause(ctx, 20*time.Second, fmt.Errorf("node %s did not become a replica", was.ID))
	defer cancel()
	for {
		if s := w.lookAt(limited, d, was); s.answers && !s.leads && s.linked {
			return w.Engines.SetReplicaOf(ctx, next.ID, resource.Endpoint{})
		}
		if err := sleep(limited, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// failoverFailed gives a cache whose failover was given up back to its user.
func (w *Worker) failoverFailed(tx *metastore.Tx, _ job.Job, t resource.FailoverTask, cause error) error {
	cache, err := tx.CacheByID(t.CacheID)
	if err != nil {
		if is(err, resource.NotFound) {
			return nil
		}
		return err
	}
	if err := errors.Join(w.reopen(tx, t.CacheID), w.recoverAll(tx, t.CacheID)); err != nil {
		return err
	}
	return w.tell(tx, cache, "Failover of node group %s of %s failed: %v", t.Shard, cache.Name, cause)
}
