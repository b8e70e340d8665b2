package rdb

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// scanDeep verifies a file, with a window of some size.
func scanDeep(file []byte, window int) (*Summary, error) {
	return newScanner(bytes.NewReader(file), Options{Deep: true}, window).Scan()
}

// What engines wrote is sound, whatever the window.
func TestDeepAcceptsEngines(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.rdb")
	if err != nil || len(files) == 0 {
		t.Fatal("no dumps in testdata")
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, window := range []int{128, 1000, windowSize} {
			sum, err := scanDeep(file, window)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if sum.Bytes != int64(len(file)) || sum.Checksum != ChecksumVerified {
				t.Errorf("%s: %+v", name, sum)
			}
		}
	}
}

// Elements that come again are found in collections of any size: the table of
// those that were seen grows, is full at some time, and finds the first of them
// even then.
func TestDeepFindsLateDoubles(t *testing.T) {
	t.Parallel()
	const full = 3 << lastSeen / 4
	for _, c := range []struct {
		members, again int // which of them comes once more at the end; -1 for none
		found          bool
	}{{1, 0, true}, {24, 23, true}, {25, 0, true}, {70_000, 69_999, true}, {70_000, -1, false}, {full + 10, 7, true}, {full + 10, full - 1, true}, {full + 10, full + 5, false}} {
		n := c.members
		if c.again >= 0 {
			n++
		}
		f := newFile(11).key(typeSet, "k").length32(uint32(n))
		member := func(i int) { f.length(4).bytes(byte(i), byte(i>>8), byte(i>>16), 'm') }
		for i := range c.members {
			member(i)
		}
		if c.again >= 0 {
			member(c.again)
		}
		_, err := scanDeep(f.set("next", "value").end(), windowSize)
		if found := err != nil; found != c.found {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Collections without elements are counted, as engines leave them out.
func TestDeepCountsEmptyKeys(t *testing.T) {
	t.Parallel()
	f := newFile(11)
	for _, typ := range []byte{typeList, typeSet, typeZset, typeZset2, typeHash, typeListQuicklist, typeListQuicklist2} {
		f.key(typ, string(rune('a'+typ))).length(0)
	}
	for _, typ := range []byte{typeHashListpack, typeZsetListpack, typeSetListpack} {
		f.key(typ, string(rune('a'+typ))).strings(listpackOf())
	}
	for _, typ := range []byte{typeListZiplist, typeHashZiplist, typeZsetZiplist} {
		f.key(typ, string(rune('a'+typ))).strings(ziplistOf())
	}
	f.key(typeHashZipmap, "zipmap").strings("\x00\xff")
	f.key(typeListQuicklist2, "nodes").length(2).length(2).strings(listpackOf()).length(2).strings(listpackOf())
	sum, err := scanDeep(f.streamOf(0, 0).length(0).set("full", "v").end(), 128)
	if err != nil || sum.EmptyKeys != 15 || sum.Keys != 17 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// backwards is a stream that Redis 5 to 6.2 made when XSETID went back behind deleted
// entries.
type backwards struct {
	nodes   []string // named 1-0, 2-0 and so on
	last    uint64   // ID given, -0
	entries []StreamID
}

var allBackwards = map[string]backwards{
	// XADD 1, XADD 9, XDEL 9, XSETID 6
	"last deleted": {[]string{"1 1 1 f 0  2 0 0 v 4  3 8 0 v 4"}, 6, []StreamID{{1, 0}}},
	// The same and XADD 7
	"next after it": {[]string{"2 1 1 f 0  2 0 0 v 4  3 8 0 v 4  2 6 0 v 4"}, 7, []StreamID{{1, 0}, {7, 0}}},
	// XADD 1, XADD 9, XDEL 9, XSETID 1, and XADD 2, which begins a node
	"next node": {[]string{"1 1 1 f 0  2 0 0 v 4  3 8 0 v 4", "1 0 1 f 0  2 0 0 v 4"}, 2, []StreamID{{1, 0}, {2, 0}}},
	// XADD 1, XADD 9, XDEL 9, XTRIM MINID 5, which keeps the node, XSETID 0-1, XADD 0-9
	"before its node": {[]string{"1 2 1 f 0  3 0 0 v 4  3 8 0 v 4  2 -1 9 v 4"}, 1, []StreamID{{0, 9}}},
}

// value is the stream in its first form.
func (b backwards) value() string {
	f := new(builder).length(uint64(len(b.nodes)))
	for i, node := range b.nodes {
		f.length(streamID).zeros(7).bytes(byte(i + 1)).zeros(8).strings(wordsOf(node))
	}
	return string(f.lengths(uint64(len(b.entries)), b.last, 0, 0).b)
}

// What XSETID of older engines left is sound, and is read.
func TestDeepAcceptsBackwards(t *testing.T) {
	t.Parallel()
	for name, c := range allBackwards {
		file := newFile(9).key(typeStream1, "k").raw(c.value()).set("next", "v").end()
		if _, err := scanDeep(file, 128); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		read(t, file, func(_ *Record, v *Value) {
			if v.Kind() != KindStream {
				return
			}
			n := 0
			for e, err := range v.Entries() {
				if err != nil || n == len(c.entries) || e.ID != c.entries[n] {
					t.Errorf("%s: entry %v, %v", name, e.ID, err)
				}
				n++
			}
			if n != len(c.entries) {
				t.Errorf("%s: %d entries", name, n)
			}
		})
	}
}

// held is what the tables of hashes take.
func (t *seen) held() (bytes int) {
	for _, table := range t.tables {
		bytes += 8 * len(table)
	}
	return bytes
}

// The tables of groups and of consumers stay within what is promised of both, also
// while one of them grows.
func TestDeepMemory(t *testing.T) {
	t.Parallel()
	const promised = 32 << 20
	d := newDeep(true)
	rng := rand.New(rand.NewPCG(1, 2))
	fill := func(table, other *seen) {
		table.reset(0)
		for range 1 << lastSeen {
			before := table.size
			table.addHash(rng.Uint64())
			if growing := 8 << before; table.size > before && table.held()+growing+other.held() > promised {
				t.Fatalf("%d and %d bytes while one grows from %d", table.held(), other.held(), growing)
			}
		}
	}
	fill(&d.seen, &d.names)
	fill(&d.names, &d.seen)
	if d.seen.size != lastSeen || d.names.size != lastSeen-1 {
		t.Errorf("tables of 2^%d and 2^%d", d.seen.size, d.names.size)
	}

	// Consumers are forgotten before the next group.
	f := newFile(11).streamOf(0, 9).length(1).strings("g").lengths(9, 9, 9, 0)
	const many = 1 << (keepSeen + 1)
	f.length(many)
	for i := range many {
		f.length(4).le32(uint32(i)).zeros(16).length(0)
	}
	s := NewScanner(bytes.NewReader(f.end()), Options{Deep: true})
	if _, err := s.Scan(); err != nil || s.deep.names.held() > 1<<20 {
		t.Errorf("%d bytes are held for consumers that were, %v", s.deep.names.held(), err)
	}
}
