package snapstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCopyOutlivesItsSource(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	data := stream(3, 2*blockSize)
	src, _ := put(t, s, "src", map[string][]byte{"0001": data})
	before := count(t, b, captures)
	cp, err := s.Copy(t.Context(), src, "copy", func(m *Manifest) {
		m.Name, m.Region, m.Tags = "copied", "eu-west-1", nil
		m.Shards, m.CaptureID = nil, "other" // not the caller's to change
	}, "arn:key/two")
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, b, captures); n != before {
		t.Fatalf("%d objects of captures, before %d", n, before)
	}
	if src.Name != "snap" || len(src.Tags) != 1 || src.Key.ARN != "arn:key/one" {
		t.Fatal("the source was changed")
	}
	if err := s.DeleteManifest(t.Context(), "src"); err != nil {
		t.Fatal(err)
	}
	if swept, err := s.Sweep(t.Context(), func(string) bool { return false }); err != nil || swept.Captures != 0 {
		t.Fatalf("%+v, %v", swept, err)
	}
	got, err := s.ReadManifest(t.Context(), "copy")
	if err != nil || got.Name != "copied" || got.CopiedFrom != "src" || got.CaptureID != "cap-src" || got.Key.ARN != "arn:key/two" || bytes.Equal(got.Key.Wrapped, src.Key.Wrapped) {
		t.Fatalf("%+v, %v", got, err)
	}
	if back, err := read(t, s, got, "0001"); err != nil || !bytes.Equal(back, data) {
		t.Fatalf("%d bytes, %v", len(back), err)
	}
	if _, err := s.Verify(t.Context(), "copy", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Copy(t.Context(), cp, "copy", nil, "arn:key/one"); !errors.Is(err, blob.ErrExists) {
		t.Fatal(err)
	}
	if err := s.DeleteManifest(t.Context(), "copy"); err != nil {
		t.Fatal(err)
	}
	if swept, err := s.Sweep(t.Context(), func(string) bool { return false }); err != nil || swept.Captures != 1 || swept.Bytes == 0 {
		t.Fatalf("%+v, %v", swept, err)
	}
	if n := count(t, b, ""); n != 0 {
		t.Fatalf("%d objects left", n)
	}
}

