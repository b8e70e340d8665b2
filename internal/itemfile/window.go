package itemfile

import (
	"fmt"
	"io"

	"github.com/keyframe/keyframe/rdb/crc64"
)

// need makes n bytes available at r.pos, in one piece. Memory grows only as they arrive.
func (r *Reader) need(n int) error {
	if len(r.buf)-r.pos >= n {
		return nil
	}
	r.drop()
	for len(r.buf) < n {
		if r.readErr != nil {
			if r.readErr == io.EOF {
				return &CorruptError{r.base + int64(len(r.buf)), r.section, "truncated", true}
			}
			return r.readErr
		}
		r.fill(n)
	}
	return nil
}

// take consumes bytes that are there. They stay valid until the next need.
func (r *Reader) take(n int) []byte {
	b := r.buf[r.pos : r.pos+n : r.pos+n]
	r.pos += n
	return b
}

// drop forgets what was consumed.
func (r *Reader) drop() {
	r.checksum()
	rest := r.buf[r.pos:]
	r.base += int64(r.pos)
	if cap(r.buf) > 8*readSize && len(rest) < readSize {
		r.buf = append(make([]byte, 0, readSize), rest...) // a large value is gone
	} else {
		r.buf = r.buf[:copy(r.buf, rest)]
	}
	r.pos, r.summed = 0, 0
}

// checksum brings crc up to what was consumed.
func (r *Reader) checksum() {
	r.crc = crc64.Update(r.crc, r.buf[r.summed:r.pos])
	r.summed = r.pos
}

// fill reads once. The buffer grows to at most twice what has arrived, and no further than n bytes.
func (r *Reader) fill(n int) {
	if len(r.buf) == cap(r.buf) {
		grown := make([]byte, len(r.buf), max(readSize, min(2*cap(r.buf), n)))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range 100 {
		got, err := r.src.Read(r.buf[len(r.buf):cap(r.buf)])
		if got < 0 || got > cap(r.buf)-len(r.buf) {
			got, err = 0, fmt.Errorf("itemfile: the reader claims %d bytes", got)
		}
		r.buf, r.readErr = r.buf[:len(r.buf)+got], err
		if got > 0 || err != nil {
			return
		}
	}
	r.readErr = io.ErrNoProgress
}

// uvarintAt reads a number that lies off bytes from here, in its shortest form, without consuming it, and its width.
func (r *Reader) uvarintAt(off int, most uint64) (v uint64, width int, err error) {
	for i := range 10 {
		if err := r.need(off + i + 1); err != nil {
			return 0, 0, err
		}
		b := r.buf[r.pos+off+i]
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if b == 0 && i > 0 {
				return 0, 0, r.corruptAt(r.offset()+int64(off), "a number is not in its shortest form")
			}
			if v > most || i == 9 {
				return 0, 0, r.corruptAt(r.offset()+int64(off), "the number %d: %d is the most here", v, most)
			}
			return v, i + 1, nil
		}
	}
	return 0, 0, r.corruptAt(r.offset()+int64(off), "a number of more than ten bytes")
}

func (r *Reader) offset() int64 { return r.base + int64(r.pos) }

func (r *Reader) corruptAt(at int64, format string, args ...any) error {
	return &CorruptError{at, r.section, fmt.Sprintf(format, args...), false}
}

func (r *Reader) corrupt(format string, args ...any) error {
	return r.corruptAt(r.offset(), format, args...)
}
