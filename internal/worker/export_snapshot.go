package worker

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// exportSnapshot writes one plain RDB file per shard into a bucket. An object appears whole or not at all, and nothing that
// is there is overwritten; files of an export that fails are not left behind by a crash, because each carries the job's mark.
func (w *Worker) exportSnapshot(ctx context.Context, r *job.Running, t resource.ExportSnapshotTask) error {
	s, err := w.snapshotIn(ctx, t.SnapshotID, resource.SnapshotCopying, resource.SnapshotRestoring, resource.SnapshotAvailable)
	if err != nil {
		return done(err)
	}
	m, key, err := w.unlock(ctx, s.ID)
	if err != nil {
		return err
	}
	for i := range m.Shards {
		shard := &m.Shards[i]
		objectKey := resource.ExportKey(s.Name, i+1)
		if err := w.Targets.AbortLeftovers(ctx, s.Account, t.Bucket, objectKey); err != nil {
			return refused(err)
		}
		out, err := w.Targets.Create(ctx, s.Account, t.Bucket, objectKey, r.ID+"/"+shard.Name)
		if errors.Is(err, target.ErrCommitted) {
			continue
		}
		if err != nil {
			return refused(err)
		}
		failpoint.Hit("export-snapshot.begun")
		err = func() error {
			defer out.Abort()
			in, err := w.Store.Open(ctx, m, key, shard.Name)
			if err != nil {
				return err
			}
			defer in.Close()
			n, err := io.Copy(out, &progressReader{ctx: ctx, r: in, size: m.Bytes(), run: r})
			if err != nil {
				return err
			}
			if n != shard.Bytes {
				return fmt.Errorf("shard %s: %d bytes came out of the store, want %d", shard.Name, n, shard.Bytes)
			}
			failpoint.Hit("export-snapshot.written")
			return out.Commit()
		}()
		if err != nil {
			return hopeless(refused(err))
		}
		failpoint.Hit("export-snapshot.committed")
	}
	return r.Close(ctx, func(tx *metastore.Tx) error { return tx.RemoveUse(r.ID) })
}

// refused gives the reasons of a bucket the words of AWS's events, and ends the job: they do not pass by themselves.
func refused(err error) error {
	for what, text := range map[error]string{
		target.ErrExists:   "there is already an object with the same name in the bucket",
		target.ErrNoBucket: "the bucket does not exist",
		target.ErrDenied:   "the service has no permissions on the bucket",
	} {
		if errors.Is(err, what) {
			return job.Cancel(fmt.Errorf("%s: %w", text, err))
		}
	}
	return err
}

// exportSnapshotFailed frees the snapshot of an export that was given up and says why.
func (w *Worker) exportSnapshotFailed(tx *metastore.Tx, j job.Job, t resource.ExportSnapshotTask, cause error) error {
	if err := tx.RemoveUse(j.ID); err != nil {
		return err
	}
	s, err := tx.SnapshotByID(t.SnapshotID)
	if is(err, resource.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.tell(tx, s, "Failed to export snapshot for cache %s. Could not export snapshot to bucket '%s' because %v.", s.Source.Name, t.Bucket, cause)
}
