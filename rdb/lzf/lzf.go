// Package lzf decodes LZF, the compression of strings inside RDB files.
//
// A stream is a sequence of two kinds of items. A byte c below 32 is followed
// by c+1 literal bytes. Any other byte starts a back-reference: its top three
// bits are the length (7 means that one more byte is added to it), its low five
// bits and the next byte are the distance. The length counts from 2, the
// distance from 1, and a reference may overlap what it is producing.
package lzf

import "errors"

// MaxRatio bounds the growth: n compressed bytes never decode to more than
// MaxRatio*n, because the longest reference makes 264 bytes out of 3.
const MaxRatio = 88

// ErrCorrupt means that the input is not an LZF stream of the length claimed.
var ErrCorrupt = errors.New("lzf: corrupt input")

// Decompress fills dst, exactly, from src, all of it. It returns ErrCorrupt if
// src decodes to fewer or more bytes, or to none at all because it is broken;
// dst then holds an unspecified mixture.
func Decompress(dst, src []byte) error {
	d, i := 0, 0
	for i < len(src) {
		c := int(src[i])
		i++
		if c < 32 {
			n := c + 1
			if n > len(src)-i || n > len(dst)-d {
				return ErrCorrupt
			}
			copy(dst[d:d+n], src[i:i+n])
			d, i = d+n, i+n
			continue
		}
		n, distance, next, ok := reference(src, i, c)
		if !ok || distance > d || n > len(dst)-d {
			return ErrCorrupt
		}
		i = next
		repeat(dst[:d+n], d, distance)
		d += n
	}
	if d != len(dst) {
		return ErrCorrupt
	}
	return nil
}

// AppendPrefix appends to dst the first max bytes that src decodes to, fewer if
// it has no more, and returns the extended slice. Only as much of src is read
// as that takes, so src may be cut behind it. dst grows with what is decoded,
// whatever a length elsewhere claims. On ErrCorrupt the bytes decoded so far are
// returned with it.
func AppendPrefix(dst, src []byte, max int) ([]byte, error) {
	start, i := len(dst), 0
	for i < len(src) && len(dst)-start < max {
		c := int(src[i])
		i++
		room := max - (len(dst) - start)
		if c < 32 {
			n := min(c+1, room)
			if n > len(src)-i {
				return append(dst, src[i:]...), ErrCorrupt
			}
			dst = append(dst, src[i:i+n]...)
			i += n
			continue
		}
		n, distance, next, ok := reference(src, i, c)
		if !ok || distance > len(dst)-start {
			return dst, ErrCorrupt
		}
		i = next
		n = min(n, room)
		from := len(dst)
		dst = append(dst, zeros[:n]...)
		repeat(dst, from, distance)
	}
	return dst, nil
}

// zeros makes room for one reference of the greatest length.
var zeros [264]byte

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
