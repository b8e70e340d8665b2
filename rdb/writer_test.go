package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// canonical describes a value so that equal ones are equal text, whatever order
// its form keeps.
func canonical(d Data) string {
	var parts []string
	sorted := true
	add := func(after string, texts ...[]byte) {
		var b []byte
		for _, p := range texts {
			b = append(strconv.AppendInt(b, int64(len(p)), 10), ':')
			b = append(b, p...)
		}
		parts = append(parts, string(append(b, after...)))
	}
	switch d := d.(type) {
	case String:
		add("", d)
	case List:
		sorted = false
		for _, p := range d {
			add("", p)
		}
	case Set:
		for _, p := range d {
			add("", p)
		}
	case SortedSet:
		for _, m := range d {
			add(strconv.FormatUint(math.Float64bits(m.Score), 16), m.Text)
		}
	case Hash:
		for _, f := range d {
			add(strconv.FormatInt(f.ExpireAt, 10), f.Name, f.Value)
		}
	case *Stream:
		sorted = false
		for _, e := range d.Entries {
			add(e.ID.String())
			for _, f := range e.Fields {
				add("", f.Name, f.Value)
			}
		}
		st := d.StreamState
		st.Groups = slices.Clone(st.Groups)
		for i := range st.Groups {
			g := &st.Groups[i]
			g.Pending = slices.SortedFunc(slices.Values(g.Pending), func(a, b Pending) int { return a.ID.Compare(b.ID) })
			g.Consumers = slices.Clone(g.Consumers)
			for j := range g.Consumers {
				g.Consumers[j].Pending = slices.SortedFunc(slices.Values(g.Consumers[j].Pending), StreamID.Compare)
			}
		}
		parts = append(parts, fmt.Sprintf("%+v", st))
	case *Module:
		sorted = false
		for _, item := range d.Items {
			add(fmt.Sprint(d.ID, item.Kind, item.Int, item.Float), item.Text)
		}
	}
	if sorted {
		slices.Sort(parts)
	}
	return fmt.Sprintf("%s of %d: %s", d.Kind(), len(parts), strings.Join(parts, ", "))
}

// difference shows where two values begin to differ.
func difference(got, want Data) string {
	if got == nil {
		return "nothing"
	}
	a, b := canonical(got), canonical(want)
	at := 0
	for at < min(len(a), len(b)) && a[at] == b[at] {
		at++
	}
	from := max(0, at-60)
	return fmt.Sprintf("from %d of %d and %d\n%.300q\nnot\n%.300q", from, len(a), len(b), a[min(from, len(a)):], b[min(from, len(b)):])
}

// someTexts are different texts of many kinds: numbers of each width, empty,
// binary, compressible, long.
func someTexts(rng *rand.Rand, n int) (list [][]byte) {
	seen := map[string]bool{}
	for len(list) < n {
		var p []byte
		switch rng.IntN(8) {
		case 0:
			p = strconv.AppendInt(nil, int64(rng.Uint64())>>rng.IntN(64), 10)
		case 1:
			p = bytes.Repeat([]byte("ab"), rng.IntN(100))
		case 2:
			p = bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(40))
			p = strconv.AppendInt(p, int64(rng.Uint32()), 16)
		case 3:
			p = []byte("0" + strconv.Itoa(rng.IntN(1000)))
		default:
			for range rng.IntN(70) {
				p = append(p, byte(rng.Uint32()))
			}
		}
		if rng.IntN(400) == 0 {
			p = append(p, bytes.Repeat([]byte{'x', byte(n)}, 5000)...)
		}
		if !seen[string(p)] {
			seen[string(p)] = true
			list = append(list, append([]byte{}, p...))
		}
	}
	return list
}

// sizes reach across the bounds at which forms change.
var sizes = []int{1, 2, 11, 20, 64, 127, 128, 129, 511, 512, 513, 1500}

func someSize(rng *rand.Rand) int {
	if rng.IntN(3) > 0 {
		return 1 + rng.IntN(30)
	}
	return sizes[rng.IntN(len(sizes))]
}

func someScore(rng *rand.Rand) float64 {
	switch rng.IntN(6) {
	case 0:
		return float64(rng.IntN(2000) - 1000)
	case 1:
		return rng.NormFloat64() * 1e9
	case 2:
		return []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 53, 1 << 62, -(1 << 60)}[rng.IntN(9)]
	case 3:
		return float64(rng.Uint64())
	default:
		return rng.Float64()
	}
}

