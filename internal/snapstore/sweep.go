package snapstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/blob"
)

// DeleteManifest ends a snapshot, durably, and with it the only copy of its wrapped key. Its parts stay until they are swept.
// An absent manifest is fine.
func (s *Store) DeleteManifest(ctx context.Context, snapshot string) error {
	if err := checkID("snapshot", snapshot); err != nil {
		return err
	}
	return s.bucket.Delete(ctx, ManifestKey(snapshot))
}

// DeleteCapture removes all parts of a capture, and its report. The caller knows that no manifest names it and no job writes it.
func (s *Store) DeleteCapture(ctx context.Context, capture string) error {
	if err := checkID("capture", capture); err != nil {
		return err
	}
	return s.bucket.List(ctx, captures+capture+"/", func(i blob.Info) error { return s.bucket.Delete(ctx, i.Key) })
}

// CaptureInfo is what lies in the store for one capture.
type CaptureInfo struct {
	ID       string
	Objects  int
	Bytes    int64
	Modified time.Time // of the newest object
}

// Captures calls fn for every capture that has parts, by id.
func (s *Store) Captures(ctx context.Context, fn func(CaptureInfo) error) error {
	var cur CaptureInfo
	flush := func() error {
		if cur.ID == "" {
			return nil
		}
		return fn(cur)
	}
	err := s.bucket.List(ctx, captures, func(i blob.Info) error {
		id, _, ok := strings.Cut(strings.TrimPrefix(i.Key, captures), "/")
		if !ok || checkID("capture", id) != nil {
			return nil // not ours
		}
		if id != cur.ID {
			if err := flush(); err != nil {
				return err
			}
			cur = CaptureInfo{ID: id}
		}
		cur.Objects++
		cur.Bytes += i.Size
		if i.Modified.After(cur.Modified) {
			cur.Modified = i.Modified
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// Manifests calls fn for every snapshot by id, with its manifest or the error of reading it. A manifest that is deleted
// meanwhile is left out.
func (s *Store) Manifests(ctx context.Context, fn func(snapshot string, m *Manifest, err error) error) error {
	return s.bucket.List(ctx, snapshots, func(i blob.Info) error {
		id, file, _ := strings.Cut(strings.TrimPrefix(i.Key, snapshots), "/")
		if file != "manifest.json" || checkID("snapshot", id) != nil {
			return nil // not ours
		}
		m, err := s.ReadManifest(ctx, id)
		if errors.Is(err, blob.ErrNotFound) {
			return nil
		}
		return fn(id, m, err)
	})
}

// Named tells whether any manifest names a capture. One that cannot be read is an error, since its capture is not known.
func (s *Store) Named(ctx context.Context, capture string) (named bool, err error) {
	err = s.Manifests(ctx, func(_ string, m *Manifest, err error) error {
		if err == nil && m.CaptureID == capture {
			named = true
		}
		return err
	})
	return named, err
}

// Swept is what Sweep removed.
type Swept struct {
	Captures int
	Objects  int
	Bytes    int64
}

// Sweep removes the parts of captures that no manifest names and of which keep says that nobody needs them. keep is asked
// before the manifests are read: a job that ends in between has written its manifest by then. It is asked again before
// anything is removed: while the manifests were listed, a copy may have been made and its source deleted, and the list shows
// neither. A manifest that cannot be read stops the sweep, since its capture is not known.
func (s *Store) Sweep(ctx context.Context, keep func(captureID string) bool) (Swept, error) {
	var swept Swept
	orphans := map[string]CaptureInfo{}
	err := s.Captures(ctx, func(c CaptureInfo) error {
		if !keep(c.ID) {
			orphans[c.ID] = c
		}
		return nil
	})
	if err != nil || len(orphans) == 0 {
		return swept, err
	}
	err = s.Manifests(ctx, func(id string, m *Manifest, err error) error {
		if err != nil {
			return fmt.Errorf("nothing was swept: %w", err)
		}
		delete(orphans, m.CaptureID)
		return nil
	})
	if err != nil {
		return swept, err
	}
	for id, c := range orphans {
		if keep(id) {
			continue
		}
		if err := s.DeleteCapture(ctx, id); err != nil {
			return swept, err
		}
		swept.Captures++
		swept.Objects += c.Objects
		swept.Bytes += c.Bytes
	}
	return swept, nil
}
