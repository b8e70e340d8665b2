package rdb

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// benchmarkValues are collections in the forms that most files hold, besides the
// strings and hashes of benchmarkFile.
func benchmarkValues(b *testing.B) []byte {
	var file bytes.Buffer
	w, err := NewWriter(&file, WriterOptions{Version: 11})
	if err != nil {
		b.Fatal(err)
	}
	words := strings.Fields(strings.Repeat("session cart user order price region status active pending shipped ", 10))
	for i := 0; file.Len() < 16<<20; i++ {
		var list List
		var set SortedSet
		var hash Hash
		stream := &Stream{}
		for j, word := range words {
			text := []byte(word + string(rune('a'+i%26)) + string(rune('a'+j%26)) + strings.Repeat("x", j/26))
			list = append(list, text)
			set = append(set, Member{text, float64(j) / 4})
			hash = append(hash, Field{Name: text, Value: []byte(word)})
			stream.Entries = append(stream.Entries, StreamEntry{StreamID{uint64(i), uint64(j + 1)}, []Pair{{[]byte("field"), text}, {[]byte("n"), []byte("12345")}}})
		}
		for _, d := range []Data{list, Set(list), set, hash, stream} {
			if err := w.Write(Meta{Key: []byte(d.Kind().String())}, d); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := w.Close(); err != nil {
		b.Fatal(err)
	}
	return file.Bytes()
}

func benchmarkReading(b *testing.B, file []byte, read func(*Value) error) {
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		for r, err := range NewScanner(bytes.NewReader(file), Options{}).Records() {
			if err == nil {
				err = read(r.Value)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}

// walkValue reads a value to its end and keeps nothing.
func walkValue(v *Value) error {
	switch v.Kind() {
	case KindString:
		_, err := v.Text(1 << 30)
		return err
	case KindStream:
		for _, err := range v.Entries() {
			if err != nil {
				return err
			}
		}
		_, err := v.State()
		return err
	}
	for _, err := range v.Elements() {
		if err != nil {
			return err
		}
	}
	return nil
}

func BenchmarkWalkPlain(b *testing.B)  { benchmarkReading(b, benchmarkFile(), walkValue) }
func BenchmarkWalkPacked(b *testing.B) { benchmarkReading(b, benchmarkValues(b), walkValue) }

func BenchmarkDecode(b *testing.B) {
	benchmarkReading(b, benchmarkValues(b), func(v *Value) error {
		_, err := v.Decode(1 << 30)
		return err
	})
}

func BenchmarkCopy(b *testing.B) {
	file := benchmarkFile()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		w, err := NewWriter(io.Discard, WriterOptions{Version: 11})
		if err != nil {
			b.Fatal(err)
		}
		for r, err := range NewScanner(bytes.NewReader(file), Options{}).Records() {
			if err == nil {
				err = w.Copy(r.Meta(), r.Value, 0)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkWrite writes what BenchmarkDecode decodes.
func BenchmarkWrite(b *testing.B) {
	var all []Data
	file := benchmarkValues(b)
	for r, err := range NewScanner(bytes.NewReader(file), Options{}).Records() {
		if err != nil {
			b.Fatal(err)
		}
		d, err := r.Value.Decode(1 << 30)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, d)
	}
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		w, err := NewWriter(io.Discard, WriterOptions{Version: 11})
		if err != nil {
			b.Fatal(err)
		}
		for _, d := range all {
			if err := w.Write(Meta{Key: []byte("k")}, d); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
