// Package retry makes a bucket try again when it fails for a while: calls are repeated, and a read that breaks continues
// where it was.
package retry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/keyframe/keyframe/internal/blob"
)

// replayLimit is how much of an object is kept so that a failed Commit can be repeated from the start. Manifests fit; larger
// objects rely on the retries that an implementation has inside.
const replayLimit = 1 << 20

// Options bound the tries. Zero values take the defaults.
type Options struct {
	Tries int           // calls in total; default 5
	Base  time.Duration // first pause, doubled each time; default 50 ms
	Max   time.Duration // longest pause; default 5 s
	// Sleep waits or returns the context's error; nil uses the clock. For tests.
	Sleep func(context.Context, time.Duration) error
}

type bucket struct {
	under blob.Bucket
	o     Options
}

// New wraps a bucket.
func New(under blob.Bucket, o Options) blob.Bucket {
	if o.Tries <= 0 {
		o.Tries = 5
	}
	if o.Base <= 0 {
		o.Base = 50 * time.Millisecond
	}
	if o.Max <= 0 {
		o.Max = 5 * time.Second
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	return &bucket{under, o}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// permanent reports errors that a second try cannot mend.
func permanent(err error) bool {
	return errors.Is(err, blob.ErrNotFound) || errors.Is(err, blob.ErrExists) || errors.Is(err, blob.ErrInvalidKey) ||
		errors.Is(err, blob.ErrClosed) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// do calls fn until it succeeds, fails for good, or the tries are used up; try counts from 0.
func (b *bucket) do(ctx context.Context, fn func(try int) error) error {
	for try := 0; ; try++ {
		err := fn(try)
		if err == nil || permanent(err) || ctx.Err() != nil {
			return err
		}
		if try+1 >= b.o.Tries {
			return fmt.Errorf("%w (after %d tries)", err, b.o.Tries)
		}
		if b.o.Sleep(ctx, b.pause(try)) != nil {
			return err
		}
	}
}

func (b *bucket) pause(try int) time.Duration {
	d := min(b.o.Base<<min(try, 20), b.o.Max)
	return d/2 + rand.N(d/2+1)
}

func (b *bucket) Stat(ctx context.Context, key string) (info blob.Info, err error) {
	err = b.do(ctx, func(int) error {
		info, err = b.under.Stat(ctx, key)
		return err
	})
	return info, err
}

func (b *bucket) Delete(ctx context.Context, key string) error {
	return b.do(ctx, func(int) error { return b.under.Delete(ctx, key) })
}

// List repeats a broken listing and leaves out what fn has seen. An error of fn itself is final.
func (b *bucket) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	var last string
	var ferr error
	err := b.do(ctx, func(int) error {
		err := b.under.List(ctx, prefix, func(i blob.Info) error {
			if last != "" && i.Key <= last {
				return nil
			}
			last = i.Key
			ferr = fn(i)
			return ferr
		})
		if ferr != nil {
			return nil
		}
		return err
	})
	if ferr != nil {
		return ferr
	}
	return err
}

func (b *bucket) Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	r := &reader{b: b, ctx: ctx, key: key, off: off, left: n}
	if err := r.reopen(); err != nil {
		return nil, err
	}
	return r, nil
}

// reader continues a read that broke.
type reader struct {
	b         *bucket
	ctx       context.Context
	key       string
	off, left int64 // left < 0: to the end
	r         io.ReadCloser
	fails     int // in a row, without a byte in between
}

func (r *reader) reopen() error {
	return r.b.do(r.ctx, func(int) (err error) {
		r.r, err = r.b.under.Open(r.ctx, r.key, r.off, r.left)
		return err
	})
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		if r.r == nil {
			if err := r.reopen(); err != nil {
				return 0, err
			}
		}
		n, err := r.r.Read(p)
		r.off += int64(n)
		if r.left > 0 {
			r.left = max(0, r.left-int64(n))
		}
		if n > 0 {
			r.fails = 0
		}
		if err == nil || errors.Is(err, io.EOF) || permanent(err) || r.ctx.Err() != nil {
			return n, err
		}
		if r.fails++; r.fails >= r.b.o.Tries {
			return n, err
		}
		r.r.Close()
		r.r = nil
		if n > 0 {
			return n, nil
		}
		if r.b.o.Sleep(r.ctx, r.b.pause(r.fails)) != nil {
			return 0, err
		}
	}
}

func (r *reader) Close() error {
	if r.r == nil {
		return nil
	}
	return r.r.Close()
}

func (b *bucket) Create(ctx context.Context, key string, o blob.CreateOptions) (blob.Writer, error) {
	w := &writer{b: b, ctx: ctx, key: key, o: o}
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, nil
}

// writer keeps the bytes of a small object, to write it again when Commit fails.
type writer struct {
	b    *bucket
	ctx  context.Context
	key  string
	o    blob.CreateOptions
	w    blob.Writer
	kept bytes.Buffer
	big  bool // too large to keep
	err  error
	done bool
}

func (w *writer) open() error {
	return w.b.do(w.ctx, func(int) (err error) {
		w.w, err = w.b.under.Create(w.ctx, w.key, w.o)
		return err
	})
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, blob.ErrClosed
	}
	if !w.big && w.kept.Len()+len(p) > replayLimit {
		if w.err != nil {
			return 0, w.err
		}
		w.big, w.kept = true, bytes.Buffer{}
	}
	if w.big {
		return w.w.Write(p)
	}
	w.kept.Write(p)
	if w.err == nil {
		_, w.err = w.w.Write(p) // Commit starts again from what was kept
	}
	return len(p), nil
}

func (w *writer) Commit() error {
	if w.done {
		return blob.ErrClosed
	}
	w.done = true
	if w.big {
		return w.w.Commit()
	}
	return w.b.do(w.ctx, func(try int) error {
		if try == 0 {
			if w.err == nil {
				return w.w.Commit()
			}
			w.w.Abort()
			return w.err
		}
		err := blob.Put(w.ctx, w.b.under, w.key, w.kept.Bytes(), w.o)
		if errors.Is(err, blob.ErrExists) && w.mine() {
			return nil // an earlier try had succeeded, only its answer was lost
		}
		return err
	})
}

// mine tells whether the object that exists holds exactly these bytes.
func (w *writer) mine() bool {
	got, err := blob.Get(w.ctx, w.b.under, w.key, replayLimit)
	return err == nil && bytes.Equal(got, w.kept.Bytes())
}

func (w *writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.w.Abort()
}
