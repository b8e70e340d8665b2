package job

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
)

// steal takes a running job's lease away as another process would that thinks its holder dead.
func (p plane) steal(id string) {
	p.Helper()
	other := p.queue(Options{Owner: "other"})
	j := p.get(id)
	if err := other.crashed(context.Background(), &j); err != nil {
		p.Fatal(err)
	}
}

func TestFence(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{Workers: 1, Heartbeat: 5 * time.Second})
		taken := make(chan struct{})
		stolen := make(chan struct{})
		q.Register("k", Kind{Run: func(ctx context.Context, r *Running) error {
			if r.Fence > 1 {
				return r.Close(ctx, set("winner", fmt.Sprint(r.Fence)))
			}
			close(taken)
			<-stolen
			for i, try := range []func() error{
				func() error { return r.Close(ctx, set("winner", "the old one")) },
				func() error { return r.Update(ctx, set("winner", "the old one")) },
				func() error { return r.Save(ctx, 1) },
				func() error { return r.Progress(ctx, 1) },
				func() error { return r.ProgressNow(ctx, 1) },
			} {
				if err := try(); !errors.Is(err, ErrLostLease) {
					p.Errorf("write %d without the lease returned %v", i, err)
				}
			}
			begin := time.Now()
			<-ctx.Done()
			if cause := context.Cause(ctx); !errors.Is(cause, ErrLostLease) {
				p.Errorf("the cause is %v", cause)
			}
			if time.Since(begin) > 5*time.Second {
				p.Errorf("the loss was noticed after %s", time.Since(begin))
			}
			return ctx.Err()
		}})
		p.start(q)
		id := p.enqueue(q, Spec{Kind: "k"})
		<-taken
		p.steal(id)
		close(stolen)
		j := p.wait(id, StateCompleted)
		if p.setting("winner") != "3" || j.Attempt != 1 || j.Crashes != 1 || len(j.Checkpoint) != 0 || len(j.Progress) != 0 {
			p.Errorf("winner %q, job %+v", p.setting("winner"), j)
		}
		p.stop(q)
	})
}

func TestLongJobsKeepTheirLease(t *testing.T) {
	bubble(t, func(p plane) {
		runs := 0
		run := Kind{Run: func(ctx context.Context, r *Running) error {
			runs++
			time.Sleep(5 * time.Minute) // ten leases
			return ctx.Err()
		}}
		a, b := p.queue(Options{Owner: "a", Workers: 1}), p.queue(Options{Owner: "b", Workers: 1})
		a.Register("k", run)
		b.Register("k", run)
		p.start(a)
		p.start(b)
		j := p.wait(p.enqueue(a, Spec{Kind: "k"}), StateCompleted)
		if runs != 1 || j.Crashes != 0 || j.Fence != 1 {
			p.Errorf("%d runs of %+v", runs, j)
		}
		p.stop(a)
		p.stop(b)
	})
}

func TestRescueOfExpiredLease(t *testing.T) {
	bubble(t, func(p plane) {
		// A process that took a job and stands still: it neither renews nor gives back.
		dead := p.queue(Options{Owner: "dead"})
		id := p.enqueue(dead, Spec{Kind: "k"})
		until := time.Now().Add(30 * time.Second)
		err := p.db.Update(context.Background(), func(tx *metastore.Tx) error {
			jobs, err := take(tx, []string{"k"}, 1, "dead", time.Now(), until)
			if len(jobs) != 1 {
				p.Errorf("took %d jobs", len(jobs))
			}
			return err
		})
		if err != nil {
			p.Fatal(err)
		}
		q := p.queue(Options{Owner: "alive"})
		var ran time.Time
		q.Register("k", Kind{Run: func(ctx context.Context, r *Running) error {
			ran = time.Now()
			if r.Attempt != 1 || r.Crashes != 1 || r.Fence != 3 {
				p.Errorf("rescued as %+v", r.Job)
			}
			return nil
		}})
		if n, err := q.TakeOver(context.Background()); n != 0 || err != nil {
			p.Errorf("took over %d jobs of another host: %v", n, err)
		}
		p.start(q)
		p.wait(id, StateCompleted)
		if ran.Before(until) || ran.After(until.Add(6*time.Second)) {
			p.Errorf("ran %s after the lease ended", ran.Sub(until))
		}
		p.stop(q)
	})
}

func TestTakeOverAtOnce(t *testing.T) {
	bubble(t, func(p plane) {
		dead := p.queue(Options{Owner: "host"})
		id := p.enqueue(dead, Spec{Kind: "k", MaxAttempts: 1})
		crash := func() {
			if err := p.db.Update(context.Background(), func(tx *metastore.Tx) error {
				_, err := take(tx, []string{"k"}, 1, "host", time.Now(), time.Now().Add(30*time.Second))
				return err
			}); err != nil {
				p.Fatal(err)
			}
		}
		crash()
		q := p.queue(Options{Owner: "host"})
		q.Register("k", Kind{Run: func(ctx context.Context, r *Running) error { return nil }})
		begin := time.Now()
		if n, err := q.TakeOver(context.Background()); n != 1 || err != nil {
			p.Fatalf("took over %d, %v", n, err)
		}
		p.start(q)
		j := p.wait(id, StateCompleted)
		if time.Since(begin) != 0 || j.Attempt != 1 {
			p.Errorf("resumed after %s as attempt %d", time.Since(begin), j.Attempt)
		}
		p.stop(q)
	})
}

