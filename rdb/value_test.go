package rdb

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/rdb/packed"
)

// Raw gives the bytes that decode to the same, and leaves the file walkable.
func TestValueRaw(t *testing.T) {
	t.Parallel()
	for _, smp := range samples() {
		var rebuilt bytes.Buffer
		s := newScanner(bytes.NewReader(smp.file), Options{}, 128)
		records := 0
		for r, err := range s.Records() {
			if err != nil {
				t.Fatal(err)
			}
			records++
			rebuilt.Reset()
			var again bytes.Buffer
			n, err := r.Value.Raw(&rebuilt)
			if err != nil || n != int64(rebuilt.Len()) || !bytes.Contains(smp.file, rebuilt.Bytes()) {
				t.Errorf("%s, key %.40q: %d bytes of %d: %v", smp.name, r.Key, rebuilt.Len(), n, err)
			}
			if _, err := r.Value.Raw(io.Discard); !errors.Is(err, ErrValueRead) {
				t.Errorf("read twice: %v", err)
			}
			if _, err := r.Value.Dump(io.Discard, 9); !errors.Is(err, ErrValueRead) {
				t.Errorf("read twice: %v", err)
			}
			want := AppendDump(nil, r.Type, rebuilt.Bytes(), s.version)
			dump, err := ParseDump(want)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := dump.Value().Dump(&again, s.version); err != nil || n != int64(len(want)) || !bytes.Equal(again.Bytes(), want) {
				t.Errorf("%s, key %.40q: a payload of %d bytes, not %d: %v", smp.name, r.Key, n, len(want), err)
			}
			if _, err := dump.Value().Dump(failingWriter{io.ErrClosedPipe}, 9); err != io.ErrClosedPipe {
				t.Errorf("%v is not what the output said", err)
			}
		}
		if records != len(smp.want) {
			t.Errorf("%s: %d records, not %d", smp.name, records, len(smp.want))
		}
	}
}

// read walks a file by Records and calls f for each.
func read(t *testing.T, file []byte, f func(*Record, *Value)) {
	t.Helper()
	for r, err := range newScanner(bytes.NewReader(file), Options{}, 256).Records() {
		if err != nil {
			t.Fatal(err)
		}
		f(r, r.Value)
	}
}

// A loop that is left ends the scan; values that are left are skipped.
func TestRecordsLeft(t *testing.T) {
	t.Parallel()
	file := sharedSample().file
	for stop := range 31 {
		s := newScanner(bytes.NewReader(file), Options{}, 200)
		n := 0
		for r, err := range s.Records() {
			if err != nil {
				t.Fatal(err)
			}
			if r.Value.Kind() == KindList {
				for range r.Value.Elements() {
					break
				}
			}
			if n == stop {
				break
			}
			n++
		}
		if n != stop || s.Summary() != nil {
			t.Errorf("%d records, then %v", n, s.Summary())
		}
		for range s.Records() {
			n++
		}
		if n != stop+1 { // one error
			t.Errorf("a second loop over %d", n-stop)
		}
	}
}

// What is wrong inside a value ends its reading, and the next record comes.
func TestBrokenValueIsPassed(t *testing.T) {
	t.Parallel()
	f := newFile(11)
	f.key(typeString, "lzf").bytes(stringLZF, 2, 40, 0xe0, 0xff)
	f.key(typeHash, "hash").length(2).strings("f").bytes(stringLZF, 2, 40, 0xe0, 0xff).strings("g", "v")
	f.key(typeZset, "zset").length(2).strings("a").bytes(3).raw("one").strings("b").bytes(254)
	f.key(typeHashListpack, "pack").strings("not a listpack at all")
	f.key(typeListQuicklist2, "nodes").length(2).length(2).strings("neither this").length(1).strings("but that")
	f.key(typeSetListpack, "half").lzf(string(make([]byte, 100)))
	f.stream("stream", typeStream3, 3)
	f.key(typeModule2, "module").module("tairhash-", 1).length(moduleString).bytes(stringLZF, 2, 40, 0xe0, 0xff).length(moduleEnd)
	f.set("last", "v")
	file := f.end()
	n := 0
	read(t, file, func(r *Record, v *Value) {
		n++
		d, err := v.Decode(1 << 20)
		if last := string(r.Key) == "last"; last != (err == nil) || last != (d != nil) {
			t.Errorf("%s decodes to %v, %v", r.Key, d, err)
		}
		var corrupt *CorruptError
		if err != nil && (!errors.As(err, &corrupt) || corrupt.Offset < r.Offset || corrupt.Offset > int64(len(file))) {
			t.Errorf("%s at %d: %v", r.Key, r.Offset, err)
		}
	})
	if n != 9 {
		t.Errorf("%d records", n)
	}
}

