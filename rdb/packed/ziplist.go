package packed

import (
	"encoding/binary"
	"iter"
)

// Ziplist is what engines before 7.0 used in place of listpacks: every entry
// has the size of the one before in front.
//
// Layout: bytes in all (u32), offset of the last entry (u32), entries (u16,
// 65535 if unknown), entries, 0xFF; integers are little-endian except the
// lengths of texts. An entry is the size of the one before, in one byte or as
// 0xFE and u32, an encoding, maybe a length, and data.
type Ziplist []byte

const (
	ziplistHeader = 10
	ziplistLong   = 0xfe // the size of the entry before has four bytes
)

// Verify checks everything: the header with the offset of the last entry, every
// entry's bounds and the size in front of it, the count and the terminator. n is
// the number of elements.
func (z Ziplist) Verify() (n int, err error) {
	end, err := z.frame()
	if err != nil {
		return 0, err
	}
	pos, last := ziplistHeader, 0
	for before := 0; pos < end; n++ {
		e, err := z.entry(pos, end, before)
		if err != nil {
			return n, err
		}
		before, last, pos = e.next-pos, pos, e.next
	}
	return n, z.counted(n, last)
}

// All iterates over the elements in order. An error ends it, and comes last; it
// comes exactly if Verify finds one.
func (z Ziplist) All() iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) {
		end, err := z.frame()
		if err != nil {
			yield(Element{}, err)
			return
		}
		n, pos, last := 0, ziplistHeader, 0
		for before := 0; pos < end; n++ {
			e, err := z.entry(pos, end, before)
			if err != nil {
				yield(Element{}, err)
				return
			}
			if !yield(z.element(e), nil) {
				return
			}
			before, last, pos = e.next-pos, pos, e.next
		}
		if err := z.counted(n, last); err != nil {
			yield(Element{}, err)
		}
	}
}

// Len returns the number of elements that the header states, and whether it
// does. The blob may be longer or shorter than it should, but holds the header.
func (z Ziplist) Len() (n int, known bool) {
	if len(z) < ziplistHeader {
		return 0, false
	}
	n = int(binary.LittleEndian.Uint16(z[8:]))
	return n, n != unknownCount
}

// frame checks both ends, and returns the place of the terminator.
func (z Ziplist) frame() (end int, err error) {
	if len(z) < ziplistHeader+1 {
		return 0, broken(0, "a ziplist of %d bytes", len(z))
	}
	if size := binary.LittleEndian.Uint32(z); uint64(size) != uint64(len(z)) {
		return 0, broken(0, "the header of the ziplist says %d bytes, there are %d", size, len(z))
	}
	end = len(z) - 1
	if z[end] != terminator {
		return 0, broken(end, "byte %#02x where the ziplist should end", z[end])
	}
	if tail := binary.LittleEndian.Uint32(z[4:]); uint64(tail) > uint64(end) {
		return 0, broken(4, "the last entry at byte %d, behind the end of the ziplist", tail)
	}
	return end, nil
}

// counted compares the header's count and last entry with what was found.
func (z Ziplist) counted(n, last int) error {
	if tail := binary.LittleEndian.Uint32(z[4:]); n > 0 && uint64(tail) != uint64(last) {
		return broken(4, "the header of the ziplist says that the last entry is at byte %d, it is at %d", tail, last)
	}
	if stated, known := z.Len(); known && stated != n {
		return broken(8, "the header of the ziplist says %d elements, there are %d", stated, n)
	}
	return nil
}

// ziplistEntry is where an entry lies: its encoding at code, its data in
// [data,next).
type ziplistEntry struct{ code, data, next int }

// entry checks the entry at pos < end behind one of before bytes.
func (z Ziplist) entry(pos, end, before int) (e ziplistEntry, err error) {
	e.code = pos + 1
	said := uint64(z[pos])
	switch said {
	case terminator:
		return e, broken(pos, "the ziplist ends %d bytes too early", end-pos)
	case ziplistLong:
		if e.code = pos + 5; e.code < end {
			said = uint64(binary.LittleEndian.Uint32(z[pos+1:]))
		}
	}
	if e.code >= end {
		return e, broken(pos, "an entry runs over the end of the ziplist")
	}
	if said != uint64(before) {
		return e, broken(pos, "an entry behind one of %d bytes says %d", before, said)
	}
	size := uint64(0)
	switch b := z[e.code]; {
	case b < 0x40:
		e.data, size = e.code+1, uint64(b)
	case b < 0x80:
		if e.data = e.code + 2; e.data <= end {
			size = uint64(b&0x3f)<<8 | uint64(z[e.code+1])
		}
	case b < 0xc0:
		if e.data = e.code + 5; e.data <= end {
			size = uint64(binary.BigEndian.Uint32(z[e.code+1:]))
		}
	default:
		size = ziplistInteger(b)
		if e.data = e.code + 1; size > 8 {
			return e, broken(e.code, "byte %#02x starts no element of a ziplist", b)
		}
	}
	if e.data > end || size > uint64(end-e.data) {
		return e, broken(pos, "an entry runs over the end of the ziplist")
	}
	e.next = e.data + int(size)
	return e, nil
}

// ziplistInteger is the number of bytes behind the encoding of an integer, more
// than 8 if there is no such encoding.
func ziplistInteger(b byte) uint64 {
	switch b {
	case 0xc0:
		return 2
	case 0xd0:
		return 4
	case 0xe0:
		return 8
	case 0xf0:
		return 3
	case 0xfe:
		return 1
	}
	if b > 0xf0 && b < 0xfe {
		return 0
	}
	return 9
}

// element makes an Element of what entry found.
func (z Ziplist) element(e ziplistEntry) Element {
	p := z[e.data:e.next:e.next]
	var v int64
	switch b := z[e.code]; b {
	case 0xc0:
		v = int64(int16(binary.LittleEndian.Uint16(p)))
	case 0xd0:
		v = int64(int32(binary.LittleEndian.Uint32(p)))
	case 0xe0:
		v = int64(binary.LittleEndian.Uint64(p))
	case 0xf0:
		v = int64(int32(uint32(p[0])<<8|uint32(p[1])<<16|uint32(p[2])<<24) >> 8)
	case 0xfe:
		v = int64(int8(p[0]))
	default:
		if b < 0xc0 {
			return Element{Text: p}
		}
		v = int64(b) - 0xf1
	}
	return Element{Int: v, Number: true}
}
