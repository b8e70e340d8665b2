package rdb

import (
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/keyframe/keyframe/rdb/lzf"
	"github.com/keyframe/keyframe/rdb/packed"
)

// deep is what a Scanner needs to verify values.
type deep struct {
	seen      seen
	blob      []byte // one that was compressed
	stored    []byte // one, or the LZF of one, that does not lie in the window
	text      []byte // of an element
	names     seen   // of consumers
	long      *lzf.Reader
	pendingID maphash.Seed
}

func newDeep(wanted bool) *deep {
	if !wanted {
		return nil
	}
	return &deep{seen: newSeen(lastSeen), names: newSeen(lastSeen - 1), pendingID: maphash.MakeSeed()}
}

// trim gives up what only an unusual value needed.
func (d *deep) trim() {
	for _, p := range []*[]byte{&d.blob, &d.stored, &d.text} {
		if cap(*p) > keepKey {
			*p = nil
		}
	}
}

// passValue consumes the value of a record whose type was admitted, and verifies
// it if that was asked for.
func (s *Scanner) passValue() error {
	if s.deep == nil {
		return s.skipValue()
	}
	return s.verifyValue()
}

func (s *Scanner) verifyValue() error {
	switch s.op {
	case typeList:
		return s.verifyList()
	case typeSet, typeZset, typeZset2, typeHash:
		return s.verifyMembers()
	case typeHashZipmap, typeListZiplist, typeSetIntset, typeZsetZiplist, typeHashZiplist, typeHashListpack, typeZsetListpack,
		typeSetListpack:
		return s.verifyPacked()
	case typeListQuicklist, typeListQuicklist2:
		return s.verifyQuicklist()
	case typeStream1:
		return s.verifyStream(1)
	case typeStream2:
		return s.verifyStream(2)
	case typeStream3:
		return s.verifyStream(3)
	}
	if s.family == valkey && s.op == typeValkeyHash2 || s.family == redis && s.op == typeRedisHashTTL {
		return s.verifyMembers()
	}
	if s.family == redis && s.op == typeRedisHashPackEx {
		if err := s.skip(8); err != nil { // the earliest expiry
			return err
		}
		return s.verifyPacked()
	}
	return s.skipValue() // strings and modules: LZF is verified wherever it is skipped
}

// readMembers consumes the number of a collection's elements.
func (s *Scanner) readMembers() (uint64, error) {
	n, err := s.readCount()
	if err == nil && n == 0 {
		s.sum.EmptyKeys++
	}
	return n, err
}

// blobAt is where a blob that is being verified came from.
type blobAt struct {
	offset int64 // of its bytes in the file
	lzf    bool  // they are compressed
}

// readBlob consumes a string that holds a packed blob, and returns the blob. It
// is good until something else is consumed.
func (s *Scanner) readBlob() ([]byte, blobAt, error) {
	start := s.offset()
	head, err := s.readStringHead()
	at := blobAt{s.offset(), head.form == stringLZF}
	if err != nil {
		return nil, at, err
	}
	if head.form != 0 && !at.lzf {
		return nil, at, s.corruptAt(start, "an integer where a packed blob should be")
	}
	if n := max(head.length, head.stored); n > packed.MaxSize {
		return nil, at, s.corruptAt(start, "a packed blob of %d bytes is longer than %d", n, packed.MaxSize)
	}
	var p []byte
	if fits, err := s.fits(head.stored); err != nil {
		return nil, at, err
	} else if n := int(head.stored); fits {
		p = s.buf[s.pos : s.pos+n]
		s.pos += n
	} else {
		s.deep.stored, err = s.appendBytes(s.deep.stored[:0], head.stored)
		if err != nil {
			return nil, at, err
		}
		p = s.deep.stored
	}
	if !at.lzf {
		return p, at, nil
	}
	// It may be claimed to be at most lzf.MaxRatio times what has arrived.
	if uint64(cap(s.deep.blob)) < head.length {
		s.deep.blob = make([]byte, max(head.length, 16<<10))
	}
	s.deep.blob = s.deep.blob[:head.length]
	if lzf.Decode(s.deep.blob, p) != nil {
		return nil, at, s.brokenLZF(start, head.length)
	}
	return s.deep.blob, at, nil
}

// fits brings the next n bytes into the window if there is room for them.
func (s *Scanner) fits(n uint64) (bool, error) {
	if n > uint64(max(s.end-s.pos, len(s.buf)/2)) {
		return false, nil
	}
	return true, s.need(int(n))
}

func (s *Scanner) brokenLZF(start int64, length uint64) error {
	return s.corruptAt(start, "LZF that does not hold the %d bytes it claims", length)
}

// brokenBlob blames what is inside a blob.
func (s *Scanner) brokenBlob(at blobAt, offset int, reason string) error {
	if at.lzf {
		return s.corruptAt(at.offset, "byte %d of what is compressed here: %s", offset, reason)
	}
	return s.corruptAt(at.offset+int64(offset), "%s", reason)
}

// brokenPacked is brokenBlob for an error of package packed.
func (s *Scanner) brokenPacked(at blobAt, err error) error {
	var broken *packed.Error
	if !errors.As(err, &broken) {
		return fmt.Errorf("rdb: %w", err)
	}
	return s.brokenBlob(at, broken.Offset, broken.Reason)
}
