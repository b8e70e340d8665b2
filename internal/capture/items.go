package capture

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/keyframe/keyframe/internal/engine/memcache"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// ItemsResult describes a capture of the items of a Memcached cache that succeeded.
type ItemsResult struct {
	*itemfile.Summary           // of the file: items, bytes, expiring ones, content hash
	From              string    // address of the engine
	Began, Ended      time.Time // each item is as it was at some moment between these: they do not show one instant
	Vanished          int64     // items that were listed and then gone: deleted or evicted meanwhile
	Expired           int64     // items whose time was up before their turn came; not in the file
	Changed           int64     // items that were written between listing and reading; the file has them as they were read
	Duration          time.Duration
	Spooled           int64               // bytes of the list of keys that went through the spool
	Keys              *keyspace.Collector // that has met all items; nil unless Options.Count
}

// listPatience is how long the crawler may have to wait for us before the list of keys is spooled. It is short: a crawler that waits holds
// clients of its server.
const listPatience = 100 * time.Millisecond

// Items captures the items of a Memcached cache and writes them to w as an itemfile. The crawler lists the keys over one connection, and they
// are read in batches over another, without touching the LRU. So the items do not show one instant: what is stored, changed or deleted
// while that goes on is in the file or not, and each item is as it was when it was read. An item whose expiry was changed between listing
// and reading has the new one to within five seconds; all others have theirs exactly.
//
// Keys that only the binary protocol can write (memcache.ErrKey) are the exception: reading their items counts as a use, and their expiry is
// the one that was listed, even if it was changed before they were read.
//
// W gets large writes, from one goroutine; it must return by itself when ctx ends. What it has received counts only if Items succeeds.
// OnProgress is told the bytes of the file, and of how many: an estimate.
//
// ErrTemporary: the crawler was busy all the time, or the cache was flushed meanwhile. ErrLink: the server went away, or was started anew.
func Items(ctx context.Context, src Source, w io.Writer, o Options) (*ItemsResult, error) {
	return captureItems(ctx, src, w, o.withDefaults(), nil, nil)
}

// captureItems is Items, with a tally and a clock of the server that the caller may know already.
func captureItems(ctx context.Context, src Source, w io.Writer, o Options, tally *itemfile.Tally, clock *serverClock) (*ItemsResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start := time.Now()
	reader, err := dialItems(ctx, src, o.ProgressTimeout)
	if err != nil {
		return nil, explain(ctx, src, "connect", err)
	}
	defer reader.Close()
	before, err := askState(reader)
	if err != nil {
		return nil, explain(ctx, src, "ask for the state", itemsError(err))
	}
	if clock == nil {
		clock = &before.clock
	}
	out, err := itemfile.NewWriter(w, itemfile.Header{Created: start, Source: o.Name, Engine: before.version})
	if err != nil {
		return nil, explain(ctx, src, "begin the file", err)
	}
	out.Tally = tally
	result := &ItemsResult{From: src.Address, Began: start}
	if o.Count {
		result.Keys = NewItemCounter(start, "")
	}
	c := &itemCapture{
		src: src, o: o, out: out, conn: reader, clock: *clock, expect: before.items, cancel: cancel,
		asked: make(chan *getBatch, inFlight), free: make(chan *getBatch, inFlight+1), result: result,
	}
	if err := c.run(ctx); err != nil {
		return nil, explain(ctx, src, "transfer", err)
	}
	after, err := askState(reader)
	if err == nil {
		err = before.compare(after)
	}
	if err != nil {
		return nil, explain(ctx, src, "ask for the state", itemsError(err))
	}
	if c.result.Summary, err = out.Close(); err != nil {
		return nil, explain(ctx, src, "transfer", fmt.Errorf("pass the items on: %w", err))
	}
	if ctx.Err() != nil {
		return nil, explain(ctx, src, "transfer", ctx.Err())
	}
	c.report(true)
	c.result.Ended = time.Now()
	c.result.Duration = c.result.Ended.Sub(start)
	return c.result, nil
}

// dialItems connects to a Memcached.
func dialItems(ctx context.Context, src Source, timeout time.Duration) (*memcache.Conn, error) {
	c, err := memcache.Dial(ctx, src.Address, src.TLS, timeout)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLink, err)
	}
	return c, nil
}