// An error inside a blob that lies plainly in the file names the byte.
func TestBrokenBlobOffset(t *testing.T) {
	t.Parallel()
	var b packed.ListpackBuilder
	for _, text := range []string{"field", "value", "other", "value"} {
		b.Add([]byte(text))
	}
	f := newFile(11).key(typeHashListpack, "k")
	at := len(f.b) + 1 + 6 + 2*7 // head of the string, head of the blob, two elements
	file := f.strings(string(b.Bytes())).end()
	file[at] = 0xff
	file = unsummed(file)
	read(t, file, func(_ *Record, v *Value) {
		_, err := v.Decode(1 << 20)
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || corrupt.Offset != int64(at) {
			t.Errorf("%v, not at %d", err, at)
		}
	})
}

// What is wrong with a score or an expiry is blamed on the place where Deep finds
// it, however long the blob is around it.
func TestBrokenScoreOffset(t *testing.T) {
	t.Parallel()
	var around []string
	for i := range 40 {
		around = append(around, "a member number "+string(rune('A'+i)), "17")
	}
	scores := append(append(around[:40:40], "bad", "1,5"), around[40:]...)
	expiries := func(at string) []string { return append(append([]string{"f", "v", "9"}, "g", "w", at), "h", "x", "7") }
	plain := func(at int64) *builder {
		return newFile(80).key(typeValkeyHash2, "k").length(2).strings("f", "v").le64(9).strings("g", strings.Repeat("w", 500)).le64(uint64(at))
	}
	for name, c := range map[string]struct {
		f      *builder
		reason string
	}{
		"zset listpack":            {newFile(11).key(typeZsetListpack, "k").strings(listpackOf(scores...)), `"1,5" is no score`},
		"zset listpack in LZF":     {newFile(11).key(typeZsetListpack, "k").lzf(listpackOf(scores...)), `: "1,5" is no score`},
		"zset ziplist":             {newFile(11).key(typeZsetZiplist, "k").strings(ziplistOf(scores...)), `element 41 of the ziplist: "1,5" is no score`},
		"expiry listpack":          {newFile(12).key(typeRedisHashPackEx, "k").le64(7).strings(listpackOf(expiries("soon")...)), `a field that expires at "soon"`},
		"negative expiry listpack": {newFile(12).key(typeRedisHashPackEx, "k").le64(7).strings(listpackOf(expiries("-5")...)), "a field that expires at -5"},
		"expiry of Redis":          {newFile(12).key(typeRedisHashTTL, "k").le64(1<<63).length(1).length(5).strings("f", strings.Repeat("v", 500)), "a field that expires at -9223372036854775804"},
		"expiry of Valkey":         {plain(-9), "a field that expires at -9"},
	} {
		file := c.f.set("next", "v").end()
		_, deepErr := scanDeep(file, 128)
		var found, deep *CorruptError
		read(t, file, func(r *Record, v *Value) {
			if _, err := v.Decode(1 << 20); err != nil && !errors.As(err, &found) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if found == nil || !errors.As(deepErr, &deep) {
			t.Errorf("%s: found %v, deeply %v", name, found, deepErr)
			continue
		}
		within := deep.Offset
		if strings.HasSuffix(name, "LZF") {
			within = 12 // where the string begins; Deep tells where its bytes do
		}
		if found.Offset != within || !strings.Contains(found.Reason, c.reason) {
			t.Errorf("%s: %v; deeply %v", name, found, deep)
		}
	}
}

// Limits hold for what comes out, whatever lengths claim.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	huge := newFile(11).key(typeString, "s").length64(1 << 40).raw("abc").b
	for r, err := range NewScanner(bytes.NewReader(huge), Options{}).Records() {
		if err != nil {
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Error(err)
			}
			break
		}
		if _, err := r.Value.Text(1 << 20); !errors.Is(err, ErrTooLarge) {
			t.Errorf("a string of a terabyte: %v", err)
		}
	}
	f := newFile(11).set("text", strings.Repeat("t", 100)).bytes(typeString, 1, 'i', stringInt32).le32(1 << 30)
	f.key(typeString, "lzf").lzf(strings.Repeat("z", 1000))
	f.key(typeList, "list").length(3).strings("aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc")
	f.key(typeStream3, "stream").raw(vectors()["stream, third form"].raw)
	f.key(typeModule2, "module").module("tairhash-", 1).lengths(moduleUnsigned, 1, moduleUnsigned, 1, moduleEnd)
	file := f.end()
	for limit, want := range map[int64]int{-1: 6, 0: 6, 9: 6, 10: 5, 100: 3, 110: 1, 300: 1, 999: 1, 1000: 0} {
		refused := 0
		read(t, file, func(r *Record, v *Value) {
			_, err := v.Decode(limit)
			if errors.Is(err, ErrTooLarge) {
				refused++
			} else if err != nil {
				t.Errorf("%s: %v", r.Key, err)
			}
		})
		if limit == 100 || limit == 110 || limit == 300 {
			continue // what surrounds the texts counts too, but is no promise
		}
		if refused != want {
			t.Errorf("limit %d refuses %d values, not %d", limit, refused, want)
		}
	}
}