func someStream(rng *rand.Rand, version int) *Stream {
	d := &Stream{}
	id := StreamID{Ms: rng.Uint64N(3), Seq: 1}
	names := someTexts(rng, 5)
	for range []int{0, 1, 99, 100, 101, 450, rng.IntN(20)}[rng.IntN(7)] {
		if id.Seq += 1 + rng.Uint64N(3); rng.IntN(3) == 0 {
			id = StreamID{Ms: id.Ms + 1 + rng.Uint64N(1<<rng.IntN(40)), Seq: rng.Uint64N(2)}
		}
		e := StreamEntry{ID: id}
		for i := range 1 + rng.IntN(4) {
			name := names[i]
			if rng.IntN(20) == 0 {
				name = someTexts(rng, 1)[0]
			}
			e.Fields = append(e.Fields, Pair{name, someTexts(rng, 1)[0]})
		}
		d.Entries = append(d.Entries, e)
	}
	d.Length = uint64(len(d.Entries))
	if d.Length > 0 {
		d.FirstID = d.Entries[0].ID
	}
	d.LastID = StreamID{id.Ms, id.Seq + rng.Uint64N(2)}
	d.EntriesAdded = d.Length
	for i := range rng.IntN(3) {
		g := Group{Name: fmt.Appendf(nil, "group%d", i), LastID: id, EntriesRead: -1}
		for j := range 1 + rng.IntN(3) {
			c := Consumer{Name: fmt.Appendf(nil, "consumer%d", j), SeenAt: rng.Int64N(1 << 41)}
			c.ActiveAt = c.SeenAt
			if version >= 11 {
				c.ActiveAt = rng.Int64N(1<<41) - 1
			}
			for _, e := range slices.Backward(d.Entries) {
				if rng.IntN(10) == 0 && !slices.ContainsFunc(g.Pending, func(p Pending) bool { return p.ID == e.ID }) {
					g.Pending = append(g.Pending, Pending{e.ID, rng.Int64N(1 << 41), rng.Uint64N(200)})
					c.Pending = append(c.Pending, e.ID)
				}
			}
			g.Consumers = append(g.Consumers, c)
		}
		d.Groups = append(d.Groups, g)
	}
	if version >= 10 {
		d.MaxDeletedID = StreamID{rng.Uint64N(3), 0}
		d.EntriesAdded += rng.Uint64N(10)
		for i := range d.Groups {
			d.Groups[i].EntriesRead = rng.Int64N(100) - 1
		}
	}
	return d
}

// someData is a value that a version can hold.
func someData(rng *rand.Rand, version int) Data {
	switch rng.IntN(9) {
	case 0:
		return String(someTexts(rng, 1)[0])
	case 1:
		return List(someTexts(rng, someSize(rng)))
	case 2:
		return Set(someTexts(rng, someSize(rng)))
	case 3:
		set := Set{}
		for i := range someSize(rng) {
			set = append(set, strconv.AppendInt(nil, int64(i-5)<<rng.IntN(2)*int64(1+i*i%7), 10))
		}
		slices.SortFunc(set, bytes.Compare)
		return Set(slices.CompactFunc(set, bytes.Equal))
	case 4:
		d := SortedSet{}
		for _, p := range someTexts(rng, someSize(rng)) {
			d = append(d, Member{p, someScore(rng)})
		}
		return d
	case 5, 6:
		d, expiring := Hash{}, version >= 12 && rng.IntN(2) == 0
		for _, p := range someTexts(rng, someSize(rng)) {
			f := Field{Name: p, Value: someTexts(rng, 1)[0]}
			if expiring && rng.IntN(2) == 0 {
				f.ExpireAt = 1 + rng.Int64N(1<<42)
			}
			d = append(d, f)
		}
		return d
	case 7:
		m := &Module{ID: ModuleID(rng.Uint64())}
		for range rng.IntN(10) {
			m.Items = append(m.Items, []ModuleItem{
				{Kind: ModuleSigned, Int: rng.Uint64(), Text: []byte{}}, {Kind: ModuleUnsigned, Int: uint64(rng.IntN(100)), Text: []byte{}},
				{Kind: ModuleFloat, Float: 1.5, Text: []byte{}}, {Kind: ModuleDouble, Float: rng.NormFloat64(), Text: []byte{}},
				{Kind: ModuleText, Text: someTexts(rng, 1)[0]},
			}[rng.IntN(5)])
		}
		return m
	}
	return someStream(rng, version)
}

var versions = []int{9, 10, 11, 12, 80}

