package job

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
)

// Handler does the work of one job. It may run again after any failure, so each step must bear repetition. The error that it returns decides
// what becomes of the job: nil completes it, unless Close did; Cancel and Snooze do what they say; any other is retried. Its context ends when the queue
// stops (cause ErrStopping) or the lease is lost (cause ErrLostLease).
type Handler func(ctx context.Context, r *Running) error

// Kind is how jobs of one kind are done.
type Kind struct {
	Run Handler
	// OnDiscard runs in the transaction in which a job is given up, as discarded or cancelled (j.State says which), so that its resource ends in a
	// named failure. When it fails, the job is tried again instead. It may be nil.
	OnDiscard func(ctx context.Context, tx *metastore.Tx, j Job, err error) error
}

// Options are the parameters of a Queue. Zero values take the defaults.
type Options struct {
	Owner      string                          // who holds this queue's leases: the host, the same after a restart; default a new ULID
	Clock      func() time.Time                // default time.Now
	Logger     *slog.Logger                    // default slog.Default
	Lease      time.Duration                   // default 30 s
	Heartbeat  time.Duration                   // how often leases are renewed and expired ones looked for; default 5 s
	Poll       time.Duration                   // longest time between looks for due jobs; default 1 s
	Workers    int                             // jobs that run at the same time; default 8
	Backoff    func(attempt int) time.Duration // wait before the attempt after this one; default doubles from 1 s to 2 min
	MaxCrashes int                             // a job whose process died so often is discarded; default 20
	Progress   time.Duration                   // least time between writes of one job's progress; default 500 ms
}

// Keep is how long finished jobs can be looked at.
const Keep = 24 * time.Hour

// Queue takes jobs from the metastore and runs them.
type Queue struct {
	db  *metastore.DB
	o   Options
	log *slog.Logger

	mu      sync.Mutex
	kinds   map[string]Kind
	running map[*Running]struct{}
	started bool

	stopping             chan struct{} // closed by Stop: take nothing more
	given                chan struct{} // closed when Stop gave up waiting: outcomes need not be written any more
	stopOnce             sync.Once
	giveOnce             sync.Once
	freed                chan struct{} // holds a token when a worker has become free
	stopBeat             context.CancelFunc
	taker, beat, workers sync.WaitGroup
}

// New makes a queue on a metastore. It does nothing until Start.
func New(db *metastore.DB, o Options) *Queue {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Owner == "" {
		o.Owner = metastore.NewID(o.Clock())
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Backoff == nil {
		o.Backoff = backoff
	}
	defaults := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	defaults(&o.Lease, 30*time.Second)
	defaults(&o.Heartbeat, 5*time.Second)
	defaults(&o.Poll, time.Second)
	defaults(&o.Progress, 500*time.Millisecond)
	if o.Workers <= 0 {
		o.Workers = 8
	}
	if o.MaxCrashes <= 0 {
		o.MaxCrashes = 20
	}
	return &Queue{db: db, o: o, log: o.Logger, kinds: map[string]Kind{}, running: map[*Running]struct{}{},
		stopping: make(chan struct{}), given: make(chan struct{}), freed: make(chan struct{}, 1)}
}

func backoff(attempt int) time.Duration {
	d := min(time.Second<<min(max(attempt, 1)-1, 10), 2*time.Minute)
	return d - time.Duration(rand.Int64N(int64(d)/4+1)) // spread what failed together
}

func (q *Queue) now() time.Time { return q.o.Clock() }

// Register says how jobs of a kind are done. A queue leaves jobs of other kinds to other queues. Register before TakeOver and Start.
func (q *Queue) Register(name string, k Kind) {
	if name == "" || k.Run == nil {
		panic("job: a kind needs a name and a handler")
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, twice := q.kinds[name]; twice {
		panic("job: kind registered twice: " + name)
	}
	q.kinds[name] = k
}

func (q *Queue) kind(name string) (Kind, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	k, ok := q.kinds[name]
	return k, ok
}

// Start begins to take jobs, until Stop. The context bounds nothing but its values, which handlers see. A queue starts once.
func (q *Queue) Start(ctx context.Context) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-q.stopping:
		return errors.New("job: the queue has been stopped")
	default:
	}
	if q.started {
		return errors.New("job: the queue has been started")
	}
	q.started = true
	ctx = context.WithoutCancel(ctx)
	beatCtx, stopBeat := context.WithCancel(ctx)
	q.stopBeat = stopBeat
	enqueued, unsubscribe := q.db.Subscribe(Topic)
	q.taker.Go(func() {
		defer unsubscribe()
		q.dispatch(ctx, enqueued)
	})
	q.beat.Go(func() { q.heartbeat(beatCtx) })
	return nil
}

// dispatch takes jobs whenever there may be some and a worker is free.
func (q *Queue) dispatch(ctx context.Context, enqueued <-chan struct{}) {
	for {
		wait := q.o.Poll
		if free := q.o.Workers - q.busy(); free > 0 {
			next, err := q.takeUpTo(ctx, free)
			if err != nil {
				q.log.Error("cannot take jobs", "err", err)
			} else if !next.IsZero() {
				wait = min(wait, max(next.Sub(q.now()), time.Millisecond))
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-q.stopping:
			timer.Stop()
			return
		case <-enqueued:
		case <-q.freed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (q *Queue) busy() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.running)
}

func (q *Queue) takeUpTo(ctx context.Context, n int) (next time.Time, err error) {
	q.mu.Lock()
	kinds := slices.Sorted(maps.Keys(q.kinds))
	q.mu.Unlock()
	if len(kinds) == 0 {
		return time.Time{}, nil
	}
	select {
	case <-q.stopping:
		return time.Time{}, nil
	default:
	}
	limited, cancel := context.WithTimeout(ctx, q.o.Lease)
	defer cancel()
	var jobs []Job
	var until time.Time
	err = q.db.Update(limited, func(tx *metastore.Tx) (err error) {
		now := q.now()
		until = now.Add(q.o.Lease)
		if jobs, err = take(tx, kinds, n, q.o.Owner, now, until); err != nil {
			return err
		}
		next, err = nextDue(tx, now)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	slices.SortFunc(jobs, func(a, b Job) int { return int(a.Seq - b.Seq) })
	for _, j := range jobs {
		q.launch(ctx, j, until)
	}
	return next, nil
}

func (q *Queue) launch(ctx context.Context, j Job, until time.Time) {
	ctx, cancel := context.WithCancelCause(ctx)
	r := &Running{Job: j, q: q, cancel: cancel, lease: until}
	k, _ := q.kind(j.Kind)
	q.mu.Lock()
	q.running[r] = struct{}{}
	q.mu.Unlock()
	q.workers.Go(func() {
		defer cancel(nil)
		err := r.call(ctx, k.Run)
		q.settle(ctx, r, err)
		q.mu.Lock()
		delete(q.running, r)
		q.mu.Unlock()
		select {
		case q.freed <- struct{}{}:
		default:
		}
	})
}
