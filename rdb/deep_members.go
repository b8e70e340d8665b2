package rdb

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
)

// verifyList consumes a list of strings.
func (s *Scanner) verifyList() error {
	n, err := s.readMembers()
	if err != nil {
		return err
	}
	return s.skipStrings(n, 0)
}

// verifyMembers consumes a set, sorted set or hash that is not packed.
func (s *Scanner) verifyMembers() error {
	soonest := int64(0)
	if s.op == typeRedisHashTTL && s.family == redis {
		if err := s.need(8); err != nil {
			return err
		}
		soonest = int64(binary.LittleEndian.Uint64(s.buf[s.pos:]))
		s.pos += 8
	}
	n, err := s.readMembers()
	if err != nil {
		return err
	}
	s.deep.seen.reset(int(min(n, windowSize)))
	for ; n > 0; n-- {
		if s.op == typeRedisHashTTL {
			if err := s.verifyTTL(soonest); err != nil {
				return err
			}
		}
		start := s.offset()
		fresh, err := s.verifyMember(&s.deep.seen)
		if err != nil {
			return err
		}
		if !fresh {
			return s.corruptAt(start, "an element that was there before")
		}
		if err := s.verifyBeside(); err != nil {
			return err
		}
	}
	s.deep.trim()
	return nil
}

// verifyTTL consumes the TTL in front of a field, which counts from the soonest
// expiry in the hash; 0 is none.
func (s *Scanner) verifyTTL(soonest int64) error {
	at := s.offset()
	ttl, err := s.readLength()
	if err != nil {
		return err
	}
	if ttl != 0 && (soonest < 0 || soonest > maxFieldExpiry || ttl-1 > uint64(maxFieldExpiry-soonest)) {
		return s.corruptAt(at, "an expiry %d ms behind %d is no time", ttl-1, soonest)
	}
	return nil
}

// verifyBeside consumes what stands behind a member or field.
func (s *Scanner) verifyBeside() error {
	switch s.op {
	case typeSet:
		return nil
	case typeHash, typeRedisHashTTL:
		return s.skipStrings(1, 0)
	case typeZset:
		return s.verifyTextScore()
	case typeZset2:
		if err := s.need(8); err != nil {
			return err
		}
		if math.IsNaN(math.Float64frombits(binary.LittleEndian.Uint64(s.buf[s.pos:]))) {
			return s.corrupt("a score that is no number")
		}
		s.pos += 8
		return nil
	}
	if err := s.skipStrings(1, 0); err != nil { // Valkey's hash
		return err
	}
	if err := s.need(8); err != nil {
		return err
	}
	if at := int64(binary.LittleEndian.Uint64(s.buf[s.pos:])); at < -1 {
		return s.corrupt("an expiry of %d is no time", at)
	}
	s.pos += 8
	return nil
}

// verifyTextScore consumes a score of the first form: text behind its length, or
// one of three lone bytes.
func (s *Scanner) verifyTextScore() error {
	if err := s.need(1); err != nil {
		return err
	}
	size := int(s.buf[s.pos])
	if size == 253 {
		return s.corrupt("a score that is no number")
	}
	s.pos++
	if size > 253 { // infinities
		return nil
	}
	at := s.offset()
	var err error
	if s.deep.text, err = s.appendBytes(s.deep.text[:0], uint64(size)); err != nil {
		return err
	}
	if !isScore(s.deep.text) {
		return s.corruptAt(at, "a score that is no number")
	}
	return nil
}

// parseScoreText reads a score that is stored as text. One that is too large for
// its type is infinite.
func parseScoreText(text []byte) (float64, error) {
	score, err := strconv.ParseFloat(string(text), 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil
	}
	return score, err
}