// What a Writer writes of any data, in any form, a Scanner decodes to the same.
func TestWriterRoundTrip(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		o := WriterOptions{Version: versions[seed%5], Unpacked: rng.IntN(4) == 0, Uncompressed: rng.IntN(4) == 0}
		var file bytes.Buffer
		w, err := NewWriter(&file, o)
		if err != nil {
			t.Fatal(err)
		}
		type written struct {
			Meta
			db uint64
			d  Data
		}
		var all []written
		expiring := int64(0)
		for i := range 15 {
			one := written{Meta{Key: fmt.Appendf(nil, "key %d", i)}, rng.Uint64N(3), someData(rng, o.Version)}
			if rng.IntN(3) == 0 {
				one.ExpireAt = 1 + rng.Int64N(1<<42)
				expiring++
			}
			switch rng.IntN(3) {
			case 0:
				one.HasIdle, one.Idle = true, rng.Int64N(1<<30)
			case 1:
				one.HasFreq, one.Freq = true, rng.IntN(256)
			}
			if err := w.Select(one.db, rng.Uint64N(2), 0); err != nil {
				t.Fatal(err)
			}
			if err := w.Write(one.Meta, one.d); err != nil {
				t.Fatalf("%d, %s: %v", seed, one.d.Kind(), err)
			}
			all = append(all, one)
		}
		sum, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		if sum.Keys != 15 || sum.Expiring != expiring || sum.Bytes != int64(file.Len()) {
			t.Errorf("%+v for %d bytes with %d expiring", sum, file.Len(), expiring)
		}
		if _, err := NewScanner(bytes.NewReader(file.Bytes()), Options{Deep: true}).Scan(); err != nil {
			t.Errorf("%d: %v", seed, err)
		}
		s := newScanner(bytes.NewReader(file.Bytes()), Options{}, 128+int(seed)*50)
		for r, err := range s.Records() {
			if err != nil {
				t.Fatalf("%d: %v", seed, err)
			}
			want := all[0]
			all = all[1:]
			if got := r.Meta(); fmt.Sprint(got) != fmt.Sprint(want.Meta) || r.DB != want.db {
				t.Errorf("read %+v in %d, wrote %+v in %d", got, r.DB, want.Meta, want.db)
			}
			got, err := r.Value.Decode(1 << 30)
			if err != nil {
				t.Fatalf("%d, %s: %v", seed, want.d.Kind(), err)
			}
			if canonical(got) != canonical(want.d) {
				t.Errorf("%d, type %d of version %d: %s", seed, r.Type, o.Version, difference(got, want.d))
			}
			payload, err := EncodeDump(nil, want.d, o)
			if err != nil {
				t.Fatal(err)
			}
			dump, err := ParseDump(payload)
			if err != nil {
				t.Fatal(err)
			}
			if again, err := dump.Decode(1 << 30); err != nil || canonical(again) != canonical(want.d) || dump.Type != r.Type {
				t.Errorf("%d: a payload of type %d: %v, %s", seed, dump.Type, err, difference(again, want.d))
			}
		}
		if got := s.Summary(); len(all) > 0 || got.CRC != sum.CRC || got.Checksum != ChecksumVerified || got.Version != o.Version {
			t.Errorf("%d records are missing; %+v", len(all), got)
		}
	}
}

