package snapstore

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/blob/disk"
)

var update = flag.Bool("update", false, "write testdata anew, for a new format version only")

// goldenStream compresses to almost nothing, so that the files in testdata are small.
func goldenStream() []byte {
	return bytes.Repeat([]byte("a golden stream never changes. "), (2*blockSize+1000)/31)
}

// TestGolden reads a snapshot that format 1 wrote once: parts with s2, zstd and none. When it fails, snapshots of users can no longer be
// read.
func TestGolden(t *testing.T) {
	t.Parallel()
	if *update {
		writeGolden(t)
	}
	b := newBucket(t)
	err := filepath.WalkDir("testdata/format1", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return blob.Put(t.Context(), b, strings.TrimPrefix(filepath.ToSlash(path), "testdata/format1/"), data, blob.CreateOptions{})
	})
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, b, Options{})
	m, err := s.ReadManifest(t.Context(), "golden")
	if err != nil {
		t.Fatal(err)
	}
	if p := m.Shards[0].Parts; len(p) != 3 || p[0].Codec != S2 || p[1].Codec != Zstd || p[2].Codec != None {
		t.Fatalf("parts %+v", p)
	}
	if got, err := read(t, s, m, "0001"); err != nil || !bytes.Equal(got, goldenStream()) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := s.Verify(t.Context(), "golden", nil); err != nil {
		t.Fatal(err)
	}
}

func writeGolden(t *testing.T) {
	t.Helper()
	b, err := disk.Open("testdata/format1")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll("testdata/format1/.tmp")
	defer b.Close()
	s := newStore(t, b, Options{Codec: S2})
	s.part = blockSize
	key := fixedKey(t)
	c, err := s.NewCapture(t.Context(), "cap-golden", key)
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Shard("0001")
	if err != nil {
		t.Fatal(err)
	}
	rest := goldenStream()
	for _, codec := range []Codec{S2, Zstd, None} {
		w.codec, s.o.Codec = codec, map[Codec]Codec{S2: Zstd, Zstd: None, None: None}[codec]
		n := min(len(rest), blockSize+1)
		if _, err := w.Write(rest[:n]); err != nil { // the byte more makes the writer submit the block
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	got, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	m := testManifest("golden")
	m.Shards = []Shard{{Name: "0001", Keys: 3, Expiring: 1, Bytes: got.PlainBytes, Parts: got.Parts}}
	if err := s.WriteManifest(t.Context(), m, key); err != nil {
		t.Fatal(err)
	}
}
