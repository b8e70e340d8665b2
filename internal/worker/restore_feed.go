package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/rdb"
)

// atOnce is how many sources are read at the same time: each takes up to 24 MiB of memory.
const atOnce = 4

// pairs finds the source of each primary if every one has its own, whose keys are all of its slots and whose bytes the engine may read as they
// are; nil otherwise.
func pairs(from []dump, to *receiver) []dump {
	if len(from) != len(to.primaries) {
		return nil
	}
	if len(from) == 1 && !from[0].alien {
		return from
	}
	of := make([]dump, len(from))
	for _, s := range from {
		i := 0
		for ; i < len(of); i++ {
			if of[i].open == nil && s.slots != nil && !s.alien && within(s.slots, to.slots[i]) {
				of[i] = s
				break
			}
		}
		if i == len(of) {
			return nil
		}
	}
	return of
}

func within(part, whole *rdb.SlotSet) bool {
	for i := range part {
		if part[i]&^whole[i] != 0 {
			return false
		}
	}
	return true
}

// pour starts every primary on the bytes of its own source. All start at once, so that none of a cluster waits for others longer than it must.
func (w *Worker) pour(ctx context.Context, of []dump, to *receiver, hungry map[string]bool, p *progress) (map[string]int64, error) {
	g, ctx := errgroup.WithContext(ctx)
	keys := make(map[string]int64)
	turns := make(chan struct{}, atOnce)
	for i, n := range to.primaries {
		keys[n.ID] = of[i].keys
		if !hungry[n.ID] {
			continue
		}
		g.Go(func() error {
			return w.Engines.StartWith(ctx, n.ID, func(out io.Writer) error {
				select {
				case turns <- struct{}{}:
					defer func() { <-turns }()
				case <-ctx.Done():
					return context.Cause(ctx)
				}
				failpoint.Hit("create-cache.streaming")
				if err := w.pourOne(ctx, of[i], out, to, to.slots[i], p); err != nil {
					return fmt.Errorf("%s: %w", of[i].name, err)
				}
				return nil
			})
		})
	}
	return keys, g.Wait()
}

func (w *Worker) pourOne(ctx context.Context, s dump, out io.Writer, to *receiver, slots *rdb.SlotSet, p *progress) error {
	body, err := s.open(ctx)
	if err != nil {
		return err
	}
	if !to.cluster {
		slots = nil
	}
	sum, err := scan(ctx, body, rdb.Options{Tee: out, Slots: slots}, p)
	if err == nil && sum.Keys != s.keys {
		err = errKeys(sum.Keys, s.keys)
	}
	return err
}

// errElsewhere ends the feeding of a node because another one failed, which says why.
var errElsewhere = errors.New("another node of the cache could not be given its data")

// spread starts all primaries and sends each record of all sources to the one that has its slot. When one of them fails, all end.
// Primaries that are not hungry are counted, but receive nothing.
func (w *Worker) spread(ctx context.Context, from []dump, to *receiver, hungry map[string]bool, p *progress) (map[string]int64, error) {
	g, ctx := errgroup.WithContext(ctx)
	pipes := make([]io.Writer, len(to.primaries))
	var opened sync.WaitGroup
	routed := make(chan struct{})
	release := sync.OnceFunc(func() { close(routed) })
	defer release()        // or those that were opened would be held for ever if the routing panics
	result := errElsewhere // of the routing, once routed is closed
	for i, n := range to.primaries {
		if !hungry[n.ID] {
			pipes[i] = io.Discard
			continue
		}
		opened.Add(1)
		here := sync.OnceFunc(opened.Done)
		g.Go(func() error {
			defer here()
			err := w.Engines.StartWith(ctx, n.ID, func(out io.Writer) error {
				pipes[i] = out
				here()
				<-routed // ends early when ctx does
				var other *rdb.OutputError
				if errors.As(result, &other) && other.Output != i {
					return errElsewhere
				}
				return result
			})
			if errors.Is(err, errElsewhere) {
				return nil
			}
			return err
		})
	}
	opened.Wait()
	var written []rdb.Written
	if context.Cause(ctx) != nil {
		result = context.Cause(ctx)
	} else if !slices.Contains(pipes, nil) { // one that did not start ends ctx only after it was counted, and has the reason
		failpoint.Hit("create-cache.routing")
		written, result = w.route(ctx, from, to, pipes, p)
	}
	release()
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if result != nil {
		return nil, result
	}
	keys := make(map[string]int64)
	for i, n := range to.primaries {
		keys[n.ID] = written[i].Keys
	}
	return keys, nil
}

// route reads the sources, several at a time, and writes each record to the pipe of its slot.
func (w *Worker) route(ctx context.Context, from []dump, to *receiver, pipes []io.Writer, p *progress) ([]rdb.Written, error) {
	var outputs []rdb.Output
	for i := range pipes {
		outputs = append(outputs, rdb.Output{W: pipes[i], Slots: *to.slots[i]})
	}
	splitter, err := rdb.NewSplitter(rdb.SplitOptions{Version: writable(to.binary)}, outputs...)
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for _, s := range from {
		g.Go(func() error {
			body, err := s.open(ctx)
			if err == nil {
				var sum *rdb.Summary
				sum, err = scan(ctx, body, rdb.Options{Slots: s.slots, Split: splitter}, p)
				if err == nil && sum.Keys != s.keys {
					err = errKeys(sum.Keys, s.keys)
				}
			}
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return splitter.Close()
}
