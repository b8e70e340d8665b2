package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// exportSnapshot writes one plain file per shard into a bucket, RDB or the items of memcached. None of them is visible before all are written, nothing that is there is
// overwritten, and what a run that fails has made visible it takes back. A crash between the first file and the last is mended by the next run:
// each file carries the job's mark.
func (w *Worker) exportSnapshot(ctx context.Context, r *job.Running, t resource.ExportSnapshotTask) error {
	s, err := w.snapshotIn(ctx, t.SnapshotID, resource.SnapshotCopying, resource.SnapshotRestoring, resource.SnapshotAvailable)
	if err != nil {
		return done(err)
	}
	m, key, err := w.unlock(ctx, s.ID)
	if err != nil {
		return err
	}
	e := &export{w: w, r: r, s: s, bucket: t.Bucket, prefix: t.Name, m: m, key: key}
	defer e.abort()
	if err := e.run(ctx); err != nil {
		e.withdraw(ctx)
		return hopeless(refused(err))
	}
	return r.Close(ctx, func(tx *metastore.Tx) error { return tx.RemoveUse(r.ID) })
}

// export is one run of an export.
type export struct {
	w              *Worker
	r              *job.Running
	s              *resource.Snapshot
	bucket, prefix string
	m              *snapstore.Manifest
	key            snapstore.DataKey

	files  []target.Writer // that are written and not committed
	copied int64
}

func (e *export) object(i int) string { return e.s.ExportKey(e.prefix, i+1) }

// mark tells this job's files from others of the same name.
func (e *export) mark(i int) string { return e.r.ID + "/" + e.m.Shards[i].Name }

func (e *export) run(ctx context.Context) error {
	for i := range e.m.Shards {
		if err := e.write(ctx, i); err != nil {
			return err
		}
	}
	failpoint.Hit("export-snapshot.finished")
	for len(e.files) > 0 {
		if err := e.files[0].Commit(); err != nil {
			return err
		}
		e.files = e.files[1:]
		failpoint.Hit("export-snapshot.committed")
	}
	return nil
}

// write brings the file of one shard to the bucket, unless an earlier run has made it visible.
func (e *export) write(ctx context.Context, i int) error {
	shard := &e.m.Shards[i]
	if err := e.w.Targets.AbortLeftovers(ctx, e.s.Account, e.bucket, e.object(i)); err != nil {
		return err
	}
	out, err := e.w.Targets.Create(ctx, e.s.Account, e.bucket, e.object(i), e.mark(i))
	if errors.Is(err, target.ErrCommitted) {
		return nil
	}
	if err != nil {
		return err
	}
	e.files = append(e.files, out)
	failpoint.Hit("export-snapshot.begun")
	in, err := e.w.Store.Open(ctx, e.m, e.key, shard.Name)
	if err != nil {
		return err
	}
	defer in.Close()
	n, err := io.Copy(out, &exportReader{ctx, e, in})
	if err != nil {
		return err
	}
	if n != shard.Bytes {
		return fmt.Errorf("shard %s: %d bytes came out of the store, want %d", shard.Name, n, shard.Bytes)
	}
	if err := out.Finish(); err != nil {
		return err
	}
	failpoint.Hit("export-snapshot.written")
	return nil
}

// abort drops what is not committed.
func (e *export) abort() {
	for _, f := range e.files {
		f.Abort()
	}
	e.files = nil
}

// withdraw takes back what this job has made visible. A run that was stopped leaves that to the next one, and one that has lost its lease would
// take away the files of the run that has it.
func (e *export) withdraw(ctx context.Context) {
	e.abort()
	if ctx.Err() != nil || e.r.Update(ctx, func(*metastore.Tx) error { return nil }) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	for i := range e.m.Shards {
		if err := e.w.Targets.Remove(ctx, e.s.Account, e.bucket, e.object(i), e.mark(i)); err != nil {
			e.w.Log.Warn("a file of an export that failed is left in its bucket", "bucket", e.bucket, "key", e.object(i), "err", err)
		}
	}
}

// exportReader shows the progress of all shards together.
type exportReader struct {
	ctx context.Context
	e   *export
	in  io.Reader
}

func (r *exportReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if n > 0 {
		r.e.copied += int64(n)
		r.e.r.Progress(r.ctx, copied{r.e.copied, r.e.m.Bytes()}) //nolint:errcheck // a lost lease ends the context
	}
	return n, err
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
	what := "cache"
	if s.Kind != resource.Serverless {
		what = sourceNoun(s.Kind)
	}
	return w.tellSnapshot(tx, s, "Failed to export snapshot for %s %s. Could not export snapshot to bucket '%s' because %v.", what, s.Source.Name, t.Bucket, cause)
}
