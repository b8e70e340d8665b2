package snapstore

import (
	"context"
	"errors"

	"github.com/keyframe/keyframe/internal/blob"
)

// Present looks for every part that a manifest names, and for the report, without reading any. One that is missing, or not as long as it was,
// is ErrCorrupt.
func (s *Store) Present(ctx context.Context, m *Manifest) error {
	for i := range m.Shards {
		sh := &m.Shards[i]
		for _, p := range sh.Parts {
			bad := &CorruptError{Snapshot: m.SnapshotID, Capture: m.CaptureID, Shard: sh.Name, Part: p.Number}
			info, err := s.bucket.Stat(ctx, PartKey(m.CaptureID, sh.Name, p.Number))
			switch {
			case errors.Is(err, blob.ErrNotFound):
				bad.Reason, bad.Cause = "missing", err
				return bad
			case err != nil:
				return err
			case info.Size != p.StoredBytes:
				bad.Reason = "its length is not what was stored"
				return bad
			}
		}
	}
	if m.Report == nil {
		return nil
	}
	bad := &CorruptError{Snapshot: m.SnapshotID, Capture: m.CaptureID}
	info, err := s.bucket.Stat(ctx, ReportKey(m.CaptureID))
	switch {
	case errors.Is(err, blob.ErrNotFound):
		bad.Reason, bad.Cause = "report: missing", err
		return bad
	case err != nil:
		return err
	case info.Size != m.Report.StoredBytes:
		bad.Reason = "report: its length is not what was stored"
		return bad
	}
	return nil
}

// Exists tells whether a snapshot has a manifest, be it readable or not.
func (s *Store) Exists(ctx context.Context, snapshot string) (bool, error) {
	_, err := s.bucket.Stat(ctx, ManifestKey(snapshot))
	if errors.Is(err, blob.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Confirm makes sure of a manifest that was found where an earlier run was to write it. Its parts must be there (ErrCorrupt),
// and it is written once more: a process that ended between showing the file and syncing its directory has left one that a
// power cut may take away.
func (s *Store) Confirm(ctx context.Context, m *Manifest) error {
	if err := s.Present(ctx, m); err != nil {
		return err
	}
	return blob.Put(ctx, s.bucket, ManifestKey(m.SnapshotID), m.file(), blob.CreateOptions{})
}
