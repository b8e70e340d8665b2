package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// feed is one engine's data on its way to us.
type feed struct {
	src   Source
	link  *link
	start time.Time
	cut   cut
	body  *body
}

// Shard captures one engine and writes its RDB to w.
func Shard(ctx context.Context, src Source, w io.Writer, o Options) (*Result, error) {
	o = o.withDefaults()
	f, err := connect(ctx, src, o)
	if err != nil {
		return nil, err
	}
	defer f.link.close()
	if err := f.fork(ctx); err != nil {
		return nil, err
	}
	if err := f.begin(ctx); err != nil {
		return nil, err
	}
	return f.transfer(ctx, w, nil, o)
}

// connect opens a link and says who we are. What remains is one command.
func connect(ctx context.Context, src Source, o Options) (*feed, error) {
	f := &feed{src: src, start: time.Now()}
	var err error
	if f.link, err = dial(ctx, src, o.ProgressTimeout); err != nil {
		return nil, explain(ctx, src, "connect", err)
	}
	if err := f.link.introduce(src, o); err != nil {
		f.link.close()
		return nil, explain(ctx, src, "ask for the data", err)
	}
	return f, nil
}

// within does a step whose end is awaited on the link no longer than ctx lasts.
func (f *feed) within(ctx context.Context, step func(context.Context) error) error {
	unhook := context.AfterFunc(ctx, f.link.shut)
	err := step(ctx)
	if !unhook() && err == nil {
		err = explain(ctx, f.src, "wait", context.Cause(ctx))
	}
	return err
}

// fork asks for the data and waits for the announcement of the fork.
func (f *feed) fork(ctx context.Context) (err error) {
	if f.cut, err = f.link.psync(); err != nil {
		return explain(ctx, f.src, "ask for the data", err)
	}
	return nil
}

// begin waits for the first bytes of the transfer. Until they are there the fork may have failed.
func (f *feed) begin(ctx context.Context) (err error) {
	if f.body, err = f.link.body(); err != nil {
		return explain(ctx, f.src, "start the transfer", err)
	}
	return nil
}

// transfer reads the RDB and writes it to w. Slots, if not nil, are those that its keys may have.
func (f *feed) transfer(ctx context.Context, w io.Writer, slots *rdb.SlotSet, o Options) (*Result, error) {
	info := learn(ctx, f.src)
	defer info.stop()
	r := &Result{Source: f.src.Address, ReplID: f.cut.replID, Offset: f.cut.offset, CutAt: f.cut.at, Framing: f.body.framing}

	q := newQueue(o, f.link.close)
	defer q.spool.close()
	wrote := make(chan error, 1)
	go func() { wrote <- q.drain(w) }()
	// The queue unblocks the reader when the context ends, and the reader the writer.
	unhook := context.AfterFunc(ctx, func() { q.fail(context.Cause(ctx)) })
	defer unhook()

	f.body.onProgress = o.OnProgress
	var err error
	walk := rdb.Options{Tee: q, Slots: slots}
	if o.Count {
		bySlot := slots != nil || o.CountSlots
		r.Keys = keyspace.NewCollector(keyspace.Options{At: f.cut.at, Slots: bySlot})
		walk.Keys, walk.NoSlots, walk.OnRecord = true, !bySlot, r.Keys.Add
	}
	r.Summary, err = receive(f.body, walk)
	f.link.close()
	r.Transfer = time.Since(f.start)
	if err == nil {
		err = checkCut(f.cut, r.Summary)
	}
	if err == nil {
		err = q.close()
	} else {
		q.fail(err)
	}
	if werr := <-wrote; werr != nil {
		err = werr // also what made the reader fail
	}
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, explain(ctx, f.src, "transfer", err)
	}
	r.Spooled = q.spooled // both goroutines are done with the queue
	r.EngineVersion, r.ForkMicros = info.result()
	if r.EngineVersion == "" {
		r.EngineVersion = r.Summary.Aux.EngineVersion
	}
	r.Duration = time.Since(f.start)
	return r, nil
}

// receive reads the whole transfer and checks that the RDB ends where the transfer does.
func receive(b *body, o rdb.Options) (*rdb.Summary, error) {
	s := rdb.NewScanner(b, o)
	sum, err := s.Scan()
	if b.err != nil && b.err != io.EOF {
		return nil, b.err // the link, not the bytes
	}
	var stray *rdb.SlotError
	if errors.As(err, &stray) {
		return nil, fmt.Errorf("%w: it has a key of slot %d, which is another shard's: %w", ErrLayout, stray.Slot, err)
	}
	if err != nil {
		return nil, err
	}
	if err := b.end(sum.Bytes, s.Rest()); err != nil {
		return nil, err
	}
	b.report(sum.Bytes, true)
	return sum, nil
}

// checkCut compares what the engine said before the RDB with what the RDB says.
func checkCut(c cut, sum *rdb.Summary) error {
	if id := sum.Aux.ReplID; id != "" && (id != c.replID || sum.Aux.ReplOffset != c.offset) {
		return fmt.Errorf("%w: the transfer announced offset %d of %s, the RDB is of offset %d of %s", ErrProtocol, c.offset, c.replID, sum.Aux.ReplOffset, id)
	}
	return nil
}
