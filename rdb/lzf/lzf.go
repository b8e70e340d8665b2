// Package lzf reads and writes LZF, the compression of strings inside RDB files.
//
// A stream is a sequence of two kinds of items. A byte c below 32 is followed
// by c+1 literal bytes. Any other byte starts a back-reference: its top three
// bits are the length (7 means that one more byte is added to it), its low five
// bits and the next byte are the distance. The length counts from 2, the
// distance from 1, and a reference may overlap what it is producing.
//
// A block does not say how long it is, packed or not: RDB files store both
// lengths beside it. [Decode] unpacks a block into memory, [AppendPrefix] its
// beginning, a [Reader] one of any size within a few kilobytes. [Check] proves a
// block sound without unpacking it. [Append] packs.
package lzf

import "errors"

// MaxRatio bounds the growth: n compressed bytes never decode to more than
// MaxRatio*n, because the longest reference makes 264 bytes out of 3.
const MaxRatio = 88

// Bounds of the format.
const (
	maxLiteral   = 32      // bytes of one literal item
	maxReference = 264     // bytes that one reference makes
	maxDistance  = 8 << 10 // that a reference reaches back
	maxItem      = 1 + 32  // bytes of the longest item
	shortest     = 3       // bytes that the shortest reference makes
)

// ErrCorrupt means that the input is not an LZF stream of the length claimed.
var ErrCorrupt = errors.New("lzf: corrupt input")

// Check proves that src decodes to exactly n bytes, with a nil error, and
// returns ErrCorrupt otherwise. It makes no output and looks only at what
// controls it, so it costs a fraction of decoding.
func Check(src []byte, n int) error {
	d, i := 0, 0
	for i < len(src) {
		c := int(src[i])
		if c < 32 {
			d += c + 1
			i += c + 2
			if d > n {
				return ErrCorrupt
			}
			continue
		}
		size := c >> 5
		i++
		if size == 7 {
			if i >= len(src) {
				return ErrCorrupt
			}
			size += int(src[i])
			i++
		}
		// The distance counts from 1: it must be less than what there is.
		if i >= len(src) || (c&31)<<8|int(src[i]) >= d {
			return ErrCorrupt
		}
		i++
		d += size + 2
		if d > n {
			return ErrCorrupt
		}
	}
	if d != n || i != len(src) {
		return ErrCorrupt
	}
	return nil
}

// reference reads the rest of a back-reference whose first byte was c.
func reference(src []byte, i, c int) (n, distance, next int, ok bool) {
	n = c >> 5
	if n == 7 {
		if i >= len(src) {
			return 0, 0, i, false
		}
		n += int(src[i])
		i++
	}
	if i >= len(src) {
		return 0, 0, i, false
	}
	return n + 2, (c&31)<<8 + int(src[i]) + 1, i + 1, true
}

// repeat fills p[from:] with the bytes that lie distance before it. What it has
// filled is source for the rest, so an overlapping run doubles at every turn.
// 1 <= distance <= from.
func repeat(p []byte, from, distance int) {
	start := from - distance
	for from < len(p) {
		from += copy(p[from:], p[start:from])
	}
}
