package snapstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/blob/disk"
	"github.com/keyframe/keyframe/internal/blob/fault"
)

// replaceObject puts other bytes in an object's place.
func replaceObject(t testing.TB, b blob.Bucket, key string, data []byte) {
	t.Helper()
	if err := blob.Put(t.Context(), b, key, data, blob.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func object(t testing.TB, b blob.Bucket, key string) []byte {
	t.Helper()
	data, err := blob.Get(t.Context(), b, key, maxStored)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// wantCorrupt wants reading and verifying to name the damaged part.
func wantCorrupt(t *testing.T, s *Store, m *Manifest, part int) {
	t.Helper()
	_, err := read(t, s, m, "0001")
	_, verr := s.Verify(t.Context(), m.SnapshotID, nil)
	for _, err := range []error{err, verr} {
		var c *CorruptError
		if !errors.Is(err, ErrCorrupt) || !errors.As(err, &c) || c.Capture != m.CaptureID || c.Shard != "0001" || c.Part != part {
			t.Errorf("%v, want ErrCorrupt for part %d", err, part)
		}
	}
}

func TestDamagedParts(t *testing.T) {
	t.Parallel()
	data := stream(5, smallPart+3*blockSize)
	key := func(n int) string { return PartKey("cap-s", "0001", n) }
	for name, damage := range map[string]struct {
		part int
		do   func(t *testing.T, b blob.Bucket, s *Store)
	}{
		"flip": {2, func(t *testing.T, b blob.Bucket, _ *Store) {
			raw := object(t, b, key(2))
			raw[len(raw)/2] ^= 4
			replaceObject(t, b, key(2), raw)
		}},
		"flip header": {1, func(t *testing.T, b blob.Bucket, _ *Store) {
			raw := object(t, b, key(1))
			raw[0] ^= 4
			replaceObject(t, b, key(1), raw)
		}},
		"flip last byte": {1, func(t *testing.T, b blob.Bucket, _ *Store) {
			raw := object(t, b, key(1))
			raw[len(raw)-1] ^= 128
			replaceObject(t, b, key(1), raw)
		}},
		"cut": {2, func(t *testing.T, b blob.Bucket, _ *Store) {
			raw := object(t, b, key(2))
			replaceObject(t, b, key(2), raw[:len(raw)-1])
		}},
		"cut to nothing": {2, func(t *testing.T, b blob.Bucket, _ *Store) { replaceObject(t, b, key(2), nil) }},
		"cut to a segment": {1, func(t *testing.T, b blob.Bucket, _ *Store) {
			replaceObject(t, b, key(1), object(t, b, key(1))[:segmentSize])
		}},
		"grow": {1, func(t *testing.T, b blob.Bucket, _ *Store) {
			replaceObject(t, b, key(1), append(object(t, b, key(1)), 0))
		}},
		"swap": {1, func(t *testing.T, b blob.Bucket, _ *Store) {
			one, two := object(t, b, key(1)), object(t, b, key(2))
			replaceObject(t, b, key(1), two)
			replaceObject(t, b, key(2), one)
		}},
		"replay": {2, func(t *testing.T, b blob.Bucket, s *Store) {
			put(t, s, "other", map[string][]byte{"0001": data})
			replaceObject(t, b, key(2), object(t, b, PartKey("cap-other", "0001", 2)))
		}},
		"missing": {2, func(t *testing.T, b blob.Bucket, _ *Store) {
			if err := b.Delete(t.Context(), key(2)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBucket(t)
			s := newStore(t, b, Options{Codec: None})
			m, _ := put(t, s, "s", map[string][]byte{"0001": data})
			damage.do(t, b, s)
			wantCorrupt(t, s, m, damage.part)
		})
	}
}

// TestSealBindsThePlace changes the manifest to match moved parts, as one who holds the data key of a copy could: the seal
// alone has to refuse them.
func TestSealBindsThePlace(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{Codec: S2})
	data := stream(5, 2*smallPart+100)
	m, key := put(t, s, "s", map[string][]byte{"0001": data, "0002": data})
	try := func(name string, change func(m *Manifest, sh *Shard)) {
		t.Helper()
		c := *m
		c.Shards = nil
		for _, sh := range m.Shards {
			sh.Parts = append([]Part(nil), sh.Parts...)
			c.Shards = append(c.Shards, sh)
		}
		change(&c, c.Shard("0001"))
		r, err := s.Open(t.Context(), &c, key, "0001")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer r.Close()
		if n, err := io.Copy(io.Discard, r); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v after %d bytes, want ErrCorrupt", name, err, n)
		}
	}
	try("fewer parts", func(_ *Manifest, sh *Shard) {
		sh.Parts = sh.Parts[:2]
		sh.Bytes = 2 * smallPart
	})
	try("codec", func(_ *Manifest, sh *Shard) { sh.Parts[0].Codec = Zstd })
	raw := [3][]byte{object(t, b, PartKey(m.CaptureID, "0001", 1)), object(t, b, PartKey(m.CaptureID, "0001", 2)), object(t, b, PartKey(m.CaptureID, "0002", 1))}
	replaceObject(t, b, PartKey(m.CaptureID, "0001", 1), raw[1])
	replaceObject(t, b, PartKey(m.CaptureID, "0001", 2), raw[0])
	try("order", func(_ *Manifest, sh *Shard) {
		sh.Parts[0], sh.Parts[1] = sh.Parts[1], sh.Parts[0]
		sh.Parts[0].Number, sh.Parts[1].Number = 1, 2
	})
	replaceObject(t, b, PartKey(m.CaptureID, "0001", 1), raw[2])
	replaceObject(t, b, PartKey(m.CaptureID, "0001", 2), raw[1])
	try("shard", func(m *Manifest, sh *Shard) { sh.Parts[0] = m.Shard("0002").Parts[0] })
}

func TestDamagedManifest(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	m, _ := put(t, s, "s", map[string][]byte{"0001": stream(1, 1000)})
	good := object(t, b, ManifestKey("s"))
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		bad := bytes.Clone(good)
		bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
		replaceObject(t, b, ManifestKey("s"), bad)
		m, err := s.ReadManifest(t.Context(), "s")
		if err == nil {
			_, err = s.Unlock(t.Context(), m)
		}
		if err == nil {
			d := 0
			for d < len(good) && good[d] == bad[d] {
				d++
			}
			// Only the envelope's own white space and the MAC's letter case mean nothing.
			if mac := bytes.Index(good, []byte(`"mac":"`)) + 7; d < mac || d >= mac+64 {
				t.Fatalf("byte %d changed from %q to %q unnoticed", d, good[d], bad[d])
			}
		}
	}
	replaceObject(t, b, ManifestKey("s"), good)
	replaceObject(t, b, ManifestKey("t"), good)
	if _, err := s.ReadManifest(t.Context(), "t"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("another snapshot's manifest: %v", err)
	}
	if _, err := s.ReadManifest(t.Context(), "none"); !errors.Is(err, blob.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.ReadManifest(t.Context(), "../x"); !errors.Is(err, blob.ErrNotFound) {
		t.Error(err)
	}
	if err := s.WriteManifest(t.Context(), m, NewDataKey()); !errors.Is(err, blob.ErrExists) {
		t.Errorf("second manifest: %v", err)
	}
}

// itemsMember is what a manifest says of a memcached shard.
var itemsMember = fmt.Sprintf(`"items":{"content":"%032d","expiry":"%016d","from":"2026-11-21T10:00:00Z","to":"2026-11-21T10:00:01Z","vanished":2,"changed":1}`, 0, 0)

func TestManifestChecks(t *testing.T) {
	t.Parallel()
	s := newStore(t, newBucket(t), Options{})
	m, _ := put(t, s, "s", map[string][]byte{"0001": stream(1, 1000)})
	body := string(m.body)
	for name, edit := range map[string]func(string) string{
		"unknown member":  func(b string) string { return strings.Replace(b, `"kind"`, `"kinder":1,"kind"`, 1) },
		"unknown in part": func(b string) string { return strings.Replace(b, `"codec"`, `"x":1,"codec"`, 1) },
		"format 0":        func(b string) string { return strings.Replace(b, `"format": 1`, `"format": 0`, 1) },
		"format 5":        func(b string) string { return strings.Replace(b, `"format": 1`, `"format": 5`, 1) },
		"no instant, though no items": func(b string) string {
			return strings.NewReplacer(`"format": 1`, `"format": 4`, `"consistency": "instant"`, `"consistency": "none"`).Replace(b)
		},
		"items of rdb": func(b string) string {
			return strings.Replace(strings.Replace(b, `"format": 1`, `"format": 3`, 1), `"keys": 3`, itemsMember+`,"keys": 3`, 1)
		},
		"newer member": func(b string) string { return strings.Replace(b, `"kind"`, `"cut":{"tries":1},"kind"`, 1) },
		"part number":  func(b string) string { return strings.Replace(b, `"number": 1`, `"number": 2`, 1) },
		"codec":        func(b string) string { return strings.Replace(b, `"codec": "s2"`, `"codec": "lz9"`, 1) },
		"bytes":        func(b string) string { return strings.Replace(b, `"bytes": 1000`, `"bytes": 1001`, 1) },
		"huge":         func(b string) string { return strings.ReplaceAll(b, `bytes": 1000`, `bytes": 99999999999`) },
		"shard name":   func(b string) string { return strings.Replace(b, `"name": "0001"`, `"name": "../1"`, 1) },
		"hash":         func(b string) string { return strings.Replace(b, `"sha256": "`, `"sha256": "A`, 1) },
		"slots": func(b string) string {
			return strings.Replace(b, `"keys": 3`, `"slots":[{"Start":0,"End":16382}],"keys": 3`, 1)
		},
		"slots twice": func(b string) string {
			return strings.Replace(b, `"keys": 3`, `"slots":[{"Start":0,"End":16383},{"Start":5,"End":6}],"keys": 3`, 1)
		},
		"slots backwards": func(b string) string {
			return strings.Replace(b, `"keys": 3`, `"slots":[{"Start":0,"End":-1}],"keys": 3`, 1)
		},
		"expiring": func(b string) string { return strings.Replace(b, `"expiring": 1`, `"expiring": 4`, 1) },
	} {
		edited := edit(body)
		if edited == body {
			t.Fatalf("%s: the edit does not apply to %s", name, body)
		}
		if _, err := ParseManifest(fmt.Appendf(nil, `{"mac":"%064d","manifest":%s}`, 0, edited)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	items := strings.NewReplacer(`"format": 1`, `"format": 3`, `"keys": 3`, itemsMember+`,"keys": 3`, `"stream": "test"`, `"stream": "memcached"`, `"consistency": "instant"`, `"consistency": "shard"`).Replace(body)
	if got, err := ParseManifest(fmt.Appendf(nil, `{"mac":"%064d","manifest":%s}`, 0, items)); err != nil || got.Shards[0].Items.Vanished != 2 {
		t.Errorf("format 3: %v", err)
	}
	none := strings.NewReplacer(`"format": 3`, `"format": 4`, `"consistency": "shard"`, `"consistency": "none"`).Replace(items)
	if got, err := ParseManifest(fmt.Appendf(nil, `{"mac":"%064d","manifest":%s}`, 0, none)); err != nil || got.Consistency != NoInstant {
		t.Errorf("format 4: %v", err)
	}
	for what, bad := range map[string]string{"none in format 3": strings.Replace(none, `"format": 4`, `"format": 3`, 1), "instant": strings.Replace(items, `"consistency": "shard"`, `"consistency": "instant"`, 1),
		"no items": strings.Replace(strings.Replace(items, itemsMember+",", "", 1), `"format": 3`, `"format": 1`, 1), "format": strings.Replace(items, `"format": 3`, `"format": 2`, 1),
		"vanished": strings.Replace(items, `"vanished":2`, `"vanished":-2`, 1), "changed": strings.Replace(items, `"changed":1`, `"changed":-1`, 1), "content": strings.Replace(items, `"content":"0`, `"content":"`, 1),
		"expiry": strings.Replace(items, `"expiry":"0`, `"expiry":"G`, 1), "times": strings.Replace(items, `"to":"2026-11-21T10:00:01Z"`, `"to":"2026-11-21T09:00:00Z"`, 1)} {
		if _, err := ParseManifest(fmt.Appendf(nil, `{"mac":"%064d","manifest":%s}`, 0, bad)); err == nil || bad == items {
			t.Errorf("items of memcached, %s: accepted", what)
		}
	}
	newer := strings.Replace(strings.Replace(body, `"format": 1`, `"format": 2`, 1), `"kind"`, `"cut":{"tries":4},"kind"`, 1)
	if got, err := ParseManifest(fmt.Appendf(nil, `{"mac":"%064d","manifest":%s}`, 0, newer)); err != nil || got.Cut.Tries != 4 {
		t.Errorf("format 2: %v", err)
	}
	future := strings.Replace(body, `"source": {`, `"source": {"NewerMember": {"a": [1]},`, 1)
	if got, err := ParseManifest(fmt.Appendf(nil, `{"mac":"%064d","manifest":%s}`, 0, future)); err != nil || got.Source.Name != "cache" {
		t.Errorf("a newer member of source: %v", err)
	}
	if _, err := ParseManifest(fmt.Appendf(nil, `{"mac":"%064d","manifest":%s} x`, 0, body)); err == nil {
		t.Error("bytes after the end were accepted")
	}
	slots := strings.Replace(body, `"keys": 3`, `"slots":[{"Start":100,"End":16383},{"Start":0,"End":99}],"keys": 3`, 1)
	if _, err := ParseManifest(fmt.Appendf(nil, `{"mac":"%064d","manifest":%s}`, 0, slots)); err != nil {
		t.Errorf("good slots: %v", err)
	}
}

func TestManifestKeepsEverything(t *testing.T) {
	t.Parallel()
	s := newStore(t, newBucket(t), Options{})
	want, _ := put(t, s, "s", map[string][]byte{"0001": stream(1, 1000)})
	got, err := s.ReadManifest(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(want)
	b, _ := json.Marshal(got)
	if !bytes.Equal(a, b) {
		t.Errorf("written %s\nread    %s", a, b)
	}
	if got.Bytes() != 1000 || got.Keys() != 3 || got.Scope() != want.Scope() || got.StoredBytes() != want.Shards[0].Parts[0].StoredBytes {
		t.Error("sums differ")
	}
}

// TestAnyChunks writes random streams in random pieces and reads them in others.
func TestAnyChunks(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		s := New(b, plainKeys{}, Options{Codec: rapid.SampledFrom([]Codec{None, S2, Zstd}).Draw(t, "codec")})
		data := stream(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 3*blockSize).Draw(t, "size"))
		key := NewDataKey()
		id := fmt.Sprint("c", n)
		c, err := s.NewCapture(context.Background(), id, key)
		if err != nil {
			t.Fatal(err)
		}
		w, err := c.Shard("0001")
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; {
			k := min(len(rest), rapid.IntRange(1, 1<<20).Draw(t, "chunk"))
			if _, err := w.Write(rest[:k]); err != nil {
				t.Fatal(err)
			}
			rest = rest[k:]
		}
		got, err := w.Close()
		if err != nil || got.PlainBytes != int64(len(data)) {
			t.Fatal(got, err)
		}
		m := testManifest("s")
		m.Format, m.CaptureID = FormatVersion, id
		m.Shards = []Shard{{Name: "0001", Bytes: got.PlainBytes, Parts: got.Parts}}
		r, err := s.Open(context.Background(), m, key, "0001")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		var back []byte
		buf := make([]byte, rapid.IntRange(1, 300_000).Draw(t, "read"))
		for {
			k, err := r.Read(buf)
			back = append(back, buf[:k]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(back, data) {
			t.Fatalf("%d bytes back of %d", len(back), len(data))
		}
	})
}

// TestEveryStoreFault fails each call of a capture once: nothing is announced, what stays is swept, and a second try works.
func TestEveryStoreFault(t *testing.T) {
	t.Parallel()
	data := map[string][]byte{"0001": stream(1, 2*blockSize), "0002": stream(2, 100)}
	for n := 1; ; n++ {
		under := newBucket(t)
		f := fault.New(under, fault.Nth(n))
		_, _, err := tryPut(t.Context(), newStore(t, f, Options{Codec: S2}), "s", data)
		if f.Calls() < n {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		s := newStore(t, under, Options{})
		if !errors.Is(err, fault.ErrInjected) {
			t.Fatalf("call %d: %v, want the injected fault", n, err)
		}
		if _, err := s.ReadManifest(t.Context(), "s"); !errors.Is(err, blob.ErrNotFound) {
			t.Fatalf("call %d: a snapshot exists: %v", n, err)
		}
		if _, err := s.Sweep(t.Context(), func(string) bool { return false }); err != nil {
			t.Fatal(err)
		}
		left := 0
		under.List(t.Context(), "", func(blob.Info) error { left++; return nil })
		if left != 0 {
			t.Fatalf("call %d: %d objects left after the sweep", n, left)
		}
		put(t, s, "s", data)
	}
}

// TestReadFaults fails each call of a read once: an error that is not ErrCorrupt, since the bytes are good.
func TestReadFaults(t *testing.T) {
	t.Parallel()
	under := newBucket(t)
	f := fault.New(under, nil)
	s := newStore(t, f, Options{Codec: None})
	m, key := put(t, s, "s", map[string][]byte{"0001": stream(1, 3*blockSize)})
	for n := 1; ; n++ {
		f.Set(fault.Nth(n))
		r, err := s.Open(t.Context(), m, key, "0001")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if f.Calls() < n {
			if err != nil || len(got) != 3*blockSize {
				t.Fatal(len(got), err)
			}
			break
		}
		if !errors.Is(err, fault.ErrInjected) || errors.Is(err, ErrCorrupt) {
			t.Fatalf("call %d: %v", n, err)
		}
	}
}

// TestCrash leaves what a killed process leaves: parts, a begun object, no manifest.
func TestCrash(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	b, err := disk.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	s := newStore(t, b, Options{Codec: None})
	ctx, kill := context.WithCancel(t.Context())
	c, err := s.NewCapture(ctx, "dead", NewDataKey())
	if err != nil {
		t.Fatal(err)
	}
	w, err := c.Shard("0001")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(stream(1, smallPart+5*blockSize)); err != nil {
		t.Fatal(err)
	}
	kill()
	if _, err := w.Close(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "captures", "dead", "0001"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "captures", "dead", "0001", "000001"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	put(t, s, "alive", map[string][]byte{"0001": stream(1, 10)})
	put(t, s, "busy", map[string][]byte{"0001": stream(1, 10)})
	if err := s.DeleteManifest(t.Context(), "busy"); err != nil {
		t.Fatal(err)
	}
	swept, err := s.Sweep(t.Context(), func(id string) bool { return id == "cap-busy" })
	if err != nil || swept.Captures != 1 || swept.Objects < 1 {
		t.Fatalf("%+v, %v", swept, err)
	}
	var left []string
	if err := s.Captures(t.Context(), func(c CaptureInfo) error { left = append(left, c.ID); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(left) != "[cap-alive cap-busy]" {
		t.Fatal(left)
	}
}
