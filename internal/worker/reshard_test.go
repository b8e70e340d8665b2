package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// The target of half moved slots fails over. Where engines do not tell their replicas of open slots, the new primary has keys of slots that it
// neither owns nor expects, and the source still sends its clients to the old one. A resharding that is given up then must not leave them so.
func TestHalfMovedSlotsSurviveAFailover(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Redis, engine.Valkey} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			d := h.group(e, true, 2, 1)
			all, err := dataset.ClusterAt(t.Context(), h.server(d, d.Primary("0001")))
			h.must(err)
			_, err = all.Fill(t.Context(), dataset.Spec{Keys: 3000, Seed: 3, TTLShare: -1})
			h.must(err)
			before := h.digest(d)

			g, err := h.openRing(t.Context(), d.Nodes)
			h.must(err)
			defer g.close()
			m, err := h.newMover(t.Context(), route{d.Primary("0001"), d.Primary("0002")}, newRoom(g))
			h.must(err)
			defer m.close()
			m.tally = &tally{}
			var open []int
			for s := range 60 {
				open = append(open, s)
			}
			h.must(m.mark(t.Context(), m.dst, open, "IMPORTING", m.fromID))
			h.must(m.mark(t.Context(), m.src, open, "MIGRATING", m.toID))
			for _, s := range open[:30] {
				h.must(m.empty(t.Context(), s))
			}
			next := d.Reader("0002")
			h.must(h.turnSlots(kftest.Context(t), d, d.Primary("0002"), next))

			j := h.do(resource.TaskModifyCache, d.ID, resource.ModifyCacheTask{CacheID: d.ID, Accept: true}, func(tx *metastore.Tx) error {
				d.Status = resource.CacheModifying
				return tx.UpdateCache(d.Cache)
			})
			if j.State != job.StateCompleted {
				t.Fatalf("the job is %s: %s", j.State, j.LastError)
			}
			d = h.look(d.ID)
			if d.Primary("0002").ID != next.ID {
				h.must(errors.New("the failover did not happen"))
			}
			if after := h.digest(d); after != before {
				t.Errorf("%v, before %v", after, before)
			}
			h.must(g.look(t.Context()))
			for _, n := range d.Nodes {
				if m := g.self[n.ID]; len(m.Importing)+len(m.Migrating) > 0 {
					t.Errorf("node %s has open slots: %v %v", n.Name, m.Importing, m.Migrating)
				}
			}
			for _, p := range []*resource.Node{d.Primary("0001"), d.Primary("0002")} {
				if stray := h.strays(p, g); stray > 0 {
					t.Errorf("node %s has %d keys of slots that are not its own", p.Name, stray)
				}
			}
		})
	}
}

// A node that dies while its cluster is to agree ends the wait: the next run of the job heals it.
func TestAgreementEndsWithANode(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	d := h.group(engine.Valkey, true, 2, 0)
	g, err := h.openRing(t.Context(), d.Nodes)
	h.must(err)
	defer g.close()
	ctx, cancel := context.WithTimeout(t.Context(), agreement/2)
	defer cancel()
	h.must(h.Engines.Kill(ctx, d.Nodes[1].ID))
	if err := g.until(ctx, g.agreed); !errors.Is(err, resp.ErrBroken) || ctx.Err() != nil {
		t.Errorf("the wait ended with %v", err)
	}
}

// Engines that hang do not hold a resharding for ever. Those that move large values, and those behind them, are not taken for such.
func TestMovesHaveTime(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	d := h.group(engine.Valkey, true, 2, 0)
	g, err := h.openRing(t.Context(), d.Nodes)
	h.must(err)
	defer g.close()
	room := newRoom(g)
	m, err := h.newMover(t.Context(), route{d.Nodes[0], d.Nodes[1]}, room)
	h.must(err)
	defer m.close()
	for _, bytes := range []int64{usual, 10 << 30} {
		h.must(room.make(t.Context(), bytes))
		takes := time.Duration(bytes/slowest) * time.Second
		for what, c := range map[string]*resp.Conn{"source": m.src, "target": m.dst, "ring": g.conns[d.Nodes[0].ID]} {
			if limit := c.Limit(); limit < lanes*takes || limit > time.Minute+lanes*(2*takes+time.Minute) {
				t.Errorf("%s: %v for values that take %v each", what, limit, takes)
			}
		}
	}
	h.must(room.tidy(t.Context()))
}

// strays counts the keys of a primary in the first slots that it does not own.
func (h *hall) strays(p *resource.Node, g *ring) (keys int64) {
	h.t.Helper()
	owner, err := g.owners()
	h.must(err)
	var others []int
	for s := range 60 {
		if owner[s] != nil && owner[s].ID != p.ID {
			others = append(others, s)
		}
	}
	c, err := h.Engines.Admin(h.t.Context(), p.ID)
	h.must(err)
	defer c.Close()
	counts, err := pipeline(h.t.Context(), c, others, func(s string) []string { return []string{"CLUSTER", "COUNTKEYSINSLOT", s} })
	h.must(err)
	for _, v := range counts {
		keys += v.Int
	}
	return keys
}
