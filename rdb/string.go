package rdb

import (
	"encoding/binary"
	"strconv"

	"github.com/keyframe/keyframe/rdb/lzf"
)

// A string is a length and so many bytes, or one of the special encodings:
// a little-endian integer that stands for its decimal text, or LZF.
const (
	stringInt8  = 0xc0
	stringInt16 = 0xc1
	stringInt32 = 0xc2
	stringLZF   = 0xc3
)

// maxStringHead is the longest head: the LZF mark and two lengths.
const maxStringHead = 1 + 2*maxLengthHead

// stringHead is what precedes a string's bytes.
type stringHead struct {
	form   byte   // stringInt8..stringLZF, or 0 for plain bytes
	stored uint64 // bytes that follow in the file
	length uint64 // bytes of the text; 0 if an integer
}

// readStringHead consumes the head of a string.
func (s *Scanner) readStringHead() (stringHead, error) {
	if err := s.need(1); err != nil {
		return stringHead{}, err
	}
	b := s.buf[s.pos]
	if b < stringInt8 {
		n, err := s.readLength()
		if n > maxBytes {
			return stringHead{}, s.corrupt("a string of %d bytes is impossible", n)
		}
		return stringHead{stored: n, length: n}, err
	}
	if b > stringLZF {
		return stringHead{}, s.corrupt("byte %#02x starts no string", b)
	}
	s.pos++
	if b != stringLZF {
		return stringHead{form: b, stored: 1 << (b & 3)}, nil
	}
	stored, err := s.readLength()
	if err != nil {
		return stringHead{}, err
	}
	length, err := s.readLength()
	if err != nil {
		return stringHead{}, err
	}
	if stored > maxBytes || length > stored*lzf.MaxRatio {
		return stringHead{}, s.corrupt("%d bytes of LZF cannot hold %d", stored, length)
	}
	return stringHead{form: b, stored: stored, length: length}, nil
}

// skipString consumes one string.
func (s *Scanner) skipString() error {
	start := s.offset()
	head, err := s.readStringHead()
	if err != nil {
		return err
	}
	if s.deep != nil && head.form == stringLZF {
		return s.verifyLZF(head, start)
	}
	return s.skip(head.stored)
}

// skipStrings consumes n times a string and pad bytes. Most of the bytes of most
// files pass through here, so strings that lie wholly in the window are
// taken in a loop of their own.
func (s *Scanner) skipStrings(n, pad uint64) error {
	for ; n > 0; n-- {
		n = s.skipVisibleStrings(n, int(pad))
		if n == 0 {
			return nil
		}
		if err := s.skipString(); err != nil {
			return err
		}
		if err := s.skip(pad); err != nil {
			return err
		}
	}
	return nil
}

// skipVisibleStrings consumes up to n padded strings from the window alone and
// returns how many are left. It stops at anything unusual.
func (s *Scanner) skipVisibleStrings(n uint64, pad int) uint64 {
	buf, pos := s.buf[:s.end], s.pos
	for ; n > 0 && len(buf)-pos >= maxStringHead; n-- {
		size := 0
		switch b := buf[pos]; {
		case b < 0x40:
			size = 1 + int(b)
		case b < 0x80:
			size = 2 + (int(b&0x3f)<<8 | int(buf[pos+1]))
		case b == length32:
			// More than there is may be more than an int can be.
			size = 5 + int(min(uint64(binary.BigEndian.Uint32(buf[pos+1:])), uint64(len(buf))))
		case b == stringLZF:
			stored, k := lengthAt(buf[pos+1:])
			length, m := lengthAt(buf[pos+1+k:])
			if k == 0 || m == 0 || stored >= windowSize || length > stored*lzf.MaxRatio {
				s.pos = pos
				return n
			}
			size = 1 + k + m + int(stored)
			if s.deep != nil && (size > len(buf)-pos || lzf.Check(buf[pos+1+k+m:pos+size], int(length)) != nil) {
				s.pos = pos
				return n // to skipString, which tells what is wrong
			}
		case b >= stringInt8 && b < stringLZF:
			size = 1 + 1<<(b&3)
		default:
			s.pos = pos
			return n
		}
		if size+pad > len(buf)-pos {
			break
		}
		pos += size + pad
	}
	s.pos = pos
	return n
}

// appendInteger consumes an integer string and appends its decimal text.
func (s *Scanner) appendInteger(dst []byte, form byte) ([]byte, error) {
	size := 1 << (form & 3)
	if err := s.need(size); err != nil {
		return dst, err
	}
	p := s.buf[s.pos:]
	var v int64
	switch form {
	case stringInt8:
		v = int64(int8(p[0]))
	case stringInt16:
		v = int64(int16(binary.LittleEndian.Uint16(p)))
	default:
		v = int64(int32(binary.LittleEndian.Uint32(p)))
	}
	s.pos += size
	return strconv.AppendInt(dst, v, 10), nil
}

// readPrefix consumes a string and returns its first limit bytes as text, good
// until the next call of readPrefix with the same scratch.
func (s *Scanner) readPrefix(scratch []byte, limit int) ([]byte, error) {
	at := s.offset()
	head, err := s.readStringHead()
	if err != nil {
		return nil, err
	}
	scratch = scratch[:0]
	switch head.form {
	case 0:
		scratch, err = s.appendBytes(scratch, min(head.stored, uint64(limit)))
		if err == nil {
			err = s.skip(head.stored - uint64(len(scratch)))
		}
		return scratch, err
	case stringLZF:
		// Text never takes more LZF than a thirty-second part above its own length.
		start := s.offset()
		if s.deep != nil {
			first := &beginning{p: scratch, limit: limit}
			err := s.passLong(first, head, at)
			return first.p, err
		}
		take := min(head.stored, 2*uint64(limit))
		packed, err := s.appendBytes(nil, take)
		if err != nil {
			return nil, err
		}
		scratch, err = lzf.AppendPrefix(scratch, packed, int(min(head.length, uint64(limit))))
		if err != nil {
			return nil, s.corruptAt(start, "broken LZF")
		}
		return scratch, s.skip(head.stored - take)
	default:
		return s.appendInteger(scratch, head.form)
	}
}
