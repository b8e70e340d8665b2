package buckets

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/keyframe/keyframe/internal/blob/checksum"
)

const (
	alice = "111111111111"
	bob   = "222222222222"
)

func open(t testing.TB, dir string) *Service {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// withBucket is a service with a bucket "bkt" of alice's.
func withBucket(t testing.TB) (*Service, string) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.CreateBucket(t.Context(), "bkt", alice, "us-east-1"); err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func put(t testing.TB, s *Service, key, data string) Object {
	t.Helper()
	o, err := s.Put(t.Context(), "bkt", key, strings.NewReader(data), PutOptions{})
	if err != nil {
		t.Fatalf("put %q: %v", key, err)
	}
	return o
}

func read(t testing.TB, s *Service, key string) string {
	t.Helper()
	r, err := s.Get(t.Context(), "bkt", key)
	if err != nil {
		t.Fatalf("get %q: %v", key, err)
	}
	defer r.Close()
	stream, err := r.Range(0, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error is %v, want %v", err, want)
	}
}

func TestBuckets(t *testing.T) {
	t.Parallel()
	s, dir := withBucket(t)
	ctx := t.Context()
	_, err := s.CreateBucket(ctx, "bkt", alice, "us-east-1")
	wantErr(t, err, ErrBucketOwnedByYou)
	_, err = s.CreateBucket(ctx, "bkt", bob, "us-east-1")
	wantErr(t, err, ErrBucketExists)
	_, err = s.CreateBucket(ctx, "../x", bob, "us-east-1")
	wantErr(t, err, ErrInvalidBucketName)
	if _, err := s.CreateBucket(ctx, "bobs", bob, "eu-west-1"); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir) // everything must be on disk
	b, err := s.HeadBucket(ctx, "bobs")
	if err != nil || b.Owner != bob || b.Region != "eu-west-1" || b.CreatedAt.IsZero() {
		t.Errorf("bobs is %+v, %v", b, err)
	}
	if l := s.Buckets(ctx, alice); len(l) != 1 || l[0].Name != "bkt" {
		t.Errorf("alice has %+v", l)
	}
	put(t, s, "deep/down/key", "x")
	wantErr(t, s.DeleteBucket(ctx, "bkt"), ErrBucketNotEmpty)
	if err := s.Delete(ctx, "bkt", "deep/down/key"); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteBucket(ctx, "bkt"); err != nil {
		t.Fatal(err)
	}
	_, err = s.HeadBucket(ctx, "bkt")
	wantErr(t, err, ErrNoSuchBucket)
	wantErr(t, s.DeleteBucket(ctx, "bkt"), ErrNoSuchBucket)
	if s = open(t, dir); len(s.Buckets(ctx, alice)) != 0 {
		t.Error("the bucket came back")
	}
}

func TestPutAndGet(t *testing.T) {
	t.Parallel()
	s, dir := withBucket(t)
	ctx := t.Context()
	attr := Attributes{ContentType: "text/plain", CacheControl: "no-store", Meta: map[string]string{"who": "me"}}
	sum := md5.Sum([]byte("hello"))
	o, err := s.Put(ctx, "bkt", "a", strings.NewReader("hello"), PutOptions{CreateOptions: CreateOptions{Attributes: attr}, Algorithm: checksum.CRC32C})
	if err != nil {
		t.Fatal(err)
	}
	put(t, s, "a/b", "below")
	s = open(t, dir)
	got, err := s.Head(ctx, "bkt", "a")
	if err != nil || got.ETag != hex.EncodeToString(sum[:]) || got.Size != 5 || got.ContentType != "text/plain" || got.Meta["who"] != "me" {
		t.Errorf("head: %+v, %v", got, err)
	}
	if !got.ModifiedAt.Equal(o.ModifiedAt) || got.Checksum.Value != "mnG7TA==" {
		t.Errorf("put said %+v, head says %+v", o, got)
	}
	if read(t, s, "a") != "hello" || read(t, s, "a/b") != "below" {
		t.Error("the bytes are others")
	}
	r, err := s.Get(ctx, "bkt", "a")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	put(t, s, "a", "overwritten")
	stream, _ := r.Range(1, 3)
	if b, _ := io.ReadAll(stream); string(b) != "ell" {
		t.Errorf("an open reader now reads %q", b)
	}
	if read(t, s, "a") != "overwritten" {
		t.Error("the object was not overwritten")
	}
	_, err = s.Head(ctx, "bkt", "a/")
	wantErr(t, err, ErrNoSuchKey)
	_, err = s.Head(ctx, "bkt", strings.Repeat("a", 1025))
	wantErr(t, err, ErrKeyLength)
	_, err = s.Head(ctx, "bkt", "\xff")
	wantErr(t, err, ErrInvalidKey)
	_, err = s.Get(ctx, "nope", "a")
	wantErr(t, err, ErrNoSuchBucket)
}

func TestRefusedBytesLeaveNothing(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	refused := errors.New("refused")
	_, err := s.Put(t.Context(), "bkt", "k", strings.NewReader("x"), PutOptions{Accept: func(d Digest) error {
		if d.Size != 1 || len(d.MD5) != 16 {
			t.Errorf("digest %+v", d)
		}
		return refused
	}})
	wantErr(t, err, refused)
	broken := errors.New("broken")
	_, err = s.Put(t.Context(), "bkt", "k", io.MultiReader(strings.NewReader("x"), errReader{broken}), PutOptions{})
	wantErr(t, err, broken)
	_, err = s.Head(t.Context(), "bkt", "k")
	wantErr(t, err, ErrNoSuchKey)
	noLeftovers(t, s)
}