// Files are written again without having any value in memory.
func TestWriterStreamsThrough(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 8))
		o := WriterOptions{Version: versions[seed%5]}
		var source bytes.Buffer
		first, err := NewWriter(&source, o)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i := range 12 {
			d := someData(rng, o.Version)
			want = append(want, canonical(d))
			if err := first.Write(Meta{Key: fmt.Appendf(nil, "%d", i)}, d); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := first.Close(); err != nil {
			t.Fatal(err)
		}
		lengths := map[string]int64{}
		earliest := map[string]int64{}
		count := Options{Keys: true, OnValue: func(r *Record, v *Value) error {
			switch v.Kind() {
			case KindString:
				n, err := io.Copy(io.Discard, v.Reader())
				lengths[string(r.Key)] = n
				return err
			case KindStream:
				for _, err := range v.Entries() {
					if err != nil {
						return err
					}
					lengths[string(r.Key)]++
				}
			case KindModule:
			default:
				for e, err := range v.Elements() {
					if err != nil {
						return err
					}
					lengths[string(r.Key)]++
					if at, ok := earliest[string(r.Key)]; e.ExpireAt != 0 && (!ok || e.ExpireAt < at) {
						earliest[string(r.Key)] = e.ExpireAt
					}
				}
			}
			return nil
		}}
		if _, err := newScanner(bytes.NewReader(source.Bytes()), count, 300).Scan(); err != nil {
			t.Fatal(err)
		}
		var target bytes.Buffer
		second, err := NewWriter(&target, o)
		if err != nil {
			t.Fatal(err)
		}
		s := newScanner(bytes.NewReader(source.Bytes()), Options{}, 300)
		for r, err := range s.Records() {
			if err != nil {
				t.Fatal(err)
			}
			n, v := lengths[string(r.Key)], r.Value
			switch v.Kind() {
			case KindString:
				err = second.WriteString(r.Meta(), n, v.Reader())
			case KindStream:
				err = second.WriteStream(r.Meta(), n, v.Entries(), v.State)
			case KindModule:
				err = second.Copy(r.Meta(), v, 0)
			default:
				err = second.WriteCollection(r.Meta(), Collection{v.Kind(), n, earliest[string(r.Key)], v.Elements()})
			}
			if err != nil {
				t.Fatalf("%s: %v", v.Kind(), err)
			}
		}
		if _, err := second.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := NewScanner(bytes.NewReader(target.Bytes()), Options{Deep: true}).Scan(); err != nil {
			t.Errorf("%d: %v", seed, err)
		}
		for r, err := range newScanner(&target, Options{}, 4096).Records() {
			if err != nil {
				t.Fatal(err)
			}
			if d, err := r.Value.Decode(1 << 30); err != nil || canonical(d) != want[0] {
				t.Errorf("%d, type %d: %v, read\n%.500s\nwrote\n%.500s", seed, r.Type, err, canonical(d), want[0])
			}
			want = want[1:]
		}
		if len(want) > 0 {
			t.Errorf("%d records are missing", len(want))
		}
	}
}

// Values go to a Writer of another version or family, byte by byte or in the form
// that it has.
func TestWriterCopies(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 9))
		from, to := versions[rng.IntN(5)], versions[rng.IntN(5)]
		var source, target bytes.Buffer
		first, err := NewWriter(&source, WriterOptions{Version: from})
		if err != nil {
			t.Fatal(err)
		}
		second, err := NewWriter(&target, WriterOptions{Version: to})
		if err != nil {
			t.Fatal(err)
		}
		var want []Data
		for i := range 12 {
			d := someData(rng, min(from, max(to, 11)))
			if err := first.Write(Meta{Key: fmt.Appendf(nil, "%d", i), ExpireAt: int64(i)}, d); err != nil {
				t.Fatal(err)
			}
			if hash, ok := d.(Hash); ok && earliest(hash) != 0 && to < 12 {
				d = nil
			}
			want = append(want, d)
		}
		if _, err := first.Close(); err != nil {
			t.Fatal(err)
		}
		i := 0
		for r, err := range newScanner(&source, Options{}, 500).Records() {
			if err != nil {
				t.Fatal(err)
			}
			if want[i] == nil {
				if err := second.Copy(r.Meta(), r.Value, 1<<30); !errors.Is(err, ErrCannotLower) {
					t.Errorf("from %d to %d: %v", from, to, err)
				}
			} else if err := second.Copy(r.Meta(), r.Value, 1<<30); err != nil {
				t.Fatalf("from %d to %d, type %d: %v", from, to, r.Type, err)
			}
			i++
		}
		if _, err := second.Close(); err != nil {
			t.Fatal(err)
		}
		want = slices.DeleteFunc(want, func(d Data) bool { return d == nil })
		for r, err := range newScanner(&target, Options{}, 500).Records() {
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Value.Decode(1 << 30)
			if err != nil {
				t.Fatal(err)
			}
			a, b := got, want[0]
			if a.Kind() == KindStream && to < 11 { // what older forms do not tell
				a, b = &Stream{Entries: a.(*Stream).Entries}, &Stream{Entries: b.(*Stream).Entries}
			}
			if canonical(a) != canonical(b) {
				t.Errorf("from %d to %d, type %d: %s", from, to, r.Type, difference(a, b))
			}
			want = want[1:]
		}
		if len(want) > 0 {
			t.Errorf("%d records are missing", len(want))
		}
	}
}

