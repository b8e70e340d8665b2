package keydiff

import (
	"fmt"
	"math/bits"
	"os"
	"sync"
)

// spill is a temporary file without a name: whatever ends the program, it is gone.
type spill struct {
	dir string
	mu  sync.Mutex
	f   *os.File
	end int64
}

func (s *spill) write(p []byte) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		f, err := os.CreateTemp(s.dir, "keyframe-diff-*") // mode 0600
		if err != nil {
			return 0, fmt.Errorf("temporary file: %w", err)
		}
		s.f = f
		if err := os.Remove(f.Name()); err != nil {
			return 0, fmt.Errorf("temporary file: %w", err)
		}
	}
	at := s.end
	if _, err := s.f.WriteAt(p, at); err != nil {
		return 0, fmt.Errorf("temporary file in %s, after %d bytes: %w", dirOf(s.dir), at, err)
	}
	s.end += int64(len(p))
	return at, nil
}

func (s *spill) read(p []byte, at int64) error {
	if _, err := s.f.ReadAt(p, at); err != nil {
		return fmt.Errorf("temporary file: %w", err)
	}
	return nil
}

func (s *spill) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	s.f = nil
	return err
}

func dirOf(dir string) string {
	if dir == "" {
		return os.TempDir()
	}
	return dir
}

// partitions divide entries by bits of their id, others at each level.
type partitions struct {
	spill *spill
	level int
	block int
	parts []partition
}

// partition is a sequence of entries. Each block, and the buffer, has whole ones.
type partition struct {
	blocks []block
	buf    []byte
	bytes  int64
}

type block struct {
	at int64
	n  int
}

func newPartitions(s *spill, o Options, level int) *partitions {
	return &partitions{spill: s, level: level, block: o.block, parts: make([]partition, o.fanOut)}
}

// deepest tells that the levels so far have used up the first half of ids: what is together here stays together.
func (s *partitions) deepest() bool { return (s.level+1)*bits.Len(uint(len(s.parts)-1)) >= 64 }

func (s *partitions) add(id hash128, line []byte) error {
	// The multiplication takes the highest bits that the levels above have not used.
	h, part := id[0], uint64(0)
	for range s.level + 1 {
		part, h = bits.Mul64(h, uint64(len(s.parts)))
	}
	p := &s.parts[part]
	if len(p.buf)+len(line) > s.block && len(p.buf) > 0 {
		at, err := s.spill.write(p.buf)
		if err != nil {
			return err
		}
		p.blocks = append(p.blocks, block{at, len(p.buf)})
		p.buf = p.buf[:0]
	}
	p.buf = append(p.buf, line...)
	p.bytes += int64(len(line))
	return nil
}

// each hands over the pieces of a partition. A piece is good until the next.
func (s *partitions) each(part int, do func(piece []byte) error) error {
	p := &s.parts[part]
	var piece []byte
	for _, b := range p.blocks {
		if cap(piece) < b.n {
			piece = make([]byte, b.n)
		}
		piece = piece[:b.n]
		if err := s.spill.read(piece, b.at); err != nil {
			return err
		}
		if err := do(piece); err != nil {
			return err
		}
	}
	return do(p.buf)
}
