package snapstore

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/keyframe/keyframe/internal/blob"
)

// seal writes blocks into parts, in order. It always drains its channel, so that nobody waits for a pipeline that failed.
func (w *ShardWriter) seal() {
	defer close(w.commits)
	var p *sealing
	var offset int64
	for b := range w.order {
		<-b.ready
		if w.ctx.Err() == nil {
			var err error
			if p == nil {
				p, err = w.beginPart(b.part, b.codec)
			}
			if err == nil {
				offset += int64(len(b.in))
				err = p.add(b, offset)
			}
			if err != nil {
				w.cancel(fmt.Errorf("capture %s, shard %s, part %d: %w", w.c.id, w.name, b.part, err))
			} else if b.endPart {
				w.commits <- p.done()
				p = nil
			}
		}
		w.free <- b
	}
	if p != nil {
		p.abort()
	}
}

// commit makes parts durable, one behind the part that is being sealed.
func (w *ShardWriter) commit() {
	for c := range w.commits {
		if w.ctx.Err() != nil {
			c.w.Abort()
			continue
		}
		if err := c.w.Commit(); err != nil {
			w.cancel(fmt.Errorf("capture %s, shard %s, part %d: %w", w.c.id, w.name, c.part.Number, err))
			continue
		}
		w.parts = append(w.parts, c.part)
	}
}

// sealing is one part being written.
type sealing struct {
	part Part
	sink *hashedWriter
	aead io.WriteCloser
	head [blockHead]byte
}

func (w *ShardWriter) beginPart(number int, c Codec) (*sealing, error) {
	bw, err := w.c.s.bucket.Create(w.ctx, PartKey(w.c.id, w.name, number), blob.CreateOptions{IfAbsent: true})
	if err != nil {
		return nil, err
	}
	p := &sealing{part: Part{Number: number, Codec: c}, sink: newHashedWriter(bw)}
	if p.aead, err = w.c.aead.NewEncryptingWriter(p.sink, associated(w.c.id, w.name, number)); err == nil {
		_, err = p.aead.Write(header(c))
	}
	if err != nil {
		p.abort()
		return nil, err
	}
	return p, nil
}

// add writes a block, and what ends the part behind its last one.
func (p *sealing) add(b *block, offset int64) error {
	if len(b.in) > 0 {
		binary.LittleEndian.PutUint32(p.head[0:], uint32(len(b.in)))
		binary.LittleEndian.PutUint32(p.head[4:], uint32(len(b.out)))
		if _, err := p.aead.Write(p.head[:]); err != nil {
			return err
		}
		if _, err := p.aead.Write(b.out); err != nil {
			return err
		}
		p.part.PlainBytes += int64(len(b.in))
	}
	if !b.endPart {
		return nil
	}
	if _, err := p.aead.Write(trailer(b.end, offset)); err != nil {
		return err
	}
	return p.aead.Close()
}

func (p *sealing) done() commit {
	p.part.StoredBytes, p.part.SHA256 = p.sink.n, p.sink.sum()
	return commit{p.sink.w, p.part}
}

func (p *sealing) abort() {
	p.sink.stop()
	p.sink.w.Abort()
}

// hashedWriter hashes what it writes, at the same time.
type hashedWriter struct {
	w    blob.Writer
	h    hash.Hash
	n    int64
	in   chan []byte
	done chan struct{}
}

func newHashedWriter(w blob.Writer) *hashedWriter {
	h := &hashedWriter{w: w, h: sha256.New(), in: make(chan []byte), done: make(chan struct{})}
	go func() {
		for p := range h.in {
			h.h.Write(p)
			h.done <- struct{}{}
		}
	}()
	return h
}

func (h *hashedWriter) Write(p []byte) (int, error) {
	h.in <- p
	n, err := h.w.Write(p)
	<-h.done // p belongs to the caller again
	h.n += int64(n)
	return n, err
}

func (h *hashedWriter) stop() { close(h.in) }

func (h *hashedWriter) sum() string {
	h.stop()
	return hex.EncodeToString(h.h.Sum(nil))
}
