package worker

import (
	"context"
	"fmt"

	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// deleteSnapshot drops the manifest, and with it the wrapped data key; the parts follow when no other snapshot is made of them.
func (w *Worker) deleteSnapshot(ctx context.Context, r *job.Running, t resource.SnapshotTask) error {
	s, err := w.snapshotIn(ctx, t.SnapshotID, resource.SnapshotDeleting)
	if err != nil {
		return done(err)
	}
	failpoint.Hit("delete-snapshot.begun")
	if err := w.Store.DeleteManifest(ctx, s.ID); err != nil {
		return err
	}
	failpoint.Hit("delete-snapshot.manifest")
	if s.CaptureID != "" {
		others, err := w.shared(ctx, s)
		if err != nil {
			return err
		}
		if !others {
			if err := w.Store.DeleteCapture(ctx, s.CaptureID); err != nil {
				return err
			}
		}
	}
	failpoint.Hit("delete-snapshot.parts")
	return r.Close(ctx, func(tx *metastore.Tx) error {
		if err := tx.DeleteTags(s.ARN()); err != nil {
			return err
		}
		if err := tx.DeleteSnapshot(s.ID); err != nil {
			return err
		}
		return w.tellSnapshot(tx, s, "Snapshot %s is deleted.", s.Name)
	})
}

// shared tells whether other snapshots are made of a snapshot's parts. A copy in the making is not counted yet, but its source
// is in use until it is, and cannot be deleted. The manifests are asked as well: after the catalogue came back from an older
// backup they know of copies that it has forgotten. While one of them cannot be read the parts are left to the sweep.
func (w *Worker) shared(ctx context.Context, s *resource.Snapshot) (bool, error) {
	n := 0
	err := w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		n, err = tx.CountOthersOfCapture(s.CaptureID, s.ID)
		return err
	})
	if err != nil || n > 0 {
		return n > 0, err
	}
	named, err := w.Store.Named(ctx, s.CaptureID)
	if err != nil && ctx.Err() == nil {
		w.Log.Warn("the parts of a deleted snapshot stay until all manifests can be read", "snapshot", s.Name, "capture", s.CaptureID, "err", err)
		return true, nil
	}
	return named, err
}

// deleteSnapshotFailed keeps a snapshot whose delete was given up in the list as failed, so that it can be deleted again.
func (w *Worker) deleteSnapshotFailed(tx *metastore.Tx, _ job.Job, t resource.SnapshotTask, cause error) error {
	s, err := snapshotIn(tx, t.SnapshotID, resource.SnapshotDeleting)
	if err != nil {
		return done(err)
	}
	s.Status, s.StatusReason = resource.SnapshotFailed, fmt.Sprintf("it could not be deleted: %v", cause)
	if err := tx.UpdateSnapshot(s); err != nil {
		return err
	}
	return w.tellSnapshot(tx, s, "Failed to delete snapshot %s: %v.", s.Name, cause)
}
