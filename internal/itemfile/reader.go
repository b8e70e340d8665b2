package itemfile

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/keyframe/keyframe/rdb/crc64"
)

// Options bound what a Reader accepts.
type Options struct {
	MaxValue int // greatest value in bytes [MaxValue]; a larger one is refused
}

// Reader reads one file. It must not be used by several goroutines at once.
type Reader struct {
	// Tally, if not nil, counts the items too. It may be set before the first Next.
	Tally *Tally

	src      io.Reader
	maxValue int
	skipping bool // items are not kept, nor hashed

	buf     []byte // what was read and is not yet dropped
	pos     int    // of the next byte
	base    int64  // offset in the file of buf[0]
	summed  int    // bytes of buf that are in crc
	crc     uint64
	readErr error

	section string
	item    Item
	sum     Summary
	err     error
}

const readSize = 128 << 10

// NewReader reads the header of a file. Errors match ErrCorrupt, or are those of r.
func NewReader(r io.Reader, o Options) (*Reader, error) {
	fr := &Reader{src: r, maxValue: o.MaxValue, section: "header"}
	if fr.maxValue <= 0 || fr.maxValue > MaxValue {
		fr.maxValue = MaxValue
	}
	if err := fr.header(); err != nil {
		return nil, err
	}
	return fr, nil
}

// Header is what the file says about itself.
func (r *Reader) Header() Header { return r.sum.Header }

func (r *Reader) header() error {
	if err := r.need(len(magic) + 8 + 1); err != nil {
		return err
	}
	b := r.take(len(magic))
	if string(b[:len(magic)-1]) != magic[:len(magic)-1] {
		return r.corruptAt(0, "these are not items of a Memcached cache")
	}
	if v := b[len(magic)-1]; v != magic[len(magic)-1] {
		return r.corruptAt(int64(len(magic)-1), "version %q is not known: %q is", v, magic[len(magic)-1])
	}
	created := binary.LittleEndian.Uint64(r.take(8))
	if created > maxExpiry {
		return r.corruptAt(int64(len(magic)), "it claims to be of second %d", created)
	}
	r.sum.Created = time.Unix(int64(created), 0).UTC()
	for _, field := range []struct {
		to  *string
		max int
	}{{&r.sum.Source, maxSource}, {&r.sum.Engine, maxEngine}} {
		if err := r.need(1); err != nil {
			return err
		}
		n := int(r.take(1)[0])
		if n > field.max {
			return r.corrupt("a text of %d bytes: %d are possible", n, field.max)
		}
		if err := r.need(n); err != nil {
			return err
		}
		*field.to = string(r.take(n))
	}
	return nil
}

// Next returns the next item, which is valid until the next call, or io.EOF when the file ended as it should: its end record matches the items
// that were read, the checksum is right, and nothing follows. Other errors match ErrCorrupt, or are those of the underlying reader. What was
// read before an error must not be trusted.
func (r *Reader) Next() (*Item, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := r.next(); err != nil {
		r.err = err
		return nil, err
	}
	return &r.item, nil
}

func (r *Reader) next() error {
	r.section = "item"
	if err := r.need(1); err != nil {
		return err
	}
	switch tag := r.buf[r.pos]; tag {
	case tagItem:
		r.pos++
		return r.readItem()
	case tagEnd:
		r.pos++
		return r.end()
	default:
		return r.corrupt("%d is not the tag of a record", tag)
	}
}

// readItem reads a record behind its tag. From the flags to the end of the value it stays in one piece.
func (r *Reader) readItem() error {
	expire, width, err := r.uvarintAt(0, maxExpiry)
	if err != nil {
		return err
	}
	r.pos += width
	if err := r.need(5); err != nil {
		return err
	}
	r.section = "key"
	keyLen := int(r.buf[r.pos+4])
	if keyLen == 0 || keyLen > MaxKey {
		return r.corruptAt(r.offset()+4, "a key of %d bytes: 1 to %d are possible", keyLen, MaxKey)
	}
	if err := r.need(5 + keyLen); err != nil {
		return err
	}
	r.section = "value"
	size, width, err := r.uvarintAt(5+keyLen, uint64(r.maxValue))
	if err != nil {
		return err
	}
	head := 5 + keyLen + width
	if r.skipping {
		r.pos += head
		return r.skip(keyLen, int64(size), expire != 0)
	}
	if err := r.need(head + int(size)); err != nil {
		return err
	}
	record := r.take(head + int(size))
	it := &r.item
	it.Flags, it.ExpireAt = binary.LittleEndian.Uint32(record), int64(expire)
	it.Key, it.Value = record[5:5+keyLen:5+keyLen], record[head:]
	h := sha256.Sum256(record)
	r.sum.add(it, &h)
	if r.Tally != nil {
		r.Tally.add(it, &h)
	}
	return nil
}

// end reads the end record and compares it with what was read.
func (r *Reader) end() error {
	r.section = "end"
	if err := r.need(endSize + crc64.Size); err != nil {
		return err
	}
	at := r.offset()
	want, got := r.take(endSize), &r.sum.Sum
	if r.skipping { // the hashes are only known from here
		got.Content = Content{binary.BigEndian.Uint64(want[32:]), binary.BigEndian.Uint64(want[40:])}
		got.Expiry = binary.BigEndian.Uint64(want[48:])
	}
	if string(appendEnd(nil, got)[1:]) != string(want) {
		return r.corruptAt(at, "it counts other items than these")
	}
	r.checksum()
	crc := r.crc
	at = r.offset()
	if stored := binary.LittleEndian.Uint64(r.take(crc64.Size)); stored != crc {
		return r.corruptAt(at, "the checksum is %016x, of these bytes it would be %016x", stored, crc)
	}
	r.sum.Bytes = r.offset()
	if r.pos == len(r.buf) {
		r.drop()
		r.fill(1)
	}
	switch {
	case r.pos < len(r.buf):
		return r.corrupt("bytes follow")
	case r.readErr != io.EOF:
		return r.readErr
	}
	return io.EOF
}

// Summary is of the whole file, after Next has returned io.EOF; nil before.
func (r *Reader) Summary() *Summary {
	if r.err != io.EOF {
		return nil
	}
	sum := r.sum
	return &sum
}

// Scan walks a file without keeping items: structure, counts and checksum are verified, and the content hash is the one that the end record
// states. Errors are those of NewReader and Next.
func Scan(src io.Reader, o Options) (*Summary, error) {
	r, err := NewReader(src, o)
	if err != nil {
		return nil, err
	}
	r.skipping = true
	for {
		switch _, err := r.Next(); {
		case errors.Is(err, io.EOF) && r.Summary() != nil:
			return r.Summary(), nil
		case err != nil:
			return nil, err
		}
	}
}

func (r *Reader) skip(keyLen int, size int64, expiring bool) error {
	r.sum.Items++
	r.sum.KeyBytes += int64(keyLen)
	r.sum.ValueBytes += size
	if expiring {
		r.sum.Expiring++
	}
	for size > 0 {
		if err := r.need(1); err != nil {
			return err
		}
		n := min(size, int64(len(r.buf)-r.pos))
		r.pos += int(n)
		size -= n
	}
	return nil
}
