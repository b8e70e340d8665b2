package rdb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/rdb/crc64"
)

// ErrCannotLower matches the errors of Lower for files that hold something which
// the version asked for does not have.
var ErrCannotLower = errors.New("rdb: cannot lower")

// lowestTarget is the oldest version that Lower writes: Redis 5 and everything
// after it reads it.
const lowestTarget = 9

// MinVersion returns the lowest RDB version whose readers can load what a file
// holds as it is, judged by the types and opcodes in it: 9, 10, 11 or 12, all under the
// REDIS magic, or 80, under VALKEY. It is above the version of a file that holds what
// came later than that. A file older than 9 that 9 is enough for stays what it is.
func MinVersion(s *Summary) int {
	fam := redis
	if s.Family == FamilyValkey {
		fam = valkey
	}
	lowest := lowestTarget
	for t, n := range s.Types {
		if n > 0 {
			lowest = max(lowest, fam.layout(byte(t)).since)
		}
	}
	if s.Functions > 0 {
		lowest = max(lowest, 10)
	}
	if s.SlotInfos > 0 {
		lowest = max(lowest, 12)
	}
	if s.SlotImports > 0 {
		lowest = max(lowest, onlyValkey)
	}
	if lowest == lowestTarget {
		return min(lowest, s.Version)
	}
	return lowest
}

// LowestVersion returns the lowest RDB version that Lower, or a Splitter, can
// give to what a file holds, storing values in older types where those serve and
// leaving hints per slot out: at most MinVersion, and above 9 only for functions (10),
// hashes whose fields expire (12) and slot imports (80).
func LowestVersion(s *Summary) int {
	rewritten := *s
	if s.Family == FamilyValkey && s.Types[typeValkeyHash2] > 0 {
		rewritten.Types[typeValkeyHash2] = 0
		return max(12, LowestVersion(&rewritten))
	}
	rewritten.SlotInfos = 0
	for t, n := range s.Types {
		if older, ok := olderType(byte(t), lowestTarget); ok {
			rewritten.Types[t] = 0
			rewritten.Types[older] += n
		}
	}
	return MinVersion(&rewritten)
}

// Lower copies a file from r to w under the REDIS magic with a lower version (9
// to 12), so that an older engine reads it. Values of types that the version does
// not have are stored in older ones that hold the same: below 11, sets in
// listpacks element by element, and streams without the time at which each
// consumer was last active; below 10, hashes and sorted sets in listpacks element
// by element, lists in ziplists, and streams without their first and greatest
// deleted IDs and the counts of entries added and read. Hashes of Valkey whose
// fields expire become those of Redis. All other records are copied as they are.
// The checksum is computed anew, and hints per slot, which the engines before
// version 12 refuse, are left out. r is verified like by Scan and may be read
// beyond the file's end. Memory holds one packed blob at a time, or the first few
// MiB of a hash whose fields expire.
//
// It fails with ErrCannotLower as soon as it meets something that no older type
// can hold: function libraries below 10, and below 12 hashes whose fields expire
// (see LowestVersion to know before). What w has received by then, as with any
// other error, is not a file.
//
// The Summary describes what was written.
func Lower(r io.Reader, w io.Writer, version int) (*Summary, error) {
	if version < lowestTarget || version > newestRedis {
		return nil, fmt.Errorf("%w to version %d: only %d to %d can be written", ErrCannotLower, version, lowestTarget, newestRedis)
	}
	return lower(NewScanner(r, Options{}), w, version)
}

// lowerBuffer collects the pieces of records that are rewritten.
const lowerBuffer = 64 << 10

func lower(s *Scanner, w io.Writer, version int) (*Summary, error) {
	out := &summing{w: w}
	collected := bufio.NewWriterSize(out, lowerBuffer)
	s.tee, s.lowerTo, s.ceiling = collected, version, version
	sum, err := s.Scan()
	if err != nil {
		return nil, err
	}
	if err := collected.Flush(); err != nil {
		return nil, fmt.Errorf("rdb: write the last records: %w", err)
	}
	sum.CRC, sum.Checksum = out.crc, ChecksumVerified
	if _, err := out.Write(binary.LittleEndian.AppendUint64(nil, out.crc)); err != nil {
		return nil, fmt.Errorf("rdb: write the checksum: %w", err)
	}
	sum.Family, sum.Version, sum.Bytes = FamilyRedis, version, out.n
	if version < 12 {
		sum.SlotInfos = 0
	}
	for t, older := range s.older {
		if older != 0 {
			sum.Types[older] += sum.Types[t]
			sum.Types[t] = 0
		}
	}
	return sum, nil
}

// beginLowering replaces the header that was just read.
func (s *Scanner) beginLowering() error {
	if err := s.flush(); err != nil {
		return err
	}
	s.omitting = false
	if s.lowerTo > s.version {
		return fmt.Errorf("%w: the file has version %d, less than %d", ErrCannotLower, s.version, s.lowerTo)
	}
	if _, err := fmt.Fprintf(s.tee, "%s%04d", FamilyRedis, s.lowerTo); err != nil {
		return fmt.Errorf("rdb: write the header: %w", err)
	}
	return nil
}

// lowerAllows refuses what came with a version after that being written.
func (s *Scanner) lowerAllows(since int, at int64, what string) error {
	if s.ceiling == 0 || since <= s.ceiling {
		return nil
	}
	return fmt.Errorf("%w to version %d: %s at offset %d needs version %d", ErrCannotLower, s.ceiling, what, at, since)
}

// summing passes on what it is written, counted and summed.
type summing struct {
	w   io.Writer
	n   int64
	crc uint64
}

func (t *summing) Write(p []byte) (int, error) {
	n, err := t.w.Write(p)
	t.n += int64(n)
	t.crc = crc64.Update(t.crc, p[:n])
	return n, err
}
