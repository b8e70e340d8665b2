package capture

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/memcache"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/kftest"
)

// memcached boots a cache; items that are too large for it are not stored by the options' words.
func memcached(t testing.TB, opts ...kftest.Option) (*kftest.Node, Source) {
	t.Helper()
	n := kftest.Engine(t, engine.Memcached, opts...)
	return n, Source{Address: n.Addr(), TLS: n.TLSConfig(t)}
}

// client is a connection of the test's own.
func client(t testing.TB, src Source) *memcache.Conn {
	t.Helper()
	c, err := dialItems(kftest.Context(t), src, kftest.Patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// store stores items.
func store(t testing.TB, c *memcache.Conn, items ...itemfile.Item) {
	t.Helper()
	for _, it := range items {
		b, err := memcache.AppendSet(nil, it.Key, it.Flags, it.ExpireAt, len(it.Value), false)
		if err == nil {
			err = c.Send(append(append(b, it.Value...), "\r\n"...))
		}
		if err == nil {
			err = c.Expect("HD")
		}
		if err != nil {
			t.Fatalf("store %q: %v", it.Key, err)
		}
	}
}

// takeItems is the capture of a cache, as a map.
func takeItems(t testing.TB, src Source, o Options) (*ItemsResult, []byte, map[string]itemfile.Item) {
	t.Helper()
	var file bytes.Buffer
	r, err := Items(kftest.Context(t), src, &file, o)
	if err != nil {
		t.Fatal(err)
	}
	return r, file.Bytes(), itemsOf(t, file.Bytes())
}

func itemsOf(t testing.TB, file []byte) map[string]itemfile.Item {
	t.Helper()
	r, err := itemfile.NewReader(bytes.NewReader(file), itemfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]itemfile.Item{}
	for {
		it, err := r.Next()
		if err != nil {
			if r.Summary() == nil {
				t.Fatal(err)
			}
			return all
		}
		all[string(it.Key)] = itemfile.Item{Key: bytes.Clone(it.Key), Flags: it.Flags, ExpireAt: it.ExpireAt, Value: bytes.Clone(it.Value)}
	}
}

func TestItemsThereAndBack(t *testing.T) {
	t.Parallel()
	for _, tls := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", tls), func(t *testing.T) {
			t.Parallel()
			var opts []kftest.Option
			if tls {
				opts = append(opts, kftest.WithTLS())
			}
			_, from := memcached(t, opts...)
			now := time.Now().Unix()
			want := []itemfile.Item{
				{Key: []byte("plain"), Value: []byte("value")},
				{Key: []byte("empty"), Flags: 1},
				{Key: []byte("flags"), Flags: 1<<32 - 1, Value: []byte("x")},
				{Key: []byte("soon"), ExpireAt: now + 1000, Value: []byte("x")},
				{Key: []byte("month"), ExpireAt: now + 30*24*3600, Value: []byte("x")},
				{Key: []byte("late"), ExpireAt: now + 31*24*3600, Value: []byte("x")},
				{Key: []byte("latest"), ExpireAt: memcache.MaxExpiry, Value: []byte("x")},
				{Key: []byte("lines"), Value: []byte("\r\nEND\r\nMN\r\nVA 3 kx\r\nabc\r\n")},
				{Key: []byte("with space"), Value: []byte("x")},
				{Key: []byte("nul\x00\r\n%41\xff"), Flags: 7, Value: []byte("\x00\r\n")},
				{Key: []byte("schl\xc3\xbcssel"), Value: []byte("x")},
				{Key: []byte("%25=&+/"), Value: []byte("x")},
				{Key: bytes.Repeat([]byte{0}, 186), Value: []byte("x")},
				{Key: []byte(strings.Repeat("k", 250)), Value: []byte("x")},
				{Key: []byte(strings.Repeat("\t\x01", 125)), Value: []byte("x")},
				{Key: []byte("large"), Flags: 9, Value: bytes.Repeat([]byte("0123456789\r\n"), 1000_000/12)},
				{Key: []byte("middle"), Value: bytes.Repeat([]byte("END\r\n"), setLarge/5-10)},
			}
			c := client(t, from)
			store(t, c, want...)
			// Keys that only the binary protocol can write.
			odd := client(t, from)
			for _, it := range []itemfile.Item{
				{Key: bytes.Repeat([]byte{' '}, 250), Flags: 1<<32 - 1, Value: []byte("\r\n")},
				{Key: bytes.Repeat([]byte{0}, 187), ExpireAt: now + 31*24*3600, Value: bytes.Repeat([]byte{'x'}, 200_000)},
				{Key: bytes.Repeat([]byte{'\n'}, 200)},
			} {
				if err := odd.BinarySet(it.Key, it.Flags, it.ExpireAt, it.Value); err != nil {
					t.Fatal(err)
				}
				want = append(want, it)
			}
			// Items that never were there for a capture.
			if err := c.Send([]byte("ms past 1 T-1\r\nx\r\nms past2 1 T2592001\r\nx\r\n")); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := c.Expect("HD"); err != nil {
					t.Fatal(err)
				}
			}
			var told, of int64
			r, file, got := takeItems(t, from, Options{Name: "test", Batch: 3, OnProgress: func(n, total int64) { told, of = n, total }})
			check := func(got map[string]itemfile.Item) {
				t.Helper()
				for _, it := range want {
					g, ok := got[string(it.Key)]
					if !ok || g.Flags != it.Flags || g.ExpireAt != it.ExpireAt || !bytes.Equal(g.Value, it.Value) {
						t.Errorf("%q: flags %d, expiry %d, %d bytes instead of %d, %d, %d", it.Key, g.Flags, g.ExpireAt, len(g.Value), it.Flags, it.ExpireAt, len(it.Value))
					}
				}
				if len(got) != len(want) {
					t.Errorf("%d items instead of %d", len(got), len(want))
				}
			}
			check(got)
			if r.Items != int64(len(want)) || r.Expiring != 5 || r.Vanished != 0 || r.Changed != 0 || r.Bytes != int64(len(file)) || r.Source != "test" ||
				r.Engine == "" || r.Ended.Before(r.Began) {
				t.Errorf("%+v %+v", r, r.Summary)
			}
			if told != r.Bytes || of != r.Bytes {
				t.Errorf("told of %d bytes of %d, not %d", told, of, r.Bytes)
			}
			_, to := memcached(t, opts...)
			l, err := LoadItems(kftest.Context(t), to, bytes.NewReader(file), LoadOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if l.Loaded != r.Items || l.Expired != 0 || l.Sum != r.Sum || l.EngineVersion != r.Engine {
				t.Errorf("%+v %+v", l, l.Summary)
			}
			again, _, got := takeItems(t, to, Options{})
			check(got)
			if again.Sum != r.Sum {
				t.Errorf("the copy has %+v, not %+v", again.Sum, r.Sum)
			}
		})
	}
}
