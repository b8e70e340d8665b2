package buckets

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/blob/checksum"
)

func TestTailHasAnInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		data := rapid.SliceOf(rapid.Byte()).Draw(t, "data")
		want := Object{
			Key: keys().Draw(t, "key"), Size: int64(len(data)), ETag: newID(), ModifiedAt: time.UnixMilli(rapid.Int64Range(0, 1e13).Draw(t, "at")).UTC(),
			Attributes: Attributes{ContentType: rapid.String().Draw(t, "type"), Meta: map[string]string{"a": rapid.StringN(0, 2000, -1).Draw(t, "meta")}},
			Checksum:   checksum.Sum{Algorithm: checksum.CRC32, Type: checksum.FullObject, Value: "AAAAAA=="},
			Parts:      PartSizes{}.Add(3).Add(3).Add(1),
		}
		b, err := tail(&want)
		if err != nil {
			t.Fatal(err)
		}
		file := append(data, b...)
		got, err := readTail(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, *got); d != "" {
			t.Fatal(d)
		}
	})
}

func FuzzReadTail(f *testing.F) {
	b, _ := tail(&Object{Key: "k", Size: 3})
	f.Add(append([]byte("abc"), b...))
	f.Add([]byte(footerMagic))
	f.Fuzz(func(t *testing.T, file []byte) {
		o, err := readTail(bytes.NewReader(file), int64(len(file)))
		if err == nil && (o.Size < 0 || o.Size > int64(len(file))) {
			t.Fatalf("a file of %d bytes holds an object of %d", len(file), o.Size)
		}
	})
}

func TestPartSizes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.Int64Range(0, 3), 1, 20).Draw(t, "sizes")
		var p PartSizes
		for _, n := range sizes {
			p = p.Add(n)
		}
		if p.Count() != len(sizes) {
			t.Fatalf("%d parts, want %d", p.Count(), len(sizes))
		}
		var want int64
		for i, n := range sizes {
			off, size, ok := p.Range(i + 1)
			if !ok || off != want || size != n {
				t.Fatalf("part %d is at %d with %d bytes, %v; want %d, %d", i+1, off, size, ok, want, n)
			}
			want += n
		}
		if _, _, ok := p.Range(len(sizes) + 1); ok {
			t.Fatal("there is a part too many")
		}
		if _, _, ok := p.Range(0); ok {
			t.Fatal("there is a part 0")
		}
	})
}
