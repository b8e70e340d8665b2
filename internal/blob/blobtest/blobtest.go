// Package blobtest is the suite that every bucket passes.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyframe/keyframe/internal/blob"
)

// Run tests the contract. open returns an empty bucket for each call.
func Run(t *testing.T, open func(t *testing.T) blob.Bucket) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, blob.Bucket){
		"RoundTrip": roundTrip, "Ranges": ranges, "Large": large, "Invisible": invisible, "Abort": abort, "Replace": replace,
		"IfAbsent": ifAbsent, "IfAbsentRace": ifAbsentRace, "List": list, "Delete": remove, "Missing": missing, "Keys": keys,
		"Cancel": cancel, "Finished": finished, "DeleteWhileListing": deleteWhileListing,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func put(t *testing.T, b blob.Bucket, key, data string) {
	t.Helper()
	if err := blob.Put(t.Context(), b, key, []byte(data), blob.CreateOptions{}); err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
}

func read(t *testing.T, b blob.Bucket, key string, off, n int64) string {
	t.Helper()
	r, err := b.Open(t.Context(), key, off, n)
	if err != nil {
		t.Fatalf("open %s: %v", key, err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	if err := r.Close(); err != nil {
		t.Fatalf("close %s: %v", key, err)
	}
	return string(data)
}

func create(t *testing.T, b blob.Bucket, key string, o blob.CreateOptions) blob.Writer {
	t.Helper()
	w, err := b.Create(t.Context(), key, o)
	if err != nil {
		t.Fatalf("create %s: %v", key, err)
	}
	return w
}

func write(t *testing.T, w io.Writer, data string) {
	t.Helper()
	if n, err := io.WriteString(w, data); n != len(data) || err != nil {
		t.Fatalf("write: %d of %d, %v", n, len(data), err)
	}
}

func wantMissing(t *testing.T, b blob.Bucket, key string) {
	t.Helper()
	if _, err := b.Stat(t.Context(), key); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("stat %s: %v, want ErrNotFound", key, err)
	}
}

func roundTrip(t *testing.T, b blob.Bucket) {
	for _, data := range []string{"", "x", "some bytes\x00\xff"} {
		put(t, b, "a/b c/ü+&?.json", data)
		if got := read(t, b, "a/b c/ü+&?.json", 0, -1); got != data {
			t.Fatalf("read %q, want %q", got, data)
		}
		info, err := b.Stat(t.Context(), "a/b c/ü+&?.json")
		if err != nil || info.Size != int64(len(data)) || info.Key != "a/b c/ü+&?.json" || info.Modified.IsZero() {
			t.Fatalf("stat: %+v, %v", info, err)
		}
	}
}

func ranges(t *testing.T, b blob.Bucket) {
	put(t, b, "k", "0123456789")
	for _, c := range []struct {
		off, n int64
		want   string
	}{{0, 10, "0123456789"}, {3, 4, "3456"}, {8, 100, "89"}, {5, -1, "56789"}, {10, -1, ""}, {10, 5, ""}, {42, 1, ""}, {2, 0, ""}, {9, 1, "9"}} {
		if got := read(t, b, "k", c.off, c.n); got != c.want {
			t.Errorf("%d+%d: %q, want %q", c.off, c.n, got, c.want)
		}
	}
}

func large(t *testing.T, b blob.Bucket) {
	src := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 19<<20+17)
	for i := range data {
		data[i] = byte(src.Uint32())
	}
	w := create(t, b, "big", blob.CreateOptions{IfAbsent: true})
	defer w.Abort()
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 1+src.IntN(3<<20))
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, "big", 0, -1); !bytes.Equal([]byte(got), data) {
		t.Fatal("bytes differ")
	}
	if got := read(t, b, "big", 9<<20, 1<<20); !bytes.Equal([]byte(got), data[9<<20:10<<20]) {
		t.Fatal("range differs")
	}
}

func invisible(t *testing.T, b blob.Bucket) {
	w := create(t, b, "k", blob.CreateOptions{})
	defer w.Abort()
	write(t, w, "half")
	wantMissing(t, b, "k")
	if n := count(t, b, ""); n != 0 {
		t.Fatalf("%d objects before the commit", n)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, b, "k", 0, -1); got != "half" {
		t.Fatalf("read %q", got)
	}
}

func abort(t *testing.T, b blob.Bucket) {
	put(t, b, "old", "kept")
	for _, key := range []string{"k", "old"} {
		w := create(t, b, key, blob.CreateOptions{})
		write(t, w, strings.Repeat("never", 2_000_000)) // long enough for a multipart upload to have begun
		w.Abort()
	}
	wantMissing(t, b, "k")
	if got := read(t, b, "old", 0, -1); got != "kept" {
		t.Fatalf("read %q", got)
	}
	if n := count(t, b, ""); n != 1 {
		t.Fatalf("%d objects, want 1", n)
	}
}

