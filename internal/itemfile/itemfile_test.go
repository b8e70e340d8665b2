package itemfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keyframe/keyframe/rdb/crc64"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden file anew")

var header = Header{Created: time.Unix(1_800_000_000, 0).UTC(), Source: "a cache", Engine: "1.6.18"}

func write(t testing.TB, items ...Item) ([]byte, *Summary) {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, header)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range items {
		if err := w.Write(&it); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), sum
}

// read reads all items.
func read(r io.Reader, o Options) ([]Item, *Summary, error) {
	fr, err := NewReader(r, o)
	if err != nil {
		return nil, nil, err
	}
	var items []Item
	for {
		it, err := fr.Next()
		if err == io.EOF && fr.Summary() != nil {
			return items, fr.Summary(), nil
		}
		if err != nil {
			return nil, nil, err
		}
		items = append(items, Item{bytes.Clone(it.Key), it.Flags, it.ExpireAt, bytes.Clone(it.Value)})
	}
}

func equal(a, b Item) bool {
	return bytes.Equal(a.Key, b.Key) && a.Flags == b.Flags && a.ExpireAt == b.ExpireAt && bytes.Equal(a.Value, b.Value)
}

var sizes = []int{0, 1, 100, chunk/8 - 1, chunk / 8, chunk/8 + 1, chunk, readSize + 1, 3 * readSize, 9 * readSize}

func anyItem(t *rapid.T) Item {
	size := rapid.OneOf(rapid.IntRange(0, 300), rapid.SampledFrom(sizes)).Draw(t, "size")
	return Item{
		Key:      rapid.SliceOfN(rapid.Byte(), 1, MaxKey).Draw(t, "key"),
		Flags:    rapid.Uint32().Draw(t, "flags"),
		ExpireAt: rapid.SampledFrom([]int64{0, 1, 127, 128, 1_800_000_000, 1<<31 - 1, maxExpiry - 1}).Draw(t, "expiry"),
		Value:    bytes.Repeat([]byte{rapid.Byte().Draw(t, "value")}, size),
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		items := rapid.SliceOfN(rapid.Custom(anyItem), 0, 30).Draw(rt, "items")
		file, wrote := write(t, items...)
		var src io.Reader = bytes.NewReader(file)
		if len(file) < 100_000 && rapid.Bool().Draw(rt, "bytewise") {
			src = iotest.OneByteReader(src)
		}
		got, sum, err := read(src, Options{})
		if err != nil {
			rt.Fatal(err)
		}
		if !slices.EqualFunc(got, items, equal) {
			rt.Fatalf("%d items came back of %d, or others", len(got), len(items))
		}
		if *sum != *wrote || sum.Bytes != int64(len(file)) || sum.Header != header {
			rt.Fatalf("read %+v, wrote %+v", sum, wrote)
		}
		if scanned, err := Scan(iotest.DataErrReader(bytes.NewReader(file)), Options{}); err != nil || *scanned != *sum {
			rt.Fatalf("scanned %+v: %v", scanned, err)
		}
	})
}

func TestHashesKnowItemsAndNotTheirOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		items := rapid.SliceOfN(rapid.Custom(anyItem), 1, 10).Draw(rt, "items")
		_, want := write(t, items...)
		shuffled := slices.Clone(items)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if _, got := write(t, shuffled...); got.Sum != want.Sum {
			rt.Fatal("another order is another sum")
		}
		i := rapid.IntRange(0, len(items)-1).Draw(rt, "which")
		for what, change := range map[string]func(*Item){
			"key":   func(it *Item) { it.Key = append([]byte{it.Key[0] + 1}, it.Key[1:]...) },
			"flags": func(it *Item) { it.Flags++ },
			"value": func(it *Item) { it.Value = append([]byte{1}, it.Value...) },
			"the end of the key against the beginning of the value": func(it *Item) {
				if len(it.Key) == 1 {
					it.Key = append(it.Key, 'x')
				} else {
					it.Key, it.Value = it.Key[:len(it.Key)-1], append([]byte{it.Key[len(it.Key)-1]}, it.Value...)
				}
			},
		} {
			others := slices.Clone(items)
			change(&others[i])
			if _, got := write(t, others...); got.Content == want.Content {
				rt.Fatalf("another %s has the same content hash", what)
			}
		}
		others := slices.Clone(items)
		others[i].ExpireAt++
		if _, got := write(t, others...); got.Content != want.Content || got.Expiry == want.Expiry {
			rt.Fatalf("another expiry: content equal %v, expiries equal %v", got.Content == want.Content, got.Expiry == want.Expiry)
		}
	})
}

