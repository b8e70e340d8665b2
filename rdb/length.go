package rdb

import "encoding/binary"

// The first byte of a length tells its form by the two top bits: 00 holds six
// bits, 01 fourteen with the next byte, 0x80 and 0x81 announce four or eight
// bytes. 11 is no length but the special encoding of a string. Any form may hold
// a small number.
const (
	length32 = 0x80
	length64 = 0x81

	maxLengthHead = 9
)

// lengthAt decodes a length from p, which must hold maxLengthHead bytes. size 0
// means that there is none.
func lengthAt(p []byte) (n uint64, size int) {
	_ = p[maxLengthHead-1]
	switch b := p[0]; {
	case b < 0x40:
		return uint64(b), 1
	case b < 0x80:
		return uint64(b&0x3f)<<8 | uint64(p[1]), 2
	case b == length32:
		return uint64(binary.BigEndian.Uint32(p[1:])), 5
	case b == length64:
		return binary.BigEndian.Uint64(p[1:]), 9
	}
	return 0, 0
}

// readLength consumes a length.
func (s *Scanner) readLength() (uint64, error) {
	if s.end-s.pos >= maxLengthHead {
		if n, size := lengthAt(s.buf[s.pos:s.end]); size > 0 {
			s.pos += size
			return n, nil
		}
	}
	return s.readLengthSlowly()
}

// readLengthSlowly asks for one byte before the next, because a length may be
// the last thing that the source can give for now.
func (s *Scanner) readLengthSlowly() (uint64, error) {
	if err := s.need(1); err != nil {
		return 0, err
	}
	size := lengthSize(s.buf[s.pos])
	if size == 0 {
		return 0, s.corrupt("byte %#02x starts no length", s.buf[s.pos])
	}
	if err := s.need(size); err != nil {
		return 0, err
	}
	var p [maxLengthHead]byte
	copy(p[:], s.buf[s.pos:s.pos+size])
	n, _ := lengthAt(p[:])
	s.pos += size
	return n, nil
}

// skipLengths consumes n lengths whose values do not matter.
func (s *Scanner) skipLengths(n int) error {
	for range n {
		if _, err := s.readLength(); err != nil {
			return err
		}
	}
	return nil
}

// maxBytes bounds what a count of things may claim to occupy, far above any
// file and far below an overflow.
const maxBytes = 1 << 56

// skipFixed consumes n things of a fixed size in bytes.
func (s *Scanner) skipFixed(n, size uint64) error {
	if n > maxBytes/size {
		return s.corrupt("a count of %d is impossible", n)
	}
	return s.skip(n * size)
}