// Refusals leave the file whole; what was begun and not ended loses it.
func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	one := func(yield func(Element, error) bool) { yield(Element{Text: []byte("a")}, nil) }
	broken, errDisk := errors.New("the source ends"), errors.New("no space")
	pending := &Stream{StreamState: StreamState{Groups: []Group{{Name: []byte("g"), Pending: []Pending{{ID: StreamID{1, 1}}}}}}}
	lowered := Hash{{Name: []byte("f"), ExpireAt: 1}}
	for name, refused := range map[string]func(*Writer) error{
		"an empty list":       func(w *Writer) error { return w.Write(Meta{}, List{}) },
		"an empty set":        func(w *Writer) error { return w.Write(Meta{}, Set{}) },
		"no data":             func(w *Writer) error { return w.Write(Meta{}, nil) },
		"not a number":        func(w *Writer) error { return w.Write(Meta{}, SortedSet{{Score: math.NaN()}}) },
		"a nameless module":   func(w *Writer) error { return w.Write(Meta{}, &Module{}) },
		"a frequency":         func(w *Writer) error { return w.Write(Meta{HasFreq: true, Freq: 256}, String("")) },
		"an idle time":        func(w *Writer) error { return w.Write(Meta{HasIdle: true, Idle: -1}, String("")) },
		"unordered entries":   func(w *Writer) error { return w.Write(Meta{}, &Stream{Entries: make([]StreamEntry, 2)}) },
		"an ownerless entry":  func(w *Writer) error { return w.Write(Meta{}, pending) },
		"a newer type":        func(w *Writer) error { return w.WriteRaw(Meta{}, typeStream3, nil) },
		"half a value":        func(w *Writer) error { return w.WriteRaw(Meta{}, typeString, []byte{5, 'a'}) },
		"more than a value":   func(w *Writer) error { return w.WriteRaw(Meta{}, typeString, []byte{0, 0}) },
		"no type":             func(w *Writer) error { return w.WriteRaw(Meta{}, 8, nil) },
		"fields that expire":  func(w *Writer) error { return w.Write(Meta{}, lowered) },
		"an empty collection": func(w *Writer) error { return w.WriteCollection(Meta{}, Collection{Kind: KindList, All: one}) },
		"a string of strings": func(w *Writer) error {
			return w.WriteCollection(Meta{}, Collection{Kind: KindString, Len: 1, All: one})
		},
		"a database": func(w *Writer) error { return w.Select(1<<40, 0, 0) },
	} {
		var file bytes.Buffer
		w, _ := NewWriter(&file, WriterOptions{Version: 10})
		if err := refused(w); err == nil {
			t.Errorf("%s was written", name)
		}
		if err := w.Write(Meta{Key: []byte("k")}, String("v")); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
		if _, err := w.Close(); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
		if sum, err := NewScanner(&file, Options{}).Scan(); err != nil || sum.Keys != 1 {
			t.Errorf("after %s: %v", name, err)
		}
	}
	for name, loses := range map[string]func(*Writer) error{
		"too few": func(w *Writer) error { return w.WriteCollection(Meta{}, Collection{Kind: KindList, Len: 2, All: one}) },
		"too many": func(w *Writer) error {
			return w.WriteCollection(Meta{}, Collection{Kind: KindSet, Len: 1, All: twice(one)})
		},
		"short": func(w *Writer) error { return w.WriteString(Meta{}, 5, strings.NewReader("abc")) },
		"an error": func(w *Writer) error {
			return w.WriteCollection(Meta{}, Collection{Kind: KindList, Len: 2, All: func(yield func(Element, error) bool) { yield(Element{}, broken) }})
		},
		"expiry": func(w *Writer) error {
			return w.WriteCollection(Meta{}, Collection{Kind: KindHash, Len: 1, All: func(yield func(Element, error) bool) { yield(Element{ExpireAt: 5}, nil) }})
		},
		"entries": func(w *Writer) error {
			return w.WriteStream(Meta{}, 1, func(func(StreamEntry, error) bool) {}, nil)
		},
	} {
		w, _ := NewWriter(io.Discard, WriterOptions{Version: 10})
		err := loses(w)
		if err == nil {
			t.Errorf("%s was written", name)
		}
		if again := w.Write(Meta{}, String("")); again != err {
			t.Errorf("after %s: %v, not %v", name, again, err)
		}
		if _, again := w.Close(); again != err {
			t.Errorf("after %s: %v, not %v", name, again, err)
		}
	}
	for _, version := range []int{0, 8, 13, 79, 81} {
		if _, err := NewWriter(io.Discard, WriterOptions{Version: version}); err == nil {
			t.Errorf("version %d was written", version)
		}
	}
	if err := (&Writer{closed: true}).Aux("a", "b"); err == nil {
		t.Error("written after the end")
	}
	full, _ := NewWriter(failingWriter{errDisk}, WriterOptions{Version: 10})
	if _, err := full.Close(); !errors.Is(err, errDisk) {
		t.Errorf("%v is not about the output", err)
	}
}

func twice(all iter.Seq2[Element, error]) iter.Seq2[Element, error] {
	return func(yield func(Element, error) bool) {
		all(yield)
		all(yield)
	}
}
