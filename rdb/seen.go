package rdb

import "hash/maphash"

// Bounds on a table of hashes: 2^firstSeen slots at first and 2^lastSeen, 16 MiB,
// at most; of consumers, which are compared beside the groups, half as many. What is
// above keepSeen is given up when a collection ends. While a table grows, the one
// before, of half its size, is there too: in all that is 30 MiB.
const (
	firstSeen = 5
	keepSeen  = 16
	lastSeen  = 21
)

// seen finds elements that come twice in one collection. It remembers 64-bit
// hashes under a seed of its own, so that no file can be made that collides in
// it; that two different elements among a million do is a chance of one in
// thirty million. Of a collection that is larger than the table the first
// million and a half of elements (of consumers, half as many) are remembered, and all
// compared with these.
type seen struct {
	seed   maphash.Seed
	secret [3]uint64              // the same for integers; two of them odd
	tables [lastSeen + 1][]uint64 // by the logarithm of their size; a slot of 0 is free
	slots  []uint64               // the table in use
	size   int                    // its logarithm
	last   int                    // the greatest it may have
	room   int                    // for hashes before it is three quarters full
}

func newSeen(last int) seen {
	t := seen{seed: maphash.MakeSeed(), last: last}
	for i := range t.secret {
		t.secret[i] = maphash.Bytes(t.seed, []byte{byte(i)}) | 1
	}
	return t
}

// reset begins a collection of some expected number of elements.
func (t *seen) reset(expected int) {
	for i := keepSeen + 1; i < len(t.tables); i++ {
		t.tables[i] = nil
	}
	size := firstSeen
	for size < keepSeen && 3<<size/4 < expected {
		size++
	}
	t.use(size)
}

func (t *seen) use(size int) {
	if t.tables[size] == nil {
		t.tables[size] = make([]uint64, 1<<size)
	} else {
		clear(t.tables[size])
	}
	t.slots, t.size, t.room = t.tables[size], size, 3<<size/4
}

// add remembers a text and returns false if it was there.
func (t *seen) add(text []byte) bool { return t.addHash(maphash.Bytes(t.seed, text)) }

// addInteger is add for collections whose integers all come through it. Two of
// them never have the same hash.
func (t *seen) addInteger(v int64) bool {
	h := (uint64(v) ^ t.secret[0]) * t.secret[1]
	h = (h ^ h>>32) * t.secret[2]
	return t.addHash(h ^ h>>29)
}

func (t *seen) addHash(h uint64) bool {
	h = max(h, 1)
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch t.slots[i] {
		case h:
			return false
		case 0:
			if t.room == 0 {
				if t.size == t.last {
					return true
				}
				t.grow()
				return t.addHash(h)
			}
			t.room--
			t.slots[i] = h
			return true
		}
	}
}

func (t *seen) grow() {
	old := t.slots
	if t.size > keepSeen {
		t.tables[t.size] = nil
	}
	t.use(t.size + 1)
	for _, h := range old {
		if h != 0 {
			t.addHash(h)
		}
	}
}
