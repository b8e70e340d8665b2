// Package worker does the slow part of commands: it starts and stops engines, takes, copies, exports and restores snapshots.
// Each body is a job that may be killed at any line and run again: it looks at what is there before it does anything, and
// ends in one transaction that changes the state, tells the event and closes the job.
package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// Options are the parts that a Worker works with.
type Options struct {
	DB      *metastore.DB
	Queue   *job.Queue
	Store   *snapstore.Store
	Keys    kms.Provider
	Targets target.Target
	Engines *supervisor.Supervisor
	Catalog *engine.Catalog

	Host         string // names this process's machine in the records of its nodes
	Spool        string // directory for what a slow store cannot take at once
	DefaultBytes int64  // memory of a cache without a data limit
	TLS          bool   // serverless endpoints speak TLS
	Now          func() time.Time
	Log          *slog.Logger

	// OnCut is told how several shards were cut, once their data is stored.
	OnCut func(*capture.Cut)
}

// Worker holds the bodies of all tasks.
type Worker struct {
	Options
	watch watch
	hung  time.Duration
}

// New makes a Worker and registers its tasks with the queue.
func New(o Options) *Worker {
	w := &Worker{Options: o, hung: hung}
	for kind, k := range map[string]job.Kind{
		resource.TaskCreateCache:    {Run: task(w.createCache), OnDiscard: given(w.createCacheFailed)},
		resource.TaskModifyCache:    {Run: task(w.modifyCache), OnDiscard: given(w.modifyCacheFailed)},
		resource.TaskDeleteCache:    {Run: task(w.deleteCache), OnDiscard: given(w.deleteCacheFailed)},
		resource.TaskRecoverNode:    {Run: task(w.recoverNode)},
		resource.TaskFailover:       {Run: task(w.failover), OnDiscard: given(w.failoverFailed)},
		resource.TaskConfigureCache: {Run: task(w.configureCache), OnDiscard: given(w.configureCacheFailed)},
		resource.TaskRebootNodes:    {Run: task(w.rebootNodes), OnDiscard: given(w.rebootNodesFailed)},
		resource.TaskCreateSnapshot: {Run: task(w.createSnapshot), OnDiscard: given(w.createSnapshotFailed)},
		resource.TaskCopySnapshot:   {Run: task(w.copySnapshot), OnDiscard: given(w.copySnapshotFailed)},
		resource.TaskExportSnapshot: {Run: task(w.exportSnapshot), OnDiscard: given(w.exportSnapshotFailed)},
		resource.TaskDeleteSnapshot: {Run: task(w.deleteSnapshot), OnDiscard: given(w.deleteSnapshotFailed)},
	} {
		o.Queue.Register(kind, k)
	}
	return w
}

// task gives a body its arguments.
func task[T any](body func(ctx context.Context, r *job.Running, args T) error) job.Handler {
	return func(ctx context.Context, r *job.Running) error {
		var args T
		if err := json.Unmarshal(r.Args, &args); err != nil {
			return job.Cancel(fmt.Errorf("arguments of %s: %w", r.Kind, err))
		}
		return body(ctx, r, args)
	}
}

// given gives the hook of a job that is given up its arguments.
func given[T any](hook func(tx *metastore.Tx, j job.Job, args T, cause error) error) func(context.Context, *metastore.Tx, job.Job, error) error {
	return func(_ context.Context, tx *metastore.Tx, j job.Job, cause error) error {
		var args T
		if err := json.Unmarshal(j.Args, &args); err != nil {
			return nil // nothing names a resource: only the job itself can be given up
		}
		return hook(tx, j, args, cause)
	}
}

// errGone ends a body whose resource is no longer in the state that the job is for: an earlier run finished the work.
var errGone = errors.New("the work is done already")

// cacheIn finds a cache that is in one of some states; errGone otherwise.
func (w *Worker) cacheIn(ctx context.Context, id string, states ...resource.CacheStatus) (cache *resource.Cache, err error) {
	err = w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		cache, err = cacheIn(tx, id, states...)
		return err
	})
	return cache, err
}

func cacheIn(tx *metastore.Tx, id string, states ...resource.CacheStatus) (*resource.Cache, error) {
	cache, err := tx.CacheByID(id)
	if is(err, resource.NotFound) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if cache.Status == s {
			return cache, nil
		}
	}
	return nil, errGone
}

// snapshotIn finds a snapshot that is in one of some states; errGone otherwise.
func (w *Worker) snapshotIn(ctx context.Context, id string, states ...resource.SnapshotStatus) (s *resource.Snapshot, err error) {
	err = w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		s, err = snapshotIn(tx, id, states...)
		return err
	})
	return s, err
}

func snapshotIn(tx *metastore.Tx, id string, states ...resource.SnapshotStatus) (*resource.Snapshot, error) {
	s, err := tx.SnapshotByID(id)
	if is(err, resource.NotFound) {
		return nil, errGone
	}
	if err != nil {
		return nil, err
	}
	for _, state := range states {
		if s.Status == state {
			return s, nil
		}
	}
	return nil, errGone
}

// done turns errGone into success: an earlier run of the job closed it, or a later command made it pointless.
func done(err error) error {
	if errors.Is(err, errGone) {
		return nil
	}
	return err
}

func is(err error, kind resource.ErrorKind) bool {
	var e *resource.Error
	return errors.As(err, &e) && e.Kind == kind
}

// teller is what has a story that DescribeEvents tells: a cache or a snapshot.
type teller interface {
	Event(at time.Time, message string) resource.Event
}

// tell appends a line to the story of a resource.
func (w *Worker) tell(tx *metastore.Tx, of teller, format string, args ...any) error {
	return tx.AppendEvent(of.Event(w.Now(), fmt.Sprintf(format, args...)))
}
