package worker

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// noManifest is the reason that a snapshot without a manifest shows.
const noManifest = "its manifest is not in the store"

// compare asks the store for the manifest of every snapshot that is called available. A catalogue that came back from an older
// backup lists snapshots that were deleted since: they are shown as failed, and as available again if the manifest comes back,
// as it does when the wrong directory was mounted.
func (w *Worker) compare(ctx context.Context) error {
	var all []*resource.Snapshot
	err := w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		all, err = tx.AllSnapshots()
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range all {
		lost := s.Status == resource.SnapshotFailed && s.StatusReason == noManifest
		if s.Status != resource.SnapshotAvailable && !lost {
			continue
		}
		there, err := w.Store.Exists(ctx, s.ID)
		if err != nil {
			return err
		}
		if there != lost {
			continue
		}
		if err := w.correct(ctx, s.ID, s.Status, there); err != nil {
			return err
		}
	}
	return nil
}

// correct changes a snapshot between available and failed, unless something else has happened to it meanwhile.
func (w *Worker) correct(ctx context.Context, id string, was resource.SnapshotStatus, there bool) error {
	return w.DB.Update(ctx, func(tx *metastore.Tx) error {
		s, err := snapshotIn(tx, id, was)
		if err != nil {
			return done(err)
		}
		message := "Snapshot %s can be restored again: its manifest is back in the store."
		s.Status, s.StatusReason = resource.SnapshotAvailable, ""
		if !there {
			message = "Snapshot %s cannot be restored: " + noManifest + "."
			s.Status, s.StatusReason = resource.SnapshotFailed, noManifest
		}
		if err := tx.UpdateSnapshot(s); err != nil {
			return err
		}
		return w.tell(tx, s, message, s.Name)
	})
}
