package rdb

import (
	"bytes"
	"math"
	"strconv"

	"github.com/keyframe/keyframe/rdb/packed"
)

// verifyPacked consumes a collection that is one packed blob.
func (s *Scanner) verifyPacked() error {
	blob, at, err := s.readBlob()
	if err != nil {
		return err
	}
	n := 0
	switch s.op {
	case typeSetIntset:
		n, err = packed.Intset(blob).Verify()
	case typeListZiplist:
		n, err = packed.Ziplist(blob).Verify()
	case typeSetListpack:
		n, err = s.verifyTuples(blob, at, 1, false)
	case typeHashListpack:
		n, err = s.verifyTuples(blob, at, 2, false)
	case typeZsetListpack:
		n, err = s.verifyTuples(blob, at, 2, true)
	case typeHashZipmap:
		n, err = s.verifyZipmap(blob, at)
	case typeHashZiplist, typeZsetZiplist:
		n, err = s.verifyPairs(blob, at)
	default:
		n, err = s.verifyTuples(blob, at, 3, false)
	}
	if broken, ok := err.(*packed.Error); ok {
		err = s.brokenPacked(at, broken)
	}
	if err != nil {
		return err
	}
	s.elements = int64(n)
	if n == 0 {
		s.sum.EmptyKeys++
	}
	s.deep.trim()
	return nil
}

// verifyTuples verifies a listpack of elements that come one, two or three at a
// time: a member; a field and its value, or a member and its score; a field, its
// value and its expiry. It returns how many tuples there are.
func (s *Scanner) verifyTuples(l packed.Listpack, at blobAt, width int, scores bool) (int, error) {
	d, n := s.deep, 0
	stated, _ := l.Len()
	d.seen.reset(min(stated, len(l)/2) / width)
	w := l.Walk()
	for {
		e, ok := w.Next()
		if !ok {
			return n, w.Err()
		}
		if !d.fresh(e) {
			return n, s.brokenBlob(at, w.Offset(), "an element that was there before")
		}
		n++
		for part := 1; part < width; part++ {
			if e, ok = w.Next(); !ok {
				if err := w.Err(); err != nil {
					return n, err
				}
				return n, s.brokenBlob(at, w.Offset(), "an element without its counterpart")
			}
			if scores && !e.Number && !isScore(e.Text) {
				return n, s.brokenBlob(at, w.Offset(), "a score that is no number")
			}
			if part == 2 {
				if ms, ok := e.Integer(); !ok || ms < 0 || ms > maxFieldExpiry {
					return n, s.brokenBlob(at, w.Offset(), "an expiry that is no time")
				}
			}
		}
	}
}

// maxFieldExpiry is the latest expiry in Unix milliseconds that Redis gives to a
// field.
const maxFieldExpiry = 1<<48 - 2

// verifyPairs verifies the ziplist of a hash or sorted set.
func (s *Scanner) verifyPairs(z packed.Ziplist, at blobAt) (int, error) {
	d, n := s.deep, 0
	stated, _ := z.Len()
	d.seen.reset(min(stated, len(z)/2) / 2)
	for e, err := range z.All() {
		if err != nil {
			return n, err
		}
		if n++; n&1 == 1 {
			if !d.fresh(e) {
				return n, s.brokenBlob(at, 0, "element "+strconv.Itoa(n-1)+" of the ziplist was there before")
			}
		} else if s.op == typeZsetZiplist && !e.Number && !isScore(e.Text) {
			return n, s.brokenBlob(at, 0, "element "+strconv.Itoa(n-1)+" of the ziplist is a score that is no number")
		}
	}
	if n&1 == 1 {
		return n, s.brokenBlob(at, len(z)-1, "an element without its counterpart")
	}
	return n / 2, nil
}

// verifyZipmap verifies the zipmap of a hash.
func (s *Scanner) verifyZipmap(z packed.Zipmap, at blobAt) (int, error) {
	d, n := s.deep, 0
	d.seen.reset(len(z) / 8)
	for e, err := range z.All() {
		if err != nil {
			return n, err
		}
		if n++; n&1 == 1 && !d.fresh(e) {
			return n, s.brokenBlob(at, 0, "element "+strconv.Itoa(n-1)+" of the zipmap was there before")
		}
	}
	return n / 2, nil
}

// fresh tells that an element was not in its collection before. Text and number
// of the same digits are the same.
func (d *deep) fresh(e packed.Element) bool {
	if v, ok := e.Integer(); ok {
		return d.seen.addInteger(v)
	}
	return d.seen.add(e.Text)
}

// isScore tells that text is a number and not NaN. Most scores are short
// decimals, which need no conversion.
func isScore(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	plain := len(digits) > 0 && len(digits) < 300
	points := 0
	for i, c := range digits {
		if c == '.' && i > 0 && i < len(digits)-1 {
			points++
		} else if c < '0' || c > '9' {
			plain = false
		}
	}
	if plain && points <= 1 {
		return true
	}
	score, err := parseScoreText(text)
	return err == nil && !math.IsNaN(score)
}

// verifyQuicklist consumes a list of nodes, each a blob or one plain element.
func (s *Scanner) verifyQuicklist() error {
	nodes, err := s.readMembers()
	if err != nil || nodes == 0 {
		return err
	}
	total := int64(0)
	for ; nodes > 0; nodes-- {
		if s.op == typeListQuicklist2 {
			kind, err := s.readLength()
			if err != nil {
				return err
			}
			if kind == 1 {
				if err := s.skipStrings(1, 0); err != nil {
					return err
				}
				total++
				continue
			}
			if kind != 2 {
				return s.corrupt("list node of kind %d", kind)
			}
		}
		blob, at, err := s.readBlob()
		if err != nil {
			return err
		}
		n := 0
		if s.op == typeListQuicklist2 {
			n, err = packed.Listpack(blob).Verify()
		} else {
			n, err = packed.Ziplist(blob).Verify()
		}
		if err != nil {
			return s.brokenPacked(at, err)
		}
		total += int64(n)
	}
	s.elements = total
	if total == 0 {
		s.sum.EmptyKeys++
	}
	s.deep.trim()
	return nil
}
