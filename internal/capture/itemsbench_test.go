package capture

import (
	"bytes"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/kftest"
)

// fileOf is a file of n items with values of size bytes.
func fileOf(t testing.TB, n, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := itemfile.NewWriter(&b, itemfile.Header{Created: time.Unix(0, 0)})
	it := itemfile.Item{Value: bytes.Repeat([]byte{'v'}, size)}
	for i := 0; err == nil && i < n; i++ {
		it.Key = fmt.Appendf(it.Key[:0], "key:%09d", i)
		err = w.Write(&it)
	}
	if err == nil {
		_, err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func BenchmarkItems(b *testing.B) {
	const n = 300_000
	_, src := memcached(b, kftest.MaxMemory(256<<20))
	if _, err := LoadItems(b.Context(), src, bytes.NewReader(fileOf(b, n, 100)), LoadOptions{}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(n)
	for b.Loop() {
		if r, err := Items(b.Context(), src, io.Discard, Options{}); err != nil || r.Items != n {
			b.Fatal(r, err)
		}
	}
}
