package lzf

import (
	"encoding/binary"
	"sync"
)

// tableBits is the size of the table of places: twice as many as a reference
// may reach back.
const tableBits = 14

// encoder remembers where three bytes were last seen. Places of earlier blocks
// lie below base, so that the table need not be cleared for each.
type encoder struct {
	places [1 << tableBits]uint32
	base   uint32
}

var encoders = sync.Pool{New: func() any { return &encoder{base: 1} }}

// largestPart is what one table can number; longer input begins anew there.
const largestPart = 1 << 30

// Append packs src, appends the block to dst and returns the extended slice. It
// always succeeds, but the block may be longer than src, by one byte for every
// 32: store src itself then, as the engines do when they save fewer than 4 bytes.
// Nothing of fewer than 4 bytes can be packed shorter.
func Append(dst, src []byte) []byte {
	e := encoders.Get().(*encoder) //nolint:errcheck,forcetypeassert // it holds nothing else
	for len(src) > largestPart {
		dst = e.append(dst, src[:largestPart])
		src = src[largestPart:]
	}
	dst = e.append(dst, src)
	encoders.Put(e)
	return dst
}

func (e *encoder) append(dst, src []byte) []byte {
	if uint64(e.base)+uint64(len(src)) > 1<<32-1 {
		*e = encoder{base: 1}
	}
	base := e.base
	e.base += uint32(len(src))
	i, literal := 0, 0
	for i+4 <= len(src) {
		place := e.place(src, i)
		seen := *place
		*place = base + uint32(i)
		at := int(seen) - int(base)
		if seen < base || i-at > maxDistance || three(src, at) != three(src, i) {
			// The longer nothing repeats, the larger the steps.
			i += 1 + (i-literal)>>6
			continue
		}
		n := matching(src, at, i)
		dst = appendLiterals(dst, src[literal:i])
		dst = appendReference(dst, n, i-at)
		end := i + n
		// What follows may repeat from the last bytes on.
		for i = end - 2; i < end && i+4 <= len(src); i++ {
			*e.place(src, i) = base + uint32(i)
		}
		i = end
		literal = i
	}
	return appendLiterals(dst, src[literal:])
}

// three are the bytes at i and the two behind it, of which there must be one more.
func three(src []byte, i int) uint32 { return binary.LittleEndian.Uint32(src[i:]) << 8 }

// place is where the table says that the three bytes at i were last seen.
func (e *encoder) place(src []byte, i int) *uint32 {
	return &e.places[three(src, i)*0x9e3779b1>>(32-tableBits)]
}

// matching is how many bytes at i repeat those at an earlier place, at least
// three and at most what one reference can make.
func matching(src []byte, at, i int) int {
	limit := min(len(src)-i, maxReference)
	n := shortest
	for n+8 <= limit && binary.LittleEndian.Uint64(src[at+n:]) == binary.LittleEndian.Uint64(src[i+n:]) {
		n += 8
	}
	for n < limit && src[at+n] == src[i+n] {
		n++
	}
	return n
}

func appendLiterals(dst, p []byte) []byte {
	for len(p) > 0 {
		n := min(len(p), maxLiteral)
		dst = append(append(dst, byte(n-1)), p[:n]...)
		p = p[n:]
	}
	return dst
}

func appendReference(dst []byte, n, distance int) []byte {
	n, distance = n-2, distance-1
	if n < 7 {
		return append(dst, byte(n<<5|distance>>8), byte(distance))
	}
	return append(dst, byte(7<<5|distance>>8), byte(n-7), byte(distance))
}
