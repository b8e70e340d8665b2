package rdb

import (
	"bytes"
	"errors"
	"io"

	"github.com/keyframe/keyframe/rdb/lzf"
)

// Reader returns a string's text as a stream, whatever its length: it takes no
// more memory than the window, and 40 KiB if the text is compressed. Its errors
// are those of the scan. It ends with the record. A value that cannot be read
// so, such as a list, gives a reader of nothing but that error.
func (v *Value) Reader() io.Reader {
	if err := v.begin(KindString); err != nil {
		return failing{err}
	}
	head, start, err := v.stringHead()
	if err != nil {
		return failing{err}
	}
	switch head.form {
	case 0:
		return &plainReader{v: v, start: v.start}
	case stringLZF:
		if v.texts.unpacker == nil {
			v.texts.unpacker = new(lzf.Reader)
		}
		v.texts.unpacker.Reset(&plainReader{v: v, start: v.start}, int64(head.length))
		return &unpackingReader{v: v, start: v.start, at: start}
	}
	v.left = 0
	text, err := v.restOfString(v.texts.first[:0], head, start)
	v.texts.first = text
	if err != nil {
		return failing{err}
	}
	return bytes.NewReader(text)
}

// plainReader reads the bytes of a string as they lie in the file.
type plainReader struct {
	v     *Value
	start int64 // of the value, which it must still be
}

func (r *plainReader) ready() ([]byte, error) {
	v := r.v
	switch {
	case v.start != r.start || v.stage != valuePartly:
		return nil, ErrValueRead
	case v.left == 0:
		return nil, io.EOF
	}
	if err := v.s.need(1); err != nil {
		return nil, v.broke(err)
	}
	return v.s.buf[v.s.pos : v.s.pos+int(min(v.left, uint64(v.s.end-v.s.pos)))], nil
}

func (r *plainReader) took(n int) {
	r.v.s.pos += n
	r.v.left -= uint64(n)
}

func (r *plainReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	ready, err := r.ready()
	n := copy(p, ready)
	r.took(n)
	return n, err
}

// WriteTo spares io.Copy a buffer.
func (r *plainReader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		ready, err := r.ready()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(ready)
		if n < 0 || n > len(ready) {
			return total, io.ErrShortWrite
		}
		r.took(n)
		total += int64(n)
		if err == nil && n < len(ready) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return total, err
		}
	}
}

// unpackingReader reads the text of a compressed string.
type unpackingReader struct {
	v         *Value
	start, at int64 // of the value, and of what is compressed
}

func (r *unpackingReader) Read(p []byte) (int, error) {
	if r.v.start != r.start || r.v.stage != valuePartly {
		return 0, ErrValueRead
	}
	n, err := r.v.texts.unpacker.Read(p)
	if errors.Is(err, lzf.ErrCorrupt) {
		err = r.v.s.corruptAt(r.at, "LZF that does not hold the bytes it claims")
	}
	return n, err
}
