// Package packed reads, checks and builds the blobs in which RDB files keep
// small collections: [Listpack], [Ziplist], [Intset] and [Zipmap].
//
// Each is a slice of bytes with two methods. Verify looks at all of it and
// returns how many elements it holds; All iterates over them. Both take any
// bytes: what is wrong comes as an [*Error] with its place in the blob, time is
// linear, and nothing is allocated for what a length claims.
//
//	n, err := packed.Listpack(blob).Verify()
//	for e, err := range packed.Listpack(blob).All() {
//		if err != nil { ... }
//		text = e.Append(text[:0])
//	}
//
// They accept what the engines accept when they sanitize a payload: integers and
// lengths may be stored wider than needed. Whether elements repeat, come in
// pairs or make sense to the type that is stored so, is not judged here; of an
// Intset, which has an order, it is.
package packed

import (
	"fmt"
	"strconv"
)

// MaxSize is the greatest length of a blob in bytes: the engines load none that
// is longer, except intsets.
const MaxSize = 1 << 30

// terminator ends listpacks, ziplists and zipmaps.
const terminator = 0xff

// unknownCount in a header of a listpack or ziplist stands for any count.
const unknownCount = 0xffff

// Error says where a blob is broken, and how.
type Error struct {
	Offset int // bytes from the start of the blob
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("packed: corrupt at byte %d: %s", e.Offset, e.Reason)
}

// broken makes an Error.
func broken(offset int, format string, args ...any) error {
	return &Error{offset, fmt.Sprintf(format, args...)}
}

// Element is one element of a blob: text, or a number that stands for its
// decimal text.
type Element struct {
	Text   []byte // a slice of the blob; nil for a number
	Int    int64
	Number bool // the element is Int, not Text
}

// Append appends the element as text to dst.
func (e Element) Append(dst []byte) []byte {
	if e.Number {
		return strconv.AppendInt(dst, e.Int, 10)
	}
	return append(dst, e.Text...)
}

// Integer returns the element as an integer, and whether it is one. Text that is
// the plain decimal form of an integer counts.
func (e Element) Integer() (int64, bool) {
	if e.Number || len(e.Text) == 0 || e.Text[0] > '9' {
		return e.Int, e.Number
	}
	return ParseInteger(e.Text)
}

// ParseInteger returns the integer whose decimal form is exactly text: without
// sign +, leading zeros, -0 or spaces.
func ParseInteger(text []byte) (int64, bool) {
	if len(text) == 0 || len(text) > len("-9223372036854775808") {
		return 0, false
	}
	digits, negative := text, text[0] == '-'
	if negative {
		digits = text[1:]
	}
	if len(digits) == 0 || digits[0] == '0' && (negative || len(digits) > 1) || len(digits) > 19 {
		return 0, false
	}
	n := uint64(0) // nineteen digits do not overflow it
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	switch {
	case negative && n <= 1<<63:
		return -int64(n), true
	case !negative && n < 1<<63:
		return int64(n), true
	}
	return 0, false
}
