package worker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/resource"
)

// startReplica makes a node that is placed a replica of the primary that d names for its shard, and returns when it is in step with it
// and every node of the cluster that answers knows it. The primary must serve. What the node was before, a primary even, and what it has
// of data, does not count. It may be repeated: a node that is in step is left alone.
func (w *Worker) startReplica(ctx context.Context, d *resource.Deployment, n *resource.Node) error {
	primary := d.Primary(n.Shard)
	if primary == nil || primary.ID == n.ID {
		return fmt.Errorf("node %s has no primary to follow", n.ID)
	}
	at, err := w.Engines.Node(primary.ID)
	if err != nil {
		return err
	}
	alive, err := w.Engines.Adopt(ctx, n.ID)
	if err != nil {
		return err
	}
	if alive {
		if s := w.lookAt(ctx, d, n); !s.answers || s.leads || s.follows != at.Endpoint() {
			if err := w.Engines.Kill(ctx, n.ID); err != nil {
				return err
			}
			alive = false
		}
	}
	if !alive {
		if err := w.prepareReplica(ctx, d, n, at); err != nil {
			return err
		}
		if err := w.Engines.Start(ctx, n.ID); err != nil {
			return err
		}
	}
	if d.Layout.ClusterMode {
		if err := w.introduce(ctx, d, n); err != nil {
			return err
		}
	}
	return w.inStep(ctx, d, n, at)
}

// prepareReplica has a node that does not run begin as a replica.
func (w *Worker) prepareReplica(ctx context.Context, d *resource.Deployment, n *resource.Node, primary supervisor.Node) error {
	// A file that a transfer left when the node died is older than what the primary has.
	if err := w.Engines.RemoveData(ctx, n.ID); err != nil {
		return err
	}
	if !d.Layout.ClusterMode {
		return w.Engines.SetReplicaOf(ctx, n.ID, primary.Endpoint())
	}
	seen, err := w.membersAt(ctx, primary.ID)
	if err != nil {
		return err
	}
	shards := map[string]string{}
	for _, o := range d.Nodes {
		shards[engine.ClusterID(o.ID)] = o.Shard
	}
	return w.Engines.RejoinCluster(n.ID, engine.ClusterID(primary.ID), seen, func(id string) string { return shards[id] })
}

// membersAt is a cluster as one of its nodes sees it.
func (w *Worker) membersAt(ctx context.Context, nodeID string) ([]engine.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := w.Engines.Admin(ctx, nodeID)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	v, err := c.Do(ctx, "CLUSTER", "NODES")
	if err != nil {
		return nil, err
	}
	text, err := v.Text()
	if err != nil {
		return nil, err
	}
	return engine.ParseMembers(text)
}

// introduce makes a node that runs known to all others that answer. They would learn of it from each other, but later.
func (w *Worker) introduce(ctx context.Context, d *resource.Deployment, n *resource.Node) error {
	node, err := w.Engines.Node(n.ID)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, o := range d.Nodes {
		if o.ID == n.ID || !w.Engines.Running(o.ID) {
			continue
		}
		for {
			seen, err := w.membersAt(limited, o.ID)
			if err != nil {
				break // it hears nothing now and will be told by the others
			}
			state := acquaintance(seen, node)
			if state == known {
				break
			}
			if state == stranger {
				at := node.Endpoint()
				if err := w.command(limited, o.ID, "CLUSTER", "MEET", at.Address, strconv.Itoa(at.Port), strconv.Itoa(node.BusPort)); err != nil {
					return err
				}
			}
			if err := sleep(limited, 20*time.Millisecond); err != nil {
				return fmt.Errorf("node %s does not get to know node %s: %w", o.ID, n.ID, err)
			}
		}
	}
	return nil
}

const (
	stranger = iota
	meeting
	known
)

// acquaintance tells what members say of a node.
func acquaintance(seen []engine.Member, n supervisor.Node) int {
	state := stranger
	for _, m := range seen {
		switch {
		case m.ID == engine.ClusterID(n.ID) && m.Address == n.Lease.Address && m.Port == n.Lease.Port && !m.Handshake:
			return known
		case m.Handshake && m.Address == n.Lease.Address && m.Port == n.Lease.Port:
			state = meeting
		}
	}
	return state
}

// errPrimaryDied ends the wait for a replica that has nobody to follow, or while another shard has nobody to lead it.
var errPrimaryDied = errors.New("a primary ended")

