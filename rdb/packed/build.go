package packed

import (
	"encoding/binary"
	"math"
)

// ListpackBuilder makes a Listpack, element by element. Its zero value is ready.
type ListpackBuilder struct {
	b []byte
	n int
}

// Reset empties the builder; what Bytes returned before is overwritten.
func (b *ListpackBuilder) Reset() { b.b, b.n = b.b[:0], 0 }

// Len is the number of elements, Size the length of the Listpack in bytes.
func (b *ListpackBuilder) Len() int  { return b.n }
func (b *ListpackBuilder) Size() int { return max(len(b.b), listpackHeader) + 1 }

// Add appends an element, as an integer if its text is that of one.
func (b *ListpackBuilder) Add(text []byte) {
	if v, ok := ParseInteger(text); ok {
		b.AddInt(v)
		return
	}
	from := b.begin()
	switch n := len(text); {
	case n < 1<<6:
		b.b = append(b.b, 0x80|byte(n))
	case n < 1<<12:
		b.b = append(b.b, 0xe0|byte(n>>8), byte(n))
	default:
		b.b = binary.LittleEndian.AppendUint32(append(b.b, 0xf0), uint32(n))
	}
	b.b = append(b.b, text...)
	b.end(from)
}

// AddInt appends an integer in the shortest form.
func (b *ListpackBuilder) AddInt(v int64) {
	from := b.begin()
	switch {
	case v >= 0 && v < 1<<7:
		b.b = append(b.b, byte(v))
	case v >= -1<<12 && v < 1<<12:
		b.b = append(b.b, 0xc0|byte(v>>8)&0x1f, byte(v))
	case v == int64(int16(v)):
		b.b = binary.LittleEndian.AppendUint16(append(b.b, 0xf1), uint16(v))
	case v >= -1<<23 && v < 1<<23:
		b.b = append(b.b, 0xf2, byte(v), byte(v>>8), byte(v>>16))
	case v == int64(int32(v)):
		b.b = binary.LittleEndian.AppendUint32(append(b.b, 0xf3), uint32(v))
	default:
		b.b = binary.LittleEndian.AppendUint64(append(b.b, 0xf4), uint64(v))
	}
	b.end(from)
}

func (b *ListpackBuilder) begin() int {
	if len(b.b) == 0 {
		b.b = append(b.b, make([]byte, listpackHeader)...)
	}
	return len(b.b)
}

// end writes the length of the element behind it, the most significant seven
// bits first; all bytes but the first say that there is one before.
func (b *ListpackBuilder) end(from int) {
	size := uint64(len(b.b) - from)
	back := backSize(size)
	for i := back - 1; i >= 0; i-- {
		c := byte(size>>(7*i)) & 0x7f
		if i != back-1 {
			c |= 0x80
		}
		b.b = append(b.b, c)
	}
	b.n++
}

// Bytes returns the Listpack, valid until the builder is used again. Elements
// may still be added. The engines load none that is longer than MaxSize.
func (b *ListpackBuilder) Bytes() Listpack {
	b.begin()
	binary.LittleEndian.PutUint32(b.b, uint32(len(b.b)+1))
	binary.LittleEndian.PutUint16(b.b[4:], uint16(min(b.n, unknownCount)))
	l := append(b.b, terminator)
	b.b = l[:len(l)-1]
	return Listpack(l)
}

// ZiplistBuilder makes a Ziplist, element by element. Its zero value is ready.
type ZiplistBuilder struct {
	b            []byte
	n            int
	last, before int // place and size of the last entry
}

// Reset empties the builder; what Bytes returned before is overwritten.
func (b *ZiplistBuilder) Reset() { *b = ZiplistBuilder{b: b.b[:0]} }

// Len is the number of elements, Size the length of the Ziplist in bytes.
func (b *ZiplistBuilder) Len() int  { return b.n }
func (b *ZiplistBuilder) Size() int { return max(len(b.b), ziplistHeader) + 1 }

// Add appends an element, as an integer if its text is that of one.
func (b *ZiplistBuilder) Add(text []byte) {
	if v, ok := ParseInteger(text); ok {
		b.AddInt(v)
		return
	}
	b.begin()
	switch n := len(text); {
	case n < 1<<6:
		b.b = append(b.b, byte(n))
	case n < 1<<14:
		b.b = append(b.b, 0x40|byte(n>>8), byte(n))
	default:
		b.b = binary.BigEndian.AppendUint32(append(b.b, 0x80), uint32(n))
	}
	b.b = append(b.b, text...)
	b.end()
}

// AddInt appends an integer in the shortest form.
func (b *ZiplistBuilder) AddInt(v int64) {
	b.begin()
	switch {
	case v >= 0 && v <= 12:
		b.b = append(b.b, 0xf1+byte(v))
	case v == int64(int8(v)):
		b.b = append(b.b, 0xfe, byte(v))
	case v == int64(int16(v)):
		b.b = binary.LittleEndian.AppendUint16(append(b.b, 0xc0), uint16(v))
	case v >= -1<<23 && v < 1<<23:
		b.b = append(b.b, 0xf0, byte(v), byte(v>>8), byte(v>>16))
	case v == int64(int32(v)):
		b.b = binary.LittleEndian.AppendUint32(append(b.b, 0xd0), uint32(v))
	default:
		b.b = binary.LittleEndian.AppendUint64(append(b.b, 0xe0), uint64(v))
	}
	b.end()
}

// begin starts an entry with the size of the one before.
func (b *ZiplistBuilder) begin() {
	if len(b.b) == 0 {
		b.b = append(b.b, make([]byte, ziplistHeader)...)
	}
	b.last = len(b.b)
	if b.before < ziplistLong {
		b.b = append(b.b, byte(b.before))
	} else {
		b.b = binary.LittleEndian.AppendUint32(append(b.b, ziplistLong), uint32(b.before))
	}
}

func (b *ZiplistBuilder) end() {
	b.before = len(b.b) - b.last
	b.n++
}

// Bytes returns the Ziplist, valid until the builder is used again. Elements may
// still be added. The engines load none that is longer than MaxSize.
func (b *ZiplistBuilder) Bytes() Ziplist {
	if len(b.b) == 0 {
		b.b = append(b.b, make([]byte, ziplistHeader)...)
	}
	binary.LittleEndian.PutUint32(b.b, uint32(len(b.b)+1))
	binary.LittleEndian.PutUint32(b.b[4:], uint32(max(b.last, ziplistHeader)))
	binary.LittleEndian.PutUint16(b.b[8:], uint16(min(b.n, unknownCount)))
	z := append(b.b, terminator)
	b.b = z[:len(z)-1]
	return Ziplist(z)
}

// AppendIntset appends the Intset of the values to dst. They must be in strictly
// ascending order, and at least one.
func AppendIntset(dst []byte, values []int64) []byte {
	width := 2
	if lowest, greatest := values[0], values[len(values)-1]; lowest < math.MinInt32 || greatest > math.MaxInt32 {
		width = 8
	} else if lowest < math.MinInt16 || greatest > math.MaxInt16 {
		width = 4
	}
	dst = binary.LittleEndian.AppendUint32(dst, uint32(width))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(values)))
	for _, v := range values {
		switch width {
		case 2:
			dst = binary.LittleEndian.AppendUint16(dst, uint16(v))
		case 4:
			dst = binary.LittleEndian.AppendUint32(dst, uint32(v))
		default:
			dst = binary.LittleEndian.AppendUint64(dst, uint64(v))
		}
	}
	return dst
}
