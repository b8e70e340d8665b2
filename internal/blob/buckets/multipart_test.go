package buckets

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/keyframe/keyframe/internal/blob/checksum"
)

// randomBytes are the same for the same seed.
func randomBytes(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	r.Read(b)
	return b
}

func begin(t testing.TB, s *Service, key string, a checksum.Algorithm, typ checksum.Type) Upload {
	t.Helper()
	u, err := s.CreateUpload(t.Context(), "bkt", key, a, typ, Attributes{Meta: map[string]string{"m": "v"}})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func putPart(t testing.TB, s *Service, u Upload, number int, data []byte) CompletePart {
	t.Helper()
	p, err := s.PutPart(t.Context(), "bkt", u.Key, u.ID, number, bytes.NewReader(data), PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return CompletePart{Number: number, ETag: p.ETag, Checksum: p.Checksum.Value}
}

var anySize = CompleteOptions{Size: -1}

func TestMultipart(t *testing.T) {
	t.Parallel()
	s, dir := withBucket(t)
	ctx := t.Context()
	u := begin(t, s, "big/key", checksum.CRC64NVME, "")
	first, last := randomBytes(1, MinPart+17), randomBytes(2, 100)
	putPart(t, s, u, 1, []byte("replaced"))
	p3 := putPart(t, s, u, 3, last)
	p1 := putPart(t, s, u, 1, first)
	s = open(t, dir)
	list, err := s.Uploads(ctx, "bkt", "big/")
	if err != nil || len(list) != 1 || list[0].ID != u.ID || list[0].Type != checksum.FullObject {
		t.Fatalf("uploads: %+v, %v", list, err)
	}
	parts, more, err := s.Parts(ctx, "bkt", u.Key, u.ID, 0, 1)
	if err != nil || !more || len(parts) != 1 || parts[0].ETag != p1.ETag {
		t.Fatalf("parts: %+v, %v, %v", parts, more, err)
	}
	if parts, more, err = s.Parts(ctx, "bkt", u.Key, u.ID, 1, 9); err != nil || more || len(parts) != 1 || parts[0].Number != 3 {
		t.Fatalf("parts: %+v, %v, %v", parts, more, err)
	}

	complete := func(o CompleteOptions, parts ...CompletePart) error {
		_, err := s.CompleteUpload(ctx, "bkt", u.Key, u.ID, parts, o)
		return err
	}
	wantErr(t, complete(anySize), ErrInvalidPart)
	wantErr(t, complete(anySize, p3, p1), ErrPartOrder)
	wantErr(t, complete(anySize, p1, p1), ErrPartOrder)
	wantErr(t, complete(anySize, p1, CompletePart{Number: 2, ETag: p1.ETag}), ErrInvalidPart)
	wantErr(t, complete(anySize, CompletePart{Number: 1, ETag: p3.ETag}), ErrInvalidPart)
	wantErr(t, complete(CompleteOptions{Size: 3}, p1, p3), ErrChecksumKind)
	put(t, s, "big/key", "in the way")
	wantErr(t, complete(CompleteOptions{Size: -1, Condition: Condition{IfAbsent: true}}, p1, p3), ErrExists)
	if err := s.Delete(ctx, "bkt", "big/key"); err != nil {
		t.Fatal(err)
	}

	whole := append(append([]byte(nil), first...), last...)
	o, err := s.CompleteUpload(ctx, "bkt", u.Key, u.ID, []CompletePart{p1, p3}, CompleteOptions{Size: int64(len(whole))})
	if err != nil {
		t.Fatal(err)
	}
	a, b := md5.Sum(first), md5.Sum(last)
	both := md5.Sum(append(a[:], b[:]...))
	h := checksum.CRC64NVME.New()
	h.Write(whole)
	if o.ETag != hex.EncodeToString(both[:])+"-2" || o.Checksum.Value != checksum.Encode(h.Sum(nil)) || o.Meta["m"] != "v" || o.Parts.Count() != 2 {
		t.Errorf("completed: %+v", o)
	}
	if read(t, s, "big/key") != string(whole) {
		t.Error("the bytes are others")
	}
	if again, err := s.CompleteUpload(ctx, "bkt", u.Key, u.ID, []CompletePart{p1, p3}, anySize); err != nil || again.ETag != o.ETag {
		t.Errorf("again: %+v, %v", again, err)
	}
	wantErr(t, s.AbortUpload(ctx, "bkt", u.Key, u.ID), ErrNoSuchUpload)
	noLeftovers(t, s)
}

func TestSmallPartsAreRefused(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	u := begin(t, s, "k", "", "")
	parts := []CompletePart{putPart(t, s, u, 1, []byte("small")), putPart(t, s, u, 2, []byte("last"))}
	_, err := s.CompleteUpload(t.Context(), "bkt", "k", u.ID, parts, anySize)
	wantErr(t, err, ErrPartTooSmall)
}

func TestUploadsThatAreNot(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	ctx := t.Context()
	u := begin(t, s, "k", checksum.SHA256, "")
	for _, id := range []string{"", "..", "../../objects", strings.Repeat("a", 32), u.ID + "/"} {
		_, err := s.PutPart(ctx, "bkt", "k", id, 1, strings.NewReader("x"), PutOptions{})
		wantErr(t, err, ErrNoSuchUpload)
		wantErr(t, s.AbortUpload(ctx, "bkt", "k", id), ErrNoSuchUpload)
	}
	_, err := s.PutPart(ctx, "bkt", "other", u.ID, 1, strings.NewReader("x"), PutOptions{})
	wantErr(t, err, ErrNoSuchUpload)
	for _, n := range []int{0, -1, MaxParts + 1} {
		_, err = s.PutPart(ctx, "bkt", "k", u.ID, n, strings.NewReader("x"), PutOptions{})
		wantErr(t, err, ErrPartNumber)
	}
	_, err = s.PutPart(ctx, "bkt", "k", u.ID, 1, strings.NewReader("x"), PutOptions{Algorithm: checksum.CRC32})
	wantErr(t, err, ErrChecksumKind)
	_, err = s.CreateUpload(ctx, "bkt", "k", checksum.SHA1, checksum.FullObject, Attributes{})
	wantErr(t, err, ErrChecksumKind)
	if err := s.AbortUpload(ctx, "bkt", "k", u.ID); err != nil {
		t.Fatal(err)
	}
	if l, err := s.Uploads(ctx, "bkt", ""); err != nil || len(l) != 0 {
		t.Errorf("uploads: %+v, %v", l, err)
	}
	_, err = s.PutPart(ctx, "bkt", "k", u.ID, 1, strings.NewReader("x"), PutOptions{})
	wantErr(t, err, ErrNoSuchUpload)
	noLeftovers(t, s)
}

func TestCompletingTwiceAtOnce(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	u := begin(t, s, "k", checksum.CRC32, checksum.Composite)
	parts := []CompletePart{putPart(t, s, u, 1, randomBytes(1, MinPart)), putPart(t, s, u, 2, []byte("end"))}
	var wg sync.WaitGroup
	var mu sync.Mutex
	etags := map[string]int{}
	for range 4 {
		wg.Go(func() {
			o, err := s.CompleteUpload(context.Background(), "bkt", "k", u.ID, parts, anySize)
			if err != nil && err != ErrInvalidPart && err != ErrNoSuchUpload { // the parts went while it looked
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				etags[o.ETag]++
			}
		})
	}
	wg.Wait()
	if len(etags) != 1 {
		t.Errorf("completed as %v", etags)
	}
	if o, err := s.Head(t.Context(), "bkt", "k"); err != nil || o.Size != MinPart+3 || !strings.HasSuffix(o.Checksum.Value, "-2") {
		t.Errorf("%+v, %v", o, err)
	}
}
