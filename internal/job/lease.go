package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
)

// ErrCrashed is what the OnDiscard hook gets for a job whose process died, or stood still, too often while it ran.
var ErrCrashed = errors.New("the process that ran it ended too often")

// freeCrashes are not waited after: a job that one restart interrupted goes on at once, one that kills its process leaves time for others.
const freeCrashes = 3

// TakeOver releases all leases of this queue's Owner at once, and returns their number. Call it before Start, in a process that knows
// that its predecessor is dead, such as by a file lock.
func (q *Queue) TakeOver(ctx context.Context) (int, error) {
	return q.reclaim(ctx, `owner = ?`, q.o.Owner)
}

// rescue releases the leases that nobody renewed in time, whoever holds them.
func (q *Queue) rescue(ctx context.Context) (int, error) {
	return q.reclaim(ctx, `lease_until < ?`, q.now().UnixMilli())
}

func (q *Queue) reclaim(ctx context.Context, condition string, args ...any) (int, error) {
	var lost []Job
	err := q.db.View(ctx, func(tx *metastore.Tx) (err error) {
		lost, err = held(tx, condition, args...)
		return err
	})
	n := 0
	for i := range lost {
		// One transaction each: one failing hook must not hold the others back. The fence says whether the lease has moved meanwhile; a renewal
		// in the same moment loses, which costs its worker the run but never correctness.
		switch crashErr := q.crashed(ctx, &lost[i]); {
		case crashErr == nil:
			n++
		case !errors.Is(crashErr, ErrLostLease):
			err = errors.Join(err, crashErr)
		}
	}
	return n, err
}

// crashed ends a run that did not end by itself. It does not count as an attempt, since the job may be innocent, but not for ever.
func (q *Queue) crashed(ctx context.Context, j *Job) error {
	q.log.WarnContext(ctx, "a job's process is gone", "job", j.ID, "kind", j.Kind, "subject", j.Subject, "owner", j.Owner, "crashes", j.Crashes+1)
	j.Crashes++
	if _, known := q.kind(j.Kind); known && j.Crashes >= q.o.MaxCrashes {
		return q.giveUp(ctx, j, StateDiscarded, fmt.Errorf("%w: %d times", ErrCrashed, j.Crashes))
	}
	runAt := q.now()
	if j.Crashes > freeCrashes {
		runAt = runAt.Add(q.o.Backoff(j.Crashes - freeCrashes))
	}
	return q.release(ctx, j, StateAvailable, j.Attempt-1, j.Crashes, runAt, j.LastError)
}

func (q *Queue) heartbeat(ctx context.Context) {
	tick := time.NewTicker(q.o.Heartbeat)
	defer tick.Stop()
	var pruned time.Time
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, q.o.Lease/2)
		err := q.renew(limited)
		if err == nil {
			_, err = q.rescue(limited)
		}
		if now := q.now(); err == nil && now.Sub(pruned) >= time.Hour {
			pruned = now
			err = q.db.Update(limited, func(tx *metastore.Tx) error {
				_, err := prune(tx, now.Add(-Keep))
				return err
			})
		}
		cancel()
		if err != nil && ctx.Err() == nil {
			q.log.ErrorContext(ctx, "a heartbeat failed", "err", err)
		}
	}
}

// renew extends the leases of what runs here, and writes the progress that waits. Whoever lost the lease, or could not renew it before it ended, is told
// through the context.
func (q *Queue) renew(ctx context.Context) error {
	mine := slices.DeleteFunc(q.current(), (*Running).isClosed)
	if len(mine) == 0 {
		return nil
	}
	now := q.now()
	until := now.Add(q.o.Lease)
	progress := make([][]byte, len(mine))
	for i, r := range mine {
		progress[i] = r.pending(now)
	}
	lost := make([]bool, len(mine))
	err := q.db.Update(ctx, func(tx *metastore.Tx) error {
		for i, r := range mine {
			set, args := `lease_until = ?`, []any{until.UnixMilli()}
			if progress[i] != nil {
				set, args = set+`, progress = ?`, append(args, string(progress[i]))
			}
			err := fenced(tx, &r.Job, set, args...)
			if lost[i] = errors.Is(err, ErrLostLease); err != nil && !lost[i] {
				return err
			}
		}
		return nil
	})
	for i, r := range mine {
		r.renewed(err == nil && !lost[i], until)
		if gone := err == nil && lost[i] || err != nil && r.expired(q.now()); gone && !r.isClosed() {
			r.cancel(ErrLostLease)
		}
	}
	return err
}

// pending takes the progress that waits to be written; nil when there is none.
func (r *Running) pending(now time.Time) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	text := r.progress
	if text != nil {
		r.progress, r.progressAt = nil, now
	}
	return text
}

func (r *Running) renewed(ok bool, until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ok {
		r.lease = until
	}
}

func (r *Running) expired(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now.After(r.lease)
}
