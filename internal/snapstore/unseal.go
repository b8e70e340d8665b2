package snapstore

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
)

// unseal opens the parts one after the other and hands out their blocks.
func (r *shardReader) unseal() {
	defer close(r.order)
	defer close(r.work)
	var offset int64
	for i := range r.shard.Parts {
		p := &r.shard.Parts[i]
		src := &chunkReader{r: r}
		err := r.unsealPart(src, p, i == len(r.shard.Parts)-1, &offset)
		if err == nil {
			// What the bucket holds was hashed to its end; the verdict is the last thing that fetch sends.
			err = src.drain()
		} else if src.err != nil && !errors.Is(src.err, io.EOF) {
			err = src.err // the bytes did not come: no statement about them
		}
		if err != nil {
			r.cancel(err)
			return
		}
	}
}

// unsealPart walks the frames of one part.
func (r *shardReader) unsealPart(src io.Reader, p *Part, last bool, offset *int64) error {
	plain, err := r.aead.NewDecryptingReader(src, associated(r.capture, r.shard.Name, p.Number))
	if err != nil {
		return r.corrupt(p.Number, err, "seal")
	}
	var h [partTail]byte
	if err := r.full(plain, h[:partHead], p); err != nil {
		return err
	}
	if err := checkHeader(h[:partHead], p.Codec); err != nil {
		return r.corrupt(p.Number, err, "frame")
	}
	var n int64
	for {
		if err := r.full(plain, h[:blockHead], p); err != nil {
			return err
		}
		size, stored := binary.LittleEndian.Uint32(h[0:]), binary.LittleEndian.Uint32(h[4:])
		if size == 0 {
			break
		}
		if size > blockSize || stored > size || stored == 0 {
			return r.corrupt(p.Number, nil, "block of %d bytes in %d", size, stored)
		}
		if n += int64(size); n > p.PlainBytes {
			return r.corrupt(p.Number, nil, "more than %d bytes", p.PlainBytes)
		}
		if err := r.block(plain, p, int(size), int(stored)); err != nil {
			return err
		}
	}
	if err := r.full(plain, h[blockHead:], p); err != nil {
		return err
	}
	*offset += n
	end := binary.LittleEndian.Uint32(h[4:])
	switch {
	case n != p.PlainBytes:
		return r.corrupt(p.Number, nil, "%d bytes, want %d", n, p.PlainBytes)
	case binary.LittleEndian.Uint64(h[8:]) != uint64(*offset):
		return r.corrupt(p.Number, nil, "it does not follow the parts before it")
	case end > flagEnd || (end == flagEnd) != last:
		return r.corrupt(p.Number, nil, "end of stream: %d", end)
	}
	if k, err := io.ReadFull(plain, h[:1]); k != 0 || !errors.Is(err, io.EOF) {
		return r.corrupt(p.Number, err, "bytes after its end")
	}
	return nil
}

// block takes one block into a free unit and sends it to be decoded.
func (r *shardReader) block(plain io.Reader, p *Part, size, stored int) error {
	var u *unit
	select {
	case u = <-r.free:
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
	if u.out == nil {
		u.in, u.out = make([]byte, 0, blockSize), make([]byte, blockSize)
	}
	u.codec, u.part, u.in, u.out = p.Codec, p.Number, u.in[:0], u.out[:size]
	into := u.out
	if stored < size {
		u.in = u.in[:stored]
		into = u.in
	}
	if err := r.full(plain, into, p); err != nil {
		return err
	}
	r.work <- u
	r.order <- u
	return nil
}

// full reads len(buf) sealed bytes; anything but all of them means that the part is corrupt.
func (r *shardReader) full(plain io.Reader, buf []byte, p *Part) error {
	if _, err := io.ReadFull(plain, buf); err != nil {
		return r.corrupt(p.Number, err, "seal")
	}
	return nil
}

// chunkReader is one part as fetch delivers it.
type chunkReader struct {
	r    *shardReader
	buf  []byte
	rest []byte
	err  error // io.EOF at the part's end
}

func (c *chunkReader) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		c.recycle()
		if c.err != nil {
			return 0, c.err
		}
		select {
		case f, ok := <-c.r.fetched:
			switch {
			case !ok:
				if c.err = context.Cause(c.r.ctx); c.err == nil {
					c.err = io.ErrUnexpectedEOF
				}
			case f.err != nil:
				c.err = f.err
			default:
				c.buf, c.rest = f.data, f.data
			}
		case <-c.r.ctx.Done():
			c.err = context.Cause(c.r.ctx)
		}
	}
	n := copy(p, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.recycle()
	}
	return n, nil
}

func (c *chunkReader) recycle() {
	if c.buf != nil {
		c.r.chunks <- c.buf[:fetchSize]
		c.buf = nil
	}
}

// drain reads to the verdict of fetch and returns it, nil for a good part.
func (c *chunkReader) drain() error {
	var b [1]byte
	for c.err == nil {
		if _, err := c.Read(b[:]); err == nil {
			c.rest = nil
		}
	}
	if errors.Is(c.err, io.EOF) {
		return nil
	}
	return c.err
}
