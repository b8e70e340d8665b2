package retry_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/blob/blobtest"
	"github.com/keyframe/keyframe/internal/blob/disk"
	"github.com/keyframe/keyframe/internal/blob/fault"
	"github.com/keyframe/keyframe/internal/blob/retry"
)

func noSleep(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func base(t *testing.T) blob.Bucket {
	t.Helper()
	b, err := disk.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func TestSuite(t *testing.T) {
	t.Parallel()
	blobtest.Run(t, func(t *testing.T) blob.Bucket { return retry.New(base(t), retry.Options{}) })
}

// TestEverySingleFault fails each call of a session once; nobody may notice.
func TestEverySingleFault(t *testing.T) {
	t.Parallel()
	payload := bytes.Repeat([]byte("0123456789abcdef"), 4000)
	session := func(t *testing.T, b blob.Bucket) {
		if err := blob.Put(t.Context(), b, "a/k", payload, blob.CreateOptions{IfAbsent: true}); err != nil {
			t.Fatal(err)
		}
		r, err := b.Open(t.Context(), "a/k", 3, int64(len(payload)-5))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, payload[3:len(payload)-2]) {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
		r.Close()
		if i, err := b.Stat(t.Context(), "a/k"); err != nil || i.Size != int64(len(payload)) {
			t.Fatal(i, err)
		}
		n := 0
		if err := b.List(t.Context(), "", func(blob.Info) error { n++; return nil }); err != nil || n != 1 {
			t.Fatal(n, err)
		}
		if err := b.Delete(t.Context(), "a/k"); err != nil {
			t.Fatal(err)
		}
	}
	for _, lose := range []bool{false, true} {
		for n := 1; ; n++ {
			f := fault.New(base(t), fault.Nth(n))
			if lose {
				f.LoseAnswers()
			}
			session(t, retry.New(f, retry.Options{Sleep: noSleep}))
			if f.Calls() < n {
				break
			}
		}
	}
}

func TestGivesUp(t *testing.T) {
	t.Parallel()
	f := fault.New(base(t), fault.From(1))
	b := retry.New(f, retry.Options{Tries: 3, Sleep: noSleep})
	if _, err := b.Stat(t.Context(), "k"); !errors.Is(err, fault.ErrInjected) || f.Calls() != 3 {
		t.Fatalf("%v after %d calls", err, f.Calls())
	}
}

func TestPermanentIsNotRepeated(t *testing.T) {
	t.Parallel()
	f := fault.New(base(t), nil)
	b := retry.New(f, retry.Options{Sleep: noSleep})
	if _, err := b.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) || f.Calls() != 1 {
		t.Fatalf("%v after %d calls", err, f.Calls())
	}
}

func TestForeignObjectStillExists(t *testing.T) {
	t.Parallel()
	under := base(t)
	if err := blob.Put(t.Context(), under, "k", []byte("theirs"), blob.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	b := retry.New(under, retry.Options{Sleep: noSleep})
	if err := blob.Put(t.Context(), b, "k", []byte("ours"), blob.CreateOptions{IfAbsent: true}); !errors.Is(err, blob.ErrExists) {
		t.Fatal(err)
	}
}

func TestLargeObjectsFailCleanly(t *testing.T) {
	t.Parallel()
	under := base(t)
	f := fault.New(under, func(_ int, op fault.Op, _ string) bool { return op == fault.Commit })
	b := retry.New(f, retry.Options{Sleep: noSleep})
	if err := blob.Put(t.Context(), b, "k", []byte(strings.Repeat("x", 2<<20)), blob.CreateOptions{}); !errors.Is(err, fault.ErrInjected) {
		t.Fatal(err)
	}
	if _, err := under.Stat(t.Context(), "k"); !errors.Is(err, blob.ErrNotFound) {
		t.Fatal(err)
	}
}
