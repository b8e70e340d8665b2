// Package itemfile is Keyframe's own format for the items of a Memcached cache: keys, flags, expiry and values, one after the other, with a
// count, a hash of the content that does not depend on the order, and a checksum at the end. docs/memcached-format.md specifies it.
//
// The Writer and the Reader stream. A Reader holds one item in memory, and of a length that a file claims only as many bytes as have arrived.
package itemfile

import (
	"errors"
	"fmt"
	"io"
	"time"
)

const (
	magic = "KFITEMS1" // the last byte is the version

	tagEnd  = 0
	tagItem = 1

	// MaxKey is the length in bytes of the longest key that Memcached knows.
	MaxKey = 250
	// MaxValue is the length in bytes of the largest value of any Memcached: its -I goes up to 1 GiB.
	MaxValue = 1 << 30

	maxSource, maxEngine = 255, 64
	maxExpiry            = 1 << 40

	endSize = 4*8 + 16 + 8 // of the end record, without tag and checksum
)

// Header is what a file says about itself. Times are in whole seconds.
type Header struct {
	Created time.Time
	Source  string // free text, such as the name of the cache; at most 255 bytes
	Engine  string // version of the engine, "1.6.18"; at most 64 bytes
}

// Item is one item of a cache.
type Item struct {
	Key      []byte // 1 to 250 bytes of any value
	Flags    uint32 // the client's
	ExpireAt int64  // Unix time in seconds; 0 if it never expires
	Value    []byte
}

// Summary is what a whole file holds.
type Summary struct {
	Header
	Sum
	Bytes int64 // of the file
}

// ErrCorrupt matches, with errors.Is, every refusal that is about the bytes themselves.
var ErrCorrupt = errors.New("itemfile: corrupt")

// CorruptError says where a file stopped making sense. It matches ErrCorrupt, and io.ErrUnexpectedEOF if the file ended too early.
type CorruptError struct {
	Offset  int64  // bytes from the magic to the trouble
	Section string // "header", "item", "key", "value", "end"
	Reason  string

	truncated bool
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("itemfile: corrupt at offset %d, in %s: %s", e.Offset, e.Section, e.Reason)
}

// Is makes errors.Is find ErrCorrupt and io.ErrUnexpectedEOF.
func (e *CorruptError) Is(target error) bool {
	return target == ErrCorrupt || e.truncated && target == io.ErrUnexpectedEOF
}
