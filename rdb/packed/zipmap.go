package packed

import (
	"encoding/binary"
	"iter"
)

// Zipmap is how engines before 2.6 stored small hashes.
//
// Layout: pairs (one byte; 254 if unknown), pairs, 0xFF. A pair is the length of
// the field, the field, the length of the value, a byte that counts unused
// bytes, the value and the unused bytes. A length is one byte, or one from 254 on
// and u32, little-endian.
type Zipmap []byte

const zipmapLong = 254

// Verify checks everything: every pair's bounds, the count and the terminator. n
// is the number of pairs.
func (z Zipmap) Verify() (n int, err error) {
	end, err := z.frame()
	if err != nil {
		return 0, err
	}
	for pos := 1; pos < end; n++ {
		if _, _, pos, err = z.pair(pos, end); err != nil {
			return n, err
		}
	}
	return n, z.counted(n)
}

// All iterates over field, value, field, ... in order. An error ends it, and
// comes last; it comes exactly if Verify finds one.
func (z Zipmap) All() iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) {
		end, err := z.frame()
		if err != nil {
			yield(Element{}, err)
			return
		}
		n := 0
		for pos := 1; pos < end; n++ {
			field, value, next, err := z.pair(pos, end)
			if err != nil {
				yield(Element{}, err)
				return
			}
			if !yield(Element{Text: field}, nil) || !yield(Element{Text: value}, nil) {
				return
			}
			pos = next
		}
		if err := z.counted(n); err != nil {
			yield(Element{}, err)
		}
	}
}

// Len returns the number of pairs that the header states, and whether it does.
func (z Zipmap) Len() (n int, known bool) {
	if len(z) == 0 {
		return 0, false
	}
	return int(z[0]), z[0] < zipmapLong
}

func (z Zipmap) frame() (end int, err error) {
	if len(z) < 2 {
		return 0, broken(0, "a zipmap of %d bytes", len(z))
	}
	end = len(z) - 1
	if z[end] != terminator {
		return 0, broken(end, "byte %#02x where the zipmap should end", z[end])
	}
	return end, nil
}

func (z Zipmap) counted(n int) error {
	if z[0] != zipmapLong && int(z[0]) != n {
		return broken(0, "the header of the zipmap says %d pairs, there are %d", z[0], n)
	}
	return nil
}

// pair checks the pair at pos < end.
func (z Zipmap) pair(pos, end int) (field, value []byte, next int, err error) {
	if z[pos] == terminator {
		return nil, nil, 0, broken(pos, "the zipmap ends %d bytes too early", end-pos)
	}
	from, size, ok := z.length(pos, end)
	if !ok || size >= uint64(end-from) {
		return nil, nil, 0, broken(pos, "a field runs over the end of the zipmap")
	}
	at := from + int(size)
	field = z[from:at:at]
	from, size, ok = z.length(at, end)
	if !ok || from >= end || size+uint64(z[from]) > uint64(end-from-1) {
		return nil, nil, 0, broken(at, "a value runs over the end of the zipmap")
	}
	unused := int(z[from])
	from++
	stop := from + int(size)
	return field, z[from:stop:stop], stop + unused, nil
}

// length reads the length at pos < end; the data starts at from.
func (z Zipmap) length(pos, end int) (from int, n uint64, ok bool) {
	if z[pos] < zipmapLong {
		return pos + 1, uint64(z[pos]), true
	}
	if end-pos < 5 {
		return 0, 0, false
	}
	return pos + 5, uint64(binary.LittleEndian.Uint32(z[pos+1:])), true
}
