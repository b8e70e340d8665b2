package itemfile

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keyframe/keyframe/rdb/crc64"
)

// chunk is how much a Writer passes on at once; values of more go around its buffer.
const chunk = 128 << 10

// Writer writes one file. It must not be used by several goroutines at once.
type Writer struct {
	// Tally, if not nil, counts the items too. It may be set before the first Write.
	Tally *Tally

	w    io.Writer
	buf  []byte
	crc  uint64
	sum  Summary
	err  error
	done bool
}

// NewWriter begins a file. Nothing is written before the first chunk is full.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	if len(h.Source) > maxSource || len(h.Engine) > maxEngine {
		return nil, fmt.Errorf("itemfile: source and engine may have %d and %d bytes", maxSource, maxEngine)
	}
	if h.Created.Unix() < 0 || h.Created.Unix() > maxExpiry {
		return nil, errors.New("itemfile: the time of creation is before 1970 or far away")
	}
	fw := &Writer{w: w, buf: make([]byte, 0, chunk+chunk/8)}
	h.Created = time.Unix(h.Created.Unix(), 0).UTC()
	fw.sum.Header = h
	b := append(fw.buf, magic...)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Created.Unix()))
	b = append(append(b, byte(len(h.Source))), h.Source...)
	fw.buf = append(append(b, byte(len(h.Engine))), h.Engine...)
	return fw, nil
}

// Write adds an item; it keeps nothing of it. After an error of the underlying writer every call returns that error.
func (w *Writer) Write(it *Item) error {
	switch {
	case w.err != nil:
		return w.err
	case w.done:
		return errors.New("itemfile: Write after Close")
	case len(it.Key) == 0 || len(it.Key) > MaxKey:
		return fmt.Errorf("itemfile: a key of %d bytes: 1 to %d are possible", len(it.Key), MaxKey)
	case len(it.Value) > MaxValue:
		return fmt.Errorf("itemfile: a value of %d bytes: %d are possible", len(it.Value), MaxValue)
	case it.ExpireAt < 0 || it.ExpireAt > maxExpiry:
		return fmt.Errorf("itemfile: expiry %d is no Unix time: 0 to %d are possible", it.ExpireAt, int64(maxExpiry))
	}
	b := append(w.buf, tagItem)
	b = binary.AppendUvarint(b, uint64(it.ExpireAt))
	hashed := len(b)
	b = binary.LittleEndian.AppendUint32(b, it.Flags)
	b = append(append(b, byte(len(it.Key))), it.Key...)
	b = binary.AppendUvarint(b, uint64(len(it.Value)))
	var h [sha256.Size]byte
	if len(it.Value) <= chunk/8 {
		b = append(b, it.Value...)
		h = sha256.Sum256(b[hashed:])
		w.buf = b
	} else {
		d := sha256.New()
		d.Write(b[hashed:])
		d.Write(it.Value)
		d.Sum(h[:0])
		w.buf = b
		w.flush()
		w.pass(it.Value)
	}
	w.sum.add(it, &h)
	if w.Tally != nil {
		w.Tally.add(it, &h)
	}
	if len(w.buf) >= chunk {
		w.flush()
	}
	return w.err
}

func (w *Writer) flush() {
	w.pass(w.buf)
	w.buf = w.buf[:0]
}

// pass hands bytes to the underlying writer.
func (w *Writer) pass(b []byte) {
	if w.err != nil || len(b) == 0 {
		return
	}
	w.crc = crc64.Update(w.crc, b)
	n, err := w.w.Write(b)
	if err == nil && n != len(b) {
		err = io.ErrShortWrite
	}
	w.sum.Bytes += int64(n)
	w.err = err
}

// Sum is of the items so far.
func (w *Writer) Sum() Sum { return w.sum.Sum }

// Close writes the end record and returns what the file holds. It does not close the underlying writer.
func (w *Writer) Close() (*Summary, error) {
	if w.done {
		return nil, errors.New("itemfile: Close called twice")
	}
	w.done = true
	w.buf = appendEnd(w.buf, &w.sum.Sum)
	w.flush()
	w.pass(binary.LittleEndian.AppendUint64(nil, w.crc))
	if w.err != nil {
		return nil, w.err
	}
	sum := w.sum
	return &sum, nil
}

// appendEnd appends the end record without its checksum.
func appendEnd(b []byte, s *Sum) []byte {
	b = append(b, tagEnd)
	for _, n := range []int64{s.Items, s.Expiring, s.KeyBytes, s.ValueBytes} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	b = binary.BigEndian.AppendUint64(b, s.Content.Hi)
	b = binary.BigEndian.AppendUint64(b, s.Content.Lo)
	return binary.BigEndian.AppendUint64(b, s.Expiry)
}
