package job

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
)

// settle writes what became of a run, as the handler's error says. It tries until the database takes it: meanwhile the lease is renewed,
// so that nobody does the work again.
func (q *Queue) settle(ctx context.Context, r *Running, result error) {
	log := q.log.With("job", r.ID, "kind", r.Kind, "subject", r.Subject, "attempt", r.Attempt)
	if r.isClosed() {
		if result != nil {
			log.WarnContext(ctx, "a closed job returned an error", "err", result)
		}
		return
	}
	cut := context.Cause(ctx) != nil // by Stop, or by a heartbeat that could not renew the lease
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 5*time.Second) {
		err := q.record(context.WithoutCancel(ctx), r, result, cut)
		switch {
		case err == nil:
			return
		case errors.Is(err, ErrLostLease):
			log.WarnContext(ctx, "a job lost its lease while it ran", "result", result)
			return
		}
		log.ErrorContext(ctx, "cannot write what became of a job", "result", result, "err", err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-q.given:
			timer.Stop()
			return
		}
	}
}

func (q *Queue) record(ctx context.Context, r *Running, result error, cut bool) error {
	var snooze *snoozeError
	var giveUp *cancelError
	j := &r.Job
	switch {
	case result == nil:
		return q.db.Update(ctx, func(tx *metastore.Tx) error { return end(tx, j, StateCompleted, q.now(), "") })
	case errors.Is(result, ErrLostLease):
		return ErrLostLease
	case cut && (!errors.As(result, &giveUp) || errors.Is(result, context.Canceled) || errors.Is(result, ErrStopping)):
		return q.giveBack(ctx, j) // the error says nothing about the job
	case errors.As(result, &snooze):
		return q.release(ctx, j, StateAvailable, j.Attempt-1, j.Crashes, q.now().Add(snooze.after), j.LastError)
	case errors.As(result, &giveUp):
		return q.giveUp(ctx, j, StateCancelled, result)
	case j.Attempt >= j.MaxAttempts:
		return q.giveUp(ctx, j, StateDiscarded, result)
	}
	q.log.WarnContext(ctx, "a job failed and will be tried again", "job", j.ID, "kind", j.Kind, "subject", j.Subject, "attempt", j.Attempt, "err", result)
	return q.release(ctx, j, StateRetryable, j.Attempt, j.Crashes, q.now().Add(q.o.Backoff(j.Attempt)), short(result))
}

// giveBack ends a run as if it had not begun.
func (q *Queue) giveBack(ctx context.Context, j *Job) error {
	return q.release(ctx, j, StateAvailable, j.Attempt-1, j.Crashes, q.now(), j.LastError)
}

func (q *Queue) release(ctx context.Context, j *Job, s State, attempt, crashes int, runAt time.Time, lastError string) error {
	return q.db.Update(ctx, func(tx *metastore.Tx) error { return release(tx, j, s, attempt, crashes, runAt, lastError) })
}

// giveUp ends a job for good, together with what its kind's hook has to say. When the hook fails the job is tried again.
func (q *Queue) giveUp(ctx context.Context, j *Job, s State, result error) error {
	k, _ := q.kind(j.Kind)
	var hookErr error
	err := q.db.Update(ctx, func(tx *metastore.Tx) error {
		if hookErr = end(tx, j, s, q.now(), short(result)); hookErr != nil || k.OnDiscard == nil {
			return hookErr
		}
		given := *j
		given.State, given.LastError = s, short(result)
		hookErr = callHook(ctx, k, tx, given, result)
		return hookErr
	})
	if hookErr == nil || errors.Is(hookErr, ErrLostLease) || errors.Is(err, ErrLostLease) {
		if err == nil {
			q.log.ErrorContext(ctx, "a job was given up", "job", j.ID, "kind", j.Kind, "subject", j.Subject, "state", s, "err", result)
		}
		return err
	}
	q.log.ErrorContext(ctx, "a job could not be given up and will be tried again", "job", j.ID, "kind", j.Kind, "result", result, "err", hookErr)
	return q.release(ctx, j, StateRetryable, j.Attempt, j.Crashes, q.now().Add(q.o.Backoff(j.Attempt)), short(errors.Join(result, hookErr)))
}

func callHook(ctx context.Context, k Kind, tx *metastore.Tx, j Job, result error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in the hook: %v\n%s", p, debug.Stack())
		}
	}()
	return k.OnDiscard(ctx, tx, j, result)
}

// short is an error's text, bounded because it is kept.
func short(err error) string {
	const most = 4 << 10
	text := err.Error()
	if len(text) > most {
		text = text[:most] + "..."
	}
	return text
}
