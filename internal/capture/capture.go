// Package capture takes a consistent cut out of live engines over the replication protocol: it poses as a replica that wants the RDB and
// nothing after it, walks every record as the bytes arrive, and passes them on to a writer.
//
// A capture succeeds only if the engine sent a whole RDB: the scanner found its end and its checksum right, and the transfer ended
// at the same byte. Whatever else happens is an error, and what the writer has received until then is worthless.
package capture

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/rdb"
)

// Source is an engine to capture: a primary, or a replica that is in step with one.
type Source struct {
	Address  string      // ip:port
	TLS      *tls.Config // nil is plain TCP
	User     string      // empty logs in with the password alone; a user needs +ping +replconf +psync, and +info for the fork's cost
	Password engine.Secret
}

// Options tune a capture. The zero value is good.
type Options struct {
	// ProgressTimeout fails a capture during which not one byte arrived for so long [60 s]. Engines that are busy with another child send a
	// newline every second, so a long wait for the fork does not count.
	ProgressTimeout time.Duration
	// OnProgress is told how many bytes of the RDB have arrived, and of how many; 0 is unknown, as in diskless transfers. It is called about ten
	// times a second, from the goroutine that reads, and must not block.
	OnProgress func(bytes, total int64)
	// Announce is the engine version that we pose as [9.1.0]. Newer primaries choose the RDB version by it.
	Announce string

	Buffer   int64         // bytes in memory between engine and writer [8 MiB]
	SpoolDir string        // directory of the spool file [the system's temporary directory]
	SpoolMax int64         // bytes in the spool file, 0 is no limit; negative never spools: a slow writer slows the engine down
	Patience time.Duration // how long the engine may be kept waiting for the writer, in all, before the spool takes over [5 s]
}

func (o Options) withDefaults() Options {
	if o.ProgressTimeout <= 0 {
		o.ProgressTimeout = time.Minute
	}
	if o.Announce == "" {
		o.Announce = "9.1.0"
	}
	if o.Buffer <= 0 {
		o.Buffer = 8 << 20
	}
	if o.Patience <= 0 {
		o.Patience = 5 * time.Second
	}
	return o
}

// Framing is how the engine delimited the RDB.
type Framing string

const (
	Diskless Framing = "diskless" // streamed by the child as it saved, between two copies of a random mark
	Disk     Framing = "disk"     // saved to a file first, sent with its length
)

// Result describes a capture that succeeded.
type Result struct {
	ReplID string // replication id and offset: the point in the command stream at which the cut lies
	Offset int64
	CutAt  time.Time // when the engine announced the fork

	Framing       Framing
	Summary       *rdb.Summary
	EngineVersion string        // from INFO, else from the RDB
	ForkMicros    int64         // what the fork cost the engine, in microseconds; 0 if it would not say
	Duration      time.Duration // from connecting to the writer's last byte
	Transfer      time.Duration // from connecting to the last byte received; the engine was rid of us then
	Spooled       int64         // bytes that went through the spool because the writer was slower than the engine
}

// Target is a shard to capture and where its RDB goes. W gets large writes, from one goroutine; it must return by itself when the capture's
// context ends, because nothing else can interrupt it.
type Target struct {
	Source Source
	W      io.Writer
}

// ErrManyShards says that several shards cannot be cut at one instant yet.
var ErrManyShards = errors.New("capture: several shards at one instant are not supported by this version")

// Capture takes one cut through all shards. With one shard the cut is an instant by itself, and nothing is paused.
func Capture(ctx context.Context, shards []Target, o Options) ([]*Result, error) {
	switch len(shards) {
	case 0:
		return nil, errors.New("capture: no shards")
	case 1:
		r, err := Shard(ctx, shards[0].Source, shards[0].W, o)
		if err != nil {
			return nil, err
		}
		return []*Result{r}, nil
	}
	return nil, ErrManyShards
}

// Shard captures one engine and writes its RDB to w.
func Shard(ctx context.Context, src Source, w io.Writer, o Options) (*Result, error) {
	o = o.withDefaults()
	start := time.Now()
	l, err := dial(ctx, src, o.ProgressTimeout)
	if err != nil {
		return nil, explain(ctx, src, "connect", err)
	}
	defer l.close()
	cut, err := l.request(src, o)
	if err != nil {
		return nil, explain(ctx, src, "ask for the data", err)
	}
	body, err := l.body()
	if err != nil {
		return nil, explain(ctx, src, "start the transfer", err)
	}
	info := learn(ctx, src)
	defer info.stop()

	r := &Result{ReplID: cut.replID, Offset: cut.offset, CutAt: cut.at, Framing: body.framing}
	q := newQueue(o, l.close)
	defer q.spool.close()
	wrote := make(chan error, 1)
	go func() { wrote <- q.drain(w) }()
	// The queue unblocks the reader when the context ends, and the reader the writer.
	unhook := context.AfterFunc(ctx, func() { q.fail(context.Cause(ctx)) })
	defer unhook()

	body.onProgress = o.OnProgress
	r.Summary, err = receive(body, q)
	l.close()
	r.Transfer = time.Since(start)
	if err == nil {
		err = checkCut(cut, r.Summary)
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
		return nil, explain(ctx, src, "transfer", err)
	}
	r.Spooled = q.spooled // both goroutines are done with the queue
	r.EngineVersion, r.ForkMicros = info.result()
	if r.EngineVersion == "" {
		r.EngineVersion = r.Summary.Aux.EngineVersion
	}
	r.Duration = time.Since(start)
	return r, nil
}

// receive reads the whole transfer and checks that the RDB ends where the transfer does.
func receive(b *body, tee io.Writer) (*rdb.Summary, error) {
	s := rdb.NewScanner(b, rdb.Options{Tee: tee})
	sum, err := s.Scan()
	if b.err != nil && b.err != io.EOF {
		return nil, b.err // the link, not the bytes
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
