package worker

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// stubborn is the worst client that a cluster must bear: it takes the layout that it saw first for true, except for the slots about which a
// node told it otherwise, one by one, and never tries anything twice.
type stubborn struct {
	at    map[int]string // by slot
	conns map[string]*resp.Conn
	heard map[string]time.Time // when a node answered last
	quit  atomic.Bool
	wg    sync.WaitGroup
	moved atomic.Int64
	err   error
}

// errAway says that a client was away from a node for so long that nobody had to wait for it: the machine was too slow.
var errAway = errors.New("the client was away")

// stubbornly has such a client count in some slots, each of them about once a second, until its err is taken with stop.
func (h *hall) stubbornly(d *resource.Deployment) *stubborn {
	h.t.Helper()
	s := &stubborn{at: make(map[int]string), conns: make(map[string]*resp.Conn), heard: make(map[string]time.Time)}
	for _, shard := range d.Layout.Shards {
		p := d.Primary(shard.Name)
		for _, r := range shard.Slots {
			for slot := r.Start; slot <= r.End; slot++ {
				s.at[slot] = fmt.Sprintf("%s:%d", p.Address, p.Port)
			}
		}
	}
	const keys = 100
	begun := make(chan struct{}, 1)
	s.wg.Go(func() {
		ctx := context.WithoutCancel(h.t.Context())
		defer func() {
			for _, c := range s.conns {
				c.Close()
			}
		}()
		for n := int64(0); !s.quit.Load(); n++ {
			v, err := s.do(ctx, "INCR", "stubborn:"+strconv.FormatInt(n%keys, 10))
			if err == nil && v.Int != n/keys+1 {
				err = fmt.Errorf("a counter is %d after %d increments", v.Int, n/keys+1)
			}
			if s.err = err; err != nil {
				return
			}
			if n == keys {
				begun <- struct{}{}
			}
			time.Sleep(time.Second / keys / 2)
		}
		for n := range keys {
			if _, err := s.do(ctx, "DEL", "stubborn:"+strconv.Itoa(n)); err != nil {
				s.err = err
			}
		}
	})
	kftest.Receive(h.t, "a client to begin", begun)
	return s
}

// stop ends the client. It must have gone through everything without an error, and have been told of other nodes.
func (s *stubborn) stop(h *hall) {
	h.t.Helper()
	s.quit.Store(true)
	s.wg.Wait()
	if errors.Is(s.err, errAway) {
		h.t.Log(s.err)
		return
	}
	if s.err != nil {
		h.t.Errorf("a client that believes what it saw last: %v", s.err)
	}
	if s.moved.Load() == 0 {
		h.t.Error("nobody was told that anything moved")
	}
}

func (s *stubborn) do(ctx context.Context, name, key string) (v resp.Value, err error) {
	slot := rdb.KeySlot([]byte(key))
	for to, ask := s.at[slot], false; ; {
		c := s.conns[to]
		if c == nil {
			if c, err = resp.Dial(ctx, to, nil); err != nil {
				return v, err
			}
			s.conns[to] = c
		}
		if ask {
			if _, err = c.Do(ctx, "ASKING"); err != nil {
				return v, err
			}
		}
		v, err = c.Do(ctx, name, key)
		var reply *resp.Error
		replied := err == nil || errors.As(err, &reply)
		before := s.heard[to]
		if replied {
			s.heard[to] = time.Now()
		}
		if !replied || err == nil || reply.Code != "MOVED" && reply.Code != "ASK" {
			if err != nil {
				err = fmt.Errorf("%s %s at %s: %w", name, key, to, err)
			}
			// Engines count silence in seconds that begin with the clock's.
			if away := time.Since(before); !replied && !before.IsZero() && away > quiet-time.Second {
				err = fmt.Errorf("%w from %s for %v, which has ended: %w", errAway, to, away, err)
			}
			return v, err
		}
		to, ask = reply.Message[strings.LastIndexByte(reply.Message, ' ')+1:], reply.Code == "ASK"
		if !ask {
			s.at[slot] = to
			s.moved.Add(1)
		}
	}
}