type errReader struct{ error }

func (e errReader) Read([]byte) (int, error) { return 0, e.error }

func noLeftovers(t testing.TB, s *Service) {
	t.Helper()
	if l, err := os.ReadDir(s.tmp()); err != nil || len(l) != 0 {
		t.Errorf("left behind: %v, %v", l, err)
	}
}

func TestExportWriter(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	ctx := t.Context()
	opts := CreateOptions{Condition: Condition{IfAbsent: true}}
	w, err := s.Create(ctx, "bkt", "x.rdb", opts)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := w.Write([]byte("abc")); err != nil {
			t.Fatal(err)
		}
	}
	_, err = s.Head(ctx, "bkt", "x.rdb")
	wantErr(t, err, ErrNoSuchKey)
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if w.Commit() == nil {
		t.Error("a second commit succeeded")
	}
	o, err := s.Head(ctx, "bkt", "x.rdb")
	if err != nil || !strings.HasSuffix(o.ETag, "-1") || o.Size != 9 || o.Checksum.Algorithm != checksum.CRC32 || read(t, s, "x.rdb") != "abcabcabc" {
		t.Errorf("%+v, %v", o, err)
	}
	_, err = s.Create(ctx, "bkt", "x.rdb", opts)
	wantErr(t, err, ErrExists)
	w, err = s.Create(ctx, "bkt", "y.rdb", opts)
	if err != nil {
		t.Fatal(err)
	}
	w.Abort()
	_, err = s.Head(ctx, "bkt", "y.rdb")
	wantErr(t, err, ErrNoSuchKey)
	noLeftovers(t, s)
}

func TestCommitIntoADeletedBucketFails(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	w, err := s.Create(t.Context(), "bkt", "k", CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteBucket(t.Context(), "bkt"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateBucket(t.Context(), "bkt", bob, "us-east-1"); err != nil {
		t.Fatal(err)
	}
	wantErr(t, w.Commit(), ErrNoSuchBucket)
	_, err = s.Head(t.Context(), "bkt", "k")
	wantErr(t, err, ErrNoSuchKey)
}

func TestOfManyWritersOneWins(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	for round := range 20 {
		key := fmt.Sprintf("d/%d/k", round)
		var won sync.Map
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range 8 {
			wg.Go(func() {
				<-start
				data := fmt.Sprint(i)
				_, err := s.Put(context.Background(), "bkt", key, strings.NewReader(data), PutOptions{CreateOptions: CreateOptions{Condition: Condition{IfAbsent: true}}})
				if err == nil {
					won.Store(data, true)
				} else if !errors.Is(err, ErrExists) {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		n := 0
		won.Range(func(k, _ any) bool {
			n++
			if got := read(t, s, key); got != k {
				t.Errorf("%s won, but %s is there", k, got)
			}
			return true
		})
		if n != 1 {
			t.Fatalf("%d writers won", n)
		}
	}
}

func TestIfMatch(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	try := func(etag string) error {
		_, err := s.Put(t.Context(), "bkt", "k", strings.NewReader("new"), PutOptions{CreateOptions: CreateOptions{Condition: Condition{IfMatch: etag}}})
		return err
	}
	wantErr(t, try("*"), ErrNoSuchKey)
	o := put(t, s, "k", "old")
	wantErr(t, try("other"), ErrChanged)
	if err := try(o.ETag); err != nil {
		t.Error(err)
	}
	wantErr(t, try(o.ETag), ErrChanged)
}

// Deleting prunes directories that a writer may be about to use.
func TestWritersAndDeletersShareDirectories(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			key := fmt.Sprintf("a/b/%d", i)
			for range 50 {
				if _, err := s.Put(context.Background(), "bkt", key, strings.NewReader("x"), PutOptions{}); err != nil {
					t.Error(err)
				}
				if err := s.Delete(context.Background(), "bkt", key); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if l, err := os.ReadDir(s.buckets["bkt"].objects()); err != nil || len(l) != 0 {
		t.Errorf("left behind: %v, %v", l, err)
	}
}

func TestOpenRefusesWhatItDidNotWrite(t *testing.T) {
	t.Parallel()
	s, dir := withBucket(t)
	if err := os.WriteFile(s.buckets["bkt"].dir+"/bucket.json", []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a bucket without a description was opened")
	}
}

func TestDamageIsAnError(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	put(t, s, "k", "data")
	path := s.buckets["bkt"].objects() + "/" + keyPath("k")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(`"etag"`), []byte(`"EtAg"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Head(t.Context(), "bkt", "k"); err == nil || errors.Is(err, ErrNoSuchKey) {
		t.Errorf("a damaged object: %v", err)
	}
}

func BenchmarkExportWriter(b *testing.B) {
	s, _ := withBucket(b)
	chunk := make([]byte, 1<<20)
	b.SetBytes(64 << 20)
	for b.Loop() {
		w, err := s.Create(b.Context(), "bkt", "k", CreateOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for range 64 {
			if _, err := w.Write(chunk); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}
