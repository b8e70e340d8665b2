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

func FuzzUpdate(f *testing.F) {
	f.Add(uint64(0), []byte("123456789"))
	f.Add(uint64(1)<<63, bytes.Repeat([]byte{0xff}, 300))
	f.Fuzz(func(t *testing.T, start uint64, p []byte) {
		want := bitwise(start, p)
		if got := Update(start, p); got != want {
			t.Fatalf("Update = %#x, want %#x", got, want)
		}
		if got := updateTables(start, p); got != want {
			t.Fatalf("tables = %#x, want %#x", got, want)
		}
	})
}

var sink uint64

func benchmark(b *testing.B, update func(uint64, []byte) uint64) {
	p := make([]byte, 256<<10)
	for i := range p {
		p[i] = byte(i * 7)
	}
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		sink = update(sink, p)
	}
}

func BenchmarkUpdate(b *testing.B) { benchmark(b, Update) }
func BenchmarkTables(b *testing.B) { benchmark(b, updateTables) }
func BenchmarkLibrary(b *testing.B) {
	table := stdcrc.MakeTable(reflected)
	benchmark(b, func(c uint64, p []byte) uint64 { return ^stdcrc.Update(^c, table, p) })
}
