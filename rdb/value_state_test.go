package rdb

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// collect makes of a stream's parts what State returns, and wants as many pending
// entries as each group and consumer announced.
func collect(t *testing.T, v *Value) (*StreamState, error) {
	t.Helper()
	var st *StreamState
	announced := map[*int]uint64{}
	var pending, owned *int
	for p, err := range v.StateParts() {
		if err != nil {
			return nil, err
		}
		switch {
		case p.Stream != nil:
			one := *p.Stream
			st = &one
		case p.Group != nil:
			g := *p.Group
			g.Name = bytes.Clone(g.Name)
			st.Groups = append(st.Groups, g)
			pending = new(int)
			announced[pending] = p.Next
		case p.Pending != nil:
			g := &st.Groups[len(st.Groups)-1]
			g.Pending = append(g.Pending, *p.Pending)
			*pending++
		case p.Consumer != nil:
			c := *p.Consumer
			c.Name = bytes.Clone(c.Name)
			g := &st.Groups[len(st.Groups)-1]
			g.Consumers = append(g.Consumers, c)
			owned = new(int)
			announced[owned] = p.Next
		case p.Owned != nil:
			g := &st.Groups[len(st.Groups)-1]
			c := &g.Consumers[len(g.Consumers)-1]
			c.Pending = append(c.Pending, *p.Owned)
			*owned++
		default:
			t.Fatal("a part that is nothing")
		}
	}
	for n, next := range announced {
		if uint64(*n) != next {
			t.Errorf("%d pending entries come, not the %d announced", *n, next)
		}
	}
	return st, nil
}

// sameStates reads all streams of a file both ways, and returns them.
func sameStates(t *testing.T, name string, file []byte, window int) (all []*StreamState) {
	t.Helper()
	states := func(read func(*Value) (*StreamState, error)) (all []*StreamState) {
		for r, err := range newScanner(bytes.NewReader(file), Options{}, window).Records() {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if r.Value.Kind() != KindStream {
				continue
			}
			st, err := read(r.Value)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, r.Key, err)
			}
			all = append(all, st)
		}
		return all
	}
	all = states((*Value).State)
	parts := states(func(v *Value) (*StreamState, error) { return collect(t, v) })
	if len(all) == 0 && len(parts) == 0 {
		return nil
	}
	if !reflect.DeepEqual(withoutNil(all), withoutNil(parts)) {
		t.Errorf("%s, window %d: State is %+v, its parts are %+v", name, window, all, parts)
	}
	return all
}

// withoutNil makes names without letters the same.
func withoutNil(all []*StreamState) []*StreamState {
	for _, st := range all {
		for i := range st.Groups {
			g := &st.Groups[i]
			g.Name = orEmpty(g.Name)
			for j := range g.Consumers {
				g.Consumers[j].Name = orEmpty(g.Consumers[j].Name)
			}
		}
	}
	return all
}

func TestStateParts(t *testing.T) {
	t.Parallel()
	streams := 0
	for _, smp := range samples() {
		for _, window := range []int{128, 300, windowSize} {
			streams += len(sameStates(t, smp.name, smp.file, window))
		}
	}
	for name, vec := range vectors() {
		streams += len(sameStates(t, name, newFile(vec.version).key(vec.typ, "k").raw(vec.raw).set("next", "v").end(), 128))
	}
	files, err := filepath.Glob("testdata/*.rdb")
	if err != nil || len(files) == 0 {
		t.Fatal("no dumps in testdata")
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		streams += len(sameStates(t, name, file, 200))
	}
	if streams < 3*4+2+len(files) {
		t.Errorf("only %d streams", streams)
	}
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 3))
		version := versions[seed%5]
		want := someStream(rng, version)
		var file bytes.Buffer
		w, err := NewWriter(&file, WriterOptions{Version: version})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []Data{want, String("next")} {
			if err := w.Write(Meta{Key: []byte(d.Kind().String())}, d); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for _, got := range sameStates(t, "random", file.Bytes(), 128+rng.IntN(1000)) {
			if version < 10 {
				got.FirstID = want.FirstID // not told, as the entries were not read
			}
			if again := (&Stream{Entries: want.Entries, StreamState: *got}); canonical(again) != canonical(want) {
				t.Errorf("seed %d: %s", seed, difference(again, want))
			}
		}
	}
}