func TestCrashLoopEnds(t *testing.T) {
	bubble(t, func(p plane) {
		id := p.enqueue(p.queue(Options{}), Spec{Kind: "k", MaxAttempts: 1})
		crashes := 0
		for ; !p.get(id).State.Finished(); crashes++ {
			if crashes > 100 {
				p.Fatal("a job that kills its process is tried for ever")
			}
			q := p.queue(Options{Owner: "host", MaxCrashes: 7})
			q.Register("k", Kind{
				Run: func(context.Context, *Running) error { return nil },
				OnDiscard: func(ctx context.Context, tx *metastore.Tx, j Job, err error) error {
					if !errors.Is(err, ErrCrashed) {
						p.Errorf("the hook got %v", err)
					}
					return tx.SetSetting("given up", "yes")
				},
			})
			if err := p.db.Update(context.Background(), func(tx *metastore.Tx) error {
				far := time.Now().Add(time.Hour)
				_, err := take(tx, []string{"k"}, 1, "host", far, far)
				return err
			}); err != nil {
				p.Fatal(err)
			}
			if _, err := q.TakeOver(context.Background()); err != nil {
				p.Fatal(err)
			}
			if j := p.get(id); !j.State.Finished() && j.RunAt.After(time.Now()) != (j.Crashes > freeCrashes) {
				p.Errorf("after %d crashes the job waits for %s", j.Crashes, time.Until(j.RunAt))
			}
		}
		if j := p.get(id); crashes != 7 || j.State != StateDiscarded || j.Attempt > 1 || p.setting("given up") != "yes" {
			p.Errorf("after %d crashes the job is %+v", crashes, j)
		}
	})
}

func TestStopGivesBackAndASecondStartContinues(t *testing.T) {
	bubble(t, func(p plane) {
		started := make(chan struct{}, 3)
		first := p.queue(Options{Owner: "host"})
		first.Register("k", Kind{Run: func(ctx context.Context, r *Running) error {
			if err := r.Save(ctx, "half"); err != nil {
				return err
			}
			started <- struct{}{}
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), ErrStopping) {
				p.Errorf("the cause is %v", context.Cause(ctx))
			}
			if r.Subject == "closes" { // what is done at the last moment still counts
				return r.Close(ctx, set("closed", "yes"))
			}
			time.Sleep(2 * time.Second)
			return fmt.Errorf("interrupted: %w", ctx.Err())
		}})
		p.start(first)
		ids := []string{p.enqueue(first, Spec{Kind: "k", Subject: "a", MaxAttempts: 1}), p.enqueue(first, Spec{Kind: "k", Subject: "b", MaxAttempts: 1}),
			p.enqueue(first, Spec{Kind: "k", Subject: "closes"})}
		for range ids {
			<-started
		}
		p.stop(first)
		if j := p.get(ids[2]); j.State != StateCompleted || p.setting("closed") != "yes" {
			p.Errorf("the job that closed is %+v", j)
		}
		if err := first.Start(context.Background()); err == nil {
			p.Error("a stopped queue started again")
		}
		waits := p.enqueue(first, Spec{Kind: "k", Subject: "c"})
		synctest.Wait()
		if j := p.get(waits); j.State != StateAvailable {
			p.Errorf("a stopped queue took a job: %+v", j)
		}
		second := p.queue(Options{Owner: "host"})
		second.Register("k", Kind{Run: func(ctx context.Context, r *Running) error {
			var at string
			if found, err := r.Load(&at); r.Subject != "c" && (!found || at != "half" || err != nil) || r.Attempt != 1 || r.Crashes != 0 {
				p.Errorf("continued as %+v", r.Job)
			}
			return nil
		}})
		begin := time.Now()
		p.start(second)
		for _, id := range append(ids[:2], waits) {
			p.wait(id, StateCompleted)
		}
		if time.Since(begin) != 0 {
			p.Errorf("the second start continued after %s", time.Since(begin))
		}
		p.stop(second)
	})
}

func TestStopAbandonsTheDeaf(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{})
		started, wake := make(chan struct{}), make(chan struct{})
		var late error
		q.Register("k", Kind{Run: func(ctx context.Context, r *Running) error {
			close(started)
			<-wake
			late = r.Close(ctx, set("late", "yes"))
			return late
		}})
		p.start(q)
		id := p.enqueue(q, Spec{Kind: "k"})
		<-started
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		if err := q.Stop(ctx); err == nil {
			p.Error("Stop does not tell of a handler that did not return")
		}
		if time.Since(begin) != 10*time.Second {
			p.Errorf("Stop took %s", time.Since(begin))
		}
		p.noLease()
		if j := p.get(id); j.State != StateAvailable || j.Attempt != 0 {
			p.Errorf("the job is %+v", j)
		}
		close(wake)
		q.workers.Wait()
		if !errors.Is(late, ErrLostLease) || p.setting("late") != "" {
			p.Errorf("the late handler's Close returned %v", late)
		}
	})
}

func TestStopBeforeStart(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{})
		p.stop(q)
		if err := q.Start(context.Background()); err == nil {
			p.Error("started after Stop")
		}
	})
}
