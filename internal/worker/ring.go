package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/resource"
)

// ring is a real cluster as each of its own nodes sees it, with a connection to each.
type ring struct {
	w     *Worker
	nodes []*resource.Node
	byID  map[string]*resource.Node  // by cluster ID
	conns map[string]*resp.Conn      // by node ID
	views map[string][]engine.Member // by node ID
	self  map[string]*engine.Member  // by node ID: as it sees itself
}

// openRing connects to nodes of a cluster, all of which must run, and asks each what it sees. The caller closes the ring.
func (w *Worker) openRing(ctx context.Context, nodes []*resource.Node) (*ring, error) {
	g := &ring{w: w, nodes: nodes, byID: make(map[string]*resource.Node), conns: make(map[string]*resp.Conn)}
	for _, n := range nodes {
		c, err := w.Engines.Admin(ctx, n.ID)
		if err != nil {
			g.close()
			return nil, err
		}
		g.byID[engine.ClusterID(n.ID)], g.conns[n.ID] = n, c
	}
	if err := g.look(ctx); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// openMembers connects to some nodes of a cluster like openRing, and leaves out those that are to go and that an earlier run has had others
// strike off their lists: they will not agree with the rest again.
func (w *Worker) openMembers(ctx context.Context, nodes []*resource.Node) (*ring, error) {
	g, err := w.openRing(ctx, nodes)
	if err != nil {
		return nil, err
	}
	var struck []*resource.Node
	for _, n := range g.nodes {
		knows := func(m engine.Member) bool { return m.ID == engine.ClusterID(n.ID) }
		if leaving(n) && slices.ContainsFunc(nodes, func(o *resource.Node) bool { return !leaving(o) && !slices.ContainsFunc(g.views[o.ID], knows) }) {
			struck = append(struck, n)
		}
	}
	for _, n := range struck {
		g.conns[n.ID].Close()
		delete(g.conns, n.ID)
		delete(g.byID, engine.ClusterID(n.ID))
	}
	g.nodes = slices.DeleteFunc(slices.Clone(g.nodes), func(n *resource.Node) bool { return slices.Contains(struck, n) })
	return g, nil
}

func (g *ring) close() {
	for _, c := range g.conns {
		c.Close()
	}
}

// look asks every node again.
func (g *ring) look(ctx context.Context) error {
	views := make([][]engine.Member, len(g.nodes))
	var eg errgroup.Group
	eg.SetLimit(16)
	for i, n := range g.nodes {
		eg.Go(func() (err error) {
			views[i], err = members(ctx, g.conns[n.ID])
			if err != nil {
				err = fmt.Errorf("node %s: %w", n.ID, err)
			}
			return err
		})
	}
	if err := eg.Wait(); err != nil {
		return err
	}
	g.views, g.self = make(map[string][]engine.Member), make(map[string]*engine.Member)
	for i, n := range g.nodes {
		g.views[n.ID] = views[i]
		for j := range views[i] {
			if m := &views[i][j]; m.Myself {
				g.self[n.ID] = m
			}
		}
		if m := g.self[n.ID]; m == nil || m.ID != engine.ClusterID(n.ID) {
			return fmt.Errorf("node %s is known to its cluster under another identity", n.ID)
		}
	}
	return nil
}

func members(ctx context.Context, c *resp.Conn) ([]engine.Member, error) {
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

// primary is the node that is the primary of a shard in reality, or nil. Of several that believe it, as new ones do that follow
// nobody yet, it is the one with slots, else the one that shall be.
func (g *ring) primary(shard string) (found *resource.Node) {
	for _, n := range g.nodes {
		m := g.self[n.ID]
		if n.Shard != shard || !m.Primary {
			continue
		}
		if len(m.Slots) > 0 {
			return n
		}
		if found == nil || n.Primary {
			found = n
		}
	}
	return found
}

// owners tells for every slot which node says that it owns it. A slot that two claim, or that nobody has, is an error: it will be
// decided soon, or must be given to somebody.
func (g *ring) owners() (owner [16384]*resource.Node, err error) {
	for _, n := range g.nodes {
		for _, r := range g.self[n.ID].Slots {
			for s := r.Start; s <= r.End; s++ {
				if owner[s] != nil {
					err = fmt.Errorf("slot %d is claimed by the nodes %s and %s", s, owner[s].ID, n.ID)
				}
				owner[s] = n
			}
		}
	}
	return owner, err
}

// agreed tells what is missing until every node knows every other and all see the same owner of each slot.
func (g *ring) agreed() error {
	owner, err := g.owners()
	if err != nil {
		return err
	}
	for _, n := range g.nodes {
		known := 0
		for i := range g.views[n.ID] {
			m := &g.views[n.ID][i]
			other := g.byID[m.ID]
			if other == nil {
				continue // a node that is leaving
			}
			if m.Handshake || m.Failed || m.Suspected || !m.Myself && !m.Linked {
				return fmt.Errorf("node %s has no link with %s", n.ID, other.ID)
			}
			if m.Primary != g.self[other.ID].Primary || m.PrimaryID != g.self[other.ID].PrimaryID {
				return fmt.Errorf("node %s does not know the role of %s", n.ID, other.ID)
			}
			if m.Epoch != g.self[other.ID].Epoch {
				return fmt.Errorf("node %s does not know the epoch of %s", n.ID, other.ID)
			}
			known++
			for _, r := range m.Slots {
				for s := r.Start; s <= r.End; s++ {
					if owner[s] != other {
						return fmt.Errorf("node %s takes %s for the owner of slot %d", n.ID, other.ID, s)
					}
				}
			}
		}
		if known != len(g.nodes) {
			return fmt.Errorf("node %s knows %d of %d nodes", n.ID, known, len(g.nodes))
		}
	}
	return nil
}

// agreement is how long nodes that run get until they see the same. What takes longer is not a matter of gossip.
const agreement = 60 * time.Second

// until looks until ok returns nil, and tells what it last said when that takes too long. A node that died meanwhile ends it: nobody would
// look after the node's shard before the job is done, or begins again.
func (g *ring) until(ctx context.Context, ok func() error) error {
	limited, cancel := context.WithTimeoutCause(ctx, agreement, errors.New("the nodes of the cluster do not agree"))
	defer cancel()
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 200*time.Millisecond) {
		err := g.look(limited)
		if err == nil {
			if err = ok(); err == nil {
				return nil
			}
		} else if errors.Is(err, resp.ErrBroken) && limited.Err() == nil {
			return err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-limited.Done():
			t.Stop()
			if ctx.Err() == nil {
				return fmt.Errorf("%w: %w", context.Cause(limited), err)
			}
			return context.Cause(ctx)
		}
	}
}

// tell sends one command to a node.
func (g *ring) tell(ctx context.Context, n *resource.Node, args ...string) error {
	if _, err := g.conns[n.ID].Do(ctx, args...); err != nil {
		return fmt.Errorf("node %s: %s %s: %w", n.ID, args[0], args[1], err)
	}
	return nil
}

// introduce has every node meet those that it does not know, now and then until all know each other.
func (g *ring) introduce(ctx context.Context, last *time.Time) (missing error) {
	ask := time.Since(*last) > time.Second
	for _, n := range g.nodes {
		for _, o := range g.nodes {
			if slices.ContainsFunc(g.views[n.ID], func(m engine.Member) bool { return m.ID == engine.ClusterID(o.ID) && !m.Handshake }) {
				continue
			}
			missing = fmt.Errorf("node %s has not met %s", n.ID, o.ID)
			if !ask {
				continue
			}
			at, err := g.w.Engines.Node(o.ID)
			if err != nil {
				return err
			}
			if err := g.tell(ctx, n, "CLUSTER", "MEET", at.Lease.Address, strconv.Itoa(at.Lease.Port), strconv.Itoa(at.BusPort)); err != nil {
				return err
			}
			*last = time.Now()
		}
	}
	return missing
}