// Names that entries of a stream share are in the file once. What they amount to is
// bounded all the same.
func TestSharedNames(t *testing.T) {
	t.Parallel()
	stream := func(name, entries int) []byte {
		var l packed.ListpackBuilder
		for _, n := range []int64{int64(entries), 0, 1} {
			l.AddInt(n)
		}
		l.Add(bytes.Repeat([]byte{'n'}, name))
		l.AddInt(0)
		for i := range entries {
			for _, n := range []int64{entrySameFields, 0, int64(i), 7, 4} {
				l.AddInt(n)
			}
		}
		id := string(make([]byte, streamID))
		f := newFile(11).key(typeStream1, "s").length(1).strings(id, string(l.Bytes()))
		return f.lengths(uint64(entries), 0, uint64(entries), 0).end()
	}
	for _, c := range []struct {
		name, entries int
		refused       bool
	}{{5, 100_000, false}, {4000, 250, false}, {50_000, 250, false}, {50_000, 2000, true}, {400_000, 50_000, true}} {
		read(t, stream(c.name, c.entries), func(_ *Record, v *Value) {
			n := 0
			var last error
			for _, err := range v.Entries() {
				if last = err; err == nil {
					n++
				}
			}
			if errors.Is(last, ErrTooLarge) != c.refused || !c.refused && (last != nil || n != c.entries) || c.refused && n > 1000 {
				t.Errorf("%d entries of %d with a name of %d bytes: %v", n, c.entries, c.name, last)
			}
		})
	}
}

