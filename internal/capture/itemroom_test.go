package capture

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/keyframe/keyframe/internal/engine/memcache"
	"github.com/keyframe/keyframe/internal/kftest"
)

// A cache that is full, and has met sizes since that it had never seen, holds more than its limit. All of it fits into another one with the same
// limit, and that is in force there afterwards.
func TestFullCacheFitsIntoItsLike(t *testing.T) {
	t.Parallel()
	full := kftest.MaxMemory(8 << 20)
	_, src := memcached(t, full)
	c := client(t, src)
	send := func(first, n, size int) {
		var b []byte
		for i := first; i < first+n; i++ {
			var err error
			if b, err = memcache.AppendSet(b, fmt.Appendf(nil, "key:%d:%d", size, i), 0, 0, size, true); err != nil {
				t.Fatal(err)
			}
			b = append(append(b, bytes.Repeat([]byte{'v'}, size)...), "\r\n"...)
		}
		if err := errors.Join(c.Send(memcache.AppendEnd(b)), c.Expect("MN")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 80 {
		send(1000*i, 1000, 100)
	}
	for size := 200; size < 400<<10; size += size / 3 {
		send(0, 1, size)
	}
	before, err := askState(c)
	if err != nil || before.evictions == 0 {
		t.Fatalf("%d evictions, %v: the cache is not full", before.evictions, err)
	}
	r, file, _ := takeItems(t, src, Options{})
	_, to := memcached(t, full)
	l, err := LoadItems(kftest.Context(t), to, bytes.NewReader(file), LoadOptions{})
	if err != nil || l.Loaded != r.Items {
		t.Fatalf("%+v of %d items, %v", l, r.Items, err)
	}
	if after, err := askState(client(t, to)); err != nil || after.limit != 8<<20 {
		t.Errorf("the limit is %d, %v", after.limit, err)
	}
}
