package snapstore

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// One encoder and one decoder serve all shards: each call takes one of as many slots as there are processors.
var (
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(blockSize),
			zstd.WithEncoderCRC(false), zstd.WithLowerEncoderMem(true), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
		if err != nil {
			panic(err) // constant options
		}
		return e
	})
	zstdDecoder = sync.OnceValue(func() *zstd.Decoder {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithDecoderMaxMemory(blockSize),
			zstd.WithDecoderMaxWindow(blockSize))
		if err != nil {
			panic(err) // constant options
		}
		return d
	})
)

// compress gives the block as it is stored: compressed into dst when that is shorter, else src itself.
func compress(c Codec, dst, src []byte) []byte {
	var out []byte
	switch c {
	case S2:
		out = s2.Encode(dst[:cap(dst)], src)
	case Zstd:
		out = zstdEncoder().EncodeAll(src, dst[:0])
	}
	if out == nil || len(out) >= len(src) {
		return src
	}
	return out
}

var errBlock = errors.New("a block does not decompress")

// decompress fills dst, whose length is that of the block, from src, which is shorter.
func decompress(c Codec, dst, src []byte) error {
	switch c {
	case S2:
		if n, err := s2.DecodedLen(src); err != nil || n != len(dst) {
			return errBlock
		}
		if _, err := s2.Decode(dst, src); err != nil {
			return fmt.Errorf("%w: %w", errBlock, err)
		}
		return nil
	case Zstd:
		out, err := zstdDecoder().DecodeAll(src, dst[:0:len(dst)])
		if err != nil {
			return fmt.Errorf("%w: %w", errBlock, err)
		}
		if len(out) != len(dst) || len(dst) > 0 && &out[0] != &dst[0] {
			return errBlock
		}
		return nil
	}
	return fmt.Errorf("%w: codec %s has no short blocks", errBlock, c)
}
