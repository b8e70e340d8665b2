package capture

import (
	"bytes"
	"fmt"
	"io"
	"syscall"
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
	// In turns, so that what else goes on concerns both alike; the least of each says what it costs.
	least := map[bool]time.Duration{}
	for b.Loop() {
		for _, count := range []bool{false, true} {
			before := processorTime(b)
			if r, err := Items(b.Context(), src, io.Discard, Options{Count: count}); err != nil || r.Items != n {
				b.Fatal(r, err)
			}
			if used := processorTime(b) - before; least[count] == 0 || used < least[count] {
				least[count] = used
			}
		}
	}
	b.ReportMetric(float64(least[false].Nanoseconds())/n, "cpu-ns/item")
	b.ReportMetric(float64(least[true].Nanoseconds())/n, "cpu-ns/item-counted")
}

// processorTime is what this process has used; the server is another.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
