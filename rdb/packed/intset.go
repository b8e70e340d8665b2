package packed

import (
	"encoding/binary"
	"iter"
)

// Intset is a sorted set of integers that are all stored with the same width.
//
// Layout: width in bytes (u32: 2, 4 or 8), members (u32), members in ascending
// order; everything is little-endian.
type Intset []byte

const intsetHeader = 8

// Verify checks everything: the header, the length and the strict order. n is
// the number of members, which is at least one: no engine loads an empty one.
func (s Intset) Verify() (n int, err error) {
	width, n, err := s.frame()
	if err != nil {
		return 0, err
	}
	for i, before := 1, s.at(0, width); i < n; i++ {
		v := s.at(i, width)
		if v <= before {
			return i, unsorted(i, width, v, before)
		}
		before = v
	}
	return n, nil
}

// All iterates over the members in order. An error ends it, and comes last; it
// comes exactly if Verify finds one.
func (s Intset) All() iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) {
		width, n, err := s.frame()
		if err != nil {
			yield(Element{}, err)
			return
		}
		before := int64(0)
		for i := range n {
			v := s.at(i, width)
			if i > 0 && v <= before {
				yield(Element{}, unsorted(i, width, v, before))
				return
			}
			before = v
			if !yield(Element{Int: v, Number: true}, nil) {
				return
			}
		}
	}
}

// Len returns the number of members that the header states. The blob may be
// longer or shorter than it should, but holds the header.
func (s Intset) Len() (n int, known bool) {
	if len(s) < intsetHeader {
		return 0, false
	}
	return int(binary.LittleEndian.Uint32(s[4:])), true
}

func unsorted(i, width int, v, before int64) error {
	return broken(intsetHeader+i*width, "%d in an intset comes after %d", v, before)
}

// frame checks the header against the length.
func (s Intset) frame() (width, n int, err error) {
	if len(s) < intsetHeader {
		return 0, 0, broken(0, "an intset of %d bytes", len(s))
	}
	w, count := binary.LittleEndian.Uint32(s), binary.LittleEndian.Uint32(s[4:])
	switch {
	case w != 2 && w != 4 && w != 8:
		return 0, 0, broken(0, "an intset whose members have %d bytes", w)
	case count == 0:
		return 0, 0, broken(4, "an intset without members")
	case intsetHeader+uint64(w)*uint64(count) != uint64(len(s)):
		return 0, 0, broken(4, "an intset of %d members of %d bytes each cannot have %d in all", count, w, len(s))
	}
	return int(w), int(count), nil
}

func (s Intset) at(i, width int) int64 {
	p := s[intsetHeader+i*width:]
	switch width {
	case 2:
		return int64(int16(binary.LittleEndian.Uint16(p)))
	case 4:
		return int64(int32(binary.LittleEndian.Uint32(p)))
	}
	return int64(binary.LittleEndian.Uint64(p))
}
