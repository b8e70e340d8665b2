package keyspace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/crc64"
)

// file is an RDB of string keys.
type file struct {
	b    []byte
	keys int
}

func newFile() *file { return &file{b: []byte("REDIS0011\xfe\x00")} }

func (f *file) length(n int) {
	f.b = binary.BigEndian.AppendUint32(append(f.b, 0x80), uint32(n))
}

func (f *file) set(key []byte, value int, expireAt int64) {
	if expireAt != 0 {
		f.b = binary.LittleEndian.AppendUint64(append(f.b, 0xfc), uint64(expireAt))
	}
	f.b = append(f.b, 0)
	if len(key) < 64 {
		f.b = append(f.b, byte(len(key)))
	} else {
		f.length(len(key))
	}
	f.b = append(f.b, key...)
	f.length(value)
	f.b = append(f.b, make([]byte, value)...)
	f.keys++
}

func (f *file) selectDB(n byte) { f.b = append(f.b, 0xfe, n) }

func (f *file) end() []byte {
	out := append(f.b, 0xff)
	return binary.LittleEndian.AppendUint64(out, crc64.Update(0, out))
}

var shapes = map[string]func(i int) string{
	"one level":   func(i int) string { return fmt.Sprintf("string:%d", i) },
	"two levels":  func(i int) string { return fmt.Sprintf("app%d:string:%d", i%7, i) },
	"id inside":   func(i int) string { return fmt.Sprintf("user:%d:profile", i) },
	"ids inside":  func(i int) string { return fmt.Sprintf("org:%d:user:%d:profile", i%10000, i) },
	"tags":        func(i int) string { return fmt.Sprintf("{user:%d}:cart", i) },
	"uuid":        func(i int) string { return fmt.Sprintf("session:%08x-1d1f-4a4b-8c8d-%012x", i*2654435761, i) },
	"no divisors": func(i int) string { return fmt.Sprintf("key%d", i) },
}

func shaped(shape func(int) string, n, mean int) *file {
	rng := rand.New(rand.NewPCG(1, 2))
	f := newFile()
	for i := range n {
		f.set([]byte(shape(i)), rng.IntN(2*mean), int64(i%5/4)*(1<<41))
	}
	return f
}

// BenchmarkScan tells what counting costs per key, beside a scan without.
func BenchmarkScan(b *testing.B) {
	for name, shape := range shapes {
		f := shaped(shape, 100_000, 300)
		data := f.end()
		for how, run := range map[string]func() error{
			"bare": func() error { _, err := rdb.NewScanner(bytes.NewReader(data), rdb.Options{}).Scan(); return err },
			"keys": func() error {
				_, err := rdb.NewScanner(bytes.NewReader(data), rdb.Options{Keys: true, OnRecord: func(*rdb.Record) error { return nil }}).Scan()
				return err
			},
			"counted": func() error { _, _, err := Scan(bytes.NewReader(data), Options{}); return err },
		} {
			b.Run(name+"/"+how, func(b *testing.B) {
				for b.Loop() {
					if err := run(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(f.keys), "ns/key")
			})
		}
	}
}

// BenchmarkScanFile scans the file that RDB_FILE names.
func BenchmarkScanFile(b *testing.B) {
	name := os.Getenv("RDB_FILE")
	if name == "" {
		b.Skip("RDB_FILE names no file")
	}
	var keys int64
	for b.Loop() {
		f, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		_, sum, err := Scan(f, Options{})
		f.Close()
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(sum.Bytes)
		keys = sum.Keys
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(keys), "ns/key")
}
