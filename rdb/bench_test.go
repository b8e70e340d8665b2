package rdb

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// benchmarkFile is some 64 MB of what caches hold: mostly strings of 100 to 1000
// bytes, and hashes with many small fields.
func benchmarkFile() []byte {
	rng := rand.New(rand.NewPCG(5, 6))
	f := newFile(11).aux("valkey-ver", "8.0.1").selectDB(0)
	filler := strings.Repeat("0123456789abcdef", 64)
	for i := 0; len(f.b) < 64<<20; i++ {
		switch {
		case i%1000 == 999:
			f.key(typeHash, fmt.Sprintf("hash:%d", i)).length(1000)
			for j := range 1000 {
				f.strings(fmt.Sprintf("field%d", j), filler[:10+rng.IntN(40)])
			}
		case i%5 == 0:
			f.bytes(opExpireMillis).le64(1<<40 + uint64(i))
			fallthrough
		default:
			f.set(fmt.Sprintf("key:string:%d", i), filler[:100+rng.IntN(900)])
		}
	}
	return f.end()
}

func benchmarkScan(b *testing.B, o Options) {
	file := benchmarkFile()
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := NewScanner(bytes.NewReader(file), o).Scan(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B)    { benchmarkScan(b, Options{}) }
func BenchmarkScanTee(b *testing.B) { benchmarkScan(b, Options{Tee: io.Discard}) }

func BenchmarkScanRecords(b *testing.B) {
	benchmarkScan(b, Options{OnRecord: func(*Record) error { return nil }})
}

func BenchmarkScanKeys(b *testing.B) {
	benchmarkScan(b, Options{Keys: true, OnRecord: func(*Record) error { return nil }})
}

func BenchmarkScanSlots(b *testing.B) {
	var all SlotSet
	all.Add(0, Slots-1)
	benchmarkScan(b, Options{Slots: &all})
}

func BenchmarkSplit(b *testing.B) {
	file := benchmarkFile()
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		var outputs []Output
		for _, slots := range parts(4, false) {
			outputs = append(outputs, Output{io.Discard, slots})
		}
		s, err := NewSplitter(SplitOptions{Version: 11}, outputs...)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := NewScanner(bytes.NewReader(file), Options{Split: s}).Scan(); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLower(b *testing.B) {
	file := benchmarkFile()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := Lower(bytes.NewReader(file), io.Discard, 10); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScanFile scans the file that RDB_FILE names, to compare with the
// engines' own checkers.
func BenchmarkScanFile(b *testing.B) {
	name := os.Getenv("RDB_FILE")
	if name == "" {
		b.Skip("RDB_FILE names no file")
	}
	for mode, o := range map[string]Options{"plain": {}, "deep": {Deep: true}, "keys": {Keys: true, OnRecord: func(*Record) error { return nil }}} {
		b.Run(mode, func(b *testing.B) {
			for b.Loop() {
				f, err := os.Open(name)
				if err != nil {
					b.Fatal(err)
				}
				sum, err := NewScanner(f, o).Scan()
				f.Close()
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(sum.Bytes)
			}
		})
	}
}

func BenchmarkKeySlot(b *testing.B) {
	key := []byte("key:string:123456789")
	for b.Loop() {
		KeySlot(key)
	}
}
