package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/memcache"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/itemfile"
)

const (
	itemValue = 100 // bytes
	itemBatch = 512 // keys that both sides ask for at once
)

// Memcached measures a capture of a Memcached cache beside a loop that knows the keys, only asks for them in batches of the same size, over as
// many connections, and drops what it gets.
func Memcached(ctx context.Context, w io.Writer, o Options) (err error) {
	o = o.withDefaults()
	o.Engine = engine.Memcached
	items := max(o.Bytes/850, 1000) // a million of them by default
	s := &Stage{Options: o, Keys: items, Size: items * (itemValue + int64(len(itemKey(nil, 0))))}
	defer func() {
		if err = errors.Join(err, s.Close()); err != nil {
			err = fmt.Errorf("bench: %w", err)
		}
	}()
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return err
		}
	}
	if s.temp, err = os.MkdirTemp(o.Dir, "keyframe-bench-"); err != nil {
		return err
	}
	if err := s.startMemcached(ctx, items); err != nil {
		return err
	}
	if err := s.fillMemcached(ctx); err != nil {
		return err
	}
	var took capture.ItemsResult
	row, err := s.Compare(ctx, Measure{
		Name: "capture of a Memcached cache", AnchorName: fmt.Sprintf("a bare loop of mg in batches of %d", itemBatch), Anchor: s.askForItems, Limit: 2,
		Ours: func(ctx context.Context) error {
			r, err := capture.Items(ctx, s.Source, io.Discard, capture.Options{SpoolDir: s.temp, Batch: itemBatch, Count: true})
			if err == nil && r.Items != items {
				err = fmt.Errorf("captured %d items of %d", r.Items, items)
			}
			if err == nil {
				took = *r
			}
			return err
		},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "memcached %s, %d items of %d bytes, medians of %d runs, %d cores.\n\n", took.Engine, items, itemValue, s.Runs, runtime.NumCPU())
	if err := Table(w, []Row{row}); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "\n%.0f items a second.\n", float64(items)/row.OurTime.Median().Seconds())
	return err
}

func (s *Stage) startMemcached(ctx context.Context, items int64) error {
	catalog, err := supervisor.Discover(ctx)
	if err != nil {
		return err
	}
	choice, err := catalog.Resolve(engine.Memcached, "")
	if err != nil {
		return err
	}
	if s.sup, err = supervisor.New(supervisor.Options{Dir: filepath.Join(s.temp, "engine")}); err != nil {
		return err
	}
	s.Node, err = s.sup.Create(ctx, supervisor.Spec{ID: "bench", Engine: engine.Memcached, Binary: choice.Binary, MaxMemory: 64<<20 + 400*items})
	if err != nil {
		return err
	}
	if err := s.sup.Start(ctx, s.Node.ID); err != nil {
		return err
	}
	if err := s.sup.WaitReady(ctx, s.Node.ID, nil); err != nil {
		return err
	}
	e := s.Node.Endpoint()
	s.Source = capture.Source{Address: fmt.Sprintf("%s:%d", e.Address, e.Port)}
	return nil
}

func itemKey(dst []byte, i int64) []byte { return fmt.Appendf(dst, "key:%012d", i) }

// fillMemcached stores the items through a file of ours, which reads them back too.
func (s *Stage) fillMemcached(ctx context.Context) error {
	in, out := io.Pipe()
	go func() {
		fw, err := itemfile.NewWriter(out, itemfile.Header{Created: time.Now()})
		it := itemfile.Item{Value: bytes.Repeat([]byte{'v'}, itemValue)}
		for i := int64(0); err == nil && i < s.Keys; i++ {
			it.Key = itemKey(it.Key[:0], i)
			err = fw.Write(&it)
		}
		if err == nil {
			_, err = fw.Close()
		}
		out.CloseWithError(err)
	}()
	defer in.Close()
	l, err := capture.LoadItems(ctx, s.Source, in, capture.LoadOptions{})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.Log, "filled memcached %s: %d items in %.2f s, and read them back in %.2f s\n", l.EngineVersion, l.Loaded, (l.Duration - l.Verifying).Seconds(), l.Verifying.Seconds())
	return nil
}

// askForItems is the peer: the fewest things that one can do to get all items.
func (s *Stage) askForItems(ctx context.Context) error {
	c, err := memcache.Dial(ctx, s.Source.Address, nil, time.Minute)
	if err != nil {
		return err
	}
	defer c.Close()
	ahead, over := make(chan struct{}, 4), make(chan struct{})
	asked := make(chan error, 1)
	go func() {
		var b, key []byte
		for i := int64(0); i < s.Keys; {
			b = b[:0]
			for range min(itemBatch, s.Keys-i) {
				key = itemKey(key[:0], i)
				b, _, _ = memcache.AppendGet(b, key) // such keys are always possible
				i++
			}
			select {
			case ahead <- struct{}{}:
			case <-over: // nobody reads answers any more
				asked <- nil
				return
			}
			if err := c.Send(memcache.AppendEnd(b)); err != nil {
				asked <- err
				return
			}
		}
		asked <- nil
	}()
	var items int64
	for left := (s.Keys + itemBatch - 1) / itemBatch; left > 0; {
		line, err := c.Line()
		switch {
		case err != nil:
			close(over)
			c.Close()
			return errors.Join(err, <-asked)
		case bytes.HasPrefix(line, []byte("VA ")):
			items++
		case string(line) == "MN":
			left--
			<-ahead
		}
	}
	if err := <-asked; err != nil {
		return err
	}
	if items != s.Keys {
		return fmt.Errorf("the cache has %d items of %d", items, s.Keys)
	}
	return nil
}
