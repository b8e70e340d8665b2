// Package resp is a small client of the Redis serialization protocol, versions 2 and 3: enough to steer an engine.
// Replies come from a peer that may be broken or hostile, so every size is bounded and nothing panics.
package resp

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Kind is the type of a reply. Types that RESP3 adds keep their own kind; a RESP2 null bulk or array is Null.
type Kind byte

const (
	Null      Kind = iota // no value
	Simple                // status line, in Str
	Bulk                  // binary-safe string, in Str; RESP3 verbatim strings arrive here without their format prefix
	Int                   // in Int
	Double                // text of the number, in Str
	Bool                  // Int is 1 or 0
	BigNum                // decimal text, in Str
	Array                 // in Elems; also RESP3 sets
	Map                   // in Elems: key, value, key, value ...
	ErrorKind             // in Err; only inside arrays, a top-level error reply is returned as an error
)

var kindNames = [...]string{"null", "simple string", "bulk string", "integer", "double", "boolean", "big number", "array", "map", "error"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// Value is one reply.
type Value struct {
	Kind  Kind
	Str   string
	Int   int64
	Elems []Value
	Err   *Error
}

// Text is the reply as a string: of a simple or bulk string, a number or a boolean.
func (v Value) Text() (string, error) {
	switch v.Kind {
	case Simple, Bulk, Double, BigNum:
		return v.Str, nil
	case Int, Bool:
		return strconv.FormatInt(v.Int, 10), nil
	case ErrorKind:
		return "", v.Err
	}
	return "", fmt.Errorf("resp: want a string, got %v", v.Kind)
}

// Integer is the reply as a number; decimal text counts.
func (v Value) Integer() (int64, error) {
	switch v.Kind {
	case Int, Bool:
		return v.Int, nil
	case Simple, Bulk, BigNum:
		n, err := strconv.ParseInt(v.Str, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("resp: want a number, got %.40q", v.Str)
		}
		return n, nil
	case ErrorKind:
		return 0, v.Err
	}
	return 0, fmt.Errorf("resp: want a number, got %v", v.Kind)
}

// Strings is the reply as a list of strings; nulls become "".
func (v Value) Strings() ([]string, error) {
	if v.Kind != Array && v.Kind != Map {
		return nil, fmt.Errorf("resp: want an array, got %v", v.Kind)
	}
	out := make([]string, len(v.Elems))
	for i, e := range v.Elems {
		if e.Kind == Null {
			continue
		}
		s, err := e.Text()
		if err != nil {
			return nil, err
		}
		out[i] = s
	}
	return out, nil
}

// Error is an error reply, such as "NOPERM this user has no permissions ...".
type Error struct {
	Code    string // first word: ERR, NOPERM, LOADING, MOVED ...
	Message string // the whole line
}

func (e *Error) Error() string { return e.Message }

func newError(line string) *Error {
	code, _, _ := strings.Cut(line, " ")
	return &Error{Code: code, Message: line}
}

// IsCode tells whether err is an error reply with the given first word.
func IsCode(err error, code string) bool {
	var e *Error
	return errors.As(err, &e) && e.Code == code
}

// ParseInfo reads the text of INFO or CLUSTER INFO: name:value lines, comments skipped.
func ParseInfo(text string) map[string]string {
	m := make(map[string]string)
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
			m[name] = value
		}
	}
	return m
}
