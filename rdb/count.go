package rdb

import "encoding/binary"

// isPacked tells the types whose elements lie in packed blobs.
func isPacked(f family, t byte) bool {
	switch t {
	case typeHashZipmap, typeListZiplist, typeSetIntset, typeZsetZiplist, typeHashZiplist, typeListQuicklist,
		typeHashListpack, typeZsetListpack, typeListQuicklist2, typeSetListpack:
		return true
	}
	return f == redis && t == typeRedisHashPackEx
}

// readCount consumes the number of a collection's elements.
func (s *Scanner) readCount() (uint64, error) {
	n, err := s.readLength()
	if err != nil {
		return 0, err
	}
	if n > maxBytes {
		return 0, s.corrupt("a count of %d is impossible", n)
	}
	s.elements = int64(n)
	return n, nil
}

// blobHead is as much of a packed blob as tells its number of elements, behind
// the byte that starts LZF.
const blobHead = 1 + 10

// skipBlobs consumes n packed blobs and adds up what they say about their
// elements, if somebody wants to know.
func (s *Scanner) skipBlobs(n uint64) error {
	if s.onRecord == nil {
		return s.skipStrings(n, 0)
	}
	total := int64(0)
	for ; n > 0; n-- {
		count, err := s.skipBlob()
		if err != nil {
			return err
		}
		total = addCounts(total, count)
	}
	s.elements = total
	return nil
}

// skipBlob consumes one packed blob and returns how many elements it has by its
// head, -1 if that does not tell.
func (s *Scanner) skipBlob() (int64, error) {
	head, err := s.readStringHead()
	if err != nil {
		return 0, err
	}
	if err := s.need(int(min(head.stored, blobHead))); err != nil {
		return 0, err
	}
	count := countBlob(s.op, head, s.buf[s.pos:s.end])
	return count, s.skip(head.stored)
}

// addCounts adds numbers of elements of which any may be -1, not known.
func addCounts(a, b int64) int64 {
	if a < 0 || b < 0 {
		return -1
	}
	return a + b
}

// countBlob reads the number of elements, of a hash fields, from the start p of a
// blob that belongs to a value of type t.
func countBlob(t byte, head stringHead, p []byte) int64 {
	if uint64(len(p)) > head.stored {
		p = p[:head.stored]
	}
	switch {
	case head.form == stringLZF && len(p) > 0 && p[0] < 32:
		// Most blobs start with what does not compress, so that their heads are
		// literal: the first control byte tells how much.
		p = p[1:min(len(p), int(p[0])+2)]
	case head.form != 0:
		return -1
	}
	count, size := -1, 0
	switch t {
	case typeHashZipmap:
		if len(p) > 0 && p[0] < 254 {
			return int64(p[0])
		}
		return -1
	case typeSetIntset:
		if len(p) >= 8 {
			return int64(binary.LittleEndian.Uint32(p[4:]))
		}
		return -1
	case typeListZiplist, typeZsetZiplist, typeHashZiplist, typeListQuicklist:
		size = 10
	default:
		size = 6
	}
	if len(p) >= size {
		count = int(binary.LittleEndian.Uint16(p[size-2:]))
	}
	switch {
	case count < 0 || count == 0xffff:
		return -1
	case t == typeZsetZiplist || t == typeHashZiplist || t == typeHashListpack || t == typeZsetListpack:
		return int64(count / 2)
	case t == typeRedisHashPackEx:
		return int64(count / 3)
	}
	return int64(count)
}

// peekElements returns the number of elements in the value that starts at the
// next byte, as far as its start tells, and -1 otherwise. It consumes nothing.
func (s *Scanner) peekElements() int64 {
	switch s.family.kind(s.op) {
	case KindList, KindSet, KindSortedSet, KindHash:
	default:
		return -1
	}
	at := 0
	if s.op >= typeFamilySpecific && s.family == redis {
		at = 8 // the earliest expiry
	}
	switch {
	case s.op == typeListQuicklist || s.op == typeListQuicklist2:
		return -1
	case !isPacked(s.family, s.op):
		if n, _, ok := s.peekLength(at); ok && n <= maxBytes {
			return int64(n)
		}
		return -1
	}
	if s.need(at+1) != nil {
		return -1
	}
	var head stringHead
	ok := true
	if s.buf[s.pos+at] == stringLZF {
		head.form = stringLZF
		if head.stored, at, ok = s.peekLength(at + 1); ok {
			_, at, ok = s.peekLength(at)
		}
	} else {
		head.stored, at, ok = s.peekLength(at)
	}
	if !ok || s.need(at+int(min(head.stored, blobHead))) != nil {
		return -1
	}
	return countBlob(s.op, head, s.buf[s.pos+at:s.end])
}

// peekLength returns the length that lies so many bytes ahead, and where it ends.
func (s *Scanner) peekLength(at int) (n uint64, next int, ok bool) {
	if s.need(at+1) != nil {
		return 0, 0, false
	}
	size := lengthSize(s.buf[s.pos+at])
	if size == 0 || s.need(at+size) != nil {
		return 0, 0, false
	}
	var p [maxLengthHead]byte
	copy(p[:], s.buf[s.pos+at:s.end])
	n, _ = lengthAt(p[:])
	return n, at + size, true
}

// lengthSize returns how many bytes a length has that starts with b; 0 if none
// does.
func lengthSize(b byte) int {
	switch {
	case b < 0x40:
		return 1
	case b < 0x80:
		return 2
	case b == length32:
		return 5
	case b == length64:
		return 9
	}
	return 0
}
