package capture

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/failpoint"
)

// cutter takes one cut through several shards.
type cutter struct {
	o      Options
	shards []*member
	cut    *Cut
}

func (c *cutter) close() {
	for _, m := range c.shards {
		m.hangUp()
		m.primary.close()
		m.replica.close()
	}
}

// each does something with all shards at once, and ends when the last has ended.
func (c *cutter) each(ctx context.Context, f func(ctx context.Context, i int, m *member) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for i, m := range c.shards {
		g.Go(func() error { return f(ctx, i, m) })
	}
	return g.Wait()
}

// take forks all shards. When it returns nil every transfer has begun.
func (c *cutter) take(ctx context.Context) error {
	var last error
	for c.cut.Tries < c.o.Tries {
		if err := rest(ctx, time.Duration(c.cut.Tries)*200*time.Millisecond); err != nil {
			return err
		}
		c.cut.Tries++
		if last = c.try(ctx, len(c.shards) > 1); last == nil {
			c.cut.Instant = true
			return nil
		}
		c.hangUp()
		if len(c.shards) == 1 || ctx.Err() != nil || !errors.Is(last, errNoInstant) && !errors.Is(last, ErrTemporary) {
			return last
		}
	}
	if !errors.Is(last, errNoInstant) {
		return last
	}
	c.cut.Reason, c.cut.Pause = last.Error(), 0
	if err := c.try(ctx, false); err != nil {
		c.hangUp()
		return err
	}
	return nil
}

func (c *cutter) hangUp() {
	for _, m := range c.shards {
		m.hangUp()
	}
}

// try forks all shards once, within a pause or each when it likes.
func (c *cutter) try(ctx context.Context, pause bool) error {
	// A replica that once did not follow in time is not asked again and again.
	life := ctx // of the links: they outlive the attempt
	err := c.each(ctx, func(ctx context.Context, _ int, m *member) error { return m.prepare(ctx, life, c.o, c.cut.Tries < 3) })
	if err == nil {
		err = c.check(views(c.shards))
	}
	if err != nil {
		return err
	}
	var after []*view
	if pause {
		after, err = c.within(ctx)
	} else {
		if err = c.fork(ctx); err == nil {
			after, err = c.look(ctx)
		}
	}
	if err == nil {
		err = c.compare(after)
	}
	if err == nil {
		err = c.each(ctx, func(ctx context.Context, _ int, m *member) error { return m.feed.within(ctx, m.feed.begin) })
	}
	return err
}

func views(shards []*member) []*view {
	all := make([]*view, len(shards))
	for i, m := range shards {
		all[i] = m.before
	}
	return all
}

// check wants the layout to be that of the targets. Outside of cluster mode there is none.
func (c *cutter) check(all []*view) error {
	with := 0
	for _, m := range c.shards {
		if m.Slots != nil {
			with++
		}
	}
	switch with {
	case 0:
		return nil
	case len(c.shards):
		return checkViews(c.shards, all)
	}
	return errors.New("capture: some shards have slots and some have none")
}

func (c *cutter) look(ctx context.Context) ([]*view, error) {
	all := make([]*view, len(c.shards))
	err := c.each(ctx, func(ctx context.Context, i int, m *member) (err error) {
		all[i], err = m.look(ctx, c.o)
		return err
	})
	return all, err
}

// compare wants nothing to have changed since the attempt began, and replicas to have forked where their primaries stood.
func (c *cutter) compare(after []*view) error {
	for i, m := range c.shards {
		if m.before != nil {
			if err := m.before.unchanged(after[i]); err != nil {
				return &Error{m.Primary.Address, "CLUSTER NODES", err}
			}
		}
		if f := (history{m.feed.cut.replID, m.feed.cut.offset}); m.held.id != "" && !f.reached(m.held) {
			return &Error{m.feed.src.Address, "PSYNC", fmt.Errorf("%w: it forked at offset %d of %s, its primary stood at %d of %s",
				ErrProtocol, f.offset, f.id, m.held.offset, m.held.id)}
		}
	}
	return c.check(after)
}

