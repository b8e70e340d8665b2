package dataset

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

// A ledger is pairs of counters. Of each pair one lives on one shard and one on another; the first is written before the second, with the
// same number, which only grows. So at every instant the first equals the second or is one ahead, and data of shards that were not cut at
// one instant soon shows something else.

const ledgerPrefix = "ledger:"

// ErrTorn says that a pair of a ledger shows no instant.
var ErrTorn = errors.New("dataset: a pair of the ledger shows no instant")

// Write keeps a ledger in the cluster, with a pair for every two shards in both orders, as fast as the engines take it, until ctx ends. It
// returns the number of entries that were acknowledged. Started, if not nil, is closed when every pair has an entry. A ledger that is
// there already goes on.
func (c Cluster) Write(ctx context.Context, started chan<- struct{}) (entries int64, err error) {
	if len(c) < 2 {
		return 0, errors.New("dataset: a ledger needs two shards")
	}
	quit, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all atomic.Int64
	var begun, ended sync.WaitGroup
	for i := range c {
		for j := range c {
			if i == j {
				continue
			}
			begun.Add(1)
			ended.Go(func() {
				once := sync.OnceFunc(begun.Done)
				defer once()
				if err := c.pair(quit, i, j, &all, once); err != nil && ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
					cancel(err)
				}
			})
		}
	}
	if started != nil {
		begun.Wait()
		close(started)
	}
	ended.Wait()
	if ctx.Err() == nil {
		err = context.Cause(quit)
	}
	return all.Load(), err
}

// pair writes one pair: the first counter on shard i, the second on shard j.
func (c Cluster) pair(ctx context.Context, i, j int, entries *atomic.Int64, begun func()) error {
	first, err := c[i].connect(ctx)
	if err != nil {
		return err
	}
	defer first.Close()
	second, err := c[j].connect(ctx)
	if err != nil {
		return err
	}
	defer second.Close()
	name := fmt.Sprintf("%s%d-%d:", ledgerPrefix, i, j)
	a, b := c[i].keyOf(name+"first:"), c[j].keyOf(name+"second:")
	n, err := counter(ctx, first, a)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		n++
		value := strconv.FormatInt(n, 10)
		if _, err := first.Do(ctx, "SET", a, value); err != nil {
			return err
		}
		if _, err := second.Do(ctx, "SET", b, value); err != nil {
			return err
		}
		entries.Add(1)
		begun()
	}
	return nil
}

// keyOf finds a key that begins so and that the primary owns.
func (p Primary) keyOf(prefix string) string {
	for n := 0; ; n++ {
		if key := prefix + strconv.Itoa(n); p.owns([]byte(key)) {
			return key
		}
	}
}

// counter reads a counter, 0 when it is not there.
func counter(ctx context.Context, c *resp.Conn, key string) (int64, error) {
	v, err := c.Do(ctx, "GET", key)
	if err != nil || v.Kind == resp.Null {
		return 0, err
	}
	text, err := v.Text()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// Audit reads a ledger that nobody writes now, however its keys are spread over shards, and returns the number of its pairs. A pair that
// no instant can have shown is ErrTorn.
func (c Cluster) Audit(ctx context.Context) (pairs int, err error) {
	type pair struct{ first, second int64 }
	found := map[string]*pair{}
	for _, p := range c {
		keys, err := p.ledger(ctx)
		if err != nil {
			return 0, err
		}
		for key, n := range keys {
			name, rest, ok := strings.Cut(strings.TrimPrefix(key, ledgerPrefix), ":")
			if !ok {
				return 0, fmt.Errorf("dataset: %q is no key of a ledger", key)
			}
			if found[name] == nil {
				found[name] = &pair{}
			}
			if strings.HasPrefix(rest, "first:") {
				found[name].first = n
			} else {
				found[name].second = n
			}
		}
	}
	for name, p := range found {
		if p.first != p.second && p.first != p.second+1 {
			return 0, fmt.Errorf("%w: %s has %d and %d", ErrTorn, name, p.first, p.second)
		}
	}
	return len(found), nil
}

// DropLedger removes a ledger, so that what is left can be compared.
func (c Cluster) DropLedger(ctx context.Context) error {
	for _, p := range c {
		keys, err := p.ledger(ctx)
		if err != nil {
			return err
		}
		conn, err := p.connect(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		for key := range keys {
			if _, err := conn.Do(ctx, "DEL", key); err != nil {
				return fmt.Errorf("dataset: %w", err)
			}
		}
	}
	return nil
}

// ledger reads the keys of the ledger that a primary holds.
func (p Primary) ledger(ctx context.Context) (map[string]int64, error) {
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	keys := map[string]int64{}
	for cursor := "0"; ; {
		v, err := c.Do(ctx, "SCAN", cursor, "MATCH", ledgerPrefix+"*", "COUNT", "10000")
		if err != nil {
			return nil, fmt.Errorf("dataset: %w", err)
		}
		if len(v.Elems) != 2 {
			return nil, errors.New("dataset: SCAN is not answered as it should be")
		}
		for _, k := range v.Elems[1].Elems {
			key, err := k.Text()
			if err != nil {
				return nil, err
			}
			if keys[key], err = counter(ctx, c, key); err != nil {
				return nil, err
			}
		}
		if cursor, err = v.Elems[0].Text(); err != nil {
			return nil, err
		}
		if cursor == "0" {
			return keys, nil
		}
	}
}
