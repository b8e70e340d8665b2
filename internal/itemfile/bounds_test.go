package itemfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestClaimsCostNothing holds memory to what arrives, not to what a length says.
func TestClaimsCostNothing(t *testing.T) {
	t.Parallel()
	file, _ := write(t)
	b := append(file[:len(file)-endSize-9:len(file)-endSize-9], tagItem, 0, 0, 0, 0, 0, 1, 'k')
	b = append(binary.AppendUvarint(b, MaxValue), make([]byte, 10000)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := read(bytes.NewReader(b), Options{})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 100<<20 { // other tests run beside
		t.Errorf("%d bytes were allocated for a file of %d", n, len(b))
	}
	_, _, err = read(bytes.NewReader(b), Options{MaxValue: 1 << 20})
	if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "1048576 is the most") {
		t.Error(err)
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	for _, h := range []Header{{}, {Created: header.Created, Source: strings.Repeat("x", 256)}, {Created: header.Created, Engine: strings.Repeat("x", 65)}} {
		if _, err := NewWriter(io.Discard, h); err == nil {
			t.Errorf("%+v is taken", h)
		}
	}
	w, err := NewWriter(io.Discard, header)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range []Item{{}, {Key: make([]byte, 251)}, {Key: []byte("k"), ExpireAt: -1}, {Key: []byte("k"), ExpireAt: 1<<40 + 1}} {
		if w.Write(&it) == nil {
			t.Errorf("%.20v is taken", it)
		}
	}
	sum, err := w.Close()
	if err != nil || sum.Items != 0 {
		t.Errorf("%+v %v", sum, err)
	}
	if _, err := w.Close(); err == nil || w.Write(&Item{Key: []byte("k")}) == nil {
		t.Error("it goes on after Close")
	}
}

type brokenWriter struct{ left int }

func (b *brokenWriter) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

func TestErrorsOfTheWriterStay(t *testing.T) {
	t.Parallel()
	w, err := NewWriter(&brokenWriter{3 * chunk}, header)
	if err != nil {
		t.Fatal(err)
	}
	it := Item{Key: []byte("k"), Value: make([]byte, chunk)}
	for range 10 {
		err = w.Write(&it)
	}
	if _, cerr := w.Close(); err == nil || cerr == nil || cerr.Error() != "disk full" {
		t.Errorf("%v, then %v", err, cerr)
	}
}

func FuzzReader(f *testing.F) {
	file, _ := write(f, Item{Key: []byte("k"), Flags: 7, ExpireAt: time.Now().Unix(), Value: []byte("value")}, Item{Key: []byte("empty")})
	f.Add(file)
	f.Add(file[:len(file)-3])
	f.Add([]byte(magic))
	f.Add(append([]byte("k"), file[len(magic):]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > endSize && b[0] == magic[0]|0x20 {
			b = resealed(append([]byte(magic), b[1:]...), func(b []byte) []byte { return b }) // what a checksum would hide
		}
		items, sum, err := read(bytes.NewReader(b), Options{})
		scanned, serr := Scan(bytes.NewReader(b), Options{})
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v is not about the bytes", err)
			}
			return
		}
		if serr != nil || *scanned != *sum {
			t.Fatalf("scan differs: %+v %v", scanned, serr)
		}
		var again bytes.Buffer
		w, err := NewWriter(&again, sum.Header)
		for i := range items {
			if err == nil {
				err = w.Write(&items[i])
			}
		}
		if err == nil {
			_, err = w.Close()
		}
		if err != nil || !bytes.Equal(again.Bytes(), b) {
			t.Fatalf("there is another file for the same items: %v", err)
		}
	})
}

// Every bound that docs/memcached-format.md states is where it states it.
func TestBoundsAreAsDocumented(t *testing.T) {
	t.Parallel()
	text := func(n int) []byte { return append([]byte{byte(n)}, make([]byte, n)...) }
	file := func(created uint64, source, engine int, items ...[]byte) []byte {
		b := binary.LittleEndian.AppendUint64([]byte(magic), created)
		b = append(append(b, text(source)...), text(engine)...)
		return bytes.Join(append([][]byte{b}, items...), nil)
	}
	item := func(expire uint64, key int, value uint64) []byte {
		b := append(binary.AppendUvarint([]byte{tagItem}, expire), 0, 0, 0, 0)
		return binary.AppendUvarint(append(b, text(key)...), value)
	}
	for what, c := range map[string]struct {
		file []byte
		why  string // what comes after the bound is truncated
	}{
		"time":         {file(1<<40, 255, 64), "truncated"},
		"later":        {file(1<<40+1, 0, 0), "it claims to be of second 1099511627777"},
		"engine":       {file(0, 255, 65), "a text of 65 bytes: 64 are possible"},
		"expiry":       {file(0, 0, 0, item(1<<40, 250, 1<<30)), "truncated"},
		"later expiry": {file(0, 0, 0, item(1<<40+1, 1, 0)), "1099511627776 is the most"},
		"no key":       {file(0, 0, 0, item(0, 0, 0)), "a key of 0 bytes"},
		"long key":     {file(0, 0, 0, item(0, 251, 0)), "a key of 251 bytes"},
		"long value":   {file(0, 0, 0, item(0, 1, 1<<30+1)), "1073741824 is the most"},
	} {
		if _, err := Scan(bytes.NewReader(c.file), Options{}); err == nil || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v instead of %q", what, err, c.why)
		}
	}
}
