package rdb

import (
	"fmt"
	"io"

	"github.com/keyframe/keyframe/rdb/crc64"
)

// windowSize is a good read size for files and sockets, and fits a core's
// second-level cache, where the checksum finds the bytes again.
const windowSize = 256 << 10

// maxReads without a byte or an error mean that the source is broken.
const maxReads = 100

// The window is buf. Bytes [0,flushed) are summed, [0,passed) passed on, [0,pos)
// are consumed, [pos,end) are read ahead.

// offset is that of the next byte to consume, counted from the magic.
func (s *Scanner) offset() int64 { return s.base + int64(s.pos) }

// need makes sure that the next n bytes, at most lookahead, are in the window.
func (s *Scanner) need(n int) error {
	if s.end-s.pos >= n {
		return nil
	}
	return s.fill(n)
}

// fill reads until n bytes are ahead. It takes what one read gives and asks for
// no more than it must, so that it never waits for bytes behind the file's end.
func (s *Scanner) fill(n int) error {
	for empty := 0; s.end-s.pos < n; {
		if s.readErr == io.EOF {
			return s.truncated()
		}
		if s.readErr != nil {
			return fmt.Errorf("rdb: read at offset %d: %w", s.base+int64(s.end), s.readErr)
		}
		// Small reads pile up in the window, so that what leaves it is large.
		if s.lender != nil || len(s.buf)-s.end < len(s.buf)/4 {
			next, err := s.exchange()
			if err != nil {
				return err
			}
			if s.feed != nil {
				if err := s.handOver(); err != nil {
					return err
				}
			}
			if s.tap != nil {
				s.passTap()
			}
			if s.lender != nil {
				s.borrow()
				continue
			}
			s.slide(next)
		}
		k, err := s.src.Read(s.buf[s.end:])
		if k < 0 || k > len(s.buf)-s.end {
			return fmt.Errorf("rdb: read at offset %d: the reader claims %d bytes of %d", s.base+int64(s.end), k, len(s.buf)-s.end)
		}
		s.end += k
		s.readErr = err
		if k > 0 {
			empty = 0
		} else if empty++; err == nil && empty == maxReads {
			s.readErr = io.ErrNoProgress
		}
	}
	return nil
}

// exchange flushes, and returns the buffer to go on with.
func (s *Scanner) exchange() ([]byte, error) {
	x, ok := s.tee.(Exchanger)
	if !ok || s.passed > 0 || s.lowerTo != 0 || s.lender != nil {
		return s.buf, s.flush()
	}
	s.tally()
	s.passed = s.pos
	next, err := x.Exchange(s.buf, s.pos)
	if err != nil {
		return nil, fmt.Errorf("rdb: pass on %d bytes at offset %d: %w", s.pos, s.base, err)
	}
	if len(next) < len(s.buf) {
		return nil, fmt.Errorf("rdb: a buffer of %d bytes was exchanged for one of %d", len(s.buf), len(next))
	}
	return next, nil
}

// slide moves what is ahead to the front of the next window.
func (s *Scanner) slide(next []byte) {
	copy(next, s.buf[s.pos:s.end])
	s.buf = next
	s.base += int64(s.pos)
	s.end -= s.pos
	s.pos, s.flushed, s.passed, s.taken, s.tapped = 0, 0, 0, 0, 0
}

// borrow makes the next window of a buffer that is lent, with what is ahead copied
// to its front: less than LendRoom, as fill is called for less.
func (s *Scanner) borrow() {
	var rest [LendRoom]byte
	n := copy(rest[:], s.buf[s.pos:s.end])
	next, err := s.lender.Lend()
	if err == nil && len(next) <= LendRoom {
		err = io.ErrNoProgress
	}
	if err != nil {
		s.readErr = err
		return
	}
	from := LendRoom - n
	copy(next[from:], rest[:n])
	s.base += int64(s.pos - from)
	s.buf, s.end = next, len(next)
	s.pos, s.flushed, s.passed, s.taken, s.tapped = from, from, from, from, from
}

// passTap gives the tap what was consumed since it was last given something,
// until it fails.
func (s *Scanner) passTap() {
	p := s.buf[s.tapped:s.pos]
	s.tapped = s.pos
	if s.tapErr != nil || len(p) == 0 {
		return
	}
	n, err := s.tap.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	s.tapErr = err
}

// flush sums the consumed bytes and passes them on.
func (s *Scanner) flush() error {
	s.tally()
	return s.pass()
}

// tally sums the consumed bytes.
func (s *Scanner) tally() {
	if s.stage != inTrailer {
		s.crc = crc64.Update(s.crc, s.buf[s.flushed:s.pos])
	}
	s.flushed = s.pos
}

// pass passes on the consumed bytes.
func (s *Scanner) pass() error {
	p := s.buf[s.passed:s.pos]
	at := s.base + int64(s.passed)
	s.passed = s.pos
	if s.tee == nil || len(p) == 0 || s.omitting && s.lowerTo != 0 {
		return nil
	}
	n, err := s.tee.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("rdb: pass on %d bytes at offset %d: %w", len(p), at, err)
	}
	return nil
}

// skip consumes n bytes, however many windows they fill.
func (s *Scanner) skip(n uint64) error {
	if ahead := uint64(s.end - s.pos); n <= ahead {
		s.pos += int(n)
		return nil
	}
	for {
		step := min(n, uint64(s.end-s.pos))
		s.pos += int(step)
		if n -= step; n == 0 {
			return nil
		}
		if err := s.fill(1); err != nil {
			return err
		}
	}
}

// appendBytes consumes n bytes and appends them to dst, which grows only as
// they really arrive.
func (s *Scanner) appendBytes(dst []byte, n uint64) ([]byte, error) {
	for {
		step := min(n, uint64(s.end-s.pos))
		dst = append(dst, s.buf[s.pos:s.pos+int(step)]...)
		s.pos += int(step)
		if n -= step; n == 0 {
			return dst, nil
		}
		if err := s.fill(1); err != nil {
			return dst, err
		}
	}
}
