package snapstore

import (
	"encoding/binary"
	"fmt"
)

// FormatVersion is the newest version of manifests that this package knows. A manifest is written in the oldest one that can say what it has
// to say, and a reader refuses what it does not know.
const FormatVersion = 4

// partVersion is that of parts, which are as format 1 made them.
const partVersion = 1

const (
	segmentSize = 1 << 20  // of sealed bytes
	blockSize   = 1 << 20  // of stream bytes, compressed by themselves
	partSize    = 64 << 20 // of stream bytes, the most in one part
	maxShards   = 1024
	maxParts    = 1 << 20 // of one shard: 64 TiB

	partHead    = 8  // magic, codec
	blockHead   = 8  // lengths
	partTail    = 16 // end mark, flag, offset
	flagMore    = 0
	flagEnd     = 1
	sealHead    = 40 // length, salt, nonce prefix
	sealTag     = 16 // of every segment
	partMagic   = "KFP\x01"
	aadMagic    = "keyframe part\x00"
	maxFramed   = partHead + partTail + partSize + partSize/blockSize*blockHead
	maxStored   = sealHead + maxFramed + (maxFramed/(segmentSize-sealTag)+2)*sealTag
	minStored   = sealHead + partHead + partTail + sealTag
	maxManifest = 64 << 20
)

// Codec names how the blocks of a part are compressed.
type Codec string

const (
	None Codec = "none"
	S2   Codec = "s2"   // S2 block format
	Zstd Codec = "zstd" // one Zstandard frame
)

var codecBytes = map[Codec]byte{None: 0, S2: 1, Zstd: 2}

// associated binds a sealed part to its place: format, capture, shard and number.
func associated(capture, shard string, number int) []byte {
	aad := binary.BigEndian.AppendUint32([]byte(aadMagic), partVersion)
	for _, s := range []string{capture, shard} {
		aad = binary.BigEndian.AppendUint16(aad, uint16(len(s)))
		aad = append(aad, s...)
	}
	return binary.BigEndian.AppendUint64(aad, uint64(number))
}

func header(c Codec) []byte {
	h := make([]byte, partHead)
	copy(h, partMagic)
	h[4] = codecBytes[c]
	return h
}

func checkHeader(h []byte, c Codec) error {
	if string(h[:4]) != partMagic || h[5]|h[6]|h[7] != 0 {
		return fmt.Errorf("header % x", h)
	}
	if h[4] != codecBytes[c] {
		return fmt.Errorf("codec %d, the manifest says %s", h[4], c)
	}
	return nil
}

// trailer ends a part: whether the stream ends too, and how many stream bytes there were from its beginning.
func trailer(end bool, offset int64) []byte {
	t := make([]byte, partTail)
	if end {
		t[4] = flagEnd
	}
	binary.LittleEndian.PutUint64(t[8:], uint64(offset))
	return t
}
