package lzf

import "io"

// Reader unpacks a block of any size in a fixed memory of some 40 KiB: the text
// that references may still want, and a piece of the block.
type Reader struct {
	src  io.Reader
	left int64 // bytes of text that are still to be decoded
	err  error // what comes when everything decoded has been read

	in       []byte // of the block, read and not yet decoded
	packed   [4 << 10]byte
	text     [maxDistance + textRoom]byte
	from, to int // of text: decoded and not yet read
}

// textRoom is how much is decoded between two moves of the 8 KiB behind it.
const textRoom = 24 << 10

// NewReader returns a Reader of the block that src holds, from its first byte to
// EOF, which must decode to n bytes. Where it does not, Read returns ErrCorrupt
// behind the last good byte. Errors of src are returned as they are; the end of a
// block in the middle of an item is ErrCorrupt.
func NewReader(src io.Reader, n int64) *Reader {
	r := &Reader{}
	r.Reset(src, n)
	return r
}

// Reset makes the Reader one of another block.
func (r *Reader) Reset(src io.Reader, n int64) {
	r.src, r.left, r.err, r.in, r.from, r.to = src, n, nil, nil, 0, 0
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.from == r.to {
		if r.err != nil {
			return 0, r.err
		}
		r.decode()
	}
	n := copy(p, r.text[r.from:r.to])
	r.from += n
	return n, nil
}

// WriteTo implements io.WriterTo.
func (r *Reader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		if r.from < r.to {
			n, err := w.Write(r.text[r.from:r.to])
			r.from += n
			total += int64(n)
			if err == nil && r.from < r.to {
				err = io.ErrShortWrite
			}
			if err != nil {
				return total, err
			}
		}
		if r.err == io.EOF {
			return total, nil
		}
		if r.err != nil {
			return total, r.err
		}
		r.decode()
	}
}

// decode makes text until there is no room for another item. All that was made
// before has been read.
func (r *Reader) decode() {
	if r.to > maxDistance {
		r.to = copy(r.text[:], r.text[r.to-maxDistance:r.to])
	}
	r.from = r.to
	for len(r.text)-r.to >= maxReference {
		more, err := r.ahead()
		if err != nil {
			r.err = err
			return
		}
		if !more {
			if r.err = io.EOF; r.left != 0 {
				r.err = ErrCorrupt
			}
			return
		}
		end := r.to + int(min(r.left, int64(len(r.text)-r.to)))
		d, i := decodeWide(r.text[:end], r.in, r.to)
		if i > 0 {
			r.left -= int64(d - r.to)
			r.to, r.in = d, r.in[i:]
			continue
		}
		if !r.item() {
			r.err = ErrCorrupt
			return
		}
	}
}

// item decodes one item, which is ahead as a whole unless the block is cut.
func (r *Reader) item() bool {
	c := int(r.in[0])
	if c < 32 {
		n := c + 1
		if n >= len(r.in) || int64(n) > r.left {
			return false
		}
		copy(r.text[r.to:], r.in[1:1+n])
		r.in = r.in[1+n:]
		r.to += n
		r.left -= int64(n)
		return true
	}
	n, distance, next, ok := reference(r.in, 1, c)
	if !ok || distance > r.to || int64(n) > r.left {
		return false
	}
	r.in = r.in[next:]
	repeat(r.text[:r.to+n], r.to, distance)
	r.to += n
	r.left -= int64(n)
	return true
}

// ahead makes sure that a whole item is in r.in, or all that is left of the
// block; more is false at its end.
func (r *Reader) ahead() (more bool, err error) {
	for empty := 0; len(r.in) < maxItem && r.src != nil; {
		have := copy(r.packed[:], r.in)
		n, err := r.src.Read(r.packed[have:])
		if n < 0 || n > len(r.packed)-have {
			return false, io.ErrNoProgress
		}
		r.in = r.packed[:have+n]
		switch {
		case err == io.EOF:
			r.src = nil
		case err != nil:
			return false, err
		case n > 0:
			empty = 0
		default:
			if empty++; empty == 100 {
				return false, io.ErrNoProgress
			}
		}
	}
	return len(r.in) > 0, nil
}
