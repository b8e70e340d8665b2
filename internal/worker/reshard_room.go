package worker

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
)

// tally adds up what movers have done.
type tally struct {
	mu    sync.Mutex
	begun time.Time
	slots int
	of    int
	keys  int64
	show  func(migration)
}

func (t *tally) add(slots, keys int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slots += slots
	t.keys += int64(keys)
	if t.show == nil {
		return
	}
	now := migration{Slots: t.slots, Of: t.of, Keys: t.keys}
	if passed := time.Since(t.begun); passed > 0 {
		now.PerSecond = int64(float64(t.keys) / passed.Seconds())
	}
	t.show(now)
}

// room lifts what the engines hold against very large values: the size of a command, and the silence after which a cluster takes a node
// for dead, as a source and a target serve nobody while such a value moves.
type room struct {
	ring  *ring
	mu    sync.Mutex
	bytes atomic.Int64 // of the largest value so far
}

// newRoom makes room in a ring for values of the usual size. The ring's connections wait from now on for as long as such values take.
func newRoom(g *ring) *room {
	r := &room{ring: g}
	for _, c := range g.conns {
		c.Limit = r.limit
	}
	return r
}

// usual is the size up to which the engines' own limits do.
const usual = 64 << 20

// otherwise is what the settings are that make changes.
func otherwise() map[string]string {
	return map[string]string{"proto-max-bulk-len": "512mb", "client-query-buffer-limit": "1gb", "cluster-node-timeout": engine.Settings(nil)["cluster-node-timeout"]}
}

// composure is how long a node of a cluster may be silent while slots move, before the others take it for dead.
const composure = 15 * time.Second

// brace keeps nodes that are busy giving and taking from being voted out.
func (r *room) brace(ctx context.Context) error {
	return r.set(ctx, map[string]string{"cluster-node-timeout": strconv.FormatInt(composure.Milliseconds(), 10)})
}

// composed is how long a node may be silent while a value of so many bytes moves.
func composed(bytes int64) time.Duration {
	return composure + time.Duration(bytes/slowest)*2*time.Second
}

// limit is how long an engine may take to answer any command. One may have to wait while every lane moves a value as large as the largest.
func (r *room) limit() time.Duration { return agreement + lanes*composed(max(r.bytes.Load(), usual)) }

func (r *room) make(ctx context.Context, bytes int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes <= max(r.bytes.Load(), usual) {
		return nil
	}
	patience := composed(bytes)
	err := r.set(ctx, map[string]string{"proto-max-bulk-len": strconv.FormatInt(max(512<<20, 4*bytes), 10),
		"client-query-buffer-limit": strconv.FormatInt(max(1<<30, 4*bytes), 10), "cluster-node-timeout": strconv.FormatInt(patience.Milliseconds(), 10)})
	if err == nil {
		r.bytes.Store(bytes)
	}
	return err
}

// tidy takes back what make of this run, or of one that was killed, has changed. What a parameter group says of it comes afterwards.
func (r *room) tidy(ctx context.Context) error { return r.set(ctx, otherwise()) }

func (r *room) set(ctx context.Context, values map[string]string) error {
	for _, n := range r.ring.nodes {
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if err := r.ring.tell(ctx, n, "CONFIG", "SET", name, values[name]); err != nil {
				return err
			}
		}
	}
	return nil
}
