package job

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Stop drains the queue: it takes no more jobs, cancels the contexts of the running handlers with ErrStopping, and waits for them until ctx is done.
// Jobs that did not get done are given back, available at once and with the attempt not counted; so are those whose handlers did not return in
// time, which is an error. In the end the queue holds no lease. Stop before Start and a second Stop are fine.
func (q *Queue) Stop(ctx context.Context) error {
	q.stopOnce.Do(func() { close(q.stopping) })
	q.mu.Lock()
	started := q.started
	q.mu.Unlock()
	if !started {
		return nil
	}
	q.taker.Wait() // no job starts after this
	for _, r := range q.current() {
		r.cancel(ErrStopping)
	}
	done := make(chan struct{})
	go func() {
		q.workers.Wait()
		close(done)
	}()
	select {
	case <-done:
		q.stopBeat()
		q.beat.Wait()
		return nil
	case <-ctx.Done():
	}
	q.giveOnce.Do(func() { close(q.given) })
	q.stopBeat()
	q.beat.Wait()
	return q.abandon(ctx)
}

// abandon gives back the leases of handlers that did not return.
func (q *Queue) abandon(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var failed error
	left := 0
	for _, r := range q.current() {
		if r.isClosed() {
			continue
		}
		left++
		if err := q.giveBack(ctx, &r.Job); err != nil && !errors.Is(err, ErrLostLease) {
			failed = errors.Join(failed, fmt.Errorf("job: give back %s: %w", r.ID, err))
		}
	}
	if left > 0 {
		failed = errors.Join(failed, fmt.Errorf("job: %d handlers did not return in time", left))
	}
	return failed
}

func (q *Queue) current() []*Running {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]*Running, 0, len(q.running))
	for r := range q.running {
		all = append(all, r)
	}
	return all
}
