package rdb

import (
	"errors"
	"hash/maphash"
	"io"
	"strings"

	"github.com/keyframe/keyframe/rdb/lzf"
)

// longText is the length of an element from which on it is not held to be
// compared with others.
const longText = 1 << 20

// verifyMember consumes a string and tells whether it is new to t.
func (s *Scanner) verifyMember(t *seen) (fresh bool, err error) {
	if s.end-s.pos >= maxLengthHead {
		n, size := lengthAt(s.buf[s.pos:s.end])
		if from := s.pos + size; size > 0 && n <= uint64(s.end-from) {
			s.pos = from + int(n)
			return t.add(s.buf[from:s.pos]), nil
		}
	}
	start := s.offset()
	head, err := s.readStringHead()
	if err != nil {
		return false, err
	}
	if max(head.stored, head.length) <= longText {
		s.deep.text, err = s.readText(s.deep.text[:0], head, start)
		return err == nil && t.add(s.deep.text), err
	}
	var h maphash.Hash
	h.SetSeed(t.seed)
	err = s.passLong(&h, head, start)
	return t.addHash(h.Sum64()), err
}

// passLong consumes a string behind its head and writes its text to w.
func (s *Scanner) passLong(w io.Writer, head stringHead, start int64) error {
	part := &stretch{s, head.stored}
	if head.form != stringLZF {
		_, err := part.WriteTo(w)
		return err
	}
	if s.deep.long == nil {
		s.deep.long = lzf.NewReader(part, int64(head.length))
	} else {
		s.deep.long.Reset(part, int64(head.length))
	}
	_, err := s.deep.long.WriteTo(w)
	if errors.Is(err, lzf.ErrCorrupt) {
		return s.brokenLZF(start, head.length)
	}
	return err
}

// verifyLZF consumes LZF behind its head, without unpacking it if the window
// has it.
func (s *Scanner) verifyLZF(head stringHead, start int64) error {
	fits, err := s.fits(head.stored)
	if err != nil {
		return err
	}
	if !fits {
		return s.passLong(io.Discard, head, start)
	}
	if lzf.Check(s.buf[s.pos:s.pos+int(head.stored)], int(head.length)) != nil {
		return s.brokenLZF(start, head.length)
	}
	s.pos += int(head.stored)
	return nil
}

// stretch reads the next bytes of the file, so many of them.
type stretch struct {
	s    *Scanner
	left uint64
}

func (r *stretch) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	s := r.s
	if s.pos == s.end {
		if err := s.fill(1); err != nil {
			return 0, err
		}
	}
	n := copy(p[:min(uint64(len(p)), r.left)], s.buf[s.pos:s.end])
	s.pos += n
	r.left -= uint64(n)
	return n, nil
}

// WriteTo spares a copy of what is not compressed.
func (r *stretch) WriteTo(w io.Writer) (total int64, err error) {
	s := r.s
	for r.left > 0 {
		if s.pos == s.end {
			if err := s.fill(1); err != nil {
				return total, err
			}
		}
		n := int(min(r.left, uint64(s.end-s.pos)))
		if _, err := w.Write(s.buf[s.pos : s.pos+n]); err != nil {
			return total, err
		}
		s.pos += n
		r.left -= uint64(n)
		total += int64(n)
	}
	return total, nil
}

// beginning keeps the first bytes of what it is written.
type beginning struct {
	p     []byte
	limit int
}

func (b *beginning) Write(p []byte) (int, error) {
	b.p = append(b.p, p[:min(len(p), b.limit-len(b.p))]...)
	return len(p), nil
}

// libraryLine is the most that is looked at of a library's first line.
const libraryLine = 4 << 10

// verifyLibrary consumes a function library, which must begin as in
// "#!lua name=mylib".
func (s *Scanner) verifyLibrary() error {
	start := s.offset()
	head, err := s.readStringHead()
	if err != nil {
		return err
	}
	if head.form != 0 && head.form != stringLZF {
		return s.corruptAt(start, "a function library that is a number")
	}
	first := &beginning{limit: libraryLine}
	if err := s.passLong(first, head, start); err != nil {
		return err
	}
	return s.verifyFirstLine(first.p, start)
}

// verifyFirstLine looks at the start of a library's source.
func (s *Scanner) verifyFirstLine(source []byte, start int64) error {
	line, _, whole := strings.Cut(string(source), "\n")
	whole = whole || len(source) < libraryLine
	words := strings.Fields(line)
	if len(words) == 0 || len(words[0]) < len("#!x") || !strings.HasPrefix(words[0], "#!") {
		return s.corruptAt(start, "a function library that does not begin with #! and an engine")
	}
	for _, w := range words[1:] {
		if name, ok := strings.CutPrefix(w, "name="); ok && name != "" {
			return nil
		}
	}
	if whole {
		return s.corruptAt(start, "a function library without a name")
	}
	return nil
}
