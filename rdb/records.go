package rdb

import (
	"errors"
	"iter"
)

// errStopped ends a scan whose loop was left.
var errStopped = errors.New("rdb: the loop over the records was left")

// Records scans the file record by record. A record comes when its key has been
// read and its value not yet: Record.Value reads it, or leaves it alone, and
// what was not read of it is skipped. Keys are read whatever Options.Keys says;
// OnValue is replaced; the other options hold.
//
//	for record, err := range scanner.Records() {
//		if err != nil {
//			return err
//		}
//		text, err := record.Value.Text(1 << 20)
//		...
//	}
//
// An error comes last, with a nil record. A file whose loop ends without one was
// walked and verified to its end, like by Scan, and Summary tells what it holds.
// Nothing of a record may be kept from one turn of the loop to the next.
func (s *Scanner) Records() iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		s.keys = true
		s.onValue = func(r *Record, _ *Value) error {
			if !yield(r, nil) {
				return errStopped
			}
			return nil
		}
		if _, err := s.Scan(); err != nil && err != errStopped {
			yield(nil, err)
		}
	}
}

// Summary returns what the file holds, or nil unless a scan came to its end.
func (s *Scanner) Summary() *Summary {
	if !s.complete {
		return nil
	}
	return s.sum
}

// offer hands the value under the scanner to OnValue, and skips what that leaves
// of it.
func (s *Scanner) offer(start int64) error {
	s.value = Value{s: s, kind: s.family.kind(s.op), typ: s.op, start: s.offset(), texts: s.value.texts, fields: s.value.fields}
	s.describe(start)
	s.record.Value, s.record.Elements = &s.value, s.peekElements()
	err := s.onValue(&s.record, &s.value)
	if err == nil {
		err = s.value.finish()
	}
	s.value.stage = valueDone // whoever kept it gets an error
	s.value.texts.trim()
	if cap(s.packed) > keepKey {
		s.packed = nil
	}
	if cap(s.value.fields) > keepKey/48 {
		s.value.fields = nil
	}
	return err
}
