package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// elementsOf reads the collections of a file, as text.
func elementsOf(t *testing.T, file []byte, window int) map[string]string {
	t.Helper()
	got := map[string]string{}
	s := newScanner(bytes.NewReader(file), Options{}, window)
	for r, err := range s.Records() {
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		switch r.Value.Kind() {
		case KindString:
			text, err := r.Value.Text(1 << 20)
			fmt.Fprintf(&b, "%s %v", text, err)
		case KindList, KindSet, KindSortedSet, KindHash:
			fmt.Fprintf(&b, "%d:", r.Value.Len())
			for e, err := range r.Value.Elements() {
				if err != nil {
					fmt.Fprintf(&b, " %v", err)
					break
				}
				fmt.Fprintf(&b, " %s|%s|%v|%d", e.Text, e.Value, e.Score, e.ExpireAt)
			}
		}
		got[string(r.Key)] = b.String()
	}
	if s.Summary() == nil {
		t.Error("no summary")
	}
	return got
}

// Raw gives the bytes that decode to the same, and leaves the file walkable.
func TestValueRaw(t *testing.T) {
	t.Parallel()
	for _, smp := range samples() {
		var rebuilt bytes.Buffer
		s := newScanner(bytes.NewReader(smp.file), Options{}, 128)
		records := 0
		for r, err := range s.Records() {
			if err != nil {
				t.Fatal(err)
			}
			records++
			rebuilt.Reset()
			n, err := r.Value.Raw(&rebuilt)
			if err != nil || n != int64(rebuilt.Len()) || !bytes.Contains(smp.file, rebuilt.Bytes()) {
				t.Errorf("%s, key %.40q: %d bytes of %d: %v", smp.name, r.Key, rebuilt.Len(), n, err)
			}
			if _, err := r.Value.Raw(io.Discard); !errors.Is(err, ErrValueRead) {
				t.Errorf("read twice: %v", err)
			}
		}
		if records != len(smp.want) {
			t.Errorf("%s: %d records, not %d", smp.name, records, len(smp.want))
		}
	}
}
