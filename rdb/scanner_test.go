package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// windows are sizes to run everything with: the smallest, where every read is at
// an edge, and the real one.
var windows = []int{128, 200, 4096, windowSize}

func TestSamples(t *testing.T) {
	t.Parallel()
	for _, smp := range samples() {
		for _, window := range windows {
			t.Run(fmt.Sprintf("%s, window %d", smp.name, window), func(t *testing.T) {
				t.Parallel()
				checkSample(t, smp, window)
			})
		}
	}
}

func checkSample(t *testing.T, smp sample, window int) {
	t.Helper()
	var got []wanted
	next := int64(-1) // where a record must start that follows another directly
	var copied bytes.Buffer
	s := newScanner(bytes.NewReader(smp.file), Options{Tee: &copied, Keys: true, OnRecord: func(r *Record) error {
		got = append(got, wanted{record{r.DB, r.Type, r.ExpireAt}, string(r.Key)})
		if r.Slot != KeySlot(r.Key) {
			t.Errorf("slot of %q is %d, want %d", r.Key, r.Slot, KeySlot(r.Key))
		}
		if r.Offset < next || r.Size < 3 || r.Offset+r.Size > int64(len(smp.file)) {
			t.Errorf("record %q lies at %d+%d, after one that ends at %d", r.Key, r.Offset, r.Size, next)
		}
		next = r.Offset + r.Size
		return nil
	}}, window)
	sum, err := s.Scan()
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint(smp.want) {
		t.Errorf("records\n%.400v\nwant\n%.400v", got, smp.want)
	}
	if complaint := smp.check(sum); complaint != "" {
		t.Errorf("%s: %+v", complaint, sum)
	}
	if sum.Keys != int64(len(smp.want)) || sum.Bytes != int64(len(smp.file)) {
		t.Errorf("%d keys in %d bytes, want %d in %d", sum.Keys, sum.Bytes, len(smp.want), len(smp.file))
	}
	if !bytes.Equal(copied.Bytes(), smp.file) {
		t.Errorf("Tee received other bytes")
	}
	quick, err := newScanner(bytes.NewReader(smp.file), Options{}, window).Scan()
	if err != nil || fmt.Sprint(quick) != fmt.Sprint(sum) {
		t.Errorf("without keys: %+v, %v; want %+v", quick, err, sum)
	}
}

// A record's offset and size must enclose its bytes, opcodes included.
func TestRecordPlace(t *testing.T) {
	t.Parallel()
	f := newFile(11).selectDB(0)
	before := len(f.b)
	f.bytes(opExpireMillis).le64(5).bytes(opFrequency, 1).set("k", "v")
	after := len(f.b)
	_, err := NewScanner(bytes.NewReader(f.set("x", "y").end()), Options{OnRecord: func(r *Record) error {
		if r.Key != nil || r.Slot != -1 {
			t.Errorf("key %q and slot %d without being asked", r.Key, r.Slot)
		}
		if r.ExpireAt == 5 && (r.Offset != int64(before) || r.Size != int64(after-before)) {
			t.Errorf("record at %d+%d, want %d+%d", r.Offset, r.Size, before, after-before)
		}
		if r.ExpireAt == 0 && (r.Offset != int64(after) || r.Size != 5) {
			t.Errorf("record at %d+%d, want %d+5", r.Offset, r.Size, after)
		}
		return nil
	}}).Scan()
	if err != nil {
		t.Fatal(err)
	}
}

func TestTruncation(t *testing.T) {
	t.Parallel()
	for _, smp := range samples() {
		for _, window := range []int{128, 4096} {
			for n := range smp.file {
				_, err := newScanner(bytes.NewReader(smp.file[:n]), Options{Keys: n%2 == 0}, window).Scan()
				var corrupt *CorruptError
				if !errors.As(err, &corrupt) || !errors.Is(err, ErrCorrupt) || !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("%s: first %d of %d bytes: %v", smp.name, n, len(smp.file), err)
				}
				if corrupt.Offset != int64(n) || corrupt.Reason != "truncated" || corrupt.Section == "" {
					t.Fatalf("%s: first %d bytes: %+v", smp.name, n, corrupt)
				}
			}
		}
	}
}

// Any changed byte in front of the trailer must be found: by the walk, or else by
// the checksum.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	for _, smp := range samples() {
		sum, err := NewScanner(bytes.NewReader(smp.file), Options{}).Scan()
		if err != nil {
			t.Fatal(err)
		}
		file := bytes.Clone(smp.file)
		for i := range file {
			for _, mask := range []byte{0x01, 0x80, 0xff} {
				file[i] ^= mask
				_, err := newScanner(bytes.NewReader(file), Options{Keys: true, OnRecord: ignore}, 4096).Scan()
				if err == nil && sum.Checksum == ChecksumVerified {
					t.Fatalf("%s: byte %d xor %#02x went unnoticed", smp.name, i, mask)
				}
				if err != nil && !errors.Is(err, ErrCorrupt) {
					t.Fatalf("%s: byte %d xor %#02x: %v", smp.name, i, mask, err)
				}
				file[i] ^= mask
			}
		}
	}
}

