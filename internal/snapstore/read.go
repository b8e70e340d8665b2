package snapstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"

	"github.com/keyframe/keyframe/internal/blob"
)

const (
	fetchSize  = 256 << 10 // of one read from the bucket
	fetchAhead = 16
	readBlocks = 6 // blocks of 1 MiB being decoded: twice that in buffers
)

// Open reads a shard's stream. Everything that Read returns has been authenticated; a part's hash and the stream's end are
// checked by the time of io.EOF. The next parts are fetched and decoded ahead; memory stays below 24 MiB. Errors: ErrCorrupt,
// those of the bucket. Close must be called, and may be at any time.
func (s *Store) Open(ctx context.Context, m *Manifest, key DataKey, shard string) (io.ReadCloser, error) {
	sh := m.Shard(shard)
	if sh == nil {
		return nil, fmt.Errorf("snapshot %s has no shard %q", m.SnapshotID, shard)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", m.SnapshotID, err)
	}
	aead, err := key.sealer()
	if err != nil {
		return nil, err
	}
	return openShard(ctx, s.bucket, aead, m.CaptureID, sh), nil
}

func openShard(ctx context.Context, b blob.Bucket, aead *subtle.AESGCMHKDF, capture string, sh *Shard) *shardReader {
	r := &shardReader{bucket: b, aead: aead, capture: capture, shard: sh,
		chunks: make(chan []byte, fetchAhead), fetched: make(chan fetched, fetchAhead),
		free: make(chan *unit, readBlocks), work: make(chan *unit, readBlocks), order: make(chan *unit, readBlocks)}
	r.ctx, r.cancel = context.WithCancelCause(ctx)
	for range readBlocks {
		r.free <- &unit{ready: make(chan error, 1)}
	}
	for range fetchAhead {
		r.chunks <- nil
	}
	r.wg.Go(r.fetch)
	r.wg.Go(r.unseal)
	for range 2 {
		r.wg.Go(r.decode)
	}
	return r
}

// unit is one block on its way to the reader.
type unit struct {
	in    []byte // as stored
	out   []byte // of the stream
	codec Codec
	part  int
	ready chan error
}

// fetched is a piece of a part, or how the part ended: io.EOF or an error.
type fetched struct {
	data []byte
	err  error
}

type shardReader struct {
	bucket  blob.Bucket
	aead    *subtle.AESGCMHKDF
	capture string
	shard   *Shard
	ctx     context.Context
	cancel  context.CancelCauseFunc
	wg      sync.WaitGroup

	chunks  chan []byte // empty buffers for fetch
	fetched chan fetched
	free    chan *unit
	work    chan *unit
	order   chan *unit

	cur  *unit
	rest []byte
	err  error
}

func (r *shardReader) corrupt(part int, cause error, format string, args ...any) error {
	return &CorruptError{Capture: r.capture, Shard: r.shard.Name, Part: part, Reason: fmt.Sprintf(format, args...), Cause: cause}
}

// Read implements io.Reader.
func (r *shardReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if err := r.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// WriteTo implements io.WriterTo: no copy of the blocks.
func (r *shardReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if len(r.rest) > 0 {
			n, err := w.Write(r.rest)
			total += int64(n)
			r.rest = r.rest[n:]
			if err != nil {
				return total, err
			}
		}
		if err := r.advance(); errors.Is(err, io.EOF) {
			return total, nil
		} else if err != nil {
			return total, err
		}
	}
}

// advance takes the next block; the last one is free again.
func (r *shardReader) advance() error {
	if r.err != nil {
		return r.err
	}
	if r.cur != nil {
		r.free <- r.cur
		r.cur = nil
	}
	u, ok := <-r.order
	if !ok {
		if r.err = context.Cause(r.ctx); r.err == nil {
			r.err = io.EOF
		}
		return r.err
	}
	if err := <-u.ready; err != nil {
		r.err = err
		r.cancel(err)
		return err
	}
	r.cur, r.rest = u, u.out
	return nil
}

// Close stops everything that reads ahead.
func (r *shardReader) Close() error {
	r.cancel(errors.New("reader was closed"))
	r.wg.Wait()
	if r.err == nil {
		r.err = errors.New("read of a closed shard")
	}
	r.rest = nil
	return nil
}

// decode decompresses blocks.
func (r *shardReader) decode() {
	for u := range r.work {
		if len(u.in) == 0 {
			u.ready <- nil // stored as it is, in out already
			continue
		}
		var err error
		if derr := decompress(u.codec, u.out, u.in); derr != nil {
			err = r.corrupt(u.part, derr, "block")
		}
		u.ready <- err
	}
}

// fetch reads and hashes the parts. The next part is opened while one is read, to hide the store's latency.
func (r *shardReader) fetch() {
	defer close(r.fetched)
	type opened struct {
		r   io.ReadCloser
		err error
	}
	open := func(i int) chan opened {
		c := make(chan opened, 1)
		if i < len(r.shard.Parts) {
			go func() {
				rc, err := r.bucket.Open(r.ctx, PartKey(r.capture, r.shard.Name, i+1), 0, -1)
				c <- opened{rc, err}
			}()
		} else {
			c <- opened{}
		}
		return c
	}
	next := open(0)
	h := sha256.New()
	for i := range r.shard.Parts {
		cur := <-next
		next = open(i + 1)
		err := cur.err
		if err == nil {
			h.Reset()
			err = r.fetchPart(cur.r, &r.shard.Parts[i], h)
			cur.r.Close()
		} else if errors.Is(err, blob.ErrNotFound) {
			err = r.corrupt(i+1, err, "missing")
		}
		if err == nil {
			err = io.EOF
		}
		select {
		case r.fetched <- fetched{err: err}:
		case <-r.ctx.Done():
			err = r.ctx.Err()
		}
		if !errors.Is(err, io.EOF) {
			break
		}
	}
	if last := <-next; last.r != nil {
		last.r.Close()
	}
}

func (r *shardReader) fetchPart(rc io.Reader, p *Part, h hash.Hash) error {
	var n int64
	for {
		var buf []byte
		select {
		case buf = <-r.chunks:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
		if buf == nil {
			buf = make([]byte, fetchSize)
		}
		k, err := io.ReadFull(rc, buf[:fetchSize])
		if n += int64(k); n > p.StoredBytes {
			return r.corrupt(p.Number, nil, "more than %d stored bytes", p.StoredBytes)
		}
		h.Write(buf[:k])
		if k > 0 {
			select {
			case r.fetched <- fetched{data: buf[:k]}:
			case <-r.ctx.Done():
				return context.Cause(r.ctx)
			}
		} else {
			r.chunks <- buf
		}
		switch {
		case err == nil:
			continue
		case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return fmt.Errorf("read %s: %w", PartKey(r.capture, r.shard.Name, p.Number), err)
		case n != p.StoredBytes:
			return r.corrupt(p.Number, nil, "%d stored bytes, want %d", n, p.StoredBytes)
		case hex.EncodeToString(h.Sum(nil)) != p.SHA256:
			return r.corrupt(p.Number, nil, "SHA-256 does not match")
		}
		return nil
	}
}
