package snapstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"

	"github.com/keyframe/keyframe/internal/blob"
)

// A shard being written has so many blocks of 1 MiB in its pipeline; each has one buffer for the stream and one for the
// compressed bytes. With the sealer's own buffers that is some 16 MiB per shard.
const writeBlocks = 6

// Capture is a set of shard streams being written under one id and one data key.
type Capture struct {
	s    *Store
	ctx  context.Context
	id   string
	aead *subtle.AESGCMHKDF

	reports *subtle.AESGCMHKDF
}

// NewCapture begins a capture. Its id must be fresh: parts are never overwritten. Cancelling ctx fails all its writers.
func (s *Store) NewCapture(ctx context.Context, id string, key DataKey) (*Capture, error) {
	if err := checkID("capture", id); err != nil {
		return nil, err
	}
	aead, err := key.sealer()
	if err != nil {
		return nil, err
	}
	reports, err := key.reportSealer()
	if err != nil {
		return nil, err
	}
	return &Capture{s: s, ctx: ctx, id: id, aead: aead, reports: reports}, nil
}

// ShardBytes describes a shard's stream as it was stored.
type ShardBytes struct {
	Parts       []Part
	PlainBytes  int64
	StoredBytes int64
}

// block is one block of the stream on its way through the pipeline.
type block struct {
	in      []byte // of the stream
	buf     []byte // for the compressed bytes
	out     []byte // as stored: in buf, or in itself
	codec   Codec
	part    int
	endPart bool
	end     bool          // of the stream
	ready   chan struct{} // out is filled
}

// ShardWriter takes one shard's stream. Writes are compressed, sealed, hashed and stored by goroutines behind it. Use it
// from one goroutine, and end it with Close or Abort; Abort after Close does nothing.
type ShardWriter struct {
	c      *Capture
	name   string
	ctx    context.Context
	cancel context.CancelCauseFunc
	wg     sync.WaitGroup
	pace   pace

	cur     *block
	part    int
	inPart  int64
	codec   Codec
	free    chan *block
	work    chan *block // to the compressors
	order   chan *block // to the sealer, as the stream has them
	commits chan commit
	written atomic.Int64 // stream bytes taken

	parts  []Part // the committer's until it ended
	ended  bool
	result ShardBytes
	err    error
}

type commit struct {
	w    blob.Writer
	part Part
}

// Shard begins the stream of a shard. Each name may be used once per capture.
func (c *Capture) Shard(name string) (*ShardWriter, error) {
	if !shardPattern.MatchString(name) || name == reportName {
		return nil, fmt.Errorf("shard name %q is not one", name)
	}
	w := &ShardWriter{c: c, name: name, free: make(chan *block, writeBlocks), work: make(chan *block, writeBlocks),
		order: make(chan *block, writeBlocks), commits: make(chan commit, 1)}
	w.ctx, w.cancel = context.WithCancelCause(c.ctx)
	for range writeBlocks {
		w.free <- &block{ready: make(chan struct{}, 1)}
	}
	c.s.active.Add(1)
	w.pace.begin()
	w.nextPart()
	for range 2 {
		w.wg.Go(w.compress)
	}
	w.wg.Go(w.seal)
	w.wg.Go(w.commit)
	return w, nil
}

// Written is the number of stream bytes taken so far. It may be called from any goroutine.
func (w *ShardWriter) Written() int64 { return w.written.Load() }

// Write implements io.Writer. It blocks while the pipeline is full, and reports the failure of any of its stages.
func (w *ShardWriter) Write(p []byte) (int, error) {
	if w.ended {
		return 0, blob.ErrClosed
	}
	n := 0
	for len(p) > 0 {
		if w.cur != nil && len(w.cur.in) == blockSize {
			w.submit(false) // not before more bytes came: the stream's last block must say so
		}
		if w.cur == nil {
			if err := w.take(); err != nil {
				return n, err
			}
		}
		k := min(blockSize-len(w.cur.in), len(p))
		w.cur.in = append(w.cur.in, p[:k]...)
		n, p = n+k, p[k:]
		w.written.Add(int64(k))
	}
	return n, nil
}

// take waits for a free block.
func (w *ShardWriter) take() error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	select {
	case w.cur = <-w.free:
	default:
		since := time.Now()
		select {
		case w.cur = <-w.free:
			w.pace.blocked += time.Since(since)
		case <-w.ctx.Done():
			return context.Cause(w.ctx)
		}
	}
	if w.cur.in == nil {
		w.cur.in = make([]byte, 0, blockSize)
		w.cur.buf = make([]byte, blockSize+blockSize/6+64) // s2 wants room for what does not compress
	}
	w.cur.in = w.cur.in[:0]
	return nil
}

// submit sends the current block on. Neither channel can be full: both hold all blocks.
func (w *ShardWriter) submit(end bool) {
	b := w.cur
	w.cur = nil
	w.inPart += int64(len(b.in))
	b.part, b.codec, b.end = w.part, w.codec, end
	b.endPart = end || w.inPart >= w.c.s.part
	w.work <- b
	w.order <- b
	if b.endPart && !end {
		w.nextPart()
	}
}

func (w *ShardWriter) nextPart() {
	w.part++
	w.inPart = 0
	if w.codec = w.c.s.o.Codec; w.codec == "" {
		w.codec = w.pace.choose(w.c.s.active.Load())
	}
}

func (w *ShardWriter) compress() {
	for b := range w.work {
		since := time.Now()
		b.out = b.in
		if len(b.in) > 0 && w.ctx.Err() == nil {
			b.out = compress(b.codec, b.buf, b.in)
		}
		w.pace.busy.Add(int64(time.Since(since)))
		b.ready <- struct{}{}
	}
}

// Close ends the stream and waits until all parts are durable.
func (w *ShardWriter) Close() (ShardBytes, error) {
	if w.ended {
		return w.result, w.err
	}
	err := context.Cause(w.ctx)
	if err == nil && w.cur == nil {
		err = w.take() // an empty stream still has one part
	}
	if err == nil {
		w.submit(true)
	}
	w.finish()
	if err == nil {
		err = context.Cause(w.ctx)
	}
	w.cancel(blob.ErrClosed)
	if err != nil {
		w.err = err
		return ShardBytes{}, err
	}
	w.result.Parts = w.parts
	for _, p := range w.parts {
		w.result.PlainBytes += p.PlainBytes
		w.result.StoredBytes += p.StoredBytes
	}
	return w.result, nil
}

// Abort drops the stream. Parts that are durable already stay until the capture is deleted or swept.
func (w *ShardWriter) Abort() {
	if w.ended {
		return
	}
	w.err = errors.New("shard was aborted")
	w.cancel(w.err)
	w.finish()
}

func (w *ShardWriter) finish() {
	w.ended = true
	close(w.work)
	close(w.order)
	w.wg.Wait()
	w.c.s.active.Add(-1)
}
