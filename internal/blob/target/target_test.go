package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/resource"
)

const (
	alice = "111111111111"
	bob   = "222222222222"
)

func builtInTarget(t *testing.T) (Target, *buckets.Service) {
	t.Helper()
	s, err := buckets.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateBucket(t.Context(), "exports", alice, "us-east-1"); err != nil {
		t.Fatal(err)
	}
	return BuiltIn(s), s
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(n)})
	r.Read(b)
	return b
}

func write(t testing.TB, to Target, key, token string, data []byte) error {
	t.Helper()
	w, err := to.Create(t.Context(), alice, "exports", key, token)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Commit()
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

func wantRefusal(t testing.TB, err error, text string) {
	t.Helper()
	var r *resource.Error
	if !errors.As(err, &r) || r.Kind != resource.InvalidValue || r.Type != resource.TypeParameter || r.ID != "S3BucketName" || r.Message != text {
		t.Errorf("refusal is %v (%#v)\nwant %s", err, err, text)
	}
}

func TestProbeOfBuiltInBuckets(t *testing.T) {
	t.Parallel()
	to, s := builtInTarget(t)
	ctx := t.Context()
	if err := to.Probe(ctx, "elasticache", alice, "us-east-1", "exports", "k"); err != nil {
		t.Errorf("a fine bucket: %v", err)
	}
	wantRefusal(t, to.Probe(ctx, "elasticache", alice, "us-east-1", "absent", "k"), "The S3 bucket absent does not exist.")
	wantRefusal(t, to.Probe(ctx, "elasticache", alice, "us-east-1", "Not/A/Name", "k"), "The S3 bucket Not/A/Name does not exist.")
	// The region is told before the owner.
	wantRefusal(t, to.Probe(ctx, "elasticache", bob, "eu-west-1", "exports", "k"), "The S3 bucket exports is outside of the region.")
	wantRefusal(t, to.Probe(ctx, "elasticache", bob, "us-east-1", "exports", "k"), "The S3 bucket exports is not owned by the authenticated user.")
	if err := write(t, to, "k", "", []byte("x")); err != nil {
		t.Fatal(err)
	}
	wantRefusal(t, to.Probe(ctx, "elasticache", alice, "us-east-1", "exports", "k"), "The S3 bucket exports already contains an object with key k.")
	if p, err := s.List(ctx, "exports", buckets.ListOptions{Max: 10}); err != nil || len(p.Objects) != 1 {
		t.Errorf("probing left %+v, %v", p.Objects, err)
	}
}

func TestEveryRefusalHasItsText(t *testing.T) {
	t.Parallel()
	for o, text := range map[obstacle]string{
		noRead:    "ElastiCache has not been granted READ permissions b on the S3 Bucket.",
		noWrite:   "ElastiCache has not been granted WRITE permissions b on the S3 Bucket.",
		noReadACP: "ElastiCache has not been granted READ_ACP permissions b on the S3 Bucket.",
	} {
		wantRefusal(t, o.refusal("elasticache", "b", "k"), text)
		wantRefusal(t, o.refusal("memorydb", "b", "k"), strings.Replace(text, "ElastiCache", "MemoryDB", 1))
	}
	wantRefusal(t, NotPermitted(), "The authenticated user does not have sufficient permissions to perform the desired activity.")
	if err := clear.refusal("elasticache", "b", "k"); err != nil {
		t.Error(err)
	}
}

func TestBuiltInBucketsOfOthersAreClosed(t *testing.T) {
	t.Parallel()
	to, _ := builtInTarget(t)
	if err := write(t, to, "k", "", []byte("x")); err != nil {
		t.Fatal(err)
	}
	_, _, err := to.Open(t.Context(), bob, "exports", "k")
	wantErr(t, err, ErrDenied)
	_, err = to.Stat(t.Context(), bob, "exports", "k")
	wantErr(t, err, ErrDenied)
	_, err = to.Create(t.Context(), bob, "exports", "j", "")
	wantErr(t, err, ErrDenied)
}

func TestBuiltIn(t *testing.T) {
	t.Parallel()
	to, _ := builtInTarget(t)
	contract(t, to, []int{0, 1, 3 << 20})
}

// contract is what every target does. Sizes are of objects to write.
func contract(t *testing.T, to Target, sizes []int) {
	ctx := t.Context()
	for i, size := range sizes {
		key := "dir with space/ü/" + string(rune('a'+i))
		data := randomBytes(size)
		w, err := to.Create(ctx, alice, "exports", key, "job-1")
		if err != nil {
			t.Fatal(err)
		}
		for rest := data; len(rest) > 0; {
			n := min(len(rest), 700_001)
			if _, err := w.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		_, err = to.Stat(ctx, alice, "exports", key)
		wantErr(t, err, ErrNoObject)
		if err := w.Commit(); err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		w.Abort()
		r, info, err := to.Open(ctx, alice, "exports", key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, data) || info.Size != int64(size) || info.Token != "job-1" || info.ETag == "" {
			t.Errorf("%d bytes came back of %d: %+v, %v", len(got), size, info, err)
		}
		_, err = to.Create(ctx, alice, "exports", key, "job-1")
		wantErr(t, err, ErrCommitted)
		_, err = to.Create(ctx, alice, "exports", key, "job-2")
		wantErr(t, err, ErrExists)
		_, err = to.Create(ctx, alice, "exports", key, "")
		wantErr(t, err, ErrExists)
	}
	largest := sizes[len(sizes)-1]
	together(t, to, sizes)

	// What was aborted or cancelled is not there.
	w, err := to.Create(ctx, alice, "exports", "aborted", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(randomBytes(largest)); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	inner, cancel := context.WithCancel(ctx)
	w, err = to.Create(inner, alice, "exports", "aborted", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(randomBytes(largest)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if w.Commit() == nil {
		t.Error("a cancelled writer committed")
	}
	w.Abort()
	_, err = to.Stat(ctx, alice, "exports", "aborted")
	wantErr(t, err, ErrNoObject)
	_, _, err = to.Open(ctx, alice, "exports", "aborted")
	wantErr(t, err, ErrNoObject)
	_, _, err = to.Open(ctx, alice, "no-such-bucket", "k")
	wantErr(t, err, ErrNoBucket)
	_, err = to.Create(ctx, alice, "no-such-bucket", "k", "")
	wantErr(t, err, ErrNoBucket)
	if err := to.AbortLeftovers(ctx, alice, "exports", "aborted"); err != nil {
		t.Error(err)
	}

	// Of writers that began before any committed, one wins, small or large.
	for _, size := range []int{5, largest} {
		race(t, to, size)
	}
}

func race(t *testing.T, to Target, size int) {
	key := fmt.Sprint("race/", size)
	var writers []Writer
	for i := range 3 {
		w, err := to.Create(t.Context(), alice, "exports", key, string(rune('a'+i)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte{byte('a' + i)}, size)); err != nil {
			t.Fatal(err)
		}
		writers = append(writers, w)
	}
	var wg sync.WaitGroup
	results := make([]error, len(writers))
	for i, w := range writers {
		wg.Go(func() { results[i] = w.Commit(); w.Abort() })
	}
	wg.Wait()
	winner := byte(0)
	for i, err := range results {
		if err != nil {
			wantErr(t, err, ErrExists)
			continue
		}
		if winner != 0 {
			t.Error("two writers won")
		}
		winner = byte('a' + i)
	}
	r, _, err := to.Open(t.Context(), alice, "exports", key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, bytes.Repeat([]byte{winner}, size)) {
		t.Errorf("%c won, but %d bytes of %.1q are there, %v", winner, len(got), got, err)
	}
}

// together is what becomes of objects that are finished first and committed then, and taken back after all.
func together(t *testing.T, to Target, sizes []int) {
	ctx := t.Context()
	var all []Writer
	key := func(i int) string { return fmt.Sprintf("together-%d", i) }
	for i, size := range sizes {
		w, err := to.Create(ctx, alice, "exports", key(i), "job-3")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		if _, err := w.Write(randomBytes(size)); err != nil {
			t.Fatal(err)
		}
		if err := w.Finish(); err != nil {
			t.Fatalf("finish %d bytes: %v", size, err)
		}
		all = append(all, w)
	}
	for i := range sizes {
		_, err := to.Stat(ctx, alice, "exports", key(i))
		wantErr(t, err, ErrNoObject)
	}
	for i, w := range all {
		if err := w.Commit(); err != nil {
			t.Fatalf("commit %d bytes: %v", sizes[i], err)
		}
		r, info, err := to.Open(ctx, alice, "exports", key(i))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || !bytes.Equal(got, randomBytes(sizes[i])) || info.Token != "job-3" {
			t.Errorf("%d bytes came back of %d: %+v, %v", len(got), sizes[i], info, err)
		}
	}
	for _, token := range []string{"", "job-4", "job-3", "job-3"} {
		if err := to.Remove(ctx, alice, "exports", key(0), token); err != nil {
			t.Fatal(err)
		}
		_, err := to.Stat(ctx, alice, "exports", key(0))
		if gone := errors.Is(err, ErrNoObject); gone != (token == "job-3") {
			t.Errorf("taken back by %q: %v", token, err)
		}
	}
	if err := to.Remove(ctx, alice, "no-such-bucket", "k", "job-3"); err != nil {
		t.Error(err)
	}
	w, err := to.Create(ctx, alice, "exports", key(0), "job-3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = w.Write(randomBytes(sizes[len(sizes)-1])); err == nil {
		err = w.Finish()
	}
	if err != nil {
		t.Fatal(err)
	}
	w.Abort() // of what was finished leaves nothing
	_, err = to.Stat(ctx, alice, "exports", key(0))
	wantErr(t, err, ErrNoObject)
	for i := range sizes {
		if err := to.Remove(ctx, alice, "exports", key(i), "job-3"); err != nil {
			t.Error(err)
		}
	}
}
