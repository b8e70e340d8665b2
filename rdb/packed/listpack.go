package packed

import (
	"encoding/binary"
	"iter"
)

// Listpack is a blob of elements, each with its own length behind it so that it
// can be walked from either end.
//
// Layout: bytes in all (u32), elements (u16, 65535 if unknown), elements, 0xFF;
// integers are little-endian. An element is an encoding byte, maybe a length,
// data, and the size of these in 1 to 5 bytes of 7 bits, read from the end.
type Listpack []byte

const listpackHeader = 6

// listpackSizes is the size of encoding and data by the first byte, or 0 if
// more has to be read, or none exists.
var listpackSizes = func() (sizes [256]uint8) {
	for b := range 256 {
		switch {
		case b < 0x80:
			sizes[b] = 1
		case b < 0xc0:
			sizes[b] = uint8(1 + b&0x3f)
		case b < 0xe0:
			sizes[b] = 2
		case b >= 0xf1 && b <= 0xf3:
			sizes[b] = uint8(b - 0xf1 + 3)
		case b == 0xf4:
			sizes[b] = 9
		}
	}
	return sizes
}()

// Verify checks everything: the header, every element's bounds and length
// behind it, the count and the terminator. n is the number of elements.
func (l Listpack) Verify() (n int, err error) {
	end, err := l.frame()
	if err != nil {
		return 0, err
	}
	pos := listpackHeader
	for ; pos < end; n++ {
		// Nearly all elements are short, with their length in one byte behind.
		size := int(listpackSizes[l[pos]])
		if size != 0 && pos+size < end && l[pos+size] == byte(size) {
			pos += size + 1
			continue
		}
		if _, _, pos, err = l.entry(pos, end); err != nil {
			return n, err
		}
	}
	return n, l.counted(n)
}

