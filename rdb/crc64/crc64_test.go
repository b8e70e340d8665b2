package crc64

import (
	"bytes"
	stdcrc "hash/crc64"
	"math/rand/v2"
	"testing"
)

// bitwise is the definition of the checksum, one bit at a time.
func bitwise(crc uint64, p []byte) uint64 {
	for _, b := range p {
		crc ^= uint64(b)
		for range 8 {
			crc = crc>>1 ^ reflected&-(crc&1)
		}
	}
	return crc
}

// byLibrary undoes the inversions of hash/crc64, a second opinion.
func byLibrary(crc uint64, p []byte) uint64 {
	return ^stdcrc.Update(^crc, stdcrc.MakeTable(reflected), p)
}

func TestCheckValue(t *testing.T) {
	t.Parallel()
	const want = 0xe9c6d914c4b8d9ca
	in := []byte("123456789")
	if got := Update(0, in); got != want {
		t.Errorf("Update(0, %q) = %#x, want %#x", in, got, uint64(want))
	}
	if got := bitwise(0, in); got != want {
		t.Errorf("bitwise(0, %q) = %#x, want %#x", in, got, uint64(want))
	}
	if got := Update(0x1234, nil); got != 0x1234 {
		t.Errorf("Update of nothing = %#x, want the checksum it was given", got)
	}
}

// Every length around the strides, at every alignment, from any start value.
func TestSmallLengths(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	buf := make([]byte, 1100)
	for i := range buf {
		buf[i] = byte(rng.Uint32())
	}
	for n := range 1060 {
		p := buf[n%17:][:n]
		start := rng.Uint64()
		want := bitwise(start, p)
		if got := updateTables(start, p); got != want {
			t.Fatalf("tables, %d bytes: %#x, want %#x", n, got, want)
		}
		if got := Update(start, p); got != want {
			t.Fatalf("Update, %d bytes: %#x, want %#x", n, got, want)
		}
		if canFold && n >= 128 {
			if got := updateFolding(start, p); got != want {
				t.Fatalf("folding, %d bytes: %#x, want %#x", n, got, want)
			}
		}
	}
}

func TestRandomBuffers(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		p := make([]byte, rng.IntN(1<<16))
		for i := range p {
			p[i] = byte(rng.Uint32())
		}
		start := rng.Uint64()
		want := byLibrary(start, p)
		if got := Update(start, p); got != want {
			t.Fatalf("Update, %d bytes: %#x, want %#x", len(p), got, want)
		}
		if got := updateTables(start, p); got != want {
			t.Fatalf("tables, %d bytes: %#x, want %#x", len(p), got, want)
		}
		cut := rng.IntN(len(p) + 1)
		if got := Update(Update(start, p[:cut]), p[cut:]); got != want {
			t.Fatalf("Update in two pieces (%d of %d): %#x, want %#x", cut, len(p), got, want)
		}
	}
}

// Folding starts at any alignment, takes any number of strides with any tail,
// and continues from any checksum. The three ways agree on all of them.
func TestAlignments(t *testing.T) {
	t.Parallel()
	if !canFold {
		t.Log("no carry-less multiplication here: only the tables are tested")
	}
	buf := noise(5, 6<<10)
	for align := range 64 {
		for _, n := range []int{128, 129, 255, 256, 257, 384, 511, 512, 1000, 1024, 4095, 4096, 5000} {
			agree(t, uint64(align)*0x9e3779b97f4a7c15, buf[align:][:n])
		}
	}
}

// A sum may stop and go on at any byte.
func TestEverySplit(t *testing.T) {
	t.Parallel()
	p := noise(7, 900)
	want := bitwise(0, p)
	for cut := range len(p) + 1 {
		if got := Update(Update(0, p[:cut]), p[cut:]); got != want {
			t.Fatalf("cut at %d: %#x, want %#x", cut, got, want)
		}
		if got := updateTables(Update(0, p[:cut]), p[cut:]); got != want {
			t.Fatalf("cut at %d, then by tables: %#x, want %#x", cut, got, want)
		}
	}
}

// One bit alone, and ones everywhere, travel through every lane.
func TestSingleBits(t *testing.T) {
	t.Parallel()
	for _, n := range []int{128, 256, 384, 512, 1024, 1280} {
		p := make([]byte, n)
		for i := range 8 * n {
			p[i/8] = 1 << (i % 8)
			agree(t, 0, p)
			p[i/8] = 0
		}
		agree(t, ^uint64(0), p)
		agree(t, ^uint64(0), bytes.Repeat([]byte{0xff}, n))
	}
}

func noise(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}

// agree compares all ways on one buffer.
func agree(t *testing.T, start uint64, p []byte) {
	t.Helper()
	want := bitwise(start, p)
	for name, update := range map[string]func(uint64, []byte) uint64{"Update": Update, "tables": UpdatePortable, "library": byLibrary} {
		if got := update(start, p); got != want {
			t.Fatalf("%s, %d bytes from %#x: %#x, want %#x", name, len(p), start, got, want)
		}
	}
	if Accelerated() && len(p) >= 128 {
		if got := updateFolding(start, p); got != want {
			t.Fatalf("folding, %d bytes from %#x: %#x, want %#x", len(p), start, got, want)
		}
		if got := updateNarrow(start, p); got != want {
			t.Fatalf("folding by 128 bytes, %d bytes from %#x: %#x, want %#x", len(p), start, got, want)
		}
	}
}

func FuzzUpdate(f *testing.F) {
	f.Add(uint64(0), []byte("123456789"), uint16(3))
	f.Add(uint64(1)<<63, bytes.Repeat([]byte{0xff}, 300), uint16(130))
	f.Add(^uint64(0), noise(9, 1500), uint16(700))
	f.Fuzz(func(t *testing.T, start uint64, p []byte, cut uint16) {
		agree(t, start, p)
		at := min(int(cut), len(p))
		if one, two := Update(start, p), Update(Update(start, p[:at]), p[at:]); one != two {
			t.Fatalf("%#x in one piece, %#x when cut at %d", one, two, at)
		}
	})
}

var sink uint64

func benchmark(b *testing.B, update func(uint64, []byte) uint64) {
	p := noise(11, 256<<10)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		sink = update(sink, p)
	}
}

// BenchmarkFolding is what Update does where the processor can.
func BenchmarkFolding(b *testing.B) {
	if !canFold {
		b.Skip("this processor, or this build, has no carry-less multiplication")
	}
	benchmark(b, Update)
}

// BenchmarkFoldingNarrow is what it does without the registers of 64 bytes that some
// amd64 processors have.
func BenchmarkFoldingNarrow(b *testing.B) {
	if !canFold {
		b.Skip("this processor, or this build, has no carry-less multiplication")
	}
	benchmark(b, updateNarrow)
}

// BenchmarkSlicing is what it does elsewhere: 16 tables.
func BenchmarkSlicing(b *testing.B) { benchmark(b, UpdatePortable) }

// BenchmarkLibrary is hash/crc64 with its inversions undone: 8 tables.
func BenchmarkLibrary(b *testing.B) {
	table := stdcrc.MakeTable(reflected)
	benchmark(b, func(c uint64, p []byte) uint64 { return ^stdcrc.Update(^c, table, p) })
}

// BenchmarkShort is a buffer of a small record, where folding does not pay.
func BenchmarkShort(b *testing.B) {
	p := noise(13, 200)
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		sink = Update(sink, p)
	}
}