// inStep waits until a replica that runs has its primary's data, in its append-only file too if the cache has them: the primary may be the
// next to be restarted.
func (w *Worker) inStep(ctx context.Context, d *resource.Deployment, n *resource.Node, primary supervisor.Node) error {
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	defer func() { // its callers change the nodes that are watched
		cancel(nil)
		watch.Wait()
	}()
	var leaders []string // whose death does not wait until this one is in step
	for _, o := range d.Nodes {
		if o.ID == primary.ID || o.Primary && w.Engines.Running(o.ID) {
			leaders = append(leaders, o.ID)
		}
	}
	watch.Go(func() { w.mourn(ctx, cancel, leaders) })
	watch.Go(func() { w.listen(ctx, cancel, d, n, primary.ID) })
	behind := int64(-1)
	for {
		if err := w.Engines.WaitUp(ctx, n.ID); err != nil {
			return err
		}
		// A node that has just begun is a primary by its own account until it has found its own. And the first second of a link
		// may pass before the primary sends what was written since it copied its data.
		if s := w.lookAt(ctx, d, n); s.answers && !s.leads && s.linked && s.follows == primary.Endpoint() {
			if behind < 0 {
				// Without a word from the primary of after the copy, a replica that does not get its writes yet would look the same
				// as one that does: waiting for more replicas than there are makes it ask them all where they are.
				w.command(ctx, primary.ID, "WAIT", "1000000", "1") //nolint:errcheck // what it is worth, the next look tells
				lead := w.lookAt(ctx, d, &resource.Node{ID: primary.ID})
				if lead.answers && !lead.busy {
					behind = lead.offset
				}
			}
			if behind >= 0 && s.offset >= behind && !(d.Layout.DurableLog && s.writing) {
				return nil
			}
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// ready waits until a node that runs serves clients. It does so while its shard has a primary, and in cluster mode every shard: one that ends
// ends the wait, as nobody brings it back before the job begins again, and so does its own when it hangs.
func (w *Worker) ready(ctx context.Context, d *resource.Deployment, n *resource.Node) error {
	var leaders []string
	for _, o := range d.Nodes {
		needed := inClusterMode(d.Cache) || d.Engine != resource.Memcached && o.Shard == n.Shard
		if needed && o.Primary && o.ID != n.ID && (!fresh(o) || w.Engines.Started(o.ID)) {
			leaders = append(leaders, o.ID)
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	defer func() {
		cancel(nil)
		watch.Wait()
	}()
	watch.Go(func() { w.mourn(ctx, cancel, leaders) })
	if p := d.Primary(n.Shard); p != nil && p != n && d.Engine != resource.Memcached {
		watch.Go(func() { w.listen(ctx, cancel, d, n, p.ID) })
	}
	return w.Engines.WaitReady(ctx, n.ID, nil)
}

// mourn ends a wait when the process of one of some nodes has ended.
func (w *Worker) mourn(ctx context.Context, cancel context.CancelCauseFunc, ids []string) {
	const often = 100 * time.Millisecond
	for sleep(ctx, often) == nil {
		for _, id := range ids {
			if !w.Engines.Running(id) {
				sleep(ctx, often) //nolint:errcheck // whoever waits for that node itself knows why, and comes first
				cancel(fmt.Errorf("%w: node %s", errPrimaryDied, id))
				return
			}
		}
	}
}

// listen ends the wait for a replica when its primary is mute for too long: it may have another replica to take its place.
func (w *Worker) listen(ctx context.Context, cancel context.CancelCauseFunc, d *resource.Deployment, n *resource.Node, primaryID string) {
	for since := (time.Time{}); sleep(ctx, time.Second) == nil; {
		switch {
		case w.lookAt(ctx, d, &resource.Node{ID: primaryID}).answers:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		case time.Since(since) > w.hung:
			cancel(fmt.Errorf("replica %s: its primary does not answer", n.ID))
		}
	}
}

// command sends one command to a node.
func (w *Worker) command(ctx context.Context, nodeID string, args ...string) error {
	c, err := w.Engines.Admin(ctx, nodeID)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Do(ctx, args...); err != nil {
		return fmt.Errorf("node %s: %s %s: %w", nodeID, args[0], args[1], err)
	}
	return nil
}

// sleep pauses, unless the context ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