func count(t *testing.T, b blob.Bucket, prefix string) (n int) {
	t.Helper()
	if err := b.List(t.Context(), prefix, func(blob.Info) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestDisabledKey(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	m, _ := put(t, s, "s", map[string][]byte{"0001": stream(3, 10)})
	s.keys.(plainKeys).disabled["arn:key/one"] = true
	var e *resource.Error
	if _, err := s.Unlock(t.Context(), m); !errors.As(err, &e) || e.Kind != resource.InvalidKey {
		t.Error(err)
	}
	if _, err := s.Verify(t.Context(), "s", nil); !errors.As(err, &e) || errors.Is(err, ErrCorrupt) {
		t.Error(err)
	}
	if _, err := s.Copy(t.Context(), m, "c", nil, "arn:key/two"); !errors.As(err, &e) {
		t.Error(err)
	}
	if n := count(t, b, snapshots); n != 1 {
		t.Errorf("%d manifests", n)
	}
}

func TestSweepStopsAtAnUnreadableManifest(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	put(t, s, "s", map[string][]byte{"0001": stream(3, 10)})
	put(t, s, "gone", map[string][]byte{"0001": stream(3, 10)})
	if err := s.DeleteManifest(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	good := object(t, b, ManifestKey("s"))
	replaceObject(t, b, ManifestKey("s"), []byte("{"))
	if swept, err := s.Sweep(t.Context(), func(string) bool { return false }); !errors.Is(err, ErrCorrupt) || swept.Captures != 0 {
		t.Fatalf("%+v, %v", swept, err)
	}
	if n := count(t, b, captures); n != 2 {
		t.Fatalf("%d parts left", n)
	}
	replaceObject(t, b, ManifestKey("s"), good)
	if swept, err := s.Sweep(t.Context(), func(string) bool { return false }); err != nil || swept.Captures != 1 {
		t.Fatalf("%+v, %v", swept, err)
	}
	n := 0
	if err := s.Manifests(t.Context(), func(id string, m *Manifest, err error) error {
		n++
		if id != "s" || m == nil || err != nil {
			t.Error(id, m, err)
		}
		return nil
	}); err != nil || n != 1 {
		t.Fatal(n, err)
	}
}

func TestWriterEnds(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	if _, err := s.NewCapture(t.Context(), "../x", NewDataKey()); err == nil {
		t.Error("a bad id was accepted")
	}
	if _, err := s.NewCapture(t.Context(), "c", DataKey{}); err == nil {
		t.Error("no key was accepted")
	}
	c, err := s.NewCapture(t.Context(), "c", NewDataKey())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Shard("a/b"); err == nil {
		t.Error("a bad shard name was accepted")
	}
	w, err := c.Shard("1")
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("abc"))
	w.Abort()
	w.Abort()
	if _, err := w.Write([]byte("d")); !errors.Is(err, blob.ErrClosed) {
		t.Error(err)
	}
	if got, err := w.Close(); err == nil {
		t.Error("closed after abort", got)
	}
	if n := count(t, b, ""); n != 0 {
		t.Errorf("%d objects after abort", n)
	}
	w, err = c.Shard("1")
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("abc"))
	first, err := w.Close()
	if err != nil || w.Written() != 3 {
		t.Fatal(err)
	}
	w.Abort()
	if again, err := w.Close(); err != nil || fmt.Sprint(again) != fmt.Sprint(first) {
		t.Error(again, err)
	}
	if s.active.Load() != 0 {
		t.Errorf("%d active shards", s.active.Load())
	}
	// A capture's id is used once: parts are never overwritten.
	w, err = c.Shard("1")
	if err != nil {
		t.Fatal(err)
	}
	w.Write([]byte("xyz"))
	if _, err := w.Close(); !errors.Is(err, blob.ErrExists) {
		t.Error(err)
	}
}

func TestCloseOfReaderStopsEverything(t *testing.T) { // goleak looks after the test
	t.Parallel()
	s := newStore(t, newBucket(t), Options{Codec: None})
	m, key := put(t, s, "s", map[string][]byte{"0001": stream(3, smallPart+5)})
	for _, n := range []int64{0, 1, blockSize + 5, smallPart + 1} {
		r, err := s.Open(t.Context(), m, key, "0001")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.CopyN(io.Discard, r, n); got != n || err != nil {
			t.Fatal(got, err)
		}
		r.Close()
		r.Close()
		if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("read after close: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, err := s.Open(ctx, m, key, "0001")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := s.Open(t.Context(), m, key, "0002"); err == nil {
		t.Error("a shard that is not there was opened")
	}
	if _, err := s.Open(t.Context(), m, DataKey{}, "0001"); err == nil {
		t.Error("opened without a key")
	}
	other, err := s.Open(t.Context(), m, NewDataKey(), "0001")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := io.Copy(io.Discard, other); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another key: %v", err)
	}
}

// TestMemoryIsBounded lets a reader stand still, and a writer's store too: what is held does not grow with the stream.
func TestMemoryIsBounded(t *testing.T) {
	s := New(newBucket(t), plainKeys{}, Options{Codec: None})
	m, key := put(t, s, "s", map[string][]byte{"0001": stream(3, 2*partSize)})
	heap := func() uint64 {
		runtime.GC()
		var ms runtime.MemStats
		runtime.ReadMemStats(&ms)
		return ms.HeapAlloc
	}
	before := heap()
	r, err := s.Open(t.Context(), m, key, "0001")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.CopyN(io.Discard, r, partSize-1); err != nil {
		t.Fatal(err)
	}
	if after := heap(); after > before+48<<20 {
		t.Errorf("%d MiB more while reading", (after-before)>>20)
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	ms := time.Millisecond
	for _, c := range []struct {
		why                 string
		last                Codec
		wall, blocked, busy time.Duration
		shards              int64
		procs               int
		want                Codec
	}{
		{"first part", "", 0, 0, 0, 1, 2, S2},
		{"engine compresses itself, 90 MB/s", S2, 740 * ms, 0, 80 * ms, 1, 2, Zstd},
		{"still so, with zstd", Zstd, 740 * ms, 0, 270 * ms, 1, 2, Zstd},
		{"engine at 260 MB/s", S2, 258 * ms, 0, 80 * ms, 1, 2, S2},
		{"zstd held it up", Zstd, 330 * ms, 40 * ms, 280 * ms, 1, 2, S2},
		{"zstd takes too much", Zstd, 330 * ms, 0, 280 * ms, 1, 2, S2},
		{"three shards share the machine", S2, 740 * ms, 0, 80 * ms, 3, 2, S2},
		{"a large machine", S2, 258 * ms, 0, 80 * ms, 1, 16, Zstd},
	} {
		if got := decide(c.last, c.wall, c.blocked, c.busy, c.shards, c.procs); got != c.want {
			t.Errorf("%s: %s, want %s", c.why, got, c.want)
		}
	}
}

func TestDataKeyNeverPrints(t *testing.T) {
	t.Parallel()
	k, err := dataKeyOf([]byte(strings.Repeat("hush", 8)))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(k)
	inner, _ := json.Marshal(struct{ K DataKey }{k})
	s := fmt.Sprintf("%v %+v %#v %s %x %v %s %s", k, k, k, k, k, struct{ k DataKey }{k}, text, inner)
	for _, bad := range []string{"hush", "68757368", "104 117"} {
		if strings.Contains(s, bad) {
			t.Fatal(s)
		}
	}
}
