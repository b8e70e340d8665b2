package worker

import (
	"context"
	"errors"
	"time"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// createSnapshot takes a snapshot and makes it available.
func (w *Worker) createSnapshot(ctx context.Context, r *job.Running, t resource.SnapshotTask) error {
	return done(w.takeSnapshot(ctx, r, t.SnapshotID, r.Close))
}

// takeSnapshot captures the cache into the store and then, in one transaction run by finish, makes the snapshot available.
// It is announced only when every part is durable and verified and the manifest is written.
func (w *Worker) takeSnapshot(ctx context.Context, r *job.Running, id string, finish func(context.Context, func(*metastore.Tx) error) error) error {
	s, err := w.snapshotIn(ctx, id, resource.SnapshotCreating)
	if err != nil {
		return err
	}
	m, err := w.written(ctx, s.ID)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		m, err = w.capture(ctx, r, s)
		if is(err, resource.InvalidKey) {
			return job.Cancel(err)
		}
		if err != nil {
			return w.patiently(ctx, r, s, err) // also of a damaged transfer: the engine still has the data, and the next one may be sound
		}
	case err != nil:
		return hopeless(err)
	}
	failpoint.Hit("create-snapshot.manifest")
	return finish(ctx, func(tx *metastore.Tx) error {
		s, err := snapshotIn(tx, id, resource.SnapshotCreating)
		if err != nil {
			return done(err)
		}
		completed(s, m)
		if err := describeMembers(tx, s); err != nil {
			return err
		}
		if err := tx.UpdateSnapshot(s); err != nil {
			return err
		}
		if err := w.freed(tx, s); err != nil {
			return err
		}
		return w.tellTaken(tx, s, m)
	})
}

// turmoil is how long a failover may take before the attempts of a snapshot that it disturbs are counted.
const turmoil = time.Minute

// patiently lets a snapshot wait for a new primary, if there is one to be expected. Otherwise, or when that takes too long, the error counts as an attempt.
func (w *Worker) patiently(ctx context.Context, r *job.Running, s *resource.Snapshot, cause error) error {
	moving := errors.Is(cause, capture.ErrLayout) || errors.Is(cause, errMoved) || capture.Retryable(cause)
	if !moving || ctx.Err() != nil || r.Kind != resource.TaskCreateSnapshot || !replicated(&s.Source) {
		return cause
	}
	var before captured
	if _, err := r.Load(&before); err != nil {
		return err
	}
	if before.Troubled.IsZero() {
		before.Troubled = w.Now()
	}
	if w.Now().Sub(before.Troubled) > turmoil {
		return cause
	}
	// The parts of this run are gone already.
	if err := r.Save(ctx, captured{Troubled: before.Troubled}); err != nil {
		return err
	}
	w.Log.Info("a snapshot waits until its cache has settled", "snapshot", s.Name, "err", cause)
	return job.Snooze(time.Second)
}

// written is the manifest that an earlier run wrote: then only the last transaction is missing. One whose parts are gone is the
// work of a run that had lost its lease while the next one cleared up; it never was a snapshot.
func (w *Worker) written(ctx context.Context, id string) (*snapstore.Manifest, error) {
	m, err := w.Store.ReadManifest(ctx, id)
	if err != nil {
		return nil, err
	}
	if err = w.Store.Confirm(ctx, m); errors.Is(err, snapstore.ErrCorrupt) {
		w.Log.Warn("a manifest without its parts is removed, and the snapshot taken again", "snapshot", id, "err", err)
		if err = w.Store.DeleteManifest(ctx, id); err == nil {
			err = blob.ErrNotFound
		}
	}
	return m, err
}

// createSnapshotFailed ends a snapshot that was given up in failed. It does not count towards the daily quota. Parts that a run
// left are no snapshot's, and the next sweep removes them.
func (w *Worker) createSnapshotFailed(tx *metastore.Tx, _ job.Job, t resource.SnapshotTask, cause error) error {
	s, err := snapshotIn(tx, t.SnapshotID, resource.SnapshotCreating)
	if err != nil {
		return done(err)
	}
	s.Status, s.StatusReason = resource.SnapshotFailed, cause.Error()
	if err := tx.UpdateSnapshot(s); err != nil {
		return err
	}
	if err := tx.ForgetTaken(s.ID); err != nil {
		return err
	}
	if err := w.freed(tx, s); err != nil {
		return err
	}
	return w.tellNotTaken(tx, s, cause)
}
