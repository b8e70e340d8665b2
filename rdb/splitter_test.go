package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/rdb/crc64"
)

// parts divides all slots into n outputs, by ranges or, if scattered, one by one.
func parts(n int, scattered bool) (sets []SlotSet) {
	sets = make([]SlotSet, n)
	for slot := range Slots {
		if scattered {
			sets[slot%n].Add(slot, slot)
		} else {
			sets[slot*n/Slots].Add(slot, slot)
		}
	}
	return sets
}

// splitting runs sources into new files, in small windows and batches, all at the same time.
func splitting(o SplitOptions, sets []SlotSet, window, batch int, sources ...[]byte) ([][]byte, []Written, error) {
	outs := make([]bytes.Buffer, len(sets))
	var outputs []Output
	for i := range sets {
		outputs = append(outputs, Output{W: &outs[i], Slots: sets[i]})
	}
	s, err := NewSplitter(o, outputs...)
	if err != nil {
		return nil, nil, err
	}
	s.batch = batch
	errs := make([]error, len(sources))
	var wg sync.WaitGroup
	for i, file := range sources {
		wg.Go(func() { _, errs[i] = newScanner(bytes.NewReader(file), Options{Split: s}, window).Scan() })
	}
	wg.Wait()
	written, err := s.Close()
	if joined := errors.Join(errs...); joined != nil {
		if err == nil {
			return nil, nil, errors.New("closed in spite of " + joined.Error())
		}
		return nil, nil, joined
	}
	var files [][]byte
	for i := range outs {
		files = append(files, outs[i].Bytes())
	}
	return files, written, err
}

// recordsIn are the bytes of every record of some files, behind its database, sorted.
func recordsIn(t interface{ Fatal(...any) }, files ...[]byte) (all []string, functions int) {
	for _, file := range files {
		sum, err := NewScanner(bytes.NewReader(file), Options{OnRecord: func(r *Record) error {
			all = append(all, fmt.Sprintf("%d: %s", r.DB, file[r.Offset:r.Offset+r.Size]))
			return nil
		}}).Scan()
		if err != nil {
			t.Fatal(err)
		}
		functions += sum.Functions
	}
	slices.Sort(all)
	return all, functions
}

// sources are files with disjoint slots that hold all sorts of records in several databases.
func sources(t *rapid.T, n int) (files [][]byte) {
	sets := parts(n, rapid.Bool().Draw(t, "scattered"))
	var builders []*builder
	for range n {
		f := newFile(11).aux("valkey-ver", "8.0.1").aux("repl-id", strings.Repeat("a", 40)).bytes(opFunction).strings("#!lua name=one\nreturn 1")
		builders = append(builders, f.selectDB(0).bytes(opResizeDB).lengths(10, 2))
	}
	names := map[string]bool{}
	selected := make([]uint64, n)
	for i := range rapid.IntRange(0, 60).Draw(t, "records") {
		key := rapid.OneOf(rapid.StringN(0, 12, -1), rapid.Just(strings.Repeat("long", 80)), rapid.StringMatching(`\{[ab]?\}.?`)).Draw(t, "key")
		number := rapid.IntRange(0, 9).Draw(t, "shape") == 0
		if number {
			key = fmt.Sprint(i)
		}
		db := rapid.SampledFrom([]uint64{0, 0, 1, 15, 1 << 20}).Draw(t, "database")
		if name := fmt.Sprint(db, key); names[name] {
			continue
		} else {
			names[name] = true
		}
		slot := KeySlot([]byte(key))
		source := slices.IndexFunc(sets, func(s SlotSet) bool { return s.Has(slot) })
		f := builders[source]
		if selected[source] != db || rapid.IntRange(0, 9).Draw(t, "again") == 0 {
			f.selectDB(db)
			selected[source] = db
		}
		f.aux("slot-info", "1,2,3")
		if rapid.Bool().Draw(t, "expires") {
			f.bytes(opExpireMillis).le64(1 << 40)
		}
		if rapid.Bool().Draw(t, "used") {
			f.bytes(opIdle).length(uint64(rapid.IntRange(0, 1<<20).Draw(t, "idle")))
		}
		switch {
		case number:
			f.bytes(typeString, stringInt8, byte(i)).strings("v")
		case rapid.Bool().Draw(t, "packed"):
			f.bytes(typeHash).lzf(key).length(3)
			for range 6 {
				f.strings(strings.Repeat("f", rapid.IntRange(0, 100).Draw(t, "size")))
			}
		default:
			f.set(key, strings.Repeat("v", rapid.IntRange(0, 2000).Draw(t, "size")))
		}
	}
	for _, f := range builders {
		files = append(files, f.end())
	}
	return files
}