func ignore(*Record) error { return nil }

// However the bytes arrive, the file is passed on as it is, and what follows it
// is left for Rest.
func TestChunks(t *testing.T) {
	t.Parallel()
	all := samples()
	rapid.Check(t, func(t *rapid.T) {
		smp := rapid.SampledFrom(all).Draw(t, "sample")
		tail := rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "tail")
		in := io.Reader(bytes.NewReader(append(bytes.Clone(smp.file), tail...)))
		switch rapid.IntRange(0, 3).Draw(t, "reader") {
		case 0:
			in = iotest.OneByteReader(in)
		case 1:
			in = iotest.HalfReader(in)
		case 2:
			in = iotest.DataErrReader(in)
		case 3:
			in = &ragged{in, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))}
		}
		var copied bytes.Buffer
		s := newScanner(in, Options{Tee: &copied, Keys: rapid.Bool().Draw(t, "keys"), OnRecord: ignore},
			rapid.SampledFrom(windows).Draw(t, "window"))
		sum, err := s.Scan()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(copied.Bytes(), smp.file) || sum.Bytes != int64(len(smp.file)) {
			t.Fatalf("passed on %d bytes that differ from the file's %d", copied.Len(), len(smp.file))
		}
		if rest, err := io.ReadAll(s.Rest()); err != nil || !bytes.Equal(rest, tail) {
			t.Fatalf("rest %x, %v; want %x", rest, err, tail)
		}
	})
}

// ragged reads a random number of bytes, sometimes none.
type ragged struct {
	r   io.Reader
	rng *rand.Rand
}

func (g *ragged) Read(p []byte) (int, error) {
	return g.r.Read(p[:min(len(p), g.rng.IntN(700))])
}

// On a connection that stays open, the scan must end with the file's last byte,
// and never wait for one more.
func TestStopsAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, smp := range samples() {
		// After the file, a read is an error instead of a wait.
		late := errors.New("read beyond the file")
		in := iotest.OneByteReader(io.MultiReader(bytes.NewReader(smp.file), iotest.ErrReader(late)))
		s := NewScanner(in, Options{})
		if _, err := s.Scan(); err != nil {
			t.Fatalf("%s: %v", smp.name, err)
		}
		if _, err := io.ReadAll(s.Rest()); !errors.Is(err, late) {
			t.Fatalf("%s: rest: %v, want the reader's own error", smp.name, err)
		}
	}
}

