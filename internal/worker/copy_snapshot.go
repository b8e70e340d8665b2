package worker

import (
	"context"
	"errors"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// copySnapshot writes a second manifest over the same parts, with the data key wrapped under the copy's own key. No part is
// read or written: the time does not depend on the size.
func (w *Worker) copySnapshot(ctx context.Context, r *job.Running, t resource.CopySnapshotTask) error {
	target, err := w.snapshotIn(ctx, t.TargetID, resource.SnapshotCreating)
	if err != nil {
		return done(err)
	}
	failpoint.Hit("copy-snapshot.begun")
	m, err := w.Store.ReadManifest(ctx, target.ID)
	if err == nil {
		err = w.Store.Confirm(ctx, m) // an earlier run wrote it
	} else if errors.Is(err, blob.ErrNotFound) {
		m, err = w.copyManifest(ctx, t.SourceID, target)
	}
	if err != nil {
		return hopeless(err)
	}
	failpoint.Hit("copy-snapshot.manifest")
	return r.Close(ctx, func(tx *metastore.Tx) error {
		if err := tx.RemoveUse(r.ID); err != nil {
			return err
		}
		s, err := snapshotIn(tx, t.TargetID, resource.SnapshotCreating)
		if err != nil {
			return done(err)
		}
		completed(s, m)
		if err := tx.UpdateSnapshot(s); err != nil {
			return err
		}
		return w.tellTaken(tx, s, m)
	})
}

func (w *Worker) copyManifest(ctx context.Context, sourceID string, target *resource.Snapshot) (*snapstore.Manifest, error) {
	source, err := w.Store.ReadManifest(ctx, sourceID)
	if err != nil {
		return nil, err
	}
	if err := w.Store.Present(ctx, source); err != nil {
		return nil, err // a copy would only look like one
	}
	var tags []resource.Tag
	err = w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		tags, err = tx.Tags(target.ARN())
		return err
	})
	if err != nil {
		return nil, err
	}
	return w.Store.Copy(ctx, source, target.ID, func(m *snapstore.Manifest) {
		m.Name, m.Type, m.RequestedAt, m.ExpiresAt, m.Tags = target.Name, target.Type, target.RequestedAt, target.ExpiresAt, tags
		m.Key.Default = target.KMSDefault
	}, target.KMSKeyID)
}

// copySnapshotFailed ends a copy that was given up in failed, and frees its source.
func (w *Worker) copySnapshotFailed(tx *metastore.Tx, j job.Job, t resource.CopySnapshotTask, cause error) error {
	if err := tx.RemoveUse(j.ID); err != nil {
		return err
	}
	s, err := snapshotIn(tx, t.TargetID, resource.SnapshotCreating)
	if err != nil {
		return done(err)
	}
	s.Status, s.StatusReason = resource.SnapshotFailed, cause.Error()
	if err := tx.UpdateSnapshot(s); err != nil {
		return err
	}
	name := "of which nothing is known"
	if source, err := tx.SnapshotByID(t.SourceID); err == nil {
		name = source.Name
	}
	return w.tellSnapshot(tx, s, "Failed to copy snapshot %s. Could not copy snapshot '%s' to snapshot '%s' because %v.", name, name, s.Name, cause)
}