// What is split and merged again is what it was, in the same databases, whatever the windows.
func TestSplitAndMerge(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		from := sources(t, rapid.IntRange(1, 4).Draw(t, "sources"))
		want, _ := recordsIn(t, from...)
		window, batch := rapid.SampledFrom([]int{128, 300, 4096}).Draw(t, "window"), rapid.SampledFrom([]int{1, 64, 1000, 1 << 16}).Draw(t, "batch")
		sets := parts(rapid.IntRange(1, 5).Draw(t, "outputs"), rapid.Bool().Draw(t, "scattered outputs"))
		files, written, err := splitting(SplitOptions{Version: 11}, sets, window, batch, from...)
		if err != nil {
			t.Fatal(err)
		}
		got, functions := recordsIn(t, files...)
		if !slices.Equal(got, want) || functions != len(files) {
			t.Fatalf("%d records with %d libraries, want %d with %d:\n%q\n%q", len(got), functions, len(want), len(files), got, want)
		}
		for i, file := range files {
			sum, err := NewScanner(bytes.NewReader(file), Options{Slots: &sets[i]}).Scan()
			if err != nil {
				t.Fatal(err)
			}
			w := Written{Keys: sum.Keys, Expiring: sum.Expiring, Functions: sum.Functions, Bytes: sum.Bytes, CRC: sum.CRC}
			if written[i] != w || sum.Bytes != int64(len(file)) || sum.Checksum != ChecksumVerified || sum.SlotInfos != 0 || sum.Aux.Bits != 64 || sum.Aux.ReplID != "" {
				t.Fatalf("output %d: told %+v, holds %+v", i, written[i], sum)
			}
		}
		merged, _, err := splitting(SplitOptions{Version: 11}, parts(1, false), window, batch, files...)
		if err != nil {
			t.Fatal(err)
		}
		if again, functions := recordsIn(t, merged[0]); !slices.Equal(again, want) || functions != 1 {
			t.Fatalf("%d records with %d libraries, want %d with 1", len(again), functions, len(want))
		}
	})
}

