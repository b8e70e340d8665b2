package itemfile

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// Sum counts items and adds up their hashes. The order of the items does not matter, so that the contents of two caches, or of a cache and a
// file, can be compared: equal Sums, compared with ==, mean equal items. The hashes are made against accidents, not against forgers.
type Sum struct {
	Items      int64
	Expiring   int64 // of them, those with an expiry
	KeyBytes   int64
	ValueBytes int64
	Content    Content // of keys, flags and values
	Expiry     uint64  // of the expiries, to the second
}

// Content is a 128-bit number: the sum, modulo 2^128, of the first halves of the SHA-256 of each item.
type Content struct{ Hi, Lo uint64 }

// String is the number in 32 hexadecimal digits.
func (c Content) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, c.Hi), c.Lo))
}

// add counts one item, whose hash is that of its record from the flags on.
func (s *Sum) add(it *Item, h *[sha256.Size]byte) {
	s.Items++
	s.KeyBytes += int64(len(it.Key))
	s.ValueBytes += int64(len(it.Value))
	s.Content.add(Content{binary.BigEndian.Uint64(h[:]), binary.BigEndian.Uint64(h[8:])})
	if it.ExpireAt != 0 {
		s.Expiring++
		// An odd factor that belongs to the item: the sum shows when any expiry is another one, or two are exchanged.
		s.Expiry += (binary.BigEndian.Uint64(h[16:]) | 1) * uint64(it.ExpireAt)
	}
}

func (c *Content) add(d Content) {
	var carry uint64
	c.Lo, carry = bits.Add64(c.Lo, d.Lo, 0)
	c.Hi, _ = bits.Add64(c.Hi, d.Hi, carry)
}

// Plus is the Sum of the items of both.
func (s Sum) Plus(o Sum) Sum {
	s.Items += o.Items
	s.Expiring += o.Expiring
	s.KeyBytes += o.KeyBytes
	s.ValueBytes += o.ValueBytes
	s.Content.add(o.Content)
	s.Expiry += o.Expiry
	return s
}

// window is the time in seconds for which a Tally tells expiries apart.
const window = 36 * 3600

// Tally is a Sum from which items can be taken out again as they expire. Items of one cache may so be compared with those of another some
// time later. It needs up to 12 MB of memory, if there are items for every second of 36 hours.
type Tally struct {
	from  int64
	later Sum // items that never expire, or after the window
	soon  map[int64]*Sum
}

// NewTally begins a Tally. Unix time from, in seconds, is the earliest for which Alive will be asked.
func NewTally(from int64) *Tally { return &Tally{from: from, soon: map[int64]*Sum{}} }

func (t *Tally) add(it *Item, h *[sha256.Size]byte) {
	switch {
	case it.ExpireAt == 0 || it.ExpireAt > t.from+window:
		t.later.add(it, h)
	case it.ExpireAt > t.from:
		s := t.soon[it.ExpireAt]
		if s == nil {
			s = new(Sum)
			t.soon[it.ExpireAt] = s
		}
		s.add(it, h)
	}
}

// Alive is the Sum of the items that expire after the Unix time at, in seconds, or never. It is not known, and false, outside of the Tally's
// 36 hours.
func (t *Tally) Alive(at int64) (Sum, bool) {
	sum := t.later
	for when, s := range t.soon {
		if when > at {
			sum = sum.Plus(*s)
		}
	}
	return sum, at >= t.from && at <= t.from+window
}
