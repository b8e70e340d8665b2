package rdb

import (
	"encoding/binary"
	"math"

	"github.com/keyframe/keyframe/rdb/lzf"
)

// form says how the start of a length or string is read, by its first byte: of the
// eight bytes from there on as a big-endian number, which bits are how many bytes
// follow, or what is added for a number that stands for itself.
type form struct {
	mask  uint64
	shift uint8
	size  uint8 // of the start; 0 for what is rare, is LZF or cannot be
	add   uint8
}

// One look-up spares the branches, which nobody could predict.
var forms = makeForms()

func makeForms() *[256]form {
	t := new([256]form)
	for b := range t {
		switch {
		case b < 0x40:
			t[b] = form{mask: 0x3f, shift: 56, size: 1}
		case b < 0x80:
			t[b] = form{mask: 0x3fff, shift: 48, size: 2}
		case b == length32:
			t[b] = form{mask: math.MaxUint32, shift: 24, size: 5}
		case b >= stringInt8 && b < stringLZF:
			t[b] = form{size: 1, add: 1 << (b & 3)}
		}
	}
	return t
}

// maxVisibleHead is the most that precedes a key: expiry, idle time, frequency,
// type and length. So many bytes hold the start of a string too.
const maxVisibleHead = 9 + 1 + maxLengthHead + 2 + 1 + 8

// passVisible walks the records that lie wholly in the window, as nearly all of
// nearly all files do. It stops in front of the first that does not, or that has
// anything unusual or wrong, of which it consumes nothing: so what it passes has
// been looked at no more than twice. Keys are shown where they lie.
func (s *Scanner) passVisible() error {
	p, r := s.buf[:s.end], &s.record
	for len(p)-s.pos >= maxVisibleHead {
		start, at := s.pos, s.pos
		op := p[at]
		at++
		expireAt, idle, freq := int64(0), int64(-1), -1
		if op >= opIdle {
			if op == opExpireMillis {
				expireAt = notZero(int64(binary.LittleEndian.Uint64(p[at:])))
				op = p[at+8]
				at += 9
			}
			if op == opIdle {
				n, size := lengthAt(p[at:])
				if size == 0 {
					return nil
				}
				idle = int64(min(n, math.MaxInt64))
				op = p[at+size]
				at += size + 1
			}
			if op == opFrequency {
				freq = int(p[at])
				op = p[at+1]
				at += 2
			}
		}
		if s.sum.Types[op] == 0 {
			return nil // not admitted yet, or no type
		}
		f := &forms[p[at]]
		n := binary.BigEndian.Uint64(p[at:]) >> (f.shift & 63) & f.mask
		from := at + int(f.size)
		if f.size == 0 || f.add != 0 || n > uint64(len(p)-from) {
			return nil
		}
		at = from + int(n)
		key := p[from:at:at]
		s.slot = -1
		if s.slots != nil || s.keys && !s.noSlots {
			s.slot = KeySlot(key)
			if s.slots != nil && !s.slots.Has(s.slot) {
				return nil
			}
		}
		elements := int64(-1)
		if op == typeString && len(p)-at >= 8 && forms[p[at]].size != 0 {
			f = &forms[p[at]]
			n = binary.BigEndian.Uint64(p[at:])>>(f.shift&63)&f.mask + uint64(f.add)
			at += int(f.size)
			if n > uint64(len(p)-at) {
				return nil
			}
			at += int(n)
		} else if at, elements = s.visibleValue(p, at, op); at < 0 {
			s.pos = start
			return nil
		}
		s.pos = at
		s.sum.Types[op]++
		s.dbKeys++
		if expireAt != 0 {
			s.sum.Expiring++
		}
		if s.onRecord == nil {
			continue
		}
		r.Offset, r.Size, r.DB, r.Type, r.Slot = s.base+int64(start), int64(at-start), s.db, op, s.slot
		r.ExpireAt, r.Idle, r.Freq, r.Elements = expireAt, idle, freq, elements
		if s.keys {
			r.Key = key
		}
		if err := s.onRecord(r); err != nil {
			return err
		}
	}
	return nil
}

// visibleValue returns where the value of type op ends that starts at p[at], and
// the number of its elements. end is -1 if it does not lie in p, or is not for
// here. It may move s.pos.
func (s *Scanner) visibleValue(p []byte, at int, op byte) (end int, elements int64) {
	strings, pad := uint64(1), 0
	switch op {
	case typeString, typeHashZipmap, typeListZiplist, typeSetIntset, typeZsetZiplist, typeHashZiplist, typeHashListpack, typeZsetListpack, typeSetListpack:
		return s.visibleBlob(p, at, op)
	case typeListQuicklist2:
		return s.visibleQuicklist(p, at)
	case typeList, typeSet:
	case typeHash:
		strings = 2
	case typeZset2:
		pad = 8
	default:
		return -1, 0
	}
	if len(p)-at < maxLengthHead {
		return -1, 0
	}
	n, size := lengthAt(p[at:])
	if size == 0 || n > maxBytes {
		return -1, 0
	}
	s.pos = at + size
	if s.skipVisibleStrings(n*strings, pad) > 0 {
		return -1, 0
	}
	return s.pos, int64(n)
}

// visibleBlob is visibleValue for one string.
func (s *Scanner) visibleBlob(p []byte, at int, op byte) (end int, elements int64) {
	if len(p)-at < maxStringHead {
		return -1, 0
	}
	var head stringHead
	if f := &forms[p[at]]; f.size != 0 {
		head.stored = binary.BigEndian.Uint64(p[at:])>>(f.shift&63)&f.mask + uint64(f.add)
		if f.add != 0 {
			head.form = p[at]
		}
		at += int(f.size)
	} else {
		if p[at] != stringLZF {
			return -1, 0
		}
		stored, k := lengthAt(p[at+1:])
		length, m := lengthAt(p[at+1+k:])
		head = stringHead{form: stringLZF, stored: stored, length: length}
		at += 1 + k + m
		if k == 0 || m == 0 || stored > maxBytes || length > stored*lzf.MaxRatio {
			return -1, 0
		}
	}
	if head.stored > uint64(len(p)-at) {
		return -1, 0
	}
	end = at + int(head.stored)
	if s.onRecord == nil || op == typeString {
		return end, -1
	}
	return end, countBlob(op, head, p[at:end])
}

// visibleQuicklist is visibleValue for the nodes of a list.
func (s *Scanner) visibleQuicklist(p []byte, at int) (end int, elements int64) {
	if len(p)-at < maxLengthHead {
		return -1, 0
	}
	nodes, size := lengthAt(p[at:])
	if size == 0 || nodes > maxBytes {
		return -1, 0
	}
	for at += size; nodes > 0; nodes-- {
		if at >= len(p) || p[at] != nodePlain && p[at] != nodePacked {
			return -1, 0
		}
		packed := p[at] == nodePacked
		count := int64(1)
		if at, count = s.visibleBlob(p, at+1, typeListQuicklist2); at < 0 {
			return -1, 0
		}
		if !packed {
			count = 1
		}
		elements = addCounts(elements, count)
	}
	return at, elements
}
