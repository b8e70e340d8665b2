package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/rdb/packed"
)

// blobOf builds a listpack, blobOfZip a ziplist.
func blobOf(elements ...string) string {
	var b packed.ListpackBuilder
	for _, e := range elements {
		b.Add([]byte(e))
	}
	return string(b.Bytes())
}

func blobOfZip(elements ...string) string {
	var b packed.ZiplistBuilder
	for _, e := range elements {
		b.Add([]byte(e))
	}
	return string(b.Bytes())
}

// streamOf writes a stream of a form up to 3, with a group.
func streamOf(f *builder, form int) *builder {
	f.length(1).strings(strings.Repeat("\x00", 15)+"\x01", blobOf("1", "0", "1", "f", "0", "2", "0", "0", "v", "4"))
	f.lengths(1, 5, 1)
	if form >= 2 {
		f.lengths(4, 1, 3, 9, 70_000)
	}
	f.length(1).strings("group").lengths(5, 0)
	if form >= 2 {
		f.length64(math.MaxUint64)
	}
	f.length(1).zeros(16).le64(12345).length(2)
	f.length(2).strings("alice").le64(777)
	if form >= 3 {
		f.le64(888)
	}
	f.length(1).zeros(16).strings("bob").le64(999)
	if form >= 3 {
		f.le64(1000)
	}
	return f.length(0)
}

func tiny(n int8) string { return string([]byte{stringInt8, byte(n)}) }

// rewrites are values of every type that an older one can hold, with the record
// that they become.
func rewrites() []struct {
	name     string
	version  int // to which the file is lowered
	from, to func(*builder)
} {
	long := strings.Repeat("long ", 40)
	return []struct {
		name     string
		version  int
		from, to func(*builder)
	}{
		{"set", 10, func(f *builder) { f.key(typeSetListpack, "s").strings(blobOf("a", "12", "-70000", long)) },
			func(f *builder) {
				f.key(typeSet, "s").length(4).strings("a").raw(tiny(12)).bytes(stringInt32).le32(0xfffeee90).strings(long)
			}},
		{"set, compressed", 9, func(f *builder) {
			f.key(typeSetListpack, "s").lzf(blobOf("a", "007", "300", "2147483648", strings.Repeat("x", 99)))
		},
			func(f *builder) {
				f.key(typeSet, "s").length(5).strings("a", "007").bytes(stringInt16, 44, 1).strings("2147483648", strings.Repeat("x", 99))
			}},
		{"stream, 3 to 2", 10, func(f *builder) { streamOf(f.key(typeStream3, "x"), 3) }, func(f *builder) { streamOf(f.key(typeStream2, "x"), 2) }},
		{"stream, 3 to 1", 9, func(f *builder) { streamOf(f.key(typeStream3, "x"), 3) }, func(f *builder) { streamOf(f.key(typeStream1, "x"), 1) }},
		{"stream, 2 to 1", 9, func(f *builder) { streamOf(f.key(typeStream2, "x"), 2) }, func(f *builder) { streamOf(f.key(typeStream1, "x"), 1) }},
		{"hash", 9, func(f *builder) { f.key(typeHashListpack, "h").strings(blobOf("f", "1", "g", "w")) },
			func(f *builder) { f.key(typeHash, "h").length(2).strings("f").raw(tiny(1)).strings("g", "w") }},
		{"sorted set", 9, func(f *builder) { f.key(typeZsetListpack, "z").strings(blobOf("a", "-inf", "b", "2", "c", "2.5")) },
			func(f *builder) {
				f.key(typeZset2, "z").length(3)
				for i, score := range []float64{math.Inf(-1), 2, 2.5} {
					f.strings(string(rune('a' + i))).le64(math.Float64bits(score))
				}
			}},
		{"list", 9, func(f *builder) {
			f.key(typeListQuicklist2, "l").lengths(3, 2).strings(blobOf("a", "1", long)).length(1).strings(long).length(2).lzf(blobOf(strings.Repeat("y", 90), "-5"))
		},
			func(f *builder) {
				f.key(typeListQuicklist, "l").length(3).strings(blobOfZip("a", "1", long), blobOfZip(long), blobOfZip(strings.Repeat("y", 90), "-5"))
			}},
		{"what needs nothing", 9, func(f *builder) { f.key(typeListZiplist, "z").strings("any bytes") }, func(f *builder) { f.key(typeListZiplist, "z").strings("any bytes") }},
		{"many in a row", 10,
			func(f *builder) {
				for i := range 50 {
					f.bytes(opExpireMillis).le64(uint64(1e12)+uint64(i)).bytes(opFrequency, 7).key(typeSetListpack, fmt.Sprint("k", i)).strings(blobOf("m"))
				}
			},
			func(f *builder) {
				for i := range 50 {
					f.bytes(opExpireMillis).le64(uint64(1e12)+uint64(i)).bytes(opFrequency, 7).key(typeSet, fmt.Sprint("k", i)).length(1).strings("m")
				}
			}},
		{"more than is put in at once", 10,
			func(f *builder) {
				var b packed.ListpackBuilder
				for i := range 20_000 {
					b.Add(fmt.Appendf(nil, "member %d", i))
				}
				f.key(typeSetListpack, "s").strings(string(b.Bytes()))
			},
			func(f *builder) {
				f.key(typeSet, "s").length(20_000)
				for i := range 20_000 {
					f.strings(fmt.Sprintf("member %d", i))
				}
			}},
	}
}

