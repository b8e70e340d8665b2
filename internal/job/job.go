// Package job is a durable queue on the metastore. A job is enqueued in the transaction that makes it necessary, and closed in the one
// that records its result. Between the two a worker holds a lease: it renews it while it lives, and every lease has a fence, a number that
// grows whenever the job changes hands, so that a worker that lost its lease changes nothing any more.
//
//	available --take--> running --nil, Close--> completed
//	    ^                  | \--Cancel--> cancelled
//	    |<--Snooze, Stop,--|  \--error, last attempt--> discarded
//	    |   lost process   |
//	retryable <--error-----+   (becomes running again like an available job, when its time has come)
package job

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
)

// State is where a job is in its life.
type State string

const (
	StateAvailable State = "available" // waits for RunAt and a worker
	StateRunning   State = "running"   // a worker holds the lease
	StateRetryable State = "retryable" // failed, and waits for RunAt to be tried again
	StateCompleted State = "completed"
	StateCancelled State = "cancelled" // its handler said that trying again is useless
	StateDiscarded State = "discarded" // failed at every attempt, or took its process down too often
)

// Finished reports whether nothing will happen to the job any more.
func (s State) Finished() bool {
	return s == StateCompleted || s == StateCancelled || s == StateDiscarded
}

// Job is a piece of durable work.
type Job struct {
	ID          string // ULID
	Seq         int64  // order of creation
	Kind        string // names the handler
	Subject     string // ID of the resource that it works on
	Args        json.RawMessage
	State       State
	Serial      bool
	Attempt     int // started runs that were not given back: 1 during the first
	MaxAttempts int
	Crashes     int       // runs that ended with their process
	Owner       string    // who holds the lease; empty when nobody does
	Fence       int64     // grows with every change of hands
	LeaseUntil  time.Time // zero when nobody holds it
	RunAt       time.Time // not before
	Progress    json.RawMessage
	Checkpoint  json.RawMessage // what a run left for the next one
	LastError   string
	CreatedAt   time.Time
	StartedAt   time.Time // of the last run
	FinishedAt  time.Time
}

// Spec says what is to be done.
type Spec struct {
	Kind    string
	Subject string
	Args    any // marshalled to JSON

	MaxAttempts int       // 0 for DefaultAttempts
	RunAt       time.Time // zero for at once

	// Serial jobs of one subject run one at a time in order of creation, whatever their kinds: a delete waits for the create before it, also
	// while that waits for its next attempt.
	Serial bool
	// UniqueSubject adds nothing when an unfinished job of the same kind and subject, enqueued with UniqueSubject too, is there already.
	UniqueSubject bool
}

// DefaultAttempts is how often a job is tried when its Spec does not say.
const DefaultAttempts = 5

// NewSpec is a Spec for a task on a subject, serial because that is what a resource's life needs.
func NewSpec(kind, subject string, args any) Spec {
	return Spec{Kind: kind, Subject: subject, Args: args, Serial: true}
}

// ErrLostLease says that another worker has, or may have, the job: this one must change nothing more.
var ErrLostLease = errors.New("job: the lease is lost")

// ErrStopping is the cause with which Stop cancels the contexts of running handlers.
var ErrStopping = errors.New("job: the queue is stopping")

type cancelError struct{ err error }

func (e *cancelError) Error() string { return e.err.Error() }
func (e *cancelError) Unwrap() error { return e.err }

// Cancel wraps the error of a handler when further attempts are useless: the job ends as cancelled, and the kind's OnDiscard hook runs.
func Cancel(err error) error {
	if err == nil {
		err = errors.New("cancelled")
	}
	return &cancelError{err}
}

type snoozeError struct{ after time.Duration }

func (e *snoozeError) Error() string { return fmt.Sprintf("job: snoozed for %s", e.after) }

// Snooze is what a handler returns when its job cannot be done yet: it runs again after d, and the attempt does not count.
func Snooze(d time.Duration) error { return &snoozeError{max(d, 0)} }

// Topic is notified in the metastore by every transaction that adds a job or moves one to another state.
const Topic = "jobs"

// Enqueue adds a job in the transaction that makes it necessary, and returns its ID; with UniqueSubject that of the job that is there already.
// Workers of this process look for it as soon as the transaction commits.
func (q *Queue) Enqueue(tx *metastore.Tx, s Spec) (id string, err error) {
	if s.Kind == "" {
		return "", errors.New("job: a job needs a kind")
	}
	args, err := json.Marshal(s.Args)
	if err != nil {
		return "", fmt.Errorf("job: arguments of %s: %w", s.Kind, err)
	}
	now := q.now()
	if s.RunAt.IsZero() {
		s.RunAt = now
	}
	if s.MaxAttempts <= 0 {
		s.MaxAttempts = DefaultAttempts
	}
	id = metastore.NewID(now)
	added, err := insert(tx, id, s, args, now)
	if err != nil {
		return "", err
	}
	if !added {
		return unfinished(tx, s.Kind, s.Subject)
	}
	tx.Notify(Topic)
	return id, nil
}