// An error that comes together with the last bytes must not be lost.
func TestRestKeepsTheError(t *testing.T) {
	t.Parallel()
	late := errors.New("connection reset")
	file := samples()[0].file
	s := NewScanner(&withError{append(bytes.Clone(file), "mark"...), late}, Options{})
	if rest, _ := io.ReadAll(s.Rest()); len(rest) != 0 {
		t.Errorf("rest before the scan: %q", rest)
	}
	if _, err := s.Scan(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(s.Rest()); string(rest) != "mark" || !errors.Is(err, late) {
		t.Errorf("rest %q, %v", rest, err)
	}
	if _, err := s.Scan(); err == nil {
		t.Error("a second Scan did not complain")
	}
}

// withError delivers all that fits and the error at once.
type withError struct {
	p   []byte
	err error
}

func (w *withError) Read(p []byte) (int, error) {
	n := copy(p, w.p)
	w.p = w.p[n:]
	if len(w.p) > 0 {
		return n, nil
	}
	return n, w.err
}

func TestOthersErrors(t *testing.T) {
	t.Parallel()
	file := newFile(11).set("k", strings.Repeat("v", 600<<10)).set("l", "w").end()
	broken := errors.New("broken")
	cases := map[string]struct {
		in io.Reader
		o  Options
	}{
		"reader":      {iotest.ErrReader(broken), Options{}},
		"reader late": {io.MultiReader(bytes.NewReader(file[:1000]), iotest.ErrReader(broken)), Options{}},
		"tee":         {bytes.NewReader(file), Options{Tee: failingWriter{broken}}},
		"callback":    {bytes.NewReader(file), Options{OnRecord: func(*Record) error { return broken }}},
	}
	for name, c := range cases {
		_, err := NewScanner(c.in, c.o).Scan()
		if !errors.Is(err, broken) || errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }

// A reader that delivers nothing and no error must not be asked for ever.
func TestNoProgress(t *testing.T) {
	t.Parallel()
	if _, err := NewScanner(idle{}, Options{}).Scan(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("%v, want io.ErrNoProgress", err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// What leaves the window leaves it in large pieces, also if it came in small ones.
func TestTeeWritesInBulk(t *testing.T) {
	t.Parallel()
	f := newFile(11)
	for i := range 20000 {
		f.set(fmt.Sprintf("key:%d", i), strings.Repeat("v", i%200))
	}
	file := f.end()
	writes := counting{}
	in := &ragged{bytes.NewReader(file), rand.New(rand.NewPCG(8, 9))}
	if _, err := NewScanner(in, Options{Tee: &writes}).Scan(); err != nil {
		t.Fatal(err)
	}
	if most := len(file)/(windowSize/2) + 3; writes.calls > most {
		t.Errorf("%d writes for %d bytes, want at most %d", writes.calls, len(file), most)
	}
}

type counting struct{ calls int }

func (c *counting) Write(p []byte) (int, error) { c.calls++; return len(p), nil }

// Memory must not follow what lengths claim.
func TestMemoryIsBounded(t *testing.T) {
	claims := map[string][]byte{
		"key":       newFile(11).bytes(typeString).length32(MaxKey - 1).raw("short").b,
		"LZF key":   newFile(11).bytes(typeString, stringLZF).length32(MaxKey / 80).length32(MaxKey - 1).raw("short").b,
		"aux":       newFile(11).bytes(opAux).length32(1 << 31).raw("short").b,
		"value":     newFile(11).key(typeString, "k").length64(1 << 50).raw("short").b,
		"element":   newFile(11).key(typeList, "k").length(2).strings("a").length32(1<<32 - 16).zeros(100).b, // negative as an int of 32 bits
		"members":   newFile(11).key(typeHash, "k").length64(1 << 50).raw("short").b,
		"consumers": newFile(11).key(typeStream1, "k").lengths(0, 0, 0, 0).length64(1 << 62).b,
	}
	for name, file := range claims {
		got := testing.AllocsPerRun(1, func() {
			_, err := NewScanner(bytes.NewReader(file), Options{Keys: true, OnRecord: ignore}).Scan()
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %v", name, err)
			}
		})
		if got > 40 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
	// The walk itself allocates nothing per record.
	f := newFile(11)
	for i := range 5000 {
		f.set(fmt.Sprintf("key:%d", i), "v")
	}
	file := f.end()
	if got := testing.AllocsPerRun(5, func() {
		if _, err := NewScanner(bytes.NewReader(file), Options{Keys: true, OnRecord: ignore}).Scan(); err != nil {
			t.Error(err)
		}
	}); got > 40 {
		t.Errorf("%v allocations for 5000 records", got)
	}
}

// hoarder is an Exchanger that gives a buffer back late, and looks at its bytes
// only then.
type hoarder struct {
	got       bytes.Buffer
	held      [][]byte
	exchanged int
}

func (h *hoarder) Exchange(buf []byte, n int) ([]byte, error) {
	h.exchanged++
	h.held = append(h.held, buf[:n])
	if len(h.held) < 3 {
		return make([]byte, len(buf)), nil
	}
	first := h.held[0]
	h.got.Write(first)
	h.held = h.held[1:]
	first = first[:cap(first)]
	for i := range first {
		first[i] = 0xaa
	}
	return first, nil
}

func (h *hoarder) Write(p []byte) (int, error) {
	for _, b := range h.held {
		h.got.Write(b)
	}
	h.held = nil
	return h.got.Write(p)
}

func TestExchangedBuffersHoldTheFile(t *testing.T) {
	t.Parallel()
	exchanged := 0
	for _, smp := range samples() {
		for _, o := range []Options{{}, {Keys: true, OnRecord: func(*Record) error { return nil }}} {
			h := &hoarder{}
			o.Tee = h
			want, err := newScanner(bytes.NewReader(smp.file), Options{}, 256).Scan()
			if err != nil {
				t.Fatal(err)
			}
			sum, err := newScanner(bytes.NewReader(smp.file), o, 256).Scan()
			if err != nil || sum.CRC != want.CRC || !bytes.Equal(h.got.Bytes(), smp.file) {
				t.Errorf("%s: %d bytes of %d arrived, or others; %v", smp.name, h.got.Len(), len(smp.file), err)
			}
			exchanged += h.exchanged
		}
	}
	if exchanged < 10 {
		t.Errorf("only %d buffers were exchanged", exchanged)
	}
	for what, short := range map[string]Exchanger{"a short buffer": shorter{}, "no buffer": shorter{errors.New("broken")}} {
		if _, err := newScanner(bytes.NewReader(sharedSample().file), Options{Tee: short}, 64).Scan(); err == nil {
			t.Errorf("%s passed", what)
		}
	}
}

type shorter struct{ err error }

func (s shorter) Exchange(buf []byte, _ int) ([]byte, error) { return buf[1:], s.err }
func (s shorter) Write(p []byte) (int, error)                { return len(p), nil }
