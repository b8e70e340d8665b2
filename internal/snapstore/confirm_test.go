package snapstore

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/keyframe/keyframe/internal/blob"
)

func TestConfirm(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	put(t, s, "s", map[string][]byte{"0001": stream(3, 2*smallPart), "0002": stream(4, 10)})
	m, err := s.ReadManifest(t.Context(), "s")
	if err != nil {
		t.Fatal(err)
	}
	before := object(t, b, ManifestKey("s"))
	if err := s.Confirm(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, object(t, b, ManifestKey("s"))) {
		t.Error("the manifest has changed")
	}
	key := PartKey("cap-s", "0001", 2)
	part := object(t, b, key)
	replaceObject(t, b, key, part[:len(part)-1])
	if err := s.Confirm(t.Context(), m); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a part was cut: %v", err)
	}
	if err := b.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := s.Confirm(t.Context(), m); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a part is gone: %v", err)
	}
}

func TestNamed(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	put(t, s, "s", map[string][]byte{"0001": stream(3, 10)})
	for capture, want := range map[string]bool{"cap-s": true, "cap-t": false} {
		if named, err := s.Named(t.Context(), capture); err != nil || named != want {
			t.Errorf("%s: %v, %v", capture, named, err)
		}
	}
	replaceObject(t, b, ManifestKey("s"), []byte("{"))
	if _, err := s.Named(t.Context(), "cap-t"); !errors.Is(err, ErrCorrupt) {
		t.Errorf("with a manifest that cannot be read: %v", err)
	}
}

// hidden shows manifests late: as a listing does that began before they were written.
type hidden struct {
	blob.Bucket
	during func()
}

func (h hidden) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	if prefix != snapshots {
		return h.Bucket.List(ctx, prefix, fn)
	}
	var before []blob.Info
	if err := h.Bucket.List(ctx, prefix, func(i blob.Info) error { before = append(before, i); return nil }); err != nil {
		return err
	}
	h.during()
	for _, i := range before {
		if err := fn(i); err != nil {
			return err
		}
	}
	return nil
}

// A copy is made and its source deleted while a sweep lists the manifests: it meets neither of them, and the parts stay.
func TestSweepBetweenCopyAndDelete(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	s := newStore(t, b, Options{})
	src, _ := put(t, s, "src", map[string][]byte{"0001": stream(3, 10)})
	copied := false
	sweeping := newStore(t, hidden{b, func() {
		if _, err := s.Copy(t.Context(), src, "copy", nil, "arn:key/two"); err != nil {
			t.Error(err)
		}
		if err := s.DeleteManifest(t.Context(), "src"); err != nil {
			t.Error(err)
		}
		copied = true
	}}, Options{})
	// What the catalogue says: no job writes the capture, and since the copy is done a snapshot is made of it.
	if swept, err := sweeping.Sweep(t.Context(), func(string) bool { return copied }); err != nil || swept.Captures != 0 {
		t.Errorf("%+v, %v", swept, err)
	}
	if _, err := s.Verify(t.Context(), "copy", nil); err != nil {
		t.Error(err)
	}
}
