//go:build (amd64 || arm64) && !purego

package crc64

// foldMinimum is the length from which folding pays for its start and finish.
const foldMinimum = 256

// stride is what one turn of the assembly loop consumes: eight 16-byte lanes.
const stride = 128

var canFold = hasCarrylessMultiply()

// constants multiply the two halves of a lane forward by one stride (first
// pair) and by one lane (second pair). The carry-less product of two reflected
// numbers comes out one power too high, hence the -1.
var constants = [4]uint64{
	power(8*stride + 64 - 1), power(8*stride - 1),
	power(8*16 + 64 - 1), power(8*16 - 1),
}

// updateFolding is Update by carry-less multiplication. len(p) >= stride.
func updateFolding(crc uint64, p []byte) uint64 {
	if canFoldWide && len(p) >= wideMinimum {
		crc, p = updateWide(crc, p)
		if len(p) < stride {
			return updateTables(crc, p)
		}
	}
	return updateNarrow(crc, p)
}

// updateNarrow reduces all whole strides to 16 bytes that have the same checksum,
// and leaves those and the tail to the tables. len(p) >= stride.
func updateNarrow(crc uint64, p []byte) uint64 {
	whole := len(p) &^ (stride - 1)
	var rest [16]byte
	fold(crc, p[:whole], &constants, &rest)
	return updateTables(updateTables(0, rest[:]), p[whole:])
}

// fold writes to out 16 bytes whose checksum is that of p continued from crc.
// len(p) must be a multiple of stride and not zero.
//
//go:noescape
func fold(crc uint64, p []byte, k *[4]uint64, out *[16]byte)
