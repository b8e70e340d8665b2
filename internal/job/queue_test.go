package job

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if path := childOf(); path != "" {
		child(path)
		return
	}
	goleak.VerifyTestMain(m)
}

// plane is a metastore inside a bubble of fake time.
type plane struct {
	*testing.T
	db *metastore.DB
}

// bubble runs a test in fake time: the clock jumps when everything waits, so that no test sleeps and none depends on the machine's pace.
func bubble(t *testing.T, test func(p plane)) {
	t.Parallel()
	at := place(t)
	synctest.Test(t, func(t *testing.T) {
		db, err := metastore.Open(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		test(plane{t, db})
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

// place is where a fresh metastore can be: a file, or a schema of the PostgreSQL that KEYFRAME_TEST_POSTGRES names.
func place(t *testing.T) string {
	server := os.Getenv("KEYFRAME_TEST_POSTGRES")
	if server == "" {
		return filepath.Join(t.TempDir(), "meta.db")
	}
	do := func(statement string) {
		t.Helper()
		db, err := sql.Open("pgx", server)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(statement); err != nil {
			t.Error(err)
		}
	}
	schema := fmt.Sprintf("t%x", rand.Uint64())
	do("CREATE SCHEMA " + schema)
	t.Cleanup(func() { do("DROP SCHEMA " + schema + " CASCADE") })
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	db, err := metastore.Open(t.Context(), u.String()) // waits for the lock of migrations in real time
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	return u.String()
}

var quiet = slog.New(slog.DiscardHandler)

func (p plane) queue(o Options) *Queue {
	o.Logger = quiet
	return New(p.db, o)
}

func (p plane) start(q *Queue) {
	p.Helper()
	if err := q.Start(p.Context()); err != nil {
		p.Fatal(err)
	}
}

func (p plane) stop(q *Queue) {
	p.Helper()
	if err := q.Stop(context.Background()); err != nil {
		p.Error(err)
	}
	p.noLease()
}

// noLease checks that nobody holds a lease.
func (p plane) noLease() {
	p.Helper()
	p.view(func(tx *metastore.Tx) error {
		held, err := List(tx, Filter{State: StateRunning})
		for _, j := range held {
			p.Errorf("%s is still leased by %q", j.ID, j.Owner)
		}
		return err
	})
}

func (p plane) view(fn func(*metastore.Tx) error) {
	p.Helper()
	if err := p.db.View(context.Background(), fn); err != nil {
		p.Fatal(err)
	}
}

func (p plane) enqueue(q *Queue, s Spec) string {
	p.Helper()
	var id string
	err := p.db.Update(context.Background(), func(tx *metastore.Tx) (err error) {
		id, err = q.Enqueue(tx, s)
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return id
}

func (p plane) get(id string) (j Job) {
	p.Helper()
	p.view(func(tx *metastore.Tx) (err error) {
		j, err = Get(tx, id)
		return err
	})
	return j
}

func (p plane) wait(id string, want State) Job {
	p.Helper()
	j, err := Wait(context.Background(), p.db, id)
	if err != nil {
		p.Fatal(err)
	}
	if j.State != want {
		p.Fatalf("job ended %s (%s), want %s", j.State, j.LastError, want)
	}
	return j
}

func (p plane) setting(key string) (value string) {
	p.Helper()
	p.view(func(tx *metastore.Tx) (err error) {
		value, _, err = tx.Setting(key)
		return err
	})
	return value
}

func set(key, value string) func(*metastore.Tx) error {
	return func(tx *metastore.Tx) error { return tx.SetSetting(key, value) }
}

func TestRunsAtOnceAndCloses(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{})
		q.Register("greet", Kind{Run: func(ctx context.Context, r *Running) error {
			var name string
			if err := r.Task(&name); err != nil {
				return err
			}
			if err := r.Update(ctx, set("step", "1")); err != nil {
				return err
			}
			if err := r.Close(ctx, set("greeting", "hello "+name)); err != nil {
				return err
			}
			return errors.New("comes too late")
		}})
		p.start(q)
		synctest.Wait() // the queue has looked once and found nothing
		before := time.Now()
		id := p.enqueue(q, NewSpec("greet", "s1", "ann"))
		j := p.wait(id, StateCompleted)
		if took := time.Since(before); took != 0 {
			p.Errorf("the job waited %s for a poll", took)
		}
		if j.Attempt != 1 || j.Fence != 1 || j.Owner != "" || !j.LeaseUntil.IsZero() || j.FinishedAt.IsZero() || j.LastError != "" {
			p.Errorf("the completed job is %+v", j)
		}
		if p.setting("step") != "1" || p.setting("greeting") != "hello ann" {
			p.Error("a transaction of the handler is missing")
		}
		p.stop(q)
		p.stop(q)
	})
}

func TestCloseIsAllOrNothing(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{})
		broken := errors.New("broken")
		q.Register("k", Kind{Run: func(ctx context.Context, r *Running) error {
			return r.Close(ctx, func(tx *metastore.Tx) error {
				if err := tx.SetSetting("a", fmt.Sprint(r.Attempt)); err != nil {
					return err
				}
				if r.Attempt == 1 {
					return broken
				}
				return nil
			})
		}})
		p.start(q)
		j := p.wait(p.enqueue(q, NewSpec("k", "s", nil)), StateCompleted)
		if j.Attempt != 2 || p.setting("a") != "2" {
			p.Errorf("attempt %d wrote %q", j.Attempt, p.setting("a"))
		}
		p.stop(q)
	})
}

