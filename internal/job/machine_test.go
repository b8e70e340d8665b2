package job

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"pgregory.net/rapid"
)

// hold is a lease as a worker remembers it; stale when the job has moved on since.
type hold struct {
	run   *Running
	stale bool
}

// machine drives the queue's transitions in any order, as several processes with pauses and deaths would, beside a simple model.
type machine struct {
	q     *Queue
	now   time.Time
	order []string          // IDs by creation
	subj  map[string]string // of serial jobs
	ended map[string]State
	held  map[string]*hold // the valid lease of a job
	all   []*hold
	hooks map[string]int // runs of OnDiscard
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	db, err := metastore.Open(context.Background(), place(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rapid.Check(t, func(rt *rapid.T) {
		if err := db.Update(context.Background(), func(tx *metastore.Tx) error {
			_, err := tx.Exec(`DELETE FROM jobs`)
			return err
		}); err != nil {
			rt.Fatal(err)
		}
		m := &machine{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), subj: map[string]string{}, ended: map[string]State{}, held: map[string]*hold{}, hooks: map[string]int{}}
		m.q = New(db, Options{Owner: "host", Logger: quiet, Clock: func() time.Time { return m.now }, MaxCrashes: 4,
			Backoff: func(n int) time.Duration { return time.Duration(n) * time.Second }})
		m.q.Register("k", Kind{Run: func(context.Context, *Running) error { return nil }, OnDiscard: func(ctx context.Context, tx *metastore.Tx, j Job, err error) error {
			m.hooks[j.ID]++
			return nil
		}})
		rt.Repeat(map[string]func(*rapid.T){
			"enqueue": m.enqueue, "take": m.take, "settle": m.settle, "crash": m.crash, "renew": m.renew, "stale": m.useStale,
			"wait": func(rt *rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "seconds")) * time.Second)
			},
			"rescue": m.rescue,
			"":       m.check,
		})
	})
}

func (m *machine) enqueue(rt *rapid.T) {
	spec := Spec{Kind: "k", Subject: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "subject"), Serial: rapid.Bool().Draw(rt, "serial"),
		MaxAttempts: rapid.IntRange(1, 3).Draw(rt, "attempts")}
	if rapid.Bool().Draw(rt, "later") {
		spec.RunAt = m.now.Add(10 * time.Second)
	}
	m.update(rt, func(tx *metastore.Tx) error {
		id, err := m.q.Enqueue(tx, spec)
		m.order = append(m.order, id)
		if spec.Serial {
			m.subj[id] = spec.Subject
		}
		return err
	})
}

func (m *machine) take(rt *rapid.T) {
	n := rapid.IntRange(1, 3).Draw(rt, "n")
	var jobs []Job
	m.update(rt, func(tx *metastore.Tx) (err error) {
		jobs, err = take(tx, []string{"k"}, n, "host", m.now, m.now.Add(m.q.o.Lease))
		return err
	})
	if len(jobs) > n {
		rt.Fatalf("asked for %d jobs, got %d", n, len(jobs))
	}
	for _, j := range jobs {
		if m.held[j.ID] != nil || m.ended[j.ID] != "" {
			rt.Fatalf("%s was taken while held or ended", j.ID)
		}
		if j.RunAt.After(m.now) {
			rt.Fatalf("%s was taken %s early", j.ID, j.RunAt.Sub(m.now))
		}
		for _, earlier := range m.order {
			if earlier == j.ID {
				break
			}
			if s := m.subj[j.ID]; s != "" && m.subj[earlier] == s && m.ended[earlier] == "" {
				rt.Fatalf("%s was taken before %s of the same subject ended", j.ID, earlier)
			}
		}
		h := &hold{run: &Running{Job: j, q: m.q, cancel: func(error) {}, lease: j.LeaseUntil}}
		m.held[j.ID] = h
		m.all = append(m.all, h)
	}
}

// pick draws a lease that is valid, or one that is stale.
func (m *machine) pick(rt *rapid.T, stale bool) *hold {
	var some []*hold
	for _, h := range m.all {
		if h.stale == stale {
			some = append(some, h)
		}
	}
	if len(some) == 0 {
		rt.Skip("none")
	}
	return rapid.SampledFrom(some).Draw(rt, "lease")
}

var outcomes = map[string]error{"nil": nil, "error": errors.New("failed"), "cancel": Cancel(errors.New("useless")), "snooze": Snooze(time.Second),
	"close": nil, "give back": nil}

