package worker

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// itemFile makes a file of n items of some size, whose time is up after life; 0 is never.
func itemFile(t *testing.T, n, size int, life time.Duration) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := itemfile.NewWriter(&out, itemfile.Header{Created: time.Now(), Source: "test", Engine: "1.6.18"})
	for i := 0; err == nil && i < n; i++ {
		it := itemfile.Item{Key: fmt.Appendf(nil, "key:%d", i), Flags: uint32(i), Value: bytes.Repeat([]byte{byte(i)}, size)}
		if life != 0 {
			it.ExpireAt = time.Now().Add(life).Unix()
		}
		err = w.Write(&it)
	}
	if err == nil {
		_, err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var memcachedShape = shape{kind: resource.Serverless, engine: engine.Memcached}

func TestItemsThatCannotBeRestored(t *testing.T) {
	t.Parallel()
	h := newHall(t, func(o *Options) { o.DefaultBytes = 16 << 20 })
	good := itemFile(t, 100, 100, 0)
	h.bucketed(map[string][]byte{
		"much": itemFile(t, 4000, 10_000, 0), "large": itemFile(t, 1, mostValue+1, 0), "cut": good[:len(good)-9], "good": good,
		"brim": itemFile(t, 20, mostValue, 0), // no engine has room for them beside their keys
	})
	for key, why := range map[string]string{
		"much": "the data needs more memory than the data limit of the cache, which is 16777216 bytes",
		"brim": "too large", "large": "1048577: 1048576 is the most here", "cut": "corrupt at offset", "none": "could not be retrieved from S3",
	} {
		c := h.born(key, memcachedShape, resource.CreateCacheTask{Objects: objects(key)})
		if c.Status != resource.CacheCreateFailed || !strings.Contains(c.StatusReason, why) {
			t.Errorf("%s: the cache is %s: %s", key, c.Status, c.StatusReason)
		}
		if pid := h.Engines.PID(h.node(c.ID)); pid != 0 && key != "none" {
			t.Errorf("%s: the engine runs with some of the items", key)
		}
	}
	two := h.born("two", memcachedShape, resource.CreateCacheTask{Objects: objects("good", "much")})
	if two.Status != resource.CacheCreateFailed || !strings.Contains(two.StatusReason, "one file") {
		t.Errorf("two files: the cache is %s: %s", two.Status, two.StatusReason)
	}
	h.alive(h.born("good", memcachedShape, resource.CreateCacheTask{Objects: objects("good")}))
}

// Items whose time is up before they are restored are accounted for, and are not missed.
func TestExpiredItems(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.bucketed(map[string][]byte{"old": itemFile(t, 50, 10, -time.Hour)})
	c := h.alive(h.born("old", memcachedShape, resource.CreateCacheTask{Objects: objects("old")}))
	s := h.snapshot("empty", c)
	if s.Status != resource.SnapshotAvailable || s.Keys != 0 {
		t.Errorf("the snapshot is %s with %d keys: %s", s.Status, s.Keys, s.StatusReason)
	}
	h.whole("empty", 0)
	m, err := h.Store.ReadManifest(t.Context(), "empty")
	h.must(err)
	if m.Format != 4 || m.Stream != snapstore.Memcached || m.Consistency != snapstore.NoInstant || m.Shards[0].Items == nil || len(m.Shards[0].Slots) != 0 {
		t.Errorf("the manifest says %+v", m)
	}
	key, err := h.Store.Unlock(t.Context(), m)
	h.must(err)
	if r, err := h.Store.ReadReport(t.Context(), m, key); err != nil || r.Keys != 0 || r.Engine != "memcached" {
		t.Errorf("it reports %+v, %v", r, err)
	}
	again := h.alive(h.born("again", memcachedShape, resource.CreateCacheTask{SnapshotID: "empty"}))
	if again.Endpoint.Port != 11211 {
		t.Errorf("it listens on %+v", again.Endpoint)
	}
}

// A snapshot of items knows what is in it: what was counted as they were captured is what its parts hold, and what the manifest says.
func TestItemsAreCounted(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.bucketed(map[string][]byte{"never": itemFile(t, 40, 10, 0), "hour": itemFile(t, 300, 2000, 90*time.Minute)})
	for name, expiring := range map[string]int64{"never": 0, "hour": 300} {
		c := h.alive(h.born(name, memcachedShape, resource.CreateCacheTask{Objects: objects(name)}))
		if s := h.snapshot(name, c); s.Status != resource.SnapshotAvailable {
			t.Fatalf("the snapshot is %s: %s", s.Status, s.StatusReason)
		}
		m, err := h.Store.ReadManifest(t.Context(), name)
		h.must(err)
		key, err := h.Store.Unlock(t.Context(), m)
		h.must(err)
		got, err := h.Store.ReadReport(t.Context(), m, key)
		h.must(err)
		if got.Keys != m.Keys() || got.Keys == 0 || got.Expiring != m.Shards[0].Expiring || got.Expiring != expiring || got.FileBytes != m.Bytes() ||
			got.Engine != "memcached" || got.EngineVersion != m.EngineVersion || !got.At.Equal(m.Shards[0].Items.From.Truncate(time.Second)) {
			t.Errorf("%s: the report says %+v, the manifest %+v", name, got, m)
		}
		if p := got.Prefixes; len(p.Heaviest) != 1 || string(p.Heaviest[0].Prefix) != "key:" || p.Heaviest[0].Keys != got.Keys || got.Types != nil || got.Slots != nil {
			t.Errorf("%s: %+v", name, got)
		}
		// Read again, the parts say the same.
		in, err := h.Store.Open(t.Context(), m, key, m.Shards[0].Name)
		h.must(err)
		r, err := itemfile.NewReader(in, itemfile.Options{})
		h.must(err)
		again := capture.NewItemCounter(r.Header().Created, "")
		for {
			it, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			h.must(err)
			capture.CountItem(again, it)
		}
		h.must(in.Close())
		sum := r.Summary()
		g, err := json.MarshalIndent(got, "", " ")
		h.must(err)
		w, err := json.MarshalIndent(capture.ReportItems(again, sum), "", " ")
		h.must(err)
		if !bytes.Equal(g, w) || got.Bytes != sum.KeyBytes+sum.ValueBytes {
			t.Errorf("%s: counted during the capture\n%.2000s\nand from the parts\n%.2000s", name, g, w)
		}
	}
}

// An engine that ends while its snapshot waits to be taken comes back empty, and the snapshot that was to keep its items fails.
func TestItemsOfADeadEngine(t *testing.T) {
	t.Parallel()
	h := listening(t)
	h.bucketed(map[string][]byte{"good": itemFile(t, 50, 10, 0)})
	c := h.alive(h.born("lost", memcachedShape, resource.CreateCacheTask{Objects: objects("good")}))
	h.must(syscall.Kill(h.Engines.PID(h.node(c.ID)), syscall.SIGKILL))
	kftest.Eventually(t, "a restart", func() error {
		if now := h.cacheNow(c.ID); now.Restarts == 0 {
			return fmt.Errorf("it had %d restarts", now.Restarts)
		}
		return nil
	})
	s := h.snapshot("late", c) // asked for before the engine ended
	if s.Status != resource.SnapshotFailed || !strings.Contains(s.StatusReason, "the data that was to be kept is lost") {
		t.Errorf("the snapshot is %s with %d keys: %s", s.Status, s.Keys, s.StatusReason)
	}
	if n := h.objects("captures/"); n != 0 {
		t.Errorf("%d parts are left", n)
	}
	kftest.Eventually(t, "an engine", func() error { return h.Engines.WaitReady(t.Context(), h.node(c.ID), nil) })
	if now := h.snapshot("after", h.cacheNow(c.ID)); now.Status != resource.SnapshotAvailable || now.Keys != 0 {
		t.Errorf("the snapshot of what returned is %s with %d keys: %s", now.Status, now.Keys, now.StatusReason)
	}
}

// A dump is no file of items, and items are no dump, whatever a task says.
func TestItemsAndDumpsAreNotMixed(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.bucketed(map[string][]byte{"good": itemFile(t, 5, 10, 0)})
	c := h.alive(h.born("items", memcachedShape, resource.CreateCacheTask{Objects: objects("good")}))
	h.snapshot("of-items", c)
	h.snapshot("of-valkey", h.cache(engine.Valkey, 3))
	for name, try := range map[string]struct {
		into resource.Engine
		from string
	}{"a": {engine.Valkey, "of-items"}, "b": {engine.Memcached, "of-valkey"}} {
		got := h.born(name, shape{kind: resource.Serverless, engine: try.into}, resource.CreateCacheTask{SnapshotID: try.from})
		if got.Status != resource.CacheCreateFailed || !strings.Contains(got.StatusReason, "the snapshot holds data of ") {
			t.Errorf("%s into %s: the cache is %s: %s", try.from, try.into, got.Status, got.StatusReason)
		}
	}
}