func TestEnqueueRollsBackWithItsTransaction(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{})
		broken := errors.New("broken")
		err := p.db.Update(context.Background(), func(tx *metastore.Tx) error {
			if _, err := q.Enqueue(tx, NewSpec("k", "s", nil)); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			p.Fatal(err)
		}
		p.view(func(tx *metastore.Tx) error {
			all, err := List(tx, Filter{})
			if len(all) != 0 {
				p.Errorf("%d jobs are left of a rollback", len(all))
			}
			return err
		})
	})
}

func TestRetryBacksOffThenDiscardsWithItsHook(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{Backoff: func(attempt int) time.Duration { return time.Duration(attempt) * time.Minute }})
		var starts []time.Duration
		begin := time.Now()
		hooks := 0
		q.Register("k", Kind{
			Run: func(ctx context.Context, r *Running) error {
				starts = append(starts, time.Since(begin))
				if r.Attempt == 2 {
					panic("second")
				}
				return fmt.Errorf("attempt %d", r.Attempt)
			},
			OnDiscard: func(ctx context.Context, tx *metastore.Tx, j Job, err error) error {
				if hooks++; hooks == 1 {
					if err := tx.SetSetting("half", "done"); err != nil {
						return err
					}
					return errors.New("the hook fails once")
				}
				if j.State != StateDiscarded || j.Subject != "s" {
					p.Errorf("the hook got %+v", j)
				}
				return tx.SetSetting("failed", err.Error())
			},
		})
		p.start(q)
		id := p.enqueue(q, Spec{Kind: "k", Subject: "s", MaxAttempts: 3})
		j := p.wait(id, StateDiscarded)
		want := []time.Duration{0, time.Minute, 3 * time.Minute, 6 * time.Minute} // the fourth because of the hook
		if fmt.Sprint(starts) != fmt.Sprint(want) {
			p.Errorf("ran at %v, want %v", starts, want)
		}
		if p.setting("failed") != "attempt 4" || p.setting("half") != "" || j.LastError != "attempt 4" {
			p.Errorf("the hook wrote %q and %q, the job says %q", p.setting("failed"), p.setting("half"), j.LastError)
		}
		p.stop(q)
	})
}

