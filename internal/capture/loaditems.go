package capture

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/keyframe/keyframe/internal/itemfile"
)

// LoadOptions tune LoadItems. The zero value is good.
type LoadOptions struct {
	ProgressTimeout time.Duration // fails a load during which the engine did not answer for so long [60 s]
	// OnProgress is told how many items and bytes of the file were sent. It is called about ten times a second and must not block.
	OnProgress func(items, bytes int64)
	MaxValue   int // greatest value in bytes that is accepted from the file [1 GiB]
}

// LoadResult describes items that were loaded and read back equal.
type LoadResult struct {
	*itemfile.Summary       // of the file
	Loaded            int64 // items stored
	Expired           int64 // items of the file whose time was up already
	EngineVersion     string
	Duration          time.Duration // all of it
	Verifying         time.Duration // of it, reading back
}

func (o LoadOptions) withDefaults() LoadOptions {
	if o.ProgressTimeout <= 0 {
		o.ProgressTimeout = time.Minute
	}
	return o
}

// LoadItems stores the items of an itemfile in an empty Memcached cache that nobody else writes to, with their flags and expiries, and then
// reads everything back: it succeeds only if the cache has exactly the items of the file, except those whose time is up by then.
//
// Errors of the file match itemfile.ErrCorrupt, or are those of r. ErrDiffers: the cache was not empty, or has other items in the end.
// ErrTooLarge: the cache takes no item of that size; the error names it. ErrTooSmall: the cache has thrown items out, or had no memory for
// one. After any error the cache holds some of the items, maybe with a higher limit of memory, and must be started anew before another attempt.
func LoadItems(ctx context.Context, src Source, r io.Reader, o LoadOptions) (*LoadResult, error) {
	start := time.Now()
	o = o.withDefaults()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	file, err := itemfile.NewReader(r, itemfile.Options{MaxValue: o.MaxValue})
	if err != nil {
		return nil, explain(ctx, src, "read the file", err)
	}
	conn, err := dialItems(ctx, src, o.ProgressTimeout)
	if err != nil {
		return nil, explain(ctx, src, "connect", err)
	}
	defer conn.Close()
	before, err := askState(conn)
	if err != nil {
		return nil, explain(ctx, src, "ask for the state", itemsError(err))
	}
	if before.items != 0 {
		return nil, explain(ctx, src, "ask for the state", fmt.Errorf("%w: it has %d items already", ErrDiffers, before.items))
	}
	file.Tally = itemfile.NewTally(start.Unix())
	l := &itemLoad{
		src: src, o: o, file: file, conn: conn, state: before, cancel: cancel, result: &LoadResult{EngineVersion: before.version},
		sent: make(chan *setBatch, inFlight), free: make(chan *setBatch, inFlight),
	}
	if err := before.makeRoom(conn); err != nil {
		return nil, explain(ctx, src, "make room", itemsError(err))
	}
	if err := l.run(ctx); err != nil {
		return nil, explain(ctx, src, "load", err)
	}
	if err := before.closeRoom(conn); err != nil {
		return nil, explain(ctx, src, "load", itemsError(err))
	}
	after, err := askState(conn)
	if err == nil {
		err = before.compare(after)
	}
	if err == nil && after.evictions != before.evictions {
		err = fmt.Errorf("%w: it has evicted %d items", ErrTooSmall, after.evictions-before.evictions)
	}
	if err != nil {
		return nil, explain(ctx, src, "ask for the state", itemsError(err))
	}
	l.result.Summary = file.Summary()
	loaded := time.Now()
	if err := l.verify(ctx); err != nil {
		return nil, err
	}
	l.result.Duration, l.result.Verifying = time.Since(start), time.Since(loaded)
	return l.result, nil
}

// verify reads the items back and compares them with those of the file that are alive after that.
func (l *itemLoad) verify(ctx context.Context) error {
	tally := itemfile.NewTally(time.Now().Unix())
	o := Options{ProgressTimeout: l.o.ProgressTimeout}.withDefaults()
	if _, err := captureItems(ctx, l.src, io.Discard, o, tally, &l.state.clock); err != nil {
		return err
	}
	at := time.Now().Unix() + clockSlack
	want, known := l.file.Tally.Alive(at)
	got, _ := tally.Alive(at)
	switch {
	case !known:
		return explain(ctx, l.src, "read back", fmt.Errorf("%w: it took so long that nobody knows which have expired", ErrDiffers))
	case want.Items != got.Items:
		return explain(ctx, l.src, "read back", fmt.Errorf("%w: it has %d items, not %d", ErrDiffers, got.Items, want.Items))
	case want != got:
		return explain(ctx, l.src, "read back", fmt.Errorf("%w: of %d items, content %v and expiries %x, not %v and %x",
			ErrDiffers, got.Items, got.Content, got.Expiry, want.Content, want.Expiry))
	}
	return nil
}