func TestTallyForgetsWhatExpires(t *testing.T) {
	t.Parallel()
	const from = 1_800_000_000
	items := []Item{
		{Key: []byte("never")}, {Key: []byte("past"), ExpireAt: from - 1}, {Key: []byte("now"), ExpireAt: from},
		{Key: []byte("soon"), ExpireAt: from + 1}, {Key: []byte("soon too"), ExpireAt: from + 1}, {Key: []byte("later"), ExpireAt: from + 100},
		{Key: []byte("edge"), ExpireAt: from + window}, {Key: []byte("beyond"), ExpireAt: from + window + 1},
	}
	file, _ := write(t, items...)
	r, err := NewReader(bytes.NewReader(file), Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Tally = NewTally(from)
	for err == nil {
		_, err = r.Next()
	}
	for _, at := range []int64{from, from + 1, from + 99, from + 100, from + window - 1, from + window} {
		var alive []Item
		for _, it := range items {
			if it.ExpireAt == 0 || it.ExpireAt > at {
				alive = append(alive, it)
			}
		}
		_, want := write(t, alive...)
		if got, ok := r.Tally.Alive(at); !ok || got != want.Sum {
			t.Errorf("at %d: %+v, %v instead of %+v", at-from, got, ok, want.Sum)
		}
	}
	for _, at := range []int64{from - 1, from + window + 1} {
		if _, ok := r.Tally.Alive(at); ok {
			t.Errorf("at %d it claims to know", at-from)
		}
	}
}

// TestGolden holds the format to the file that was written when it was specified.
func TestGolden(t *testing.T) {
	t.Parallel()
	items := []Item{
		{Key: []byte("greeting"), Value: []byte("hello")},
		{Key: []byte("session:1"), Flags: 4_000_000_000, ExpireAt: 1_800_003_600, Value: []byte("\x00\r\nEND\r\n")},
		{Key: []byte{0, ' ', '\n', 0xff}, Flags: 1, Value: bytes.Repeat([]byte("ab"), 100)},
	}
	file, _ := write(t, items...)
	const path = "testdata/three.kfitems"
	if *update {
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(file, golden) {
		t.Errorf("the same items are written otherwise:\n%q\n%q", file, golden)
	}
	got, sum, err := read(bytes.NewReader(golden), Options{})
	if err != nil || !slices.EqualFunc(got, items, equal) {
		t.Fatalf("%v %v", got, err)
	}
	if sum.Items != 3 || sum.Expiring != 1 || sum.KeyBytes != 21 || sum.ValueBytes != 213 || sum.Content.String() != "57559cec088d0a052aad014e51413454" {
		t.Errorf("%+v, content %v, expiry %016x", sum, sum.Content, sum.Expiry)
	}
}

func TestDamageIsFound(t *testing.T) {
	t.Parallel()
	file, _ := write(t, Item{Key: []byte("one"), Value: []byte("1")}, Item{Key: []byte("two"), Flags: 5, ExpireAt: 1_800_000_000, Value: bytes.Repeat([]byte{'2'}, 300)})
	for i := range file {
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[i] ^= 1 << bit
			refused(t, bad, "")
		}
	}
	for n := range file {
		refused(t, file[:n], "truncated")
	}
	refused(t, append(bytes.Clone(file), 0), "bytes follow")
	refused(t, []byte("REDIS0011........................"), "not items of a Memcached cache")
	refused(t, append([]byte("KFITEMS2"), file[8:]...), "version")
	refused(t, resealed(file, func(b []byte) []byte { b[len(b)-endSize]++; return b }), "counts other items")
	refused(t, resealed(file, func(b []byte) []byte { return slices.Insert(b, len(b)-endSize-1, 2) }), "not the tag")
	refused(t, resealed(file, func(b []byte) []byte {
		return slices.Replace(b, len(b)-endSize-1, len(b)-endSize, tagItem, 0x80, 0)
	}), "shortest form")
}

// resealed is a file with a change below a checksum that is right.
func resealed(file []byte, change func([]byte) []byte) []byte {
	b := change(bytes.Clone(file[:len(file)-crc64.Size]))
	return binary.LittleEndian.AppendUint64(b, crc64.Update(0, b))
}

func refused(t *testing.T, file []byte, why string) {
	t.Helper()
	_, _, err := read(bytes.NewReader(file), Options{})
	var corrupt *CorruptError
	if !errors.As(err, &corrupt) || !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), why) || corrupt.Offset > int64(len(file)) || corrupt.Section == "" {
		t.Errorf("read: %v instead of %q", err, why)
	}
	if why == "truncated" && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v is no end of the file", err)
	}
	// The scan believes the hashes of the end record, which the checksum guards.
	if _, err := Scan(bytes.NewReader(file), Options{}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("scan: %v instead of %q", err, why)
	}
}
