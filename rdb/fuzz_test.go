package rdb

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// seed adds the synthetic samples and the dumps of real engines, and each cut in
// the middle.
func seed(f *testing.F, add func([]byte)) {
	files, err := filepath.Glob("testdata/*.rdb")
	if err != nil || len(files) == 0 {
		f.Fatal("no dumps in testdata")
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		add(file)
	}
	for _, smp := range samples() {
		add(smp.file)
		add(smp.file[:len(smp.file)/2])
	}
}

// FuzzScanner wants every window and mode to agree on every input, in whatever
// it is.
func FuzzScanner(f *testing.F) {
	seed(f, func(file []byte) { f.Add(file) })
	f.Fuzz(func(t *testing.T, file []byte) {
		want, wantErr := NewScanner(bytes.NewReader(file), Options{}).Scan()
		if wantErr != nil && !errors.Is(wantErr, ErrCorrupt) {
			t.Fatalf("%v is not about the bytes", wantErr)
		}
		var copied bytes.Buffer
		records, end := int64(0), int64(0)
		s := newScanner(bytes.NewReader(file), Options{Tee: &copied, Keys: true, OnRecord: func(r *Record) error {
			if r.Offset < end || r.Size <= 0 || r.Slot < 0 || r.Slot >= Slots || len(r.Key) > MaxKey {
				t.Fatalf("record %+v after offset %d", r, end)
			}
			end = r.Offset + r.Size
			records++
			return nil
		}}, 128)
		got, err := s.Scan()
		if err != nil {
			// Only with keys is their LZF decoded, so only then can it be found broken.
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%v is not about the bytes", err)
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("refused without keys: %v", wantErr)
		}
		if got.Keys != records || got.Keys != want.Keys || got.CRC != want.CRC || got.Bytes != want.Bytes {
			t.Fatalf("%+v with keys, %+v without", got, want)
		}
		if !bytes.Equal(copied.Bytes(), file[:got.Bytes]) {
			t.Fatal("Tee received other bytes")
		}
	})
}

// FuzzLower wants whatever Lower writes to be a file with the same keys.
func FuzzLower(f *testing.F) {
	seed(f, func(file []byte) { f.Add(file, 10) })
	f.Fuzz(func(t *testing.T, file []byte, version int) {
		var out bytes.Buffer
		sum, err := Lower(bytes.NewReader(file), &out, version)
		if err != nil {
			return
		}
		again, err := NewScanner(&out, Options{}).Scan()
		if err != nil {
			t.Fatalf("lowered to a broken file: %v", err)
		}
		if again.Version != version || again.Keys != sum.Keys || again.Types != sum.Types || again.Bytes != sum.Bytes || again.CRC != sum.CRC {
			t.Fatalf("wrote %+v, read %+v", sum, again)
		}
	})
}
