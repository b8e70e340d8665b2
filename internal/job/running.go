package job

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
)

// Running is a job in the hands of its handler. Everything that it writes is guarded by the fence: once the lease is lost, nothing
// changes and ErrLostLease is returned. The transactions also go through when the context has just been cancelled, so that work that is
// done when the queue stops need not be done again.
type Running struct {
	Job // as it was taken
	q   *Queue

	cancel context.CancelCauseFunc

	mu         sync.Mutex
	lease      time.Time // until when it was last renewed
	closed     bool      // Close committed, or is committing
	progress   []byte    // not written yet
	progressAt time.Time // of the last write
}

func (r *Running) call(ctx context.Context, handler Handler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			r.q.log.ErrorContext(ctx, "a job panicked", "job", r.ID, "kind", r.Kind, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return handler(ctx, r)
}

// Task decodes the job's arguments into v. Arguments that do not decode never will: the error is a Cancel.
func (r *Running) Task(v any) error {
	if err := json.Unmarshal(r.Args, v); err != nil {
		return Cancel(fmt.Errorf("job: arguments of %s: %w", r.Kind, err))
	}
	return nil
}

// Update runs fn in a transaction in the middle of the job.
func (r *Running) Update(ctx context.Context, fn func(*metastore.Tx) error) error {
	return r.q.db.Update(context.WithoutCancel(ctx), func(tx *metastore.Tx) error {
		var n int
		err := tx.QueryRow(`SELECT COUNT(*) FROM jobs WHERE id = ? AND fence = ? AND state = 'running'`, r.ID, r.Fence).Scan(&n)
		if err != nil {
			return fmt.Errorf("job: %w", err)
		}
		if n == 0 {
			return ErrLostLease
		}
		return fn(tx)
	})
}

// Close is the closing transaction: it runs fn and completes the job, both or neither. Afterwards the handler's error changes nothing any more.
func (r *Running) Close(ctx context.Context, fn func(*metastore.Tx) error) error {
	r.setClosed(true) // before the commit, so that the heartbeat does not take the end of the lease for a loss
	err := r.q.db.Update(context.WithoutCancel(ctx), func(tx *metastore.Tx) error {
		if err := end(tx, &r.Job, StateCompleted, r.q.now(), ""); err != nil {
			return err
		}
		return fn(tx)
	})
	if err != nil {
		r.setClosed(false)
	}
	return err
}

func (r *Running) setClosed(closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = closed
}

func (r *Running) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// Save makes v, as JSON, the job's checkpoint, durably: the next run after a crash, a stop or an error finds it with Load.
func (r *Running) Save(ctx context.Context, v any) error {
	return r.q.db.Update(context.WithoutCancel(ctx), func(tx *metastore.Tx) error { return r.SaveIn(tx, v) })
}

// SaveIn is Save as a part of a transaction, such as that of Update.
func (r *Running) SaveIn(tx *metastore.Tx, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("job: checkpoint of %s: %w", r.Kind, err)
	}
	return fenced(tx, &r.Job, `checkpoint = ?`, string(text))
}

// Load decodes the checkpoint that an earlier run left into v, and reports whether there is one.
func (r *Running) Load(v any) (bool, error) {
	if len(r.Checkpoint) == 0 {
		return false, nil
	}
	if err := json.Unmarshal(r.Checkpoint, v); err != nil {
		return false, fmt.Errorf("job: checkpoint of %s: %w", r.Kind, err)
	}
	return true, nil
}

// Progress shows how far the job is. It is cheap to call often: what comes sooner than Options.Progress after the last write is written with
// the next heartbeat, unless newer progress replaces it.
func (r *Running) Progress(ctx context.Context, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("job: progress of %s: %w", r.Kind, err)
	}
	now := r.q.now()
	r.mu.Lock()
	if now.Sub(r.progressAt) < r.q.o.Progress {
		r.progress = text
		r.mu.Unlock()
		return nil
	}
	r.progress, r.progressAt = nil, now
	r.mu.Unlock()
	return r.showProgress(ctx, text)
}

// ProgressNow is Progress that is written before it returns.
func (r *Running) ProgressNow(ctx context.Context, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("job: progress of %s: %w", r.Kind, err)
	}
	r.mu.Lock()
	r.progress, r.progressAt = nil, r.q.now()
	r.mu.Unlock()
	return r.showProgress(ctx, text)
}

func (r *Running) showProgress(ctx context.Context, text []byte) error {
	return r.q.db.Update(ctx, func(tx *metastore.Tx) error { return fenced(tx, &r.Job, `progress = ?`, string(text)) })
}
