package checksum

import (
	"encoding/binary"
	"hash/crc32"
)

// matrix is a linear map over bits: column i is the image of bit i.
type matrix [64]uint64

func (m *matrix) times(v uint64) uint64 {
	var sum uint64
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *matrix) squared() *matrix {
	var sq matrix
	for i, column := range m {
		sq[i] = m.times(column)
	}
	return &sq
}

// zeroBit is what one zero bit does to a reflected CRC register of the given width.
func zeroBit(poly uint64, width int) *matrix {
	var m matrix
	m[0] = poly
	for i := 1; i < width; i++ {
		m[i] = 1 << (i - 1)
	}
	return &m
}

// shift is the CRC of bytes with checksum crc after n zero bytes were appended, pre- and post-conditioning aside.
func shift(powers []*matrix, crc uint64, n int64) uint64 {
	for i := 0; n != 0; i, n = i+1, n>>1 {
		if n&1 != 0 {
			crc = powers[i].times(crc)
		}
	}
	return crc
}

// bytePowers are the maps for 1, 2, 4, ... zero bytes, enough for any int64.
func bytePowers(poly uint64, width int) []*matrix {
	m := zeroBit(poly, width).squared().squared().squared()
	powers := make([]*matrix, 63)
	for i := range powers {
		powers[i] = m
		m = m.squared()
	}
	return powers
}

// fullObject joins the CRCs of consecutive parts without seeing their bytes.
func fullObject(a Algorithm, parts []Part) []byte {
	poly, width := uint64(crc32.IEEE), 32
	switch a {
	case CRC32C:
		poly = crc32.Castagnoli
	case CRC64NVME:
		poly, width = nvmePoly, 64
	}
	powers := bytePowers(poly, width)
	var crc uint64
	for _, p := range parts {
		if width == 32 {
			crc = shift(powers, crc, p.Size) ^ uint64(binary.BigEndian.Uint32(p.Raw))
		} else {
			crc = shift(powers, crc, p.Size) ^ binary.BigEndian.Uint64(p.Raw)
		}
	}
	if width == 32 {
		return binary.BigEndian.AppendUint32(nil, uint32(crc))
	}
	return binary.BigEndian.AppendUint64(nil, crc)
}
