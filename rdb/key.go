package rdb

import (
	"slices"

	"github.com/keyframe/keyframe/rdb/lzf"
)

// MaxKey is the greatest length of a key in bytes, the engines' own default
// limit for any string. A longer one counts as corrupt.
const MaxKey = 512 << 20

// keepKey is the largest key buffer carried from one record to the next.
const keepKey = 1 << 20

// skipKey consumes a key.
func (s *Scanner) skipKey() error {
	if s.end-s.pos >= 64 {
		if b := s.buf[s.pos]; b < 0x40 {
			s.pos += 1 + int(b)
			return nil
		}
	}
	start := s.offset()
	head, err := s.readKeyHead()
	if err != nil {
		return err
	}
	if s.deep != nil && head.form == stringLZF {
		return s.verifyLZF(head, start)
	}
	return s.skip(head.stored)
}

// readSlot consumes a key and leaves its cluster slot in s.slot. A plain key that
// lies in the window is hashed where it is.
func (s *Scanner) readSlot() error {
	if s.end-s.pos >= maxLengthHead {
		n, size := lengthAt(s.buf[s.pos:s.end])
		if from := s.pos + size; size > 0 && n <= uint64(s.end-from) {
			s.pos = from + int(n)
			s.slot = KeySlot(s.buf[from:s.pos])
			return nil
		}
	}
	err := s.readKey()
	s.slot = KeySlot(s.key)
	return err
}

// readKeyHead consumes the head of a key and bounds what follows.
func (s *Scanner) readKeyHead() (stringHead, error) {
	start := s.offset()
	head, err := s.readStringHead()
	if err == nil && max(head.stored, head.length) > MaxKey {
		return head, s.corruptAt(start, "a key of %d bytes is longer than %d", max(head.stored, head.length), MaxKey)
	}
	return head, err
}

// readKey consumes a key and leaves its text in s.key.
func (s *Scanner) readKey() error {
	if cap(s.key) > keepKey {
		s.key, s.packed = nil, nil
	}
	s.key = s.key[:0]
	if s.end-s.pos >= maxLengthHead {
		n, size := lengthAt(s.buf[s.pos:s.end])
		if from := s.pos + size; size > 0 && n <= uint64(s.end-from) {
			s.pos = from + int(n)
			s.key = append(s.key, s.buf[from:s.pos]...)
			return nil
		}
	}
	start := s.offset()
	head, err := s.readKeyHead()
	if err != nil {
		return err
	}
	s.key, err = s.readText(s.key, head, start)
	return err
}

// readText consumes a string behind its head, at start, and appends its text to
// dst. The head must have been bounded.
func (s *Scanner) readText(dst []byte, head stringHead, start int64) (_ []byte, err error) {
	switch head.form {
	case 0:
		return s.appendBytes(dst, head.stored)
	case stringLZF:
		if s.packed, err = s.appendBytes(s.packed[:0], head.stored); err != nil {
			return dst, err
		}
		// The head was not believed if it claims more than lzf.MaxRatio times what has
		// arrived by now.
		had := len(dst)
		dst = slices.Grow(dst, int(head.length))[:had+int(head.length)]
		if lzf.Decode(dst[had:], s.packed) != nil {
			return dst[:had], s.corruptAt(start, "LZF that does not hold the %d bytes it claims", head.length)
		}
		return dst, nil
	default:
		return s.appendInteger(dst, head.form)
	}
}