// Nodes that lost their slots go when their clients know it: by resharding, with their replicas, by a hand-over, by a change of the engine.
func TestNodesLingerUntilClientsKnow(t *testing.T) {
	t.Parallel()
	t.Run("fewer shards", func(t *testing.T) {
		t.Parallel()
		h := newHall(t)
		d := h.group(engine.Valkey, true, 3, 1)
		s := h.stubbornly(d)
		d = h.scale(d.ID, shares(1, 1))
		s.stop(h)
		if len(d.Nodes) != 2 {
			t.Errorf("%d nodes", len(d.Nodes))
		}
	})
	t.Run("a primary goes", func(t *testing.T) {
		t.Parallel()
		h := newHall(t)
		d := h.group(engine.Redis, true, 1, 1)
		s := h.stubbornly(d)
		h.reshape(d.ID, resource.ModifyCacheTask{}, func(tx *metastore.Tx, d *resource.Deployment) error {
			d.Layout.Shards[0].Replicas = 0
			d.Primary("0001").Status = resource.NodeDeleting
			return tx.UpdateNode(d.Primary("0001"))
		})
		s.stop(h)
	})
	t.Run("another engine", func(t *testing.T) {
		t.Parallel()
		h := newHall(t)
		d := h.group(engine.Redis, true, 1, 1)
		choice, err := h.Catalog.Resolve(engine.Valkey, "")
		h.must(err)
		s := h.stubbornly(d)
		h.reshape(d.ID, resource.ModifyCacheTask{Engine: engine.Valkey, Major: choice.Version}, func(_ *metastore.Tx, d *resource.Deployment) error {
			d.Layout.ParameterGroup = engine.DefaultGroup(choice.Family, true)
			return nil
		})
		s.stop(h)
	})
}

// A run that ended while nodes lingered is repeated: those nodes are struck off the others' lists, still run, and know what happens.
func TestLingeringIsRepeated(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	d := h.group(engine.Valkey, true, 2, 1)
	all, err := dataset.ClusterAt(t.Context(), h.server(d, d.Primary("0001")))
	h.must(err)
	_, err = all.Fill(t.Context(), dataset.Spec{Keys: 1000, Seed: 3, TTLShare: -1})
	h.must(err)
	before := h.digest(d)
	g, err := h.openRing(t.Context(), d.Nodes)
	h.must(err)
	defer g.close()
	h.must(h.reshard(kftest.Context(t), g, shares(1, 1), nil))
	h.must(h.unlist(t.Context(), d.Of("0001"), d.Of("0002")))

	// They follow a failover that they are not told of.
	next := d.Reader("0001")
	h.must(h.turnSlots(kftest.Context(t), d, d.Primary("0001"), next))
	c, err := resp.Dial(t.Context(), fmt.Sprintf("%s:%d", d.Primary("0002").Address, d.Primary("0002").Port), nil)
	h.must(err)
	defer c.Close()
	kftest.Eventually(t, "a node that lingers to send clients to the new primary", func() error {
		_, err := c.Do(t.Context(), "GET", "k")
		if want := fmt.Sprintf(" %s:%d", next.Address, next.Port); !resp.IsCode(err, "MOVED") || !strings.HasSuffix(err.Error(), want) {
			return fmt.Errorf("it says %w, and not%s", err, want)
		}
		return nil
	})

	began := time.Now()
	j := h.do(resource.TaskModifyCache, d.ID, resource.ModifyCacheTask{CacheID: d.ID}, func(tx *metastore.Tx) error {
		d.Status, d.Layout.Shards = resource.CacheModifying, shares(1, 1)
		for _, n := range d.Of("0002") {
			n.Status = resource.NodeDeleting
			if err := tx.UpdateNode(n); err != nil {
				return err
			}
		}
		return tx.UpdateCache(d.Cache)
	})
	if j.State != job.StateCompleted || time.Since(began) > agreement {
		t.Fatalf("the job is %s after %d attempts in %v: %s", j.State, j.Attempt, time.Since(began), j.LastError)
	}
	d = h.look(d.ID)
	if after := h.digest(d); len(d.Nodes) != 2 || after != before {
		t.Errorf("%d nodes hold %v, before %v", len(d.Nodes), after, before)
	}
}

func TestParseClients(t *testing.T) {
	t.Parallel()
	got := parseClients("id=3 addr=127.0.0.1:1 name= age=3 idle=7 flags=N db=0 cmd=get user=default redir=-1 resp=2\n" +
		"id=4 addr=127.0.0.1:2 name=x idle=0 flags=r cmd=NULL user=anna\n\nid=5 idle=1 flags=N user=" + engine.AdminUser + "\n")
	if want := []client{{silent: 7 * time.Second}, {reads: true}}; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%v", got)
	}
}