func TestCancelAndSnooze(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{Poll: time.Hour, Heartbeat: time.Hour})
		no := errors.New("the key is gone")
		q.Register("cancel", Kind{
			Run: func(context.Context, *Running) error { return fmt.Errorf("wrapped: %w", Cancel(no)) },
			OnDiscard: func(ctx context.Context, tx *metastore.Tx, j Job, err error) error {
				if j.State != StateCancelled || !errors.Is(err, no) {
					p.Errorf("the hook got %s and %v", j.State, err)
				}
				return tx.SetSetting("cancelled", j.ID)
			},
		})
		runs := 0
		q.Register("snooze", Kind{Run: func(ctx context.Context, r *Running) error {
			if runs++; runs <= 10 {
				return Snooze(time.Minute)
			}
			if r.Attempt != 1 {
				p.Errorf("attempt %d after snoozing", r.Attempt)
			}
			return nil
		}})
		p.start(q)
		begin := time.Now()
		cancelled, snoozed := p.enqueue(q, Spec{Kind: "cancel"}), p.enqueue(q, Spec{Kind: "snooze", MaxAttempts: 2})
		if j := p.wait(cancelled, StateCancelled); p.setting("cancelled") != j.ID || j.Attempt != 1 {
			p.Errorf("cancelled job is %+v", j)
		}
		p.wait(snoozed, StateCompleted)
		if took := time.Since(begin); took != 10*time.Minute {
			p.Errorf("ten snoozes of a minute took %s", took)
		}
		p.stop(q)
	})
}

func TestRunAt(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{Poll: time.Hour}) // the due time must be waited for exactly, not found by a poll
		var ran time.Time
		q.Register("k", Kind{Run: func(context.Context, *Running) error { ran = time.Now(); return nil }})
		p.start(q)
		due := time.Now().Add(90 * time.Second)
		p.wait(p.enqueue(q, Spec{Kind: "k", RunAt: due}), StateCompleted)
		if !ran.Equal(due) {
			p.Errorf("ran at %s, due at %s", ran, due)
		}
		p.stop(q)
	})
}

func TestUniqueSubject(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{})
		q.Register("k", Kind{Run: func(context.Context, *Running) error { return nil }})
		spec := Spec{Kind: "k", Subject: "s", UniqueSubject: true}
		first := p.enqueue(q, spec)
		if again := p.enqueue(q, spec); again != first {
			p.Error("a second unfinished job was added")
		}
		if other := p.enqueue(q, Spec{Kind: "k", Subject: "other", UniqueSubject: true}); other == first {
			p.Error("another subject got the same job")
		}
		if plain := p.enqueue(q, Spec{Kind: "k", Subject: "s"}); plain == first {
			p.Error("a plain job got the unique one's")
		}
		p.start(q)
		p.wait(first, StateCompleted)
		if again := p.enqueue(q, spec); again == first {
			p.Error("a finished job stood in the way")
		}
		p.stop(q)
	})
}

func TestSerialInOrderOfCreation(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{Workers: 16})
		var mu sync.Mutex
		order := map[string][]int{}
		active := map[string]int{}
		q.Register("k", Kind{Run: func(ctx context.Context, r *Running) error {
			var n int
			if err := r.Task(&n); err != nil {
				return err
			}
			mu.Lock()
			active[r.Subject]++
			if active[r.Subject] > 1 {
				p.Errorf("two jobs of %s at the same time", r.Subject)
			}
			mu.Unlock()
			time.Sleep(time.Duration(7*n%5) * time.Second)
			mu.Lock()
			defer mu.Unlock()
			active[r.Subject]--
			if n == 3 && r.Attempt == 1 {
				return errors.New("once") // those behind wait for the second attempt
			}
			order[r.Subject] = append(order[r.Subject], n)
			return nil
		}})
		p.start(q)
		var ids []string
		for n := range 10 {
			for _, subject := range []string{"a", "b", "c"} {
				ids = append(ids, p.enqueue(q, NewSpec("k", subject, n)))
			}
		}
		for _, id := range ids {
			p.wait(id, StateCompleted)
		}
		for subject, got := range order {
			if fmt.Sprint(got) != "[0 1 2 3 4 5 6 7 8 9]" {
				p.Errorf("%s ran in order %v", subject, got)
			}
		}
		p.stop(q)
	})
}

