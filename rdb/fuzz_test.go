package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// seed adds the synthetic samples and the dumps of real engines; each also
// without its checksum, so that mutations of it are walked to the end.
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
		add(unsummed(file))
	}
	for _, smp := range samples() {
		add(smp.file)
		add(unsummed(smp.file))
		add(smp.file[:len(smp.file)/2])
	}
}

// unsummed is a file with zeros where its checksum was.
func unsummed(file []byte) []byte {
	return append(bytes.Clone(file[:len(file)-8]), make([]byte, 8)...)
}

// FuzzScanner wants every window and mode to agree on every input, in whatever
// it is.
func FuzzScanner(f *testing.F) {
	seed(f, func(file []byte) { f.Add(file) })
	f.Fuzz(func(t *testing.T, file []byte) {
		want, wantErr := newScanner(bytes.NewReader(file), Options{}, 4096).Scan()
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
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) {
				t.Fatalf("%v is not about the bytes", err)
			}
			// Only with keys is their LZF decoded, so only then can it be found broken.
			if corrupt.Section != "key" && (wantErr == nil || err.Error() != wantErr.Error()) {
				t.Fatalf("%v with keys, %v without", err, wantErr)
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
		if whole, single := told(t, bytes.NewReader(file)), told(t, iotest.OneByteReader(bytes.NewReader(file))); whole != single {
			t.Fatalf("records in the window\n%s\nand byte by byte\n%s", whole, single)
		}
	})
}

// told is all that is told of the records of a file.
func told(t *testing.T, r io.Reader) string {
	var b strings.Builder
	_, err := NewScanner(r, Options{Keys: true, OnRecord: func(r *Record) error {
		_, err := fmt.Fprintf(&b, "%+v\n", *r)
		return err
	}}).Scan()
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// FuzzLower wants whatever Lower writes to be a file with the same keys.
func FuzzLower(f *testing.F) {
	seed(f, func(file []byte) { f.Add(file, 10) })
	for _, c := range rewrites() {
		b := newFile(11)
		if c.from(b); len(b.b) < 1<<12 {
			f.Add(b.end(), c.version)
		}
	}
	for _, x := range crossings() {
		f.Add(x.from, x.version)
	}
	f.Fuzz(func(t *testing.T, file []byte, version int) {
		var out bytes.Buffer
		if version < lowestTarget || version > newestRedis {
			return
		}
		sum, err := lower(newScanner(bytes.NewReader(file), Options{}, 200), &out, version)
		if err != nil {
			return
		}
		again, err := newScanner(&out, Options{}, 4096).Scan()
		if err != nil {
			t.Fatalf("lowered to a broken file: %v", err)
		}
		if again.Version != version || again.Keys != sum.Keys || again.Types != sum.Types || again.Bytes != sum.Bytes || again.CRC != sum.CRC {
			t.Fatalf("wrote %+v, read %+v", sum, again)
		}
	})
}

// headsIn is recordsIn without the values.
func headsIn(t interface{ Fatal(...any) }, files ...[]byte) (all []string, functions int) {
	for _, file := range files {
		sum, err := NewScanner(bytes.NewReader(file), Options{Keys: true, OnRecord: func(r *Record) error {
			all = append(all, fmt.Sprintf("%d: %q, %d, %d, %d", r.DB, r.Key, r.ExpireAt, r.Idle, r.Freq))
			return nil
		}}).Scan()
		if err != nil {
			t.Fatal(err)
		}
		functions += sum.Functions
	}
	slices.Sort(all)
	return all, functions
}

// FuzzSplitter wants whatever a splitter closes to be files with the records of
// the source.
func FuzzSplitter(f *testing.F) {
	seed(f, func(file []byte) { f.Add(file, 11, false) })
	f.Add(newFile(11).set("a", "b").set("{x}y", "z").end(), 11, true)
	for _, x := range crossings() {
		f.Add(x.from, x.version, false)
	}
	f.Fuzz(func(t *testing.T, file []byte, version int, modules bool) {
		if version != onlyValkey && (version < lowestTarget || version > newestRedis) {
			return
		}
		out, written, err := splitting(SplitOptions{Version: version, Modules: modules}, parts(3, true), 200, 100, file)
		if err != nil {
			return
		}
		read := recordsIn
		if sum, err := NewScanner(bytes.NewReader(file), Options{}).Scan(); err != nil || MinVersion(sum) > version || sum.Family == FamilyRedis && version == onlyValkey {
			read = headsIn // values may have been rewritten
		}
		want, libraries := read(t, file)
		got, functions := read(t, out...)
		if !slices.Equal(got, want) || functions > 3*libraries {
			t.Fatalf("%d records and %d libraries of %d and %d", len(got), functions, len(want), libraries)
		}
		for i := range out {
			if again, err := newScanner(bytes.NewReader(out[i]), Options{Slots: &parts(3, true)[i]}, 4096).Scan(); err != nil || again.Keys != written[i].Keys || again.CRC != written[i].CRC {
				t.Fatalf("wrote %+v, read %+v: %v", written[i], again, err)
			}
		}
	})
}
