// Package fault makes a bucket fail when it is told to, for tests: the n-th call, or all calls of some kind.
package fault

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/keyframe/keyframe/internal/blob"
)

// ErrInjected is the error of every call that was told to fail.
var ErrInjected = errors.New("injected fault")

// Op names what a call does.
type Op string

const (
	Create Op = "create"
	Write  Op = "write"
	Commit Op = "commit"
	Open   Op = "open"
	Read   Op = "read"
	Stat   Op = "stat"
	List   Op = "list"
	Delete Op = "delete"
)

// When decides: n counts all calls from 1. True makes the call fail.
type When func(n int, op Op, key string) bool

// Nth fails the n-th call, counted from 1.
func Nth(n int) When { return func(i int, _ Op, _ string) bool { return i == n } }

// From fails the n-th call and all that follow, as a store that is gone does.
func From(n int) When { return func(i int, _ Op, _ string) bool { return i >= n } }

// Bucket counts the calls to another and fails some.
type Bucket struct {
	under blob.Bucket
	mu    sync.Mutex
	when  When
	calls int
	after bool
}

var _ blob.Bucket = (*Bucket)(nil)

// New wraps a bucket; when may be nil.
func New(under blob.Bucket, when When) *Bucket { return &Bucket{under: under, when: when} }

// LoseAnswers lets a failing Commit or Delete do its work before it fails, as when the answer is lost on the way.
func (b *Bucket) LoseAnswers() *Bucket { b.after = true; return b }

// Set changes the decision and starts counting again.
func (b *Bucket) Set(when When) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.when, b.calls = when, 0
}

// Calls is the number of calls so far.
func (b *Bucket) Calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

func (b *Bucket) hit(op Op, key string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	if b.when != nil && b.when(b.calls, op, key) {
		return ErrInjected
	}
	return nil
}

// Create implements blob.Bucket.
func (b *Bucket) Create(ctx context.Context, key string, o blob.CreateOptions) (blob.Writer, error) {
	if err := b.hit(Create, key); err != nil {
		return nil, err
	}
	w, err := b.under.Create(ctx, key, o)
	if err != nil {
		return nil, err
	}
	return &writer{b, key, w}, nil
}

type writer struct {
	b   *Bucket
	key string
	w   blob.Writer
}

// Write fails after half of the bytes, the worst place.
func (w *writer) Write(p []byte) (int, error) {
	if err := w.b.hit(Write, w.key); err != nil {
		n, _ := w.w.Write(p[:len(p)/2])
		return n, err
	}
	return w.w.Write(p)
}

func (w *writer) Commit() error {
	if err := w.b.hit(Commit, w.key); err != nil {
		if w.b.after {
			w.w.Commit() //nolint:errcheck // its answer is what gets lost
		}
		w.w.Abort()
		return err
	}
	return w.w.Commit()
}

func (w *writer) Abort() { w.w.Abort() }

// Open implements blob.Bucket.
func (b *Bucket) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	if err := b.hit(Open, key); err != nil {
		return nil, err
	}
	r, err := b.under.Open(ctx, key, off, n)
	if err != nil {
		return nil, err
	}
	return &reader{b, key, r}, nil
}

type reader struct {
	b   *Bucket
	key string
	r   io.ReadCloser
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.b.hit(Read, r.key); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func (r *reader) Close() error { return r.r.Close() }

// Stat implements blob.Bucket.
func (b *Bucket) Stat(ctx context.Context, key string) (blob.Info, error) {
	if err := b.hit(Stat, key); err != nil {
		return blob.Info{}, err
	}
	return b.under.Stat(ctx, key)
}

// List implements blob.Bucket.
func (b *Bucket) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	if err := b.hit(List, prefix); err != nil {
		return err
	}
	return b.under.List(ctx, prefix, fn)
}

// Delete implements blob.Bucket.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := b.hit(Delete, key); err != nil {
		if b.after {
			b.under.Delete(ctx, key) //nolint:errcheck // its answer is what gets lost
		}
		return err
	}
	return b.under.Delete(ctx, key)
}
