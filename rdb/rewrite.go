package rdb

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/keyframe/keyframe/rdb/packed"
)

// A file of a lower version, or of the other family, may have to store a value in
// another type. While
// such a record is walked, what must not be in the new file is left out of what
// is passed on, and what takes its place is put in between. Memory holds one
// packed blob, or one element, at a time.

// olderType returns the newest type, up to a version, that holds what values of
// type t do; false if there is none but t, or not even that.
func olderType(t byte, version int) (byte, bool) {
	switch {
	case t == typeSetListpack && version < 11:
		return typeSet, true
	case t == typeStream3 && version == 10:
		return typeStream2, true
	case (t == typeStream3 || t == typeStream2) && version < 10:
		return typeStream1, true
	case t == typeHashListpack && version < 10:
		return typeHash, true
	case t == typeZsetListpack && version < 10:
		return typeZset2, true
	case t == typeListQuicklist2 && version < 10:
		return typeListQuicklist, true
	}
	return 0, false
}

// handOn passes on what was consumed.
func (s *Scanner) handOn() error {
	if s.feed != nil {
		return s.handOver()
	}
	return s.pass()
}

// leaveOut consumes with f what shall not be in the new file.
func (s *Scanner) leaveOut(f func() error) error {
	if err := s.handOn(); err != nil {
		return err
	}
	s.omitting = true
	err := f()
	if err == nil {
		err = s.handOn()
	}
	s.omitting = false
	return err
}

// putIn passes on bytes that the source has not.
func (s *Scanner) putIn(p []byte) error {
	if s.feed != nil {
		return s.feed.more(p)
	}
	n, err := s.tee.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("rdb: pass on %d bytes at offset %d: %w", len(p), s.offset(), err)
	}
	return nil
}

// replaceType puts another type in the place of the one that was just consumed.
func (s *Scanner) replaceType(older byte) error {
	if s.onValue != nil {
		return fmt.Errorf("%w to version %d: the value of type %d at offset %d must be rewritten, and OnValue wants to read it",
			ErrCannotLower, s.ceiling, s.op, s.offset())
	}
	s.pos--
	if err := s.handOn(); err != nil {
		return err
	}
	if err := s.leaveOut(func() error { s.pos++; return nil }); err != nil {
		return err
	}
	return s.putIn([]byte{older})
}

// rewriteValue consumes a value and passes it on as one of another type.
func (s *Scanner) rewriteValue(older byte) error {
	switch older {
	case typeStream1:
		s.streamForm = 1
	case typeStream2:
		s.streamForm = 2
	case typeListQuicklist:
		return s.rewriteQuicklist()
	case typeValkeyHash2, typeRedisHashTTL:
		if s.op != typeRedisHashPackEx {
			return s.rewriteFields(older)
		}
		return s.rewriteListpack()
	default:
		return s.rewriteListpack()
	}
	err := s.skipValue()
	s.streamForm = 0
	return err
}

// only consumes with f a part of a stream that forms before since do not have.
func (s *Scanner) only(since int, f func() error) error {
	if s.streamForm != 0 && s.streamForm < since {
		return s.leaveOut(f)
	}
	return f()
}

// rewriteBatch is how much text is collected before it is put in.
const rewriteBatch = 32 << 10

// rewriteListpack makes a plain set, hash or sorted set out of a listpack.
func (s *Scanner) rewriteListpack() error {
	s.value = Value{s: s, kind: s.family.kind(s.op), typ: s.op, texts: s.value.texts}
	v := &s.value
	var b blob
	expiring := s.op == typeRedisHashPackEx
	err := s.leaveOut(func() (err error) {
		if expiring {
			if err := s.skip(8); err != nil { // the earliest expiry, which the fields repeat
				return err
			}
		}
		b, err = v.readBlob()
		return err
	})
	if err != nil {
		return err
	}
	n, err := packed.Listpack(b.p).Verify()
	if err != nil {
		return v.broken(b, err)
	}
	switch { // that it comes out even is seen below
	case expiring:
		n /= 3
	case v.kind != KindSet:
		n /= 2
	}
	s.elements = int64(n)
	out := appendLength(s.fresh[:0], uint64(n))
	var failed error
	err = v.group(packed.Listpack(b.p).All(), func(e Element) bool {
		switch {
		case expiring:
			out = putField(out, e)
		case v.kind == KindHash:
			out = putString(putString(out, e.Text), e.Value)
		case v.kind == KindSortedSet:
			out = binary.LittleEndian.AppendUint64(putString(out, e.Text), math.Float64bits(e.Score))
		default:
			out = putString(out, e.Text)
		}
		if len(out) >= rewriteBatch {
			failed = s.putIn(out)
			out = out[:0]
		}
		return failed == nil
	})
	switch {
	case failed != nil:
		return failed
	case err == errHalf:
		return s.corruptAt(b.offset, "the last element lacks what belongs to it")
	case err != nil:
		return v.broken(b, err)
	}
	return s.putFresh(out)
}

// putFresh puts in what was built in s.fresh, and keeps that for the next time.
func (s *Scanner) putFresh(out []byte) error {
	if s.fresh = out; cap(out) > keepKey {
		s.fresh = nil
	}
	s.value.texts.trim()
	return s.putIn(out)
}

// rewriteQuicklist makes ziplists out of a list's listpacks, node by node.
func (s *Scanner) rewriteQuicklist() error {
	s.value = Value{s: s, kind: KindList, typ: s.op, texts: s.value.texts}
	n, err := s.readLength()
	if err != nil {
		return err
	}
	total := int64(0)
	for ; n > 0; n-- {
		count, err := s.rewriteNode()
		if err != nil {
			return err
		}
		total += int64(count)
	}
	s.elements = total
	s.value.texts.trim()
	return nil
}

// rewriteNode makes one ziplist, and returns how many elements it has.
func (s *Scanner) rewriteNode() (int, error) {
	v := &s.value
	var b blob
	var container uint64
	err := s.leaveOut(func() (err error) {
		if container, err = s.readLength(); err == nil {
			b, err = v.readBlob()
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	z := &s.ziplist
	z.Reset()
	switch container {
	case nodePlain:
		z.Add(b.p)
	case nodePacked:
		for e, err := range packed.Listpack(b.p).All() {
			if err != nil {
				return 0, v.broken(b, err)
			}
			if e.Number {
				z.AddInt(e.Int)
			} else {
				z.Add(e.Text)
			}
		}
	default:
		return 0, s.corruptAt(b.offset, "list node of kind %d", container)
	}
	p := z.Bytes()
	if err := s.putIn(appendLength(s.fresh[:0], uint64(len(p)))); err != nil {
		return 0, err
	}
	err = s.putIn(p)
	if len(p) > keepKey {
		s.ziplist = packed.ZiplistBuilder{}
	}
	return z.Len(), err
}

// putString appends a string, as an integer if it is the text of one. It does not
// compress: what reads the new file may be waiting for it.
func putString(dst, text []byte) []byte {
	if n, ok := packed.ParseInteger(text); ok && len(text) <= longestInteger {
		switch {
		case n == int64(int8(n)):
			return append(dst, stringInt8, byte(n))
		case n == int64(int16(n)):
			return binary.LittleEndian.AppendUint16(append(dst, stringInt16), uint16(n))
		case n == int64(int32(n)):
			return binary.LittleEndian.AppendUint32(append(dst, stringInt32), uint32(n))
		}
	}
	return append(appendLength(dst, uint64(len(text))), text...)
}
