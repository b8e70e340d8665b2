// Package crc64 computes the 64-bit checksum at the end of every RDB file.
//
// It is the Jones polynomial, reflected, with neither initial value nor final
// inversion, which hash/crc64 cannot express directly. On amd64 and arm64
// processors with carry-less multiplication (PCLMULQDQ, PMULL), long buffers are
// folded 128 bytes at a time, or 256 where VPCLMULQDQ is; everywhere else, and for short buffers, 16 table
// look-ups advance the checksum by 16 bytes. Both ways give the same answers. The
// build tag purego leaves the assembly out.
//
// Pass buffers of a few kilobytes or more: the fast way needs 256 bytes to start.
// To compare the ways on a machine:
//
//	go test -bench . github.com/keyframe/keyframe/rdb/crc64
package crc64

import (
	"encoding/binary"
	"math/bits"
)

// poly is the Jones polynomial in its usual notation, highest power first and
// the leading x^64 implied.
const poly = 0xad93d23594c935a9

// reflected has the lowest power in the top bit, as the algorithm wants it.
const reflected = 0x95ac9329ac4bc9b5

// Size of a checksum in bytes, as RDB files store it (little-endian).
const Size = 8

// tables[k][b] is the checksum of byte b followed by k zero bytes.
var tables = makeTables()

func makeTables() *[16][256]uint64 {
	t := new([16][256]uint64)
	for b := range 256 {
		c := uint64(b)
		for range 8 {
			c = c>>1 ^ reflected&-(c&1)
		}
		t[0][b] = c
	}
	for k := 1; k < 16; k++ {
		for b := range 256 {
			c := t[k-1][b]
			t[k][b] = c>>8 ^ t[0][byte(c)]
		}
	}
	return t
}

// Update returns the checksum of the bytes already summed up in crc followed by
// p. The checksum of nothing is 0.
func Update(crc uint64, p []byte) uint64 {
	if len(p) >= foldMinimum && canFold {
		return updateFolding(crc, p)
	}
	return updateTables(crc, p)
}

// UpdatePortable is Update without what the processor may have for it: the same
// answer, for those who measure or doubt the other way.
func UpdatePortable(crc uint64, p []byte) uint64 { return updateTables(crc, p) }

// Accelerated reports whether Update uses carry-less multiplication here.
func Accelerated() bool { return canFold }

// updateTables is Update in portable Go: 16 bytes a step, then byte by byte.
func updateTables(crc uint64, p []byte) uint64 {
	t := tables
	for len(p) >= 16 {
		a := crc ^ binary.LittleEndian.Uint64(p)
		b := binary.LittleEndian.Uint64(p[8:])
		crc = t[15][byte(a)] ^ t[14][byte(a>>8)] ^ t[13][byte(a>>16)] ^ t[12][byte(a>>24)] ^
			t[11][byte(a>>32)] ^ t[10][byte(a>>40)] ^ t[9][byte(a>>48)] ^ t[8][byte(a>>56)] ^
			t[7][byte(b)] ^ t[6][byte(b>>8)] ^ t[5][byte(b>>16)] ^ t[4][byte(b>>24)] ^
			t[3][byte(b>>32)] ^ t[2][byte(b>>40)] ^ t[1][byte(b>>48)] ^ t[0][byte(b>>56)]
		p = p[16:]
	}
	for _, b := range p {
		crc = crc>>8 ^ t[0][byte(crc)^b]
	}
	return crc
}

// power returns x^n modulo the polynomial, lowest power in the top bit.
func power(n int) uint64 {
	v := uint64(1)
	for range n {
		carry := v >> 63
		v = v<<1 ^ poly&-carry
	}
	return bits.Reverse64(v)
}
