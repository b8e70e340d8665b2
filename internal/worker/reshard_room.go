package worker

import (
	"context"
	"strconv"
	"sync"
	"time"
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
	bytes int64
}

// usual is the size up to which the engines' own limits do.
const usual = 64 << 20

// limits are the settings that make changes, and what they are otherwise.
var limits = map[string]string{"proto-max-bulk-len": "512mb", "client-query-buffer-limit": "1gb", "cluster-node-timeout": "15000"}

func (r *room) make(ctx context.Context, bytes int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes <= max(r.bytes, usual) {
		return nil
	}
	patience := max(15*time.Second, time.Duration(bytes/slowest)*2*time.Second)
	return r.set(ctx, 4*bytes, map[string]string{"proto-max-bulk-len": strconv.FormatInt(max(512<<20, 4*bytes), 10),
		"client-query-buffer-limit": strconv.FormatInt(max(1<<30, 4*bytes), 10), "cluster-node-timeout": strconv.FormatInt(patience.Milliseconds(), 10)})
}

func (r *room) set(ctx context.Context, bytes int64, values map[string]string) error {
	for _, n := range r.ring.nodes {
		for name, value := range values {
			if err := r.ring.tell(ctx, n, "CONFIG", "SET", name, value); err != nil {
				return err
			}
		}
	}
	r.bytes = bytes
	return nil
}
