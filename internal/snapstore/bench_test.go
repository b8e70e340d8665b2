package snapstore

import (
	"crypto/sha256"
	"io"
	"os"
	"testing"

	"github.com/keyframe/keyframe/rdb"
)

// benchStream is a stream of 256 MB, or the file that KEYFRAME_BENCH_RDB names.
func benchStream(b *testing.B) []byte {
	b.Helper()
	if path := os.Getenv("KEYFRAME_BENCH_RDB"); path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		return data
	}
	return stream(1, 256_000_000)
}

func writeStream(b *testing.B, s *Store, id string, data []byte) *Manifest {
	b.Helper()
	key := NewDataKey()
	c, err := s.NewCapture(b.Context(), "cap-"+id, key)
	if err != nil {
		b.Fatal(err)
	}
	w, err := c.Shard("0001")
	if err != nil {
		b.Fatal(err)
	}
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 256<<10)
		if _, err := w.Write(rest[:n]); err != nil {
			b.Fatal(err)
		}
		rest = rest[n:]
	}
	got, err := w.Close()
	if err != nil {
		b.Fatal(err)
	}
	m := testManifest(id)
	sh := Shard{Name: "0001", Keys: 3, Expiring: 1, Bytes: got.PlainBytes, Parts: got.Parts}
	if os.Getenv("KEYFRAME_BENCH_RDB") != "" {
		sum, err := rdb.NewScanner(&sliceReader{data}, rdb.Options{}).Scan()
		if err != nil {
			b.Fatal(err)
		}
		sh.SetRDB(sum)
		m.Stream, m.RDBVersion = RDB, sum.Version
	}
	m.Shards = []Shard{sh}
	if err := s.WriteManifest(b.Context(), m, key); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(got.StoredBytes)/float64(got.PlainBytes), "ratio")
	return m
}

type sliceReader struct{ rest []byte }

func (r *sliceReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func forCodecs(b *testing.B, run func(b *testing.B, c Codec)) {
	for _, c := range []Codec{None, S2, Zstd} {
		b.Run(string(c), func(b *testing.B) { run(b, c) })
	}
}

// BenchmarkWrite is the whole write pipeline onto the disk, synced.
func BenchmarkWrite(b *testing.B) {
	data := benchStream(b)
	forCodecs(b, func(b *testing.B, c Codec) {
		s := New(newBucket(b), plainKeys{}, Options{Codec: c})
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			writeStream(b, s, "bench", data)
			b.StopTimer()
			s.DeleteManifest(b.Context(), "bench")
			s.DeleteCapture(b.Context(), "cap-bench")
			b.StartTimer()
		}
	})
}

// BenchmarkRead is the whole read pipeline, without a scan.
func BenchmarkRead(b *testing.B) {
	data := benchStream(b)
	forCodecs(b, func(b *testing.B, c Codec) {
		s := New(newBucket(b), plainKeys{}, Options{Codec: c})
		m := writeStream(b, s, "bench", data)
		key, err := s.Unlock(b.Context(), m)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			r, err := s.Open(b.Context(), m, key, "0001")
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, r); err != nil {
				b.Fatal(err)
			}
			r.Close()
		}
	})
}

// BenchmarkVerify is Verify; with KEYFRAME_BENCH_RDB it walks the records too.
func BenchmarkVerify(b *testing.B) {
	data := benchStream(b)
	forCodecs(b, func(b *testing.B, c Codec) {
		s := New(newBucket(b), plainKeys{}, Options{Codec: c})
		writeStream(b, s, "bench", data)
		b.SetBytes(int64(len(data)))
		for b.Loop() {
			if _, err := s.Verify(b.Context(), "bench", nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkStage measures what the pipelines are made of, on one block and one goroutine.
func BenchmarkStage(b *testing.B) {
	block := benchStream(b)[:blockSize]
	stage := func(name string, fn func()) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(blockSize)
			for b.Loop() {
				fn()
			}
		})
	}
	buf, out := make([]byte, 2*blockSize), make([]byte, blockSize)
	for _, c := range []Codec{S2, Zstd} {
		stored := append([]byte(nil), compress(c, buf, block)...)
		stage("compress-"+string(c), func() { compress(c, buf, block) })
		stage("decompress-"+string(c), func() { decompress(c, out, stored) })
	}
	h := sha256.New()
	stage("hash", func() { h.Write(block) })
	aead, err := NewDataKey().sealer()
	if err != nil {
		b.Fatal(err)
	}
	w, err := aead.NewEncryptingWriter(io.Discard, nil)
	if err != nil {
		b.Fatal(err)
	}
	stage("seal", func() { w.Write(block) })
}
