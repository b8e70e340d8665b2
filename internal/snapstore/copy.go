package snapstore

import (
	"context"
	"fmt"
	"slices"
)

// Copy makes a new snapshot over the capture of src: no part is read or written, so it takes the same time whatever the size.
// mutate, which may be nil, changes name, scope, tags and the like; shards, capture and format stay. The data key is wrapped
// again under targetKeyARN. Both keys must be usable. Errors: those of Unlock and WriteManifest.
//
// The caller keeps src from being deleted meanwhile.
func (s *Store) Copy(ctx context.Context, src *Manifest, newSnapshotID string, mutate func(*Manifest), targetKeyARN string) (*Manifest, error) {
	key, err := s.Unlock(ctx, src)
	if err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	m := *src
	m.Tags = slices.Clone(src.Tags)
	if mutate != nil {
		mutate(&m)
	}
	m.SnapshotID, m.CopiedFrom = newSnapshotID, src.SnapshotID
	m.CaptureID, m.Shards, m.Report, m.Stream, m.RDBVersion = src.CaptureID, src.Shards, src.Report, src.Stream, src.RDBVersion
	m.Key = WrappedKey{ARN: targetKeyARN, Default: m.Key.Default}
	m.body, m.mac = nil, nil
	if err := s.WriteManifest(ctx, &m, key); err != nil {
		return nil, fmt.Errorf("copy: %w", err)
	}
	return &m, nil
}