// Every sample and dump passes as it is.
func TestSplitSamples(t *testing.T) {
	t.Parallel()
	files := map[string][]byte{}
	for _, smp := range samples() {
		files[smp.name] = smp.file
	}
	dumps, err := filepath.Glob("testdata/*.rdb")
	if err != nil || len(dumps) == 0 {
		t.Fatal("no dumps in testdata")
	}
	for _, name := range dumps {
		if files[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, file := range files {
		sum, err := NewScanner(bytes.NewReader(file), Options{}).Scan()
		if err != nil {
			t.Fatal(err)
		}
		version := 12
		if sum.Family == FamilyValkey {
			version = onlyValkey
		}
		for _, window := range windows {
			out, _, err := splitting(SplitOptions{Version: version, Modules: true}, parts(3, true), window, 200, file)
			if err != nil {
				t.Errorf("%s in windows of %d: %v", name, window, err)
				continue
			}
			got, functions := recordsIn(t, out...)
			if want, libraries := recordsIn(t, file); !slices.Equal(got, want) || functions != 3*libraries {
				t.Errorf("%s in windows of %d: %d records, want %d", name, window, len(got), len(want))
			}
			if s, err := NewScanner(bytes.NewReader(out[2]), Options{}).Scan(); err != nil || (len(sum.Modules) > 0) != (len(s.Modules) > 0) {
				t.Errorf("%s: modules %v, were %v: %v", name, s.Modules, sum.Modules, err)
			}
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	t.Parallel()
	half := []SlotSet{{}}
	half[0].Add(0, 8191)
	library := func(text string) []byte { return newFile(11).bytes(opFunction).strings(text).end() }
	whole := newFile(11).set("k", "v").end()
	cases := []struct {
		name    string
		o       SplitOptions
		sets    []SlotSet
		sources [][]byte
		match   error
		reason  string
	}{
		{"databases without end", SplitOptions{Version: 11}, nil, [][]byte{inDatabases(0, maxDatabases/2), inDatabases(maxDatabases/2, maxDatabases+1)}, ErrUnsupported, "keys in more than 65536 databases"},
		{"libraries without end", SplitOptions{Version: 11}, nil, [][]byte{libraries(0, maxPlaced/2), libraries(maxPlaced/2-1, maxPlaced+1)}, ErrUnsupported, "more than 4096 different function libraries"},
		{"a slot of nobody", SplitOptions{Version: 11}, half, [][]byte{newFile(11).set("bar", "1").set("foo", "v").end()}, ErrCorrupt, "record 2 at offset 16 has a key of slot 12182"},
		{"type too new", SplitOptions{Version: 11}, nil, [][]byte{newFile(12).key(typeRedisHashPackEx, "k").zeros(8).strings("v").end()}, ErrCannotLower, "needs version 12"},
		{"listpack that is none", SplitOptions{Version: 10}, nil, [][]byte{newFile(11).key(typeSetListpack, "k").strings("v").end()}, ErrCorrupt, "a listpack of 1 bytes"},
		{"function too new", SplitOptions{Version: 9}, nil, [][]byte{library("#!lua name=a")}, ErrCannotLower, "needs version 10"},
		{"hash of Valkey to Redis", SplitOptions{Version: 11}, nil, [][]byte{newFile(80).key(typeValkeyHash2, "k").length(0).end()}, ErrCannotLower, "hash with TTLs at offset 9 needs version 12"},
		{"module's key", SplitOptions{Version: 11}, nil, [][]byte{newFile(11).key(typeModule2, "k").module("tairhash-", 1).length(moduleEnd).end()}, ErrUnsupported, "data of the module tairhash-"},
		{"module's own", SplitOptions{Version: 11}, nil, [][]byte{newFile(11).bytes(opModuleAux).module("tairhash-", 1).lengths(moduleUnsigned, 1, moduleEnd).end()}, ErrUnsupported, "data of the module tairhash-"},
		{"libraries that differ", SplitOptions{Version: 11}, nil, [][]byte{library("#!lua name=a\nreturn 1"), library("#!lua name=a\nreturn 2")}, nil, "different versions of function library a"},
		{"long library", SplitOptions{Version: 11}, nil, [][]byte{newFile(11).bytes(opFunction).length(maxLibrary + 1).raw("#!lua").end()}, ErrUnsupported, "longer than"},
		{"opcodes without end", SplitOptions{Version: 11}, nil, [][]byte{newFile(11).raw(strings.Repeat("\xf9a", 2<<20)).set("k", "v").end()}, ErrUnsupported, "bytes before a value"},
		{"damage", SplitOptions{Version: 11}, nil, [][]byte{append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1)}, ErrCorrupt, "checksum"},
		{"half a file", SplitOptions{Version: 11}, nil, [][]byte{whole[:len(whole)-9]}, io.ErrUnexpectedEOF, "truncated"},
		{"version", SplitOptions{Version: 8}, nil, nil, nil, "files of version 8 cannot be written"},
		{"no output", SplitOptions{Version: 11}, []SlotSet{}, nil, nil, "0 outputs"},
		{"two owners", SplitOptions{Version: 11}, []SlotSet{half[0], half[0]}, nil, nil, "slot 0 has two outputs"},
	}
	for _, c := range cases {
		if c.sets == nil {
			c.sets = parts(2, true)
		}
		_, _, err := splitting(c.o, c.sets, 4096, 100, c.sources...)
		if err == nil || !strings.Contains(err.Error(), c.reason) || c.match != nil && !errors.Is(err, c.match) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// inDatabases is a file with one key in each of some databases.
func inDatabases(from, to int) []byte {
	f := newFile(11)
	for db := from; db < to; db++ {
		f.selectDB(uint64(db)).set("k", "")
	}
	return f.end()
}

func libraries(from, to int) []byte {
	f := newFile(11)
	for i := from; i < to; i++ {
		f.bytes(opFunction).strings(fmt.Sprintf("#!lua name=lib%d", i))
	}
	return f.end()
}

// As many libraries and databases as there may be pass, however many sources have them.
func TestSplitBounds(t *testing.T) {
	t.Parallel()
	full := [][]byte{inDatabases(0, maxDatabases), libraries(0, maxPlaced), libraries(0, maxPlaced)}
	out, written, err := splitting(SplitOptions{Version: 11}, parts(1, false), 4096, 1<<16, full...)
	if err != nil || written[0].Functions != maxPlaced {
		t.Fatalf("%+v, %v", written, err)
	}
	sum, err := NewScanner(bytes.NewReader(out[0]), Options{}).Scan()
	if err != nil || len(sum.Databases) != maxDatabases {
		t.Errorf("%d databases, %v", len(sum.Databases), err)
	}
}

// A change of the database costs one selection, and none is written for what does not come.
func TestSplitSelectsAsNeeded(t *testing.T) {
	t.Parallel()
	file := newFile(11).selectDB(7).bytes(opResizeDB).lengths(1000, 0).set("a", "1").selectDB(3).selectDB(7).set("b", "2").selectDB(70000).set("c", "3").selectDB(1)
	out, _, err := splitting(SplitOptions{Version: 11}, parts(1, false), 4096, 1<<16, file.end())
	if err != nil {
		t.Fatal(err)
	}
	want := newFile(11).bytes(opAux).strings("redis-bits").bytes(stringInt8, 64).selectDB(0).selectDB(7).set("a", "1").set("b", "2").selectDB(70000).set("c", "3").end()
	if !bytes.Equal(out[0], want) {
		t.Errorf("%q, want %q", out[0], want)
	}
}

// failing after some bytes.
type brokenWriter struct{ room int }

var errBroken = errors.New("broken")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

// One output that fails ends every source, also those that write to others, and nothing gets an end.
func TestSplitOutputFails(t *testing.T) {
	t.Parallel()
	big := newFile(11)
	for i := range 1000 {
		big.set(fmt.Sprint("key", i), strings.Repeat("v", 100))
	}
	file := big.end()
	for _, room := range []int{20, 100, 5000} {
		var good bytes.Buffer
		sets := parts(2, true)
		s, err := NewSplitter(SplitOptions{Version: 11}, Output{&good, sets[0]}, Output{&brokenWriter{room}, sets[1]})
		if err == nil {
			s.batch = 1000
			if _, err = NewScanner(bytes.NewReader(file), Options{Split: s}).Scan(); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "output 1") {
				t.Errorf("%d bytes: %v", room, err)
			}
			if _, err := NewScanner(bytes.NewReader(file), Options{Split: s}).Scan(); !errors.Is(err, errBroken) {
				t.Errorf("%d bytes: the next source: %v", room, err)
			}
			_, err = s.Close()
		}
		var which *OutputError
		if !errors.Is(err, errBroken) || !errors.As(err, &which) || which.Output != 1 {
			t.Errorf("%d bytes: %v", room, err)
		}
		if _, err := NewScanner(bytes.NewReader(good.Bytes()), Options{}).Scan(); err == nil {
			t.Errorf("%d bytes: the other output is a whole file", room)
		}
	}
}

func TestSplitterEnds(t *testing.T) {
	t.Parallel()
	s, err := NewSplitter(SplitOptions{Version: 11}, Output{io.Discard, parts(1, false)[0]})
	if err != nil {
		t.Fatal(err)
	}
	inside := make(chan error, 1)
	o := Options{Split: s, OnRecord: func(*Record) error { _, err := s.Close(); inside <- err; return nil }}
	if _, err := NewScanner(bytes.NewReader(newFile(11).set("k", "v").end()), o).Scan(); err == nil {
		t.Error("a source ends well after its splitter was closed")
	}
	if err := <-inside; err == nil {
		t.Error("closed in the middle of a source")
	}
	if _, err := s.Close(); err == nil {
		t.Error("closed twice")
	}
	if _, err := NewScanner(bytes.NewReader(nil), Options{Split: s}).Scan(); err == nil || errors.Is(err, ErrCorrupt) {
		t.Errorf("a source after Close: %v", err)
	}
}

// pattern is a file around one value of any size that costs no memory.
func pattern(size int64) io.Reader {
	head := newFile(11).key(typeString, "big").length64(uint64(size)).b
	crc := crc64.Update(0, head)
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	for left := size; left > 0; left -= int64(len(chunk)) {
		crc = crc64.Update(crc, chunk[:min(left, int64(len(chunk)))])
	}
	tail := &builder{[]byte{opEOF}}
	tail.le64(crc64.Update(crc, tail.b))
	return io.MultiReader(bytes.NewReader(head), io.LimitReader(repeat(chunk), size), bytes.NewReader(tail.b))
}

type repeat []byte

func (r repeat) Read(p []byte) (int, error) {
	n := 0
	for n+len(r) <= len(p) {
		n += copy(p[n:], r)
	}
	if n == 0 {
		return 0, io.ErrShortBuffer
	}
	return n, nil
}

// A value that is larger than any buffer passes while other sources write to the same output.
func TestSplitLargeValue(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	var out countingWriter
	s, err := NewSplitter(SplitOptions{Version: 11}, Output{&out, parts(1, false)[0]})
	if err != nil {
		t.Fatal(err)
	}
	small := newFile(11)
	for i := range 10000 {
		small.set(fmt.Sprint("key", i), strings.Repeat("v", 100))
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := NewScanner(pattern(size), Options{Split: s}).Scan(); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if _, err := NewScanner(bytes.NewReader(small.end()), Options{Split: s}).Scan(); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	written, err := s.Close()
	if err != nil || written[0].Keys != 10001 || written[0].Bytes != out.n || out.n < size {
		t.Errorf("%+v, %v; %d bytes", written, err, out.n)
	}
	if out.largest > 1<<20 {
		t.Errorf("%d bytes at once", out.largest)
	}
}

type countingWriter struct{ n, largest int64 }

func (w *countingWriter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	w.largest = max(w.largest, int64(len(p)))
	return len(p), nil
}