// Every method says so when it is not for this kind of value, and does not
// consume it.
func TestWrongKind(t *testing.T) {
	t.Parallel()
	read(t, newFile(11).key(typeList, "l").length(1).strings("x").set("s", "v").end(), func(r *Record, v *Value) {
		if v.Kind() == KindList {
			if _, err := v.Text(1); !errors.Is(err, ErrKind) {
				t.Error(err)
			}
			if _, err := io.ReadAll(v.Reader()); !errors.Is(err, ErrKind) {
				t.Error(err)
			}
		} else {
			for _, err := range v.Elements() {
				if !errors.Is(err, ErrKind) {
					t.Error(err)
				}
			}
		}
		for _, err := range v.Entries() {
			if !errors.Is(err, ErrKind) {
				t.Error(err)
			}
		}
		if _, err := v.State(); !errors.Is(err, ErrKind) {
			t.Error(err)
		}
		for _, err := range v.Items() {
			if !errors.Is(err, ErrKind) {
				t.Error(err)
			}
		}
		if v.ModuleID() != 0 {
			t.Error("a module")
		}
		if _, err := v.Decode(100); err != nil {
			t.Errorf("%s: %v", r.Key, err)
		}
		if _, err := v.Decode(100); !errors.Is(err, ErrValueRead) {
			t.Error(err)
		}
	})
}

// What is kept beyond its record gives errors, not bytes of another.
func TestValueKept(t *testing.T) {
	t.Parallel()
	var kept io.Reader
	var value *Value
	read(t, newFile(11).set("a", strings.Repeat("a", 1000)).key(typeString, "b").lzf(strings.Repeat("b", 1000)).set("c", "ccc").end(), func(r *Record, v *Value) {
		if kept != nil {
			if p, err := io.ReadAll(kept); len(p) > 0 || !errors.Is(err, ErrValueRead) {
				t.Errorf("read %q, %v", p, err)
			}
		}
		kept, value = v.Reader(), v
		if p, err := io.ReadAll(io.LimitReader(kept, 10)); err != nil || len(p) == 0 {
			t.Errorf("read %q, %v", p, err)
		}
	})
	if _, err := value.Raw(io.Discard); !errors.Is(err, ErrValueRead) {
		t.Error(err)
	}
}

// The counter, the idle time and the number of elements come with the record.
func TestRecordDescription(t *testing.T) {
	t.Parallel()
	f := newFile(11).bytes(opIdle).length(100).set("idle", "v").bytes(opFrequency, 7).key(typeList, "freq").length(3).strings("a", "b", "c")
	f.key(typeHashListpack, "pack").strings(listpack("\x01", "\x02", "\x03", "\x04")).key(typeStream3, "stream").raw(vectors()["stream, third form"].raw)
	f.key(typeListQuicklist2, "quick").raw(vectors()["plain and packed nodes"].raw)
	want := map[string][3]int64{"idle": {100, -1, -1}, "freq": {-1, 7, 3}, "pack": {-1, -1, 2}, "stream": {-1, -1, 0}, "quick": {-1, -1, 3}}
	o := Options{Keys: true, OnRecord: func(r *Record) error {
		if got := [3]int64{r.Idle, int64(r.Freq), r.Elements}; got != want[string(r.Key)] || r.Value != nil {
			t.Errorf("%s: %v, not %v", r.Key, got, want[string(r.Key)])
		}
		return nil
	}}
	if _, err := newScanner(bytes.NewReader(f.end()), o, 128).Scan(); err != nil {
		t.Fatal(err)
	}
}

// manyMembers is a file with one set of any size, made while it is read.
func manyMembers(members int) io.Reader {
	head := newFile(11).key(typeSet, "set").length(uint64(members)).b
	tail := newFile(11).bytes(opEOF).zeros(8).b[headerSize:]
	return io.MultiReader(bytes.NewReader(head), io.LimitReader(&repeating{text: []byte("\x07member!")}, int64(members)*8), bytes.NewReader(tail))
}

type repeating struct {
	text []byte
	at   int
}

func (r *repeating) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.text[r.at%len(r.text)]
		r.at++
	}
	return len(p), nil
}

// A collection takes the same memory whatever its size. Not in parallel: it counts
// what the process allocates.
func TestElementsMemory(t *testing.T) {
	count := func(members int) float64 {
		return testing.AllocsPerRun(1, func() {
			n := 0
			for r, err := range NewScanner(manyMembers(members), Options{}).Records() {
				if err != nil {
					t.Fatal(err)
				}
				for e, err := range r.Value.Elements() {
					if err != nil || string(e.Text) != "member!" {
						t.Fatalf("%q, %v", e.Text, err)
					}
					n++
				}
			}
			if n != members {
				t.Errorf("%d members, not %d", n, members)
			}
		})
	}
	if few, many := count(10), count(2_000_000); many > few+20 {
		t.Errorf("%v allocations for 2000000 members, %v for 10", many, few)
	}
}

