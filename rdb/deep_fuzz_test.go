package rdb

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzDeep wants every window to accept the same files, nothing to be
// accepted that a plain scan refuses, and everything that is accepted to decode.
func FuzzDeep(f *testing.F) {
	seed(f, func(file []byte) { f.Add(file) })
	for _, v := range deepValues() {
		f.Add(append(newFile(11).key(v.typ, "k").b, append(v.value, opEOF, 0, 0, 0, 0, 0, 0, 0, 0)...))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		sum, err := scanDeep(file, 4096)
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%v is not about the bytes", err)
		}
		// A string that does not fit a window is found broken before it is found cut.
		if again, small := scanDeep(file, 128); (err == nil) != (small == nil) {
			t.Fatalf("%v with a window of 4096, %v with one of 128", err, small)
		} else if err == nil && (again.EmptyKeys != sum.EmptyKeys || again.CRC != sum.CRC) {
			t.Fatalf("%+v with a window of 4096, %+v with one of 128", sum, again)
		}
		plain, perr := newScanner(bytes.NewReader(file), Options{}, 4096).Scan()
		if err != nil {
			return
		}
		if perr != nil || plain.Keys != sum.Keys || plain.CRC != sum.CRC {
			t.Fatalf("%+v, %v without looking at values, %+v with", plain, perr, sum)
		}
		for r, err := range NewScanner(bytes.NewReader(file), Options{}).Records() {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.Value.Decode(1 << 20); err != nil && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%q of type %d was accepted and does not decode: %v", r.Key, r.Type, err)
			}
		}
	})
}
