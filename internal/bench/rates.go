package bench

import (
	"fmt"
	stdcrc "hash/crc64"
	"io"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/keyframe/keyframe/rdb/crc64"
	"github.com/keyframe/keyframe/rdb/lzf"
)

// Pieces of the RDB that rates are measured on: as a scanner sums them, and as values are compressed.
const (
	rateSample = 32 << 20
	sumPiece   = 256 << 10
	lzfPiece   = 2 << 10
)

// jones is the polynomial of RDB's checksum for hash/crc64, which inverts before and behind.
const jones = 0x95ac9329ac4bc9b5

// rates measures the checksum and LZF alone, on one core, by processor time, and writes a table.
func (s *Stage) rates(w io.Writer) error {
	sample, err := s.sample()
	if err != nil {
		return err
	}
	var blocks [][]byte
	var texts [][]byte
	for p := range slices.Chunk(sample, lzfPiece) {
		if b := lzf.Append(nil, p); len(b) < len(p)-4 {
			blocks, texts = append(blocks, b), append(texts, p)
		}
	}
	packable := 0
	for _, p := range texts {
		packable += len(p)
	}
	// A scanner sums what it has just read: it is in the processor's cache.
	piece := sample[:min(len(sample), sumPiece)]
	table, sum := stdcrc.MakeTable(jones), uint64(0)
	var room []byte
	fmt.Fprintf(w, "One core, processor time; the checksum of %d KiB again and again, as a scanner sums what it has just read; LZF in pieces of %d bytes, those that it makes shorter:\n\n| what | MB/s |\n|---|---|\n", len(piece)>>10, lzfPiece)
	for _, m := range []struct {
		name string
		size int
		f    func() error
	}{
		{fmt.Sprintf("CRC64, carry-less multiplication%s", missing()), len(sample) / sumPiece * sumPiece, func() error {
			for range len(sample) / sumPiece {
				sum = crc64.Update(sum, piece)
			}
			return nil
		}},
		{"CRC64, 16 tables", len(sample) / sumPiece * sumPiece, func() error {
			for range len(sample) / sumPiece {
				sum = crc64.UpdatePortable(sum, piece)
			}
			return nil
		}},
		{"CRC64, hash/crc64", len(sample) / sumPiece * sumPiece, func() error {
			for range len(sample) / sumPiece {
				sum = ^stdcrc.Update(^sum, table, piece)
			}
			return nil
		}},
		{"LZF, packing", len(sample), func() error {
			for p := range slices.Chunk(sample, lzfPiece) {
				room = lzf.Append(room[:0], p)
			}
			return nil
		}},
		{"LZF, unpacking", packable, func() error {
			for i, b := range blocks {
				if err := lzf.Decode(room[:len(texts[i])], b); err != nil {
					return err
				}
			}
			return nil
		}},
		{"LZF, checking", packable, func() error {
			for i, b := range blocks {
				if err := lzf.Check(b, len(texts[i])); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		room = slices.Grow(room[:0], 2*lzfPiece)
		best, err := quickest(s.Runs, m.f)
		if err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(w, "| %s | %.0f |\n", m.name, float64(m.size)/1e6/seconds(best))
	}
	return nil
}

func missing() string {
	if crc64.Accelerated() {
		return ""
	}
	return " (not on this processor: the tables)"
}

// sample is the start of the RDB.
func (s *Stage) sample() ([]byte, error) {
	f, err := os.Open(s.RDB)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, rateSample))
}

// quickest is the least processor time that this thread took for f.
func quickest(runs int, f func() error) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := time.Duration(-1)
	for range runs + 1 { // the first warms up
		before := threadTime()
		if err := f(); err != nil {
			return 0, err
		}
		if took := threadTime() - before; best < 0 || took < best {
			best = took
		}
	}
	return best, nil
}

// threadTime is what this thread has used of a processor.
func threadTime() time.Duration {
	const thread = 1 // RUSAGE_THREAD of Linux
	var r syscall.Rusage
	if syscall.Getrusage(thread, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
