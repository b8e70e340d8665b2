package capture

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
)

// slotSize is a sealed chunk.
const slotSize = chunkSize + 16

// spool is a first-in first-out file of chunks. It has no name once it is open, and its bytes are sealed with a key that exists only in memory:
// nothing readable stays behind, and what comes back is what was written, or an error. One goroutine writes, another reads, both
// without the queue's lock; it guards pieces and slots.
type spool struct {
	dir string
	max int64 // bytes, 0 is no limit

	file     *os.File
	aead     cipher.AEAD
	sealed   []byte // the writer's
	opened   []byte // the reader's
	serial   uint64 // of the next piece: its nonce
	pieces   []piece
	free     []int64 // slots that were read
	slots    int64   // in the file
	refusing bool
}

// piece is a chunk in the file.
type piece struct {
	serial uint64
	slot   int64
	size   int
}

// room tells whether another chunk may be written.
func (s *spool) room() bool {
	return s != nil && !s.refusing && (len(s.free) > 0 || s.max == 0 || (s.slots+1)*slotSize <= s.max)
}

func (s *spool) pending() int {
	if s == nil {
		return 0
	}
	return len(s.pieces)
}

func (s *spool) refuse()      { s.refusing = true }
func (s *spool) first() piece { return s.pieces[0] }

// take reserves a slot.
func (s *spool) take() int64 {
	if n := len(s.free); n > 0 {
		slot := s.free[n-1]
		s.free = s.free[:n-1]
		return slot
	}
	s.slots++
	return s.slots - 1
}

// add makes a written piece count.
func (s *spool) add(p piece) { s.pieces = append(s.pieces, p) }

func (s *spool) drop() {
	s.free = append(s.free, s.pieces[0].slot)
	s.pieces = s.pieces[1:]
}

func (s *spool) open() error {
	f, err := os.CreateTemp(s.dir, "keyframe-spool-") // mode 0600
	if err != nil {
		return err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return err
	}
	var key [32]byte
	rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err == nil {
		s.aead, err = cipher.NewGCM(block)
	}
	if err != nil {
		f.Close()
		return err
	}
	s.file, s.sealed, s.opened = f, make([]byte, 0, slotSize), make([]byte, slotSize)
	return nil
}

func nonce(serial uint64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), serial)
}

// write puts a chunk into a slot.
func (s *spool) write(chunk []byte, slot int64) (piece, error) {
	if s.file == nil {
		if err := s.open(); err != nil {
			return piece{}, fmt.Errorf("open the spool: %w", err)
		}
	}
	p := piece{s.serial, slot, len(chunk)}
	s.serial++
	s.sealed = s.aead.Seal(s.sealed[:0], nonce(p.serial), chunk, nil)
	if _, err := s.file.WriteAt(s.sealed, slot*slotSize); err != nil {
		return piece{}, fmt.Errorf("write to the spool: %w", err)
	}
	return p, nil
}

// read gives a chunk back; it is valid until the next read.
func (s *spool) read(p piece) ([]byte, error) {
	buf := s.opened[:p.size+s.aead.Overhead()]
	if _, err := s.file.ReadAt(buf, p.slot*slotSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpool, err)
	}
	b, err := s.aead.Open(buf[:0], nonce(p.serial), buf, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: piece %d does not match its seal", ErrSpool, p.serial)
	}
	return b, nil
}

func (s *spool) close() {
	if s != nil && s.file != nil {
		s.file.Close()
	}
}