// All iterates over the elements in order. An error ends it, and comes last; it
// comes exactly if Verify finds one.
func (l Listpack) All() iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) {
		for w := l.Walk(); ; {
			e, ok := w.Next()
			if !ok {
				if err := w.Err(); err != nil {
					yield(Element{}, err)
				}
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// ListpackWalk steps through a Listpack, for readers of what is nested in it.
type ListpackWalk struct {
	l       Listpack
	at, pos int
	end     int // place of the terminator; 0 when the walk is over
	n       int
	err     error
}

// Walk begins at the first element.
func (l Listpack) Walk() ListpackWalk {
	end, err := l.frame()
	return ListpackWalk{l: l, at: listpackHeader, pos: listpackHeader, end: end, err: err}
}

// Next returns the next element. false means that there is none, or an error.
func (w *ListpackWalk) Next() (Element, bool) {
	if pos := w.pos; pos < w.end {
		// Nearly all elements are short, with their length in one byte behind.
		b := w.l[pos]
		size := int(listpackSizes[b])
		if stop := pos + size; size != 0 && stop < w.end && w.l[stop] == byte(size) {
			w.at, w.pos = pos, stop+1
			w.n++
			switch {
			case b < 0x80:
				return Element{Int: int64(b), Number: true}, true
			case b < 0xc0:
				return Element{Text: w.l[pos+1 : stop : stop]}, true
			}
			return w.l.element(pos, pos, stop), true
		}
	}
	return w.next()
}

// next is Next where it takes more care.
func (w *ListpackWalk) next() (Element, bool) {
	w.at = w.pos
	if w.pos >= w.end {
		if w.end != 0 {
			w.err, w.end = w.l.counted(w.n), 0
		}
		return Element{}, false
	}
	head, stop, next, err := w.l.entry(w.pos, w.end)
	if err != nil {
		w.err, w.end = err, 0
		return Element{}, false
	}
	e := w.l.element(w.pos, head, stop)
	w.pos = next
	w.n++
	return e, true
}

// Offset is the place of the element that Next returned, or of the end.
func (w *ListpackWalk) Offset() int { return w.at }

// Err returns what ended the walk; nil is the sound end of the blob.
func (w *ListpackWalk) Err() error { return w.err }

// Len returns the number of elements that the header states, and whether it
// does. The blob may be longer or shorter than it should, but holds the header.
func (l Listpack) Len() (n int, known bool) {
	if len(l) < listpackHeader {
		return 0, false
	}
	n = int(binary.LittleEndian.Uint16(l[4:]))
	return n, n != unknownCount
}

// frame checks both ends, and returns the place of the terminator.
func (l Listpack) frame() (end int, err error) {
	if len(l) < listpackHeader+1 {
		return 0, broken(0, "a listpack of %d bytes", len(l))
	}
	if size := binary.LittleEndian.Uint32(l); uint64(size) != uint64(len(l)) {
		return 0, broken(0, "the header of the listpack says %d bytes, there are %d", size, len(l))
	}
	end = len(l) - 1
	if l[end] != terminator {
		return 0, broken(end, "byte %#02x where the listpack should end", l[end])
	}
	return end, nil
}

// counted compares the header's count with that of the elements.
func (l Listpack) counted(n int) error {
	if stated, known := l.Len(); known && stated != n {
		return broken(4, "the header of the listpack says %d elements, there are %d", stated, n)
	}
	return nil
}

// entry checks the element at pos < end: its data lies in [head,stop) and is
// followed by the element at next. Without a length in front, head is pos.
func (l Listpack) entry(pos, end int) (head, stop, next int, err error) {
	size := uint64(listpackSizes[l[pos]])
	head = pos
	switch b := l[pos]; {
	case b >= 0x80 && b < 0xc0:
		head = pos + 1
	case size != 0:
	case b >= 0xe0 && b < 0xf0:
		if end-pos < 2 {
			return 0, 0, 0, broken(pos, "an element runs over the end of the listpack")
		}
		size, head = 2+uint64(b&0x0f)<<8+uint64(l[pos+1]), pos+2
	case b == 0xf0:
		if end-pos < 5 {
			return 0, 0, 0, broken(pos, "an element runs over the end of the listpack")
		}
		size, head = 5+uint64(binary.LittleEndian.Uint32(l[pos+1:])), pos+5
	case b == terminator:
		return 0, 0, 0, broken(pos, "the listpack ends %d bytes too early", end-pos)
	default:
		return 0, 0, 0, broken(pos, "byte %#02x starts no element of a listpack", b)
	}
	back := backSize(size)
	if size+uint64(back) > uint64(end-pos) {
		return 0, 0, 0, broken(pos, "an element of %d bytes runs over the end of the listpack", size)
	}
	stop = pos + int(size)
	next = stop + back
	if got := l.lengthBefore(next); got != size {
		return 0, 0, 0, broken(stop, "an element of %d bytes is followed by a length of %d", size, got)
	}
	return head, stop, next, nil
}

// element makes an Element of what entry found.
func (l Listpack) element(pos, head, stop int) Element {
	if head != pos {
		return Element{Text: l[head:stop:stop]}
	}
	p := l[pos+1:]
	var v int64
	switch b := l[pos]; {
	case b < 0x80:
		v = int64(b)
	case b < 0xe0: // 13 bits
		v = int64(int16(uint16(b)<<11|uint16(p[0])<<3) >> 3)
	case b == 0xf1:
		v = int64(int16(binary.LittleEndian.Uint16(p)))
	case b == 0xf2:
		v = int64(int32(uint32(p[0])<<8|uint32(p[1])<<16|uint32(p[2])<<24) >> 8)
	case b == 0xf3:
		v = int64(int32(binary.LittleEndian.Uint32(p)))
	default:
		v = int64(binary.LittleEndian.Uint64(p))
	}
	return Element{Int: v, Number: true}
}

// backSize is the number of bytes that the length behind an element takes.
func backSize(size uint64) int {
	switch {
	case size < 1<<7:
		return 1
	case size < 1<<14:
		return 2
	case size < 1<<21:
		return 3
	case size < 1<<28:
		return 4
	}
	return 5
}

// lengthBefore reads a length that ends at next, as the engines do: it goes on to
// the byte before while the top bit is set.
func (l Listpack) lengthBefore(next int) (n uint64) {
	for i := range 5 {
		b := l[next-1-i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			return n
		}
	}
	return 1<<64 - 1
}
