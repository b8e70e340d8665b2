package rdb

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/keyframe/keyframe/rdb/lzf"
)

// walk calls yield for each element until it returns false. Whatever ends it,
// v.left is the number of items, elements or blobs, that were not begun, and the
// scanner stands at the first of them, unless v.err is set.
func (v *Value) walk(yield func(Element) bool) error {
	switch v.kind {
	case KindList, KindSet, KindSortedSet, KindHash:
	default:
		return fmt.Errorf("%w: a %s has no elements", ErrKind, v.kind)
	}
	if err := v.begin(v.kind); err != nil {
		return err
	}
	if isPacked(v.s.family, v.typ) {
		return v.walkPacked(yield)
	}
	if v.typ == typeRedisHashTTL {
		if err := v.s.need(8); err != nil {
			return v.broke(err)
		}
		v.minimum = int64(binary.LittleEndian.Uint64(v.s.buf[v.s.pos:]))
		v.s.pos += 8
	}
	n, err := v.s.readCount()
	if err != nil {
		return v.broke(err)
	}
	for v.left = n; v.left > 0; {
		v.left--
		e, err := v.readElement()
		if err != nil {
			return err
		}
		if !yield(e) {
			return errStopped
		}
	}
	return nil
}

// readElement consumes one element that is not packed. After an error other than
// v.err the whole of it is consumed too.
func (v *Value) readElement() (e Element, err error) {
	s := v.s
	start := s.offset()
	var ttl uint64
	if v.typ == typeRedisHashTTL {
		if ttl, err = s.readLength(); err != nil {
			return e, v.broke(err)
		}
	}
	switch v.typ {
	case typeList, typeSet:
		e.Text, err = v.readString(&v.texts.first, false)
		return e, err
	}
	var textErr, valueErr error
	e.Text, textErr = v.readString(&v.texts.first, true)
	if v.err != nil {
		return e, v.err
	}
	switch v.typ {
	case typeZset:
		e.Score, valueErr = v.readTextScore()
	case typeZset2:
		if err := s.need(8); err != nil {
			return e, v.broke(err)
		}
		e.Score = math.Float64frombits(binary.LittleEndian.Uint64(s.buf[s.pos:]))
		s.pos += 8
	case typeHash:
		e.Value, valueErr = v.readString(&v.texts.second, false)
	case typeRedisHashTTL:
		e.Value, valueErr = v.readString(&v.texts.second, false)
		if at := v.minimum + int64(ttl) - 1; ttl != 0 && valueErr == nil && !e.expire(at) {
			valueErr = s.corruptAt(start, "a field that expires at %d", at)
		}
	default: // typeValkeyHash2
		e.Value, valueErr = v.readString(&v.texts.second, true)
		if v.err != nil {
			return e, v.err
		}
		if err := s.need(8); err != nil {
			return e, v.broke(err)
		}
		if at := int64(binary.LittleEndian.Uint64(s.buf[s.pos:])); at != -1 && valueErr == nil && !e.expire(at) {
			valueErr = s.corrupt("a field that expires at %d", at)
		}
		s.pos += 8
	}
	if textErr != nil {
		return e, textErr
	}
	return e, valueErr
}

// expire gives a field its expiry. One before 1970 is damage, not a time: false.
func (e *Element) expire(ms int64) bool {
	e.ExpireAt = notZero(ms)
	return ms >= 0
}

// readTextScore consumes a score of the first form: text behind its length, or
// one of three lone bytes.
func (v *Value) readTextScore() (float64, error) {
	s := v.s
	if err := s.need(1); err != nil {
		return 0, v.broke(err)
	}
	at := s.offset()
	size := s.buf[s.pos]
	s.pos++
	switch size {
	case 253:
		return math.NaN(), nil
	case 254:
		return math.Inf(1), nil
	case 255:
		return math.Inf(-1), nil
	}
	text, err := s.appendBytes(v.texts.second[:0], uint64(size))
	v.texts.second = text
	if err != nil {
		return 0, v.broke(err)
	}
	score, err := parseScoreText(text)
	if err != nil {
		return 0, s.corruptAt(at, "%.40q is no score", text)
	}
	return score, nil
}

// readString consumes one string and returns its text, either in memory of
// its own, for which room is used, or, unless keep, in the window. An error that
// is not v.err leaves the scanner behind the string.
func (v *Value) readString(room *[]byte, keep bool) ([]byte, error) {
	s := v.s
	if s.end-s.pos >= maxLengthHead {
		n, size := lengthAt(s.buf[s.pos:s.end])
		if from := s.pos + size; size > 0 && n <= uint64(s.end-from) {
			s.pos = from + int(n)
			p := s.buf[from:s.pos:s.pos]
			if keep {
				*room = append((*room)[:0], p...)
				p = *room
			}
			return p, nil
		}
	}
	start := s.offset()
	head, err := s.readStringHead()
	if err != nil {
		return nil, v.broke(err)
	}
	if size := max(head.stored, head.length); size > MaxElement {
		if err := s.skip(head.stored); err != nil {
			return nil, v.broke(err)
		}
		return nil, fmt.Errorf("%w: %d bytes at offset %d, for %d", ErrTooLarge, size, start, MaxElement)
	}
	*room, err = v.restOfString((*room)[:0], head, start)
	return *room, err
}

// restOfString consumes a string behind its head, which is at start and was
// bounded, and appends its text to dst.
func (v *Value) restOfString(dst []byte, head stringHead, start int64) (_ []byte, err error) {
	s := v.s
	if head.form != stringLZF {
		dst, err = s.readText(dst, head, start)
		return dst, v.broke(err)
	}
	stored := s.buf[s.pos:s.end]
	if uint64(len(stored)) >= head.stored {
		stored = stored[:head.stored]
		s.pos += len(stored)
	} else {
		if s.packed, err = s.appendBytes(s.packed[:0], head.stored); err != nil {
			return dst, v.broke(err)
		}
		stored = s.packed
	}
	// The head was not believed if it claims more than lzf.MaxRatio times what has
	// arrived by now.
	had := len(dst)
	dst = slices.Grow(dst, int(head.length))[:had+int(head.length)]
	if lzf.Decode(dst[had:], stored) != nil {
		return dst[:had], s.corruptAt(start, "LZF that does not hold the %d bytes it claims", head.length)
	}
	return dst, nil
}
