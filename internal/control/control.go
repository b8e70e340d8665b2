// Package control is the control plane: it takes a command, checks it, and runs one metastore transaction that changes
// state, enqueues the job that does the slow part, and appends the event. Nothing slow happens here, except resolving a KMS
// key and probing the bucket that an export needs, both outside the transaction.
package control

import (
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/metastore"
)

// Quota bounds what one account may hold in a region. AWS's figures are the defaults of the configuration.
type Quota struct {
	ServerlessCaches    int // caches
	ServerlessSnapshots int // manual snapshots per cache in a rolling day
	NodeSnapshots       int // manual snapshots per cache of nodes in a rolling day
	SnapshotsKept       int // snapshots of all types in each space; 0 for no bound
	TagsPerResource     int // user tags
}

// Options are the parts that a Control works with.
type Options struct {
	DB      *metastore.DB
	Queue   *job.Queue
	Keys    kms.Provider
	Targets target.Target
	Engines *engine.Catalog
	Quota   Quota
	Now     func() time.Time
}

// Control carries out commands.
type Control struct {
	db      *metastore.DB
	queue   *job.Queue
	keys    kms.Provider
	targets target.Target
	engines *engine.Catalog
	quota   Quota
	now     func() time.Time
}

// New makes a Control.
func New(o Options) *Control {
	return &Control{db: o.DB, queue: o.Queue, keys: o.Keys, targets: o.Targets, engines: o.Engines, quota: o.Quota, now: o.Now}
}

// enqueue adds the job for a task within the transaction of its command.
func (c *Control) enqueue(tx *metastore.Tx, kind, subject string, task any) (string, error) {
	return c.queue.Enqueue(tx, job.NewSpec(kind, subject, task))
}

// newID makes the identity of a cache or snapshot: unique for ever, in order of time.
func newID() string { return ulid.Make().String() }
