//go:build amd64 && !purego

package crc64

// hasCarrylessMultiply asks the processor for PCLMULQDQ.
func hasCarrylessMultiply() bool

// wideStride is what one turn of the wide loop consumes, four registers of 64
// bytes; wideMinimum the length from which it pays.
const (
	wideStride  = 256
	wideMinimum = 4 * wideStride
)

var canFoldWide = canFold && hasWideMultiply()

// wideConstants multiply the two halves of a lane forward by one wide stride.
var wideConstants = [2]uint64{power(8*wideStride + 64 - 1), power(8*wideStride - 1)}

// updateWide sums all whole wide strides, and returns the tail. There must be one.
func updateWide(crc uint64, p []byte) (uint64, []byte) {
	whole := len(p) &^ (wideStride - 1)
	var rest [wideStride]byte
	foldWide(crc, p[:whole], &wideConstants, &rest)
	return updateNarrow(0, rest[:]), p[whole:]
}

// foldWide writes to out bytes whose checksum is that of p continued from crc.
// len(p) must be a multiple of wideStride and not zero.
//
//go:noescape
func foldWide(crc uint64, p []byte, k *[2]uint64, out *[wideStride]byte)

// hasWideMultiply asks the processor for AVX-512 and VPCLMULQDQ, and whether the
// system keeps their registers.
func hasWideMultiply() bool