// Wherever a loop over the parts is left, and whatever was read before, the
// next record follows.
func TestStatePartsLeft(t *testing.T) {
	t.Parallel()
	f := newFile(11).stream("1", typeStream1, 1).stream("2", typeStream2, 2).stream("3", typeStream3, 3)
	file := f.key(typeStream3, "vector").raw(vectors()["stream, third form"].raw).set("last", "v").end()
	for stop := range 12 {
		last := ""
		read(t, file, func(r *Record, v *Value) {
			if last = string(r.Key); v.Kind() != KindStream {
				return
			}
			n := 0
			for _, err := range v.StateParts() {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n > stop {
					break
				}
			}
			for range v.StateParts() {
				n++
			}
			if _, err := v.State(); !errors.Is(err, ErrValueRead) {
				t.Errorf("read twice: %v", err)
			}
			all := 7
			if last == "vector" {
				all = 6
			}
			if n != min(stop+1, all)+1 { // and an error
				t.Errorf("%s, left after %d of %d parts: %d", last, stop, all, n)
			}
		})
		if last != "last" {
			t.Errorf("left after %d, the last record is %q", stop, last)
		}
	}
}

// Names that cannot be had end the reading of the value, not that of the file.
func TestStatePartsWithBrokenNames(t *testing.T) {
	t.Parallel()
	broken := string([]byte{stringLZF, 2, 40, 0xe0, 0xff})
	pending := func(f *builder) *builder { return f.length(1).zeros(16).le64(1).length(1) }
	f := newFile(11)
	group := f.key(typeStream3, "group").length(0).lengths(0, 9, 9).lengths(0, 0, 0, 0, 0).length(2).raw(broken).lengths(1, 1, 0)
	consumer := pending(group).length(0).strings("g").lengths(1, 1, 0, 0, 0)
	consumer = consumer.key(typeStream3, "consumer").length(0).lengths(0, 9, 9).lengths(0, 0, 0, 0, 0).length(1).strings("g").lengths(1, 1, 0)
	file := pending(consumer).length(1).raw(broken).le64(1).le64(1).length(1).zeros(16).set("last", "v").end()
	for _, way := range []func(*Value) (*StreamState, error){(*Value).State, func(v *Value) (*StreamState, error) { return collect(t, v) }} {
		n := 0
		read(t, file, func(r *Record, v *Value) {
			if n++; v.Kind() != KindStream {
				return
			}
			st, err := way(v)
			var corrupt *CorruptError
			if st != nil || !errors.As(err, &corrupt) || !strings.Contains(corrupt.Reason, "LZF") || !bytes.HasPrefix(file[corrupt.Offset:], []byte(broken)) {
				t.Errorf("%s: %+v, %v", r.Key, st, err)
			}
		})
		if n != 3 {
			t.Errorf("%d records", n)
		}
	}
}

// manyPending is a file with a stream of one group, that has so many pending entries
// with one consumer. It is made while it is read.
func manyPending(n int) io.Reader {
	f := newFile(11).streamOf(0, 9).length(1).strings("g").lengths(9, 9, 9)
	head, members := f.length(uint64(n)).b, new(builder).length(1).strings("c").le64(1).le64(1).length(uint64(n)).b
	tail := newFile(11).set("next", "v").bytes(opEOF).zeros(8).b[headerSize:]
	entries := io.LimitReader(&repeating{text: make([]byte, streamID+8+1)}, int64(n)*(streamID+8+1))
	owned := io.LimitReader(&repeating{text: make([]byte, streamID)}, int64(n)*streamID)
	return io.MultiReader(bytes.NewReader(head), entries, bytes.NewReader(members), owned, bytes.NewReader(tail))
}

// Parts take the same memory whatever their number, read and left alone. Not in
// parallel: it counts what the process allocates.
func TestStatePartsMemory(t *testing.T) {
	count := func(pending, stop int) float64 {
		return testing.AllocsPerRun(1, func() {
			records := 0
			for r, err := range NewScanner(manyPending(pending), Options{}).Records() {
				if err != nil {
					t.Fatal(err)
				}
				if records++; r.Value.Kind() != KindStream {
					continue
				}
				n := 0
				for _, err := range r.Value.StateParts() {
					if err != nil {
						t.Fatal(err)
					}
					if n++; n == stop {
						break
					}
				}
				if n != min(stop, 3+2*pending) {
					t.Errorf("%d parts", n)
				}
			}
			if records != 2 {
				t.Errorf("%d records", records)
			}
		})
	}
	for _, stop := range []int{5, math.MaxInt} {
		if few, many := count(10, stop), count(500_000, stop); many > few+20 {
			t.Errorf("%v allocations for 500000 pending entries, %v for 10", many, few)
		}
	}
}