// fork asks all shards for their data, and returns when all have announced their forks.
func (c *cutter) fork(ctx context.Context) error {
	return c.each(ctx, func(ctx context.Context, i int, m *member) error {
		if c.o.test.psync != nil {
			c.o.test.psync(i)
		}
		return m.feed.within(ctx, m.feed.fork)
	})
}

// within holds writes on all primaries, forks, and lifts the pause in any case. The instant is proven if the pause was in force on all
// primaries before the first engine was asked to fork, and cannot have run out on any when the last had announced it: engines fork in the same
// turn in which they announce, and lift the pause in a later one.
func (c *cutter) within(ctx context.Context) (after []*view, err error) {
	start := time.Now()
	// An engine counts its pause from the command, so not from before start. What remains is a margin for its coarse clock.
	limited, cancel := context.WithDeadlineCause(ctx, start.Add(c.o.Pause-c.o.Pause/10), errNoInstant)
	defer cancel()
	err = c.held(limited)
	jump := time.Since(start) - time.Now().Round(0).Sub(start.Round(0)) // engines count by the wall clock
	if late := context.Cause(limited); late != nil {
		err = late
		if ctx.Err() == nil {
			err = fmt.Errorf("%w: not all engines had forked within %v", errNoInstant, c.o.Pause)
		}
	}
	after = make([]*view, len(c.shards))
	var mu sync.Mutex
	var lifted error
	var wg sync.WaitGroup
	for i, m := range c.shards {
		wg.Go(func() {
			// Whatever has happened, and also when ctx has ended. An engine that does not answer lifts its pause itself.
			v, e := m.release(context.WithoutCancel(ctx), min(c.o.Pause, patient), err == nil)
			after[i] = v
			mu.Lock()
			defer mu.Unlock()
			lifted = errors.Join(lifted, e)
		})
	}
	wg.Wait()
	c.cut.Pause = time.Since(start)
	switch {
	case err != nil:
		return nil, err
	case lifted != nil:
		return nil, lifted
	case jump.Abs() > c.o.Pause/20:
		return nil, fmt.Errorf("%w: the machine's clock was set by %v meanwhile", errNoInstant, jump)
	}
	return after, nil
}

// held is what happens within the pause.
func (c *cutter) held(ctx context.Context) error {
	if !c.o.test.noPause {
		err := c.each(ctx, func(ctx context.Context, _ int, m *member) error { return m.hold(ctx, c.o.Pause, c.o.Pause/4) })
		if err != nil {
			return err
		}
	}
	if c.o.test.paused != nil {
		c.o.test.paused()
	}
	failpoint.Hit("create-snapshot.held")
	if err := c.each(ctx, func(ctx context.Context, _ int, m *member) error { return m.follow(ctx) }); err != nil {
		return err
	}
	return c.fork(ctx)
}

// transfer receives all shards at once.
func (c *cutter) transfer(ctx context.Context) error {
	c.cut.Shards = make([]*Result, len(c.shards))
	p := progress{tell: c.o.OnProgress, bytes: make([]int64, len(c.shards)), totals: make([]int64, len(c.shards))}
	err := c.each(ctx, func(ctx context.Context, i int, m *member) (err error) {
		o := c.o
		if o.OnProgress != nil {
			o.OnProgress = func(bytes, total int64) { p.set(i, bytes, total) }
		}
		c.cut.Shards[i], err = m.feed.transfer(ctx, m.W, m.slots, o)
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range c.cut.Shards {
		if r.CutAt.After(c.cut.At) {
			c.cut.At = r.CutAt
		}
		c.cut.Fork = max(c.cut.Fork, time.Duration(r.ForkMicros)*time.Microsecond)
	}
	return nil
}

// progress adds up what the shards have received.
type progress struct {
	mu            sync.Mutex
	tell          func(bytes, total int64)
	bytes, totals []int64
}

func (p *progress) set(i int, bytes, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes[i], p.totals[i] = bytes, total
	var sum, of int64
	for k := range p.bytes {
		sum, of = sum+p.bytes[k], of+p.totals[k]
	}
	if slices.Contains(p.totals, 0) {
		of = 0 // one that is not known makes the sum unknown
	}
	p.tell(sum, of)
}