// Function libraries come as text, whatever their form, before and after other
// things, and their errors end the scan.
func TestOnFunction(t *testing.T) {
	t.Parallel()
	long := "#!lua name=two\n" + strings.Repeat("-", 3000)
	file := newFile(11).bytes(opFunction).strings("#!lua name=one\n").selectDB(0).set("k", "v").bytes(opFunction).lzf(long).end()
	for _, deep := range []bool{false, true} {
		var got []string
		stop := errors.New("enough")
		o := Options{Deep: deep, OnFunction: func(source []byte) error {
			got = append(got, string(source))
			if len(got) > 3 {
				return stop
			}
			return nil
		}}
		for range 2 {
			sum, err := newScanner(bytes.NewReader(file), o, 300).Scan()
			if len(got) == 4 {
				if err != stop {
					t.Errorf("%v is not what OnFunction said", err)
				}
				break
			}
			if err != nil || sum.Functions != 2 || len(got) != 2 || got[0] != "#!lua name=one\n" || got[1] != long {
				t.Errorf("%.200q, %v", got, err)
			}
		}
	}
	bad := newFile(11).bytes(opFunction).strings("return 1").end()
	if _, err := NewScanner(bytes.NewReader(bad), Options{Deep: true, OnFunction: func([]byte) error { return nil }}).Scan(); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a library without a head: %v", err)
	}
}

// The dumps in testdata hold what was put into the engines that wrote them.
func TestGoldenValues(t *testing.T) {
	t.Parallel()
	want := map[string]Data{
		"string": String("value"), "123": String("-70000"), strings.Repeat("k", 100): String(strings.Repeat("v", 1000)), "three": String("v"),
		"hash":          Hash{{Name: []byte("f"), Value: []byte("v")}, {Name: []byte("g"), Value: []byte("1")}},
		"hash:table":    Hash{{Name: []byte("f"), Value: []byte("v")}, {Name: []byte("g"), Value: []byte("1")}},
		"ints":          Set(list("1", "2", "3")),
		"set":           Set(list("a", "b", "c")),
		"zset":          SortedSet{{[]byte("a"), 1}, {[]byte("b"), 2.5}},
		"zset:skiplist": SortedSet{{[]byte("a"), 1}, {[]byte("b"), 2.5}},
		"list":          List(list("a", "b", "3")),
	}
	for _, eng := range engines {
		n := 0
		read(t, readFile(t, "testdata/"+eng.name+".rdb"), func(r *Record, v *Value) {
			n++
			d, err := v.Decode(1 << 20)
			if err != nil {
				t.Fatalf("%s, %s: %v", eng.name, r.Key, err)
			}
			if stream, ok := d.(*Stream); ok {
				var g Group
				if len(stream.Groups) == 1 {
					g = stream.Groups[0]
				}
				if len(stream.Entries) != 2 || string(stream.Entries[1].Fields[0].Value) != "w" || stream.LastID != (StreamID{2, 1}) ||
					stream.FirstID != (StreamID{1, 1}) || len(g.Pending) != 1 || len(g.Consumers) != 1 || string(g.Consumers[0].Name) != "c" ||
					g.Consumers[0].Pending[0] != g.Pending[0].ID || g.Pending[0].Deliveries != 1 || g.EntriesRead != 1 {
					t.Errorf("%s: %+v", eng.name, stream)
				}
				return
			}
			if canonical(d) != canonical(want[string(r.Key)]) {
				t.Errorf("%s, %s: %s", eng.name, r.Key, difference(d, want[string(r.Key)]))
			}
		})
		if n != len(want)+1 {
			t.Errorf("%s: %d values", eng.name, n)
		}
	}
}