func TestLowerRewrites(t *testing.T) {
	t.Parallel()
	for _, c := range rewrites() {
		from := newFile(11).selectDB(0).set("before", "b")
		c.from(from)
		file := from.set("after", "a").end()
		to := newFile(c.version).selectDB(0).set("before", "b")
		c.to(to)
		want := to.set("after", "a").end()
		for _, window := range windows {
			var out bytes.Buffer
			sum, err := lower(newScanner(bytes.NewReader(file), Options{}, window), &out, c.version)
			if err != nil || !bytes.Equal(out.Bytes(), want) {
				t.Fatalf("%s, window %d: %.300q, %v; want %.300q", c.name, window, out.Bytes(), err, want)
			}
			again, err := NewScanner(bytes.NewReader(want), Options{}).Scan()
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			if sum.Types != again.Types || sum.Keys != again.Keys || sum.Expiring != again.Expiring || sum.Bytes != again.Bytes || sum.CRC != again.CRC {
				t.Errorf("%s: summary %+v, but the file holds %+v", c.name, sum, again)
			}
			if LowestVersion(sum) != lowestTarget || MinVersion(sum) > c.version {
				t.Errorf("%s: LowestVersion %d, MinVersion %d", c.name, LowestVersion(sum), MinVersion(sum))
			}
		}
	}
}

// A Splitter writes the same records, in large batches and in small.
func TestSplitRewrites(t *testing.T) {
	t.Parallel()
	for _, c := range rewrites() {
		from, to := newFile(11).selectDB(0), new(builder)
		c.from(from)
		file := from.set("after", "a").end()
		c.to(to)
		want := string(to.set("after", "a").b)
		for _, window := range []int{64, 4096, windowSize} {
			for _, batch := range []int{100, largestBatch} {
				files, _, err := splitting(SplitOptions{Version: c.version}, parts(1, false), window, batch, file)
				if err != nil {
					t.Fatalf("%s, window %d, batch %d: %v", c.name, window, batch, err)
				}
				if got := string(files[0][:len(files[0])-9]); !strings.HasSuffix(got, want) || !strings.HasPrefix(got, fmt.Sprintf("REDIS%04d", c.version)) {
					t.Fatalf("%s, window %d, batch %d: %.300q, want %.300q", c.name, window, batch, got, want)
				}
				if _, err := NewScanner(bytes.NewReader(files[0]), Options{}).Scan(); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			}
		}
	}
}

// What a blob gets wrong is said with its place; errors of the writer come through.
func TestRewriteFails(t *testing.T) {
	t.Parallel()
	broken := []byte(blobOf("a", "b", "c"))
	broken[8] ^= 1
	cases := []struct {
		name   string
		put    func(*builder)
		reason string
	}{
		{"no listpack", func(f *builder) { f.key(typeSetListpack, "s").strings("no") }, "offset 13, in value of type 20 (set, listpack): a listpack of 2 bytes"},
		{"broken listpack", func(f *builder) { f.key(typeSetListpack, "s").strings(string(broken)) }, "in value of type 20"},
		{"hash of three", func(f *builder) { f.key(typeHashListpack, "s").strings(blobOf("a", "b", "c")) }, "the last element lacks"},
		{"score that is none", func(f *builder) { f.key(typeZsetListpack, "s").strings(blobOf("a", "b")) }, "is no score"},
		{"list of what", func(f *builder) { f.key(typeListQuicklist2, "s").lengths(1, 3).strings(blobOf("a")) }, "list node of kind 3"},
		{"list of broken", func(f *builder) { f.key(typeListQuicklist2, "s").lengths(1, 2).strings(string(broken)) }, "in value of type 18"},
		{"cut", func(f *builder) { f.key(typeSetListpack, "s").length(1000).raw("x"); f.b = f.b[:len(f.b)-1] }, ""},
	}
	for _, c := range cases {
		f := newFile(11)
		c.put(f)
		_, err := Lower(bytes.NewReader(f.end()), io.Discard, 9)
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", c.name, err, c.reason)
		}
	}
	var b packed.ListpackBuilder
	for i := range 50_000 {
		b.Add(fmt.Appendf(nil, "member %d", i))
	}
	file := newFile(11).key(typeSetListpack, "s").strings(string(b.Bytes())).end()
	failed := errors.New("failed")
	for n := range 4 {
		if _, err := Lower(bytes.NewReader(file), &breaking{n, failed}, 10); !errors.Is(err, failed) {
			t.Errorf("write %d fails: %v", n, err)
		}
	}
	_, err := newScanner(bytes.NewReader(file), Options{OnValue: func(*Record, *Value) error { return nil }, Split: oneOutput(t, 10)}, windowSize).Scan()
	if !errors.Is(err, ErrCannotLower) {
		t.Errorf("OnValue beside a rewriting Splitter: %v", err)
	}
}

func oneOutput(t *testing.T, version int) *Splitter {
	t.Helper()
	s, err := NewSplitter(SplitOptions{Version: version}, Output{io.Discard, parts(1, false)[0]})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
