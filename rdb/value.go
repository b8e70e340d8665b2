package rdb

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"

	"github.com/keyframe/keyframe/rdb/lzf"
)

var (
	// ErrTooLarge matches the refusals to hold more in memory than the limit given.
	ErrTooLarge = errors.New("rdb: larger than the limit")

	// ErrKind matches the errors of methods that a value of this kind does not have,
	// such as the text of a list.
	ErrKind = errors.New("rdb: a value of another kind")

	// ErrValueRead matches the errors of reading a value twice, or after its record.
	ErrValueRead = errors.New("rdb: the value was read already")
)

// MaxElement is the greatest length in bytes of one element of a collection, or
// of one packed blob of many, that Elements, Entries, StateParts, State, Items and
// Decode take. Engines split their blobs long before, and by default bound elements
// at 512 MiB. Longer ones are refused with ErrTooLarge; strings are not concerned.
const MaxElement = 1 << 30

// Value is the value of a record that is being scanned. It is read once, from
// front to back, with one of
//
//   - Text or Reader, if it is a string,
//   - Elements, if it is a list, set, sorted set or hash,
//   - Entries, and then StateParts or State, if it is a stream,
//   - Items, if it is a module's,
//   - Raw, for the bytes of the file, whatever it is, or Dump, for RESTORE,
//   - Decode, for all of it in memory, whatever it is.
//
// It is good until OnValue returns, or until the next turn of the loop over
// Records. What was not read by then is skipped.
//
// An error that ends the file, such as an impossible length, ends the scan too. An
// error inside one packed blob or compressed string, which does not prevent from
// finding what follows it, ends only the reading of this value: who wants to save
// what can be saved may go on with the next record.
type Value struct {
	s       *Scanner
	kind    Kind
	typ     byte
	stage   valueStage
	left    uint64   // items, bytes of a string, or nodes of a stream, not begun yet
	minimum int64    // earliest expiry, of hashes that count from it
	start   int64    // offset of its first byte
	firstID StreamID // of the entries that were read
	err     error    // that ended the file
	texts   scratch
	fields  []Pair
	tail    *tail // of a stream whose state is being read
}

// valueStage is how far a value was read.
type valueStage byte

const (
	valueFresh   valueStage = iota
	valuePartly             // left tells the rest
	valueEntries            // of a stream: the state remains
	valueTail               // of a stream: tail tells the rest
	valueDone
)

// scratch is memory that values use one after the other.
type scratch struct {
	first, second, blob []byte
	unpacker            *lzf.Reader
}

// trim gives up what only an unusual value needed.
func (t *scratch) trim() {
	for _, p := range []*[]byte{&t.first, &t.second, &t.blob} {
		if cap(*p) > keepKey {
			*p = nil
		}
	}
}

// Element is one element of a list or set, one member of a sorted set, or one
// field of a hash. Its slices are good until the next one and must not be
// modified.
type Element struct {
	Text     []byte  // of the element, member or field
	Value    []byte  // of a hash's field; nil otherwise
	Score    float64 // of a sorted set's member
	ExpireAt int64   // of a hash's field, Unix time in milliseconds; 0 if it never expires
}

// Kind returns what kind of value it is.
func (v *Value) Kind() Kind { return v.kind }

// Type returns how the value is stored; see TypeName.
func (v *Value) Type() byte { return v.typ }

// Family returns which family's type that is, FamilyRedis or FamilyValkey.
func (v *Value) Family() string { return v.s.family.String() }

// Len returns the number of a collection's elements, as far as it is known before
// they are read; -1 if it is not, and for strings, streams and modules. It
// reads nothing away.
func (v *Value) Len() int64 {
	if v.stage != valueFresh {
		return -1
	}
	return v.s.peekElements()
}

// Text returns a string's text. If that is longer than limit bytes, or than a slice
// can be, it returns an error that matches ErrTooLarge. The slice is good as long as
// the value.
func (v *Value) Text(limit int64) ([]byte, error) {
	limit = min(limit, math.MaxInt)
	if err := v.begin(KindString); err != nil {
		return nil, err
	}
	head, start, err := v.stringHead()
	if err != nil {
		return nil, err
	}
	if size := max(head.length, head.stored); size > uint64(max(limit, 0)) && (head.form == 0 || head.form == stringLZF) {
		return nil, fmt.Errorf("%w: a string of %d bytes at offset %d, for %d", ErrTooLarge, size, start, limit)
	}
	v.left = 0
	text, err := v.restOfString(v.texts.first[:0], head, start)
	v.texts.first = text
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%w: a string of %d bytes at offset %d, for %d", ErrTooLarge, len(text), start, limit)
	}
	return text, nil
}

// Raw writes the value's bytes to w, as they lie in the file, without the type
// byte, and returns how many. Together with the type they are what RESTORE takes;
// see AppendDump. An error of w is returned as it is, when the whole value has
// been walked; it does not end the scan.
func (v *Value) Raw(w io.Writer) (int64, error) {
	if err := v.begin(v.kind); err != nil {
		return 0, err
	}
	s := v.s
	start := s.offset()
	s.tap, s.tapped, s.tapErr = w, s.pos, nil
	v.stage = valueDone
	if v.err = s.skipValue(); v.err == nil {
		s.passTap()
	}
	s.tap = nil
	if v.err != nil {
		return s.offset() - start, v.err
	}
	return s.offset() - start, s.tapErr
}

// begin starts to read a value of a kind.
func (v *Value) begin(kind Kind) error {
	switch {
	case v.stage != valueFresh:
		return ErrValueRead
	case v.kind != kind:
		return fmt.Errorf("%w: this is a %s, not a %s", ErrKind, v.kind, kind)
	}
	v.stage = valuePartly
	return nil
}

// finish consumes what is left of the value.
func (v *Value) finish() error {
	switch {
	case v.err != nil:
		return v.err
	case v.stage == valueFresh:
		return v.s.passValue()
	case v.stage == valueDone:
		return nil
	case v.stage == valueTail:
		return v.tail.finish()
	}
	return v.s.skipRest(v.stage, v.left)
}

// broke notes an error that ends the file.
func (v *Value) broke(err error) error {
	if err != nil {
		v.err = err
	}
	return err
}

// stringHead reads the head of a string value and returns with it where it
// started.
func (v *Value) stringHead() (stringHead, int64, error) {
	start := v.s.offset()
	head, err := v.s.readStringHead()
	if err != nil {
		return head, start, v.broke(err)
	}
	v.left = head.stored
	return head, start, nil
}

// Elements returns the elements of a list, set, sorted set or hash, in the order
// of the file. An error comes last, with a zero Element.
//
// Memory holds one element at a time, or one packed blob of them, whatever the
// number of elements.
func (v *Value) Elements() iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) {
		err := v.walk(func(e Element) bool { return yield(e, nil) })
		if err != nil && err != errStopped {
			yield(Element{}, err)
		}
	}
}