func (m *machine) act(rt *rapid.T, h *hold) (how string, err error) {
	how = rapid.SampledFrom([]string{"nil", "error", "cancel", "snooze", "close", "give back"}).Draw(rt, "how")
	switch how {
	case "close":
		return how, h.run.Close(context.Background(), func(*metastore.Tx) error { return nil })
	case "give back":
		return how, m.q.giveBack(context.Background(), &h.run.Job)
	}
	return how, m.q.record(context.Background(), h.run, outcomes[how], false)
}

func (m *machine) settle(rt *rapid.T) {
	h := m.pick(rt, false)
	how, err := m.act(rt, h)
	if err != nil {
		rt.Fatalf("%s with a valid lease: %v", how, err)
	}
	m.drop(h)
	switch j := &h.run.Job; {
	case how == "nil" || how == "close":
		m.ended[j.ID] = StateCompleted
	case how == "cancel":
		m.ended[j.ID] = StateCancelled
	case how == "error" && j.Attempt >= j.MaxAttempts:
		m.ended[j.ID] = StateDiscarded
	}
}

func (m *machine) drop(h *hold) {
	h.stale = true
	delete(m.held, h.run.ID)
}

// crash is the death of the process that holds every lease.
func (m *machine) crash(rt *rapid.T) {
	n, err := m.q.TakeOver(context.Background())
	if err != nil || n != len(m.held) {
		rt.Fatalf("took over %d of %d, %v", n, len(m.held), err)
	}
	m.lose(func(*hold) bool { return true })
}

func (m *machine) rescue(rt *rapid.T) {
	if _, err := m.q.rescue(context.Background()); err != nil {
		rt.Fatal(err)
	}
	m.lose(func(h *hold) bool { return h.run.expired(m.now) })
}

func (m *machine) lose(which func(*hold) bool) {
	for id, h := range m.held {
		if !which(h) {
			continue
		}
		if h.run.Crashes+1 >= m.q.o.MaxCrashes {
			m.ended[id] = StateDiscarded
		}
		m.drop(h)
	}
}

func (m *machine) renew(rt *rapid.T) {
	h := m.pick(rt, false)
	m.q.running[h.run] = struct{}{}
	defer delete(m.q.running, h.run)
	if err := m.q.renew(context.Background()); err != nil || h.run.lease != m.now.Add(m.q.o.Lease) {
		rt.Fatalf("renewed until %s, %v", h.run.lease, err)
	}
}

func (m *machine) useStale(rt *rapid.T) {
	h := m.pick(rt, true)
	if how, err := m.act(rt, h); !errors.Is(err, ErrLostLease) {
		rt.Fatalf("%s with a stale lease returned %v", how, err)
	}
	if err := h.run.Save(context.Background(), 1); !errors.Is(err, ErrLostLease) {
		rt.Fatalf("Save with a stale lease returned %v", err)
	}
}

func (m *machine) update(rt *rapid.T, fn func(*metastore.Tx) error) {
	if err := m.q.db.Update(context.Background(), fn); err != nil {
		rt.Fatal(err)
	}
}

// check compares every job with the model.
func (m *machine) check(rt *rapid.T) {
	if err := m.q.db.View(context.Background(), func(tx *metastore.Tx) error {
		jobs, err := List(tx, Filter{})
		if err != nil {
			return err
		}
		if len(jobs) != len(m.order) {
			return fmt.Errorf("%d jobs of %d are there", len(jobs), len(m.order))
		}
		for i, j := range jobs {
			id := m.order[len(m.order)-1-i]
			if id != j.ID {
				return fmt.Errorf("%s is where %s should be", j.ID, id)
			}
			h := m.held[id]
			switch {
			case (j.State == StateRunning) != (h != nil), h != nil && h.run.Fence != j.Fence:
				return fmt.Errorf("held is %v, job is %+v", h != nil, j)
			case j.State.Finished() != (m.ended[id] != ""), m.ended[id] != "" && j.State != m.ended[id]:
				return fmt.Errorf("should have ended as %q, job is %+v", m.ended[id], j)
			case (j.Owner == "") != (h == nil), j.LeaseUntil.IsZero() != (h == nil), j.FinishedAt.IsZero() == j.State.Finished():
				return fmt.Errorf("the job contradicts itself: %+v", j)
			case j.Attempt > j.MaxAttempts, j.Attempt < 0, j.Crashes > m.q.o.MaxCrashes:
				return fmt.Errorf("tried too often: %+v", j)
			}
			if gone := j.State == StateDiscarded || j.State == StateCancelled; gone != (m.hooks[id] == 1) {
				return fmt.Errorf("the hook ran %d times for %+v", m.hooks[id], j)
			}
		}
		return nil
	}); err != nil {
		rt.Fatal(err)
	}
}
