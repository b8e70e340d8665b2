package rdb

import (
	"bytes"
	"fmt"
	"math/bits"
)

// Slots is the number of hash slots that a cluster divides its keys into.
const Slots = 16384

// KeySlot returns the cluster slot of a key, 0 to Slots-1. If the key holds a
// hash tag, text between the first '{' and the first '}' after it, only that text
// counts.
func KeySlot(key []byte) int {
	if open := bytes.IndexByte(key, '{'); open >= 0 {
		if n := bytes.IndexByte(key[open+1:], '}'); n > 0 {
			key = key[open+1 : open+1+n]
		}
	}
	return int(crc16(key)) & (Slots - 1)
}

// SlotSet is a set of cluster slots. The zero value is empty.
type SlotSet [Slots / 64]uint64

// Add adds the slots first to last, both included. Numbers that are no slots are
// left out.
func (s *SlotSet) Add(first, last int) {
	for n := max(first, 0); n <= min(last, Slots-1); n++ {
		s[n/64] |= 1 << (n % 64)
	}
}

// Has reports whether a slot is in the set.
func (s *SlotSet) Has(slot int) bool {
	return uint(slot) < Slots && s[uint(slot)/64]>>(uint(slot)%64)&1 != 0
}

// Len is the number of slots in the set.
func (s *SlotSet) Len() (n int) {
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// SlotError says that a record is in a file where its slot does not belong. It
// wraps a CorruptError, and so matches ErrCorrupt.
type SlotError struct {
	Offset int64 // of the record's first byte, from the magic
	Record int64 // its number in the file, from 1
	Slot   int   // of its key
}

func (e *SlotError) Error() string {
	return fmt.Sprintf("rdb: record %d at offset %d has a key of slot %d, which does not belong here", e.Record, e.Offset, e.Slot)
}

// Unwrap returns the same as a CorruptError.
func (e *SlotError) Unwrap() error {
	return &CorruptError{Offset: e.Offset, Section: "key", Reason: fmt.Sprintf("record %d is of slot %d, which does not belong here", e.Record, e.Slot)}
}

// crc16Tables[n] hold the checksum of a byte and n zeros behind it, of
// CRC16-XMODEM: polynomial 0x1021, highest bit first, starting from 0.
var crc16Tables = makeCRC16Tables()

func makeCRC16Tables() *[8][256]uint16 {
	t := new([8][256]uint16)
	for b := range 256 {
		c := uint16(b) << 8
		for range 8 {
			c = c<<1 ^ 0x1021&-(c>>15)
		}
		t[0][b] = c
	}
	for n := range len(t) - 1 {
		for b := range 256 {
			c := t[n][b]
			t[n+1][b] = c<<8 ^ t[0][c>>8]
		}
	}
	return t
}

// crc16 takes eight bytes at once: what each of them adds does not wait for the others.
func crc16(p []byte) uint16 {
	t := crc16Tables
	var c uint16
	for ; len(p) >= 8; p = p[8:] {
		c = t[7][byte(c>>8)^p[0]] ^ t[6][byte(c)^p[1]] ^ t[5][p[2]] ^ t[4][p[3]] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]]
	}
	for ; len(p) >= 2; p = p[2:] {
		c = t[1][byte(c>>8)^p[0]] ^ t[0][byte(c)^p[1]]
	}
	if len(p) == 1 {
		c = c<<8 ^ t[0][byte(c>>8)^p[0]]
	}
	return c
}