func TestExclusiveUnderManyWorkers(t *testing.T) {
	bubble(t, func(p plane) {
		const jobs = 100
		var runs [jobs]atomic.Int32
		var now, most atomic.Int32
		var queues []*Queue
		for i := range 4 {
			q := p.queue(Options{Owner: fmt.Sprint("host", i), Workers: 8})
			q.Register("k", Kind{Run: func(ctx context.Context, r *Running) error {
				var n int
				if err := r.Task(&n); err != nil {
					return err
				}
				if a := now.Add(1); a > most.Load() {
					most.Store(a)
				}
				time.Sleep(time.Second)
				now.Add(-1)
				runs[n].Add(1)
				return nil
			}})
			p.start(q)
			queues = append(queues, q)
		}
		var ids []string
		for n := range jobs {
			ids = append(ids, p.enqueue(queues[0], Spec{Kind: "k", Args: n}))
		}
		for _, id := range ids {
			p.wait(id, StateCompleted)
		}
		for n := range runs {
			if got := runs[n].Load(); got != 1 {
				p.Errorf("job %d ran %d times", n, got)
			}
		}
		if most.Load() < 9 || most.Load() > 32 {
			p.Errorf("%d jobs ran at the same time; four queues of 8 workers", most.Load())
		}
		for _, q := range queues {
			p.stop(q)
		}
	})
}

func TestUnknownKindsAreLeftAlone(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{})
		q.Register("known", Kind{Run: func(context.Context, *Running) error { return nil }})
		p.start(q)
		unknown := p.enqueue(q, Spec{Kind: "unknown"})
		p.wait(p.enqueue(q, Spec{Kind: "known"}), StateCompleted)
		if j := p.get(unknown); j.State != StateAvailable || j.Attempt != 0 {
			p.Errorf("the unknown job is %+v", j)
		}
		p.stop(q)
	})
}

func TestProgressAndCheckpoint(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{Heartbeat: 5 * time.Second, Progress: time.Minute})
		step := make(chan func())
		seen := func(want string) {
			p.Helper()
			p.view(func(tx *metastore.Tx) error {
				all, err := List(tx, Filter{State: StateRunning})
				if len(all) != 1 || string(all[0].Progress) != want {
					p.Errorf("progress is %s, want %s", all[0].Progress, want)
				}
				return err
			})
		}
		q.Register("k", Kind{Run: func(ctx context.Context, r *Running) error {
			var at []string
			found, err := r.Load(&at)
			if err != nil {
				return err
			}
			if r.Attempt == 1 {
				if found {
					p.Error("found a checkpoint at first")
				}
				return errors.Join(r.Save(ctx, []string{"one"}), r.Save(ctx, []string{"one", "two"}), errors.New("again"))
			}
			if !found || strings.Join(at, " ") != "one two" {
				p.Errorf("the checkpoint is %v", at)
			}
			for i := 1; i <= 3; i++ {
				if err := r.Progress(ctx, i); err != nil {
					return err
				}
			}
			(<-step)()
			time.Sleep(6 * time.Second) // a heartbeat passes
			(<-step)()
			if err := r.ProgressNow(ctx, 9); err != nil {
				return err
			}
			(<-step)()
			return nil
		}})
		p.start(q)
		id := p.enqueue(q, Spec{Kind: "k"})
		for _, want := range []string{"1", "3", "9"} {
			done := make(chan struct{})
			step <- func() { seen(want); close(done) }
			<-done
		}
		p.wait(id, StateCompleted)
		p.stop(q)
	})
}

func TestPruneAndCounts(t *testing.T) {
	bubble(t, func(p plane) {
		q := p.queue(Options{Poll: 24 * time.Hour, Heartbeat: time.Minute, Lease: time.Hour})
		q.Register("k", Kind{Run: func(context.Context, *Running) error { return nil }})
		p.start(q)
		old := p.enqueue(q, Spec{Kind: "k"})
		p.wait(old, StateCompleted)
		later := p.enqueue(q, Spec{Kind: "k", RunAt: time.Now().Add(100 * 24 * time.Hour)})
		time.Sleep(Keep - time.Minute)
		p.get(old)
		time.Sleep(2 * time.Hour)
		p.view(func(tx *metastore.Tx) error {
			all, err := List(tx, Filter{})
			if len(all) != 1 || all[0].ID != later {
				p.Errorf("%d jobs are left", len(all))
			}
			return err
		})
		p.view(func(tx *metastore.Tx) error {
			counts, err := Counts(tx)
			if fmt.Sprint(counts) != "[{k available 1}]" {
				p.Errorf("counts are %v", counts)
			}
			return err
		})
		p.stop(q)
	})
}