func replace(t *testing.T, b blob.Bucket) {
	put(t, b, "k", "first")
	r, err := b.Open(t.Context(), "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	put(t, b, "k", "2nd")
	if got := read(t, b, "k", 0, -1); got != "2nd" {
		t.Fatalf("read %q", got)
	}
}

func ifAbsent(t *testing.T, b blob.Bucket) {
	first := create(t, b, "k", blob.CreateOptions{IfAbsent: true})
	second := create(t, b, "k", blob.CreateOptions{IfAbsent: true})
	defer second.Abort()
	write(t, first, "first")
	write(t, second, "second")
	if err := first.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := second.Commit(); !errors.Is(err, blob.ErrExists) {
		t.Fatalf("second commit: %v, want ErrExists", err)
	}
	if err := blob.Put(t.Context(), b, "k", []byte("third"), blob.CreateOptions{IfAbsent: true}); !errors.Is(err, blob.ErrExists) {
		t.Fatalf("put: %v, want ErrExists", err)
	}
	if got := read(t, b, "k", 0, -1); got != "first" {
		t.Fatalf("read %q", got)
	}
}

func ifAbsentRace(t *testing.T, b blob.Bucket) {
	const racers = 8
	errs := make([]error, racers)
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			errs[i] = blob.Put(t.Context(), b, "deep/er/k", []byte(fmt.Sprint(i)), blob.CreateOptions{IfAbsent: true})
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner >= 0:
			t.Fatalf("%d and %d both won", winner, i)
		case err == nil:
			winner = i
		case !errors.Is(err, blob.ErrExists):
			t.Fatalf("racer %d: %v", i, err)
		}
	}
	if winner < 0 {
		t.Fatal("nobody won")
	}
	if got := read(t, b, "deep/er/k", 0, -1); got != fmt.Sprint(winner) {
		t.Fatalf("read %q, winner %d", got, winner)
	}
}

func count(t *testing.T, b blob.Bucket, prefix string) (n int) {
	t.Helper()
	if err := b.List(t.Context(), prefix, func(blob.Info) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func list(t *testing.T, b blob.Bucket) {
	all := []string{"a-b/1", "a/2", "a/b/c", "a/b/d", "a.x", "ab", "b/z"}
	for _, k := range all {
		put(t, b, k, k)
	}
	slices.Sort(all)
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "ab", "a-", "nothing", "b/z", "b/z/"} {
		var got, want []string
		if err := b.List(t.Context(), prefix, func(i blob.Info) error {
			if i.Size != int64(len(i.Key)) {
				t.Errorf("%s: %d bytes", i.Key, i.Size)
			}
			got = append(got, i.Key)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, k := range all {
			if strings.HasPrefix(k, prefix) {
				want = append(want, k)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("prefix %q: %q, want %q", prefix, got, want)
		}
	}
	stop := errors.New("stop")
	n := 0
	if err := b.List(t.Context(), "", func(blob.Info) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("stopped listing: %v after %d", err, n)
	}
}

func deleteWhileListing(t *testing.T, b blob.Bucket) {
	for i := range 25 {
		put(t, b, fmt.Sprintf("p/%02d/x", i), "")
	}
	n := 0
	if err := b.List(t.Context(), "p/", func(i blob.Info) error { n++; return b.Delete(t.Context(), i.Key) }); err != nil {
		t.Fatal(err)
	}
	if left := count(t, b, ""); n != 25 || left != 0 {
		t.Fatalf("%d seen, %d left", n, left)
	}
}

func remove(t *testing.T, b blob.Bucket) {
	put(t, b, "d/k", "x")
	put(t, b, "d/l", "x")
	for range 2 {
		if err := b.Delete(t.Context(), "d/k"); err != nil {
			t.Fatal(err)
		}
	}
	wantMissing(t, b, "d/k")
	if err := b.Delete(t.Context(), "d"); err != nil {
		t.Fatalf("delete of a prefix: %v", err)
	}
	if got := read(t, b, "d/l", 0, -1); got != "x" {
		t.Fatalf("read %q", got)
	}
	put(t, b, "d/k", "again")
}

func missing(t *testing.T, b blob.Bucket) {
	wantMissing(t, b, "no/such")
	if r, err := b.Open(t.Context(), "no/such", 0, -1); !errors.Is(err, blob.ErrNotFound) {
		t.Fatalf("open: %v, %v", r, err)
	}
	put(t, b, "dir/k", "x")
	wantMissing(t, b, "dir")
	wantMissing(t, b, "dir/k/below")
}

func keys(t *testing.T, b blob.Bucket) {
	for _, key := range []string{"", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a\x00b", "a\nb", `a\b`,
		strings.Repeat("x", 256), strings.Repeat("y/", 600) + "z"} {
		if _, err := b.Create(t.Context(), key, blob.CreateOptions{}); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("create %q: %v, want ErrInvalidKey", key, err)
		}
		if _, err := b.Open(t.Context(), key, 0, -1); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("open %q: %v, want ErrInvalidKey", key, err)
		}
		if err := b.Delete(t.Context(), key); !errors.Is(err, blob.ErrInvalidKey) {
			t.Errorf("delete %q: %v, want ErrInvalidKey", key, err)
		}
	}
}

func cancel(t *testing.T, b blob.Bucket) {
	ctx, stop := context.WithCancel(t.Context())
	w, err := b.Create(ctx, "k", blob.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, w, "some")
	stop()
	if err := w.Commit(); err == nil {
		t.Fatal("commit after cancel succeeded")
	}
	w.Abort()
	wantMissing(t, b, "k")
	if _, err := b.Create(ctx, "k", blob.CreateOptions{}); err == nil {
		t.Fatal("create after cancel succeeded")
	}
}

func finished(t *testing.T, b blob.Bucket) {
	w := create(t, b, "k", blob.CreateOptions{})
	write(t, w, "x")
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if _, err := w.Write([]byte("y")); !errors.Is(err, blob.ErrClosed) {
		t.Fatalf("write after commit: %v", err)
	}
	if err := w.Commit(); !errors.Is(err, blob.ErrClosed) {
		t.Fatalf("second commit: %v", err)
	}
	if got := read(t, b, "k", 0, -1); got != "x" {
		t.Fatalf("read %q", got)
	}
}
