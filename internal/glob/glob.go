// Package glob matches keys as the engines' KEYS and SCAN do.
//
//   - any bytes, also none
//     ?       any one byte
//     [abc]   one of these bytes; [a-z] a range, in either order; [^a] any byte but these
//     \x      x itself, also inside brackets
//
// Everything else stands for itself. There are no broken patterns: a bracket that is never closed ends with the pattern, and a
// backslash at the end stands for itself. Keys and patterns are bytes, in no character set. Only in ranges of bytes above 127 do
// the engines differ, by the machine that they were built for; here bytes are unsigned.
package glob

import "bytes"

// Pattern is a compiled pattern. It may be used by several goroutines.
type Pattern struct {
	text   string
	prefix []byte // what every match begins with
	rest   []token
}

type kind byte

const (
	one   kind = iota // the byte
	any1              // any byte
	class             // a byte of the set
	many              // any bytes, also none
)

type token struct {
	kind kind
	byte byte
	set  *[4]uint64
}

// Compile never fails: every string is a pattern.
func Compile(pattern string) *Pattern {
	p := &Pattern{text: pattern}
	for i := 0; i < len(pattern); {
		var t token
		switch c := pattern[i]; {
		case c == '*':
			t.kind = many
			i++
		case c == '?':
			t.kind = any1
			i++
		case c == '[':
			t.kind = class
			t.set, i = brackets(pattern, i+1)
		case c == '\\' && i+1 < len(pattern):
			t.byte = pattern[i+1]
			i += 2
		default:
			t.byte = c
			i++
		}
		n := len(p.rest)
		switch {
		case t.kind == one && n == 0:
			p.prefix = append(p.prefix, t.byte)
		case t.kind == many && n > 0 && p.rest[n-1].kind == many:
		default:
			p.rest = append(p.rest, t)
		}
	}
	return p
}

// brackets reads a set from i, behind the opening bracket, and returns where the pattern goes on.
func brackets(pattern string, i int) (*[4]uint64, int) {
	var set [4]uint64
	not := i < len(pattern) && pattern[i] == '^'
	if not {
		i++
	}
	for ; i < len(pattern) && pattern[i] != ']'; i++ {
		left := len(pattern) - i
		lo, hi := pattern[i], pattern[i]
		switch {
		case lo == '\\' && left >= 2:
			i++
			lo, hi = pattern[i], pattern[i]
		case left >= 3 && pattern[i+1] == '-':
			hi = pattern[i+2]
			i += 2
		}
		for c := int(min(lo, hi)); c <= int(max(lo, hi)); c++ {
			set[c/64] |= 1 << (c % 64)
		}
	}
	if not {
		for w := range set {
			set[w] = ^set[w]
		}
	}
	return &set, i + 1
}

// String returns the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// Literal returns the only key that can match, if there is only one.
func (p *Pattern) Literal() ([]byte, bool) { return p.prefix, len(p.rest) == 0 }

// Match reports whether the whole key matches. It takes time of at most the product of both lengths, and no memory.
func (p *Pattern) Match(key []byte) bool {
	if !bytes.HasPrefix(key, p.prefix) {
		return false
	}
	key = key[len(p.prefix):]
	if len(p.rest) == 1 && p.rest[0].kind == many {
		return true
	}
	// Of several stars only the last one passed needs to be tried again: whatever an earlier one could take, this one can too.
	k, t := 0, 0
	star, from := -1, 0
	for k < len(key) {
		switch {
		case t < len(p.rest) && p.rest[t].kind == many:
			star, from = t, k
			t++
		case t < len(p.rest) && p.rest[t].has(key[k]):
			k++
			t++
		case star >= 0:
			from++
			k, t = from, star+1
		default:
			return false
		}
	}
	for t < len(p.rest) && p.rest[t].kind == many {
		t++
	}
	return t == len(p.rest)
}

func (t token) has(c byte) bool {
	switch t.kind {
	case one:
		return t.byte == c
	case class:
		return t.set[c/64]>>(c%64)&1 == 1
	}
	return true
}
