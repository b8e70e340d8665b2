package buckets

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"time"

	"github.com/keyframe/keyframe/internal/blob/checksum"
)

// MaxObject is the greatest size of an object, in bytes.
const MaxObject = 5 << 40

// Condition is what must hold for a write to become visible. It is judged together with becoming visible, so of two writers with
// IfAbsent exactly one wins.
type Condition struct {
	IfAbsent bool   // else ErrExists
	IfMatch  string // ETag that the object must have, "*" for any; else ErrNoSuchKey or ErrChanged
}

// CreateOptions are those of Create.
type CreateOptions struct {
	Condition
	Attributes
}

// Writer writes one object. Nothing is visible before Commit; what is not committed is gone after Abort or a crash.
// A Writer is for one goroutine.
type Writer struct {
	s    *Service
	b    *bucket
	cond Condition
	o    Object
	f    *os.File
	sum  hash.Hash
	done bool

	sealed bool

	started int64 // bytes that the disk was told to begin on
}

// writebackStep is how many bytes gather before the disk is told to begin on them.
const writebackStep = 8 << 20

// Create begins an object whose bytes come from this process, such as an export. For speed no MD5 is computed: the ETag is random
// with "-1" at its end, the form of an object that was uploaded in one part, whose ETag need not be an MD5 either. Readers can verify
// the bytes by the CRC32 that is kept instead.
func (s *Service) Create(ctx context.Context, bucket, key string, opts CreateOptions) (*Writer, error) {
	w, err := s.begin(ctx, bucket, key, opts)
	if err != nil {
		return nil, err
	}
	w.sum = checksum.CRC32.New()
	return w, nil
}

func (s *Service) begin(ctx context.Context, bucket, key string, opts CreateOptions) (*Writer, error) {
	if err := checkKey(key); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := s.bucket(bucket)
	if err != nil {
		return nil, err
	}
	w := &Writer{s: s, b: b, cond: opts.Condition, o: Object{Key: key, Attributes: opts.Attributes}}
	// Commit asks again; asking now spares the caller a transfer in vain.
	if err := w.allowed(); err != nil {
		return nil, err
	}
	if w.f, err = os.CreateTemp(s.tmp(), "object-"); err != nil {
		return nil, fmt.Errorf("write %s/%s: %w", bucket, key, err)
	}
	return w, nil
}

func (w *Writer) path() string { return filepath.Join(w.b.objects(), keyPath(w.o.Key)) }

// allowed judges the condition.
func (w *Writer) allowed() error {
	if !w.cond.IfAbsent && w.cond.IfMatch == "" {
		return nil
	}
	have, err := statObject(w.path())
	switch {
	case err != nil && !absent(err):
		return err
	case w.cond.IfAbsent && err == nil:
		return ErrExists
	case w.cond.IfMatch != "" && err != nil:
		return ErrNoSuchKey
	case w.cond.IfMatch != "" && w.cond.IfMatch != "*" && w.cond.IfMatch != have.ETag:
		return ErrChanged
	}
	return nil
}

// Write appends to the object.
func (w *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > MaxObject-w.o.Size {
		return 0, ErrObjectTooLong
	}
	n, err := w.f.Write(p)
	w.o.Size += int64(n)
	if w.o.Size-w.started >= writebackStep {
		startWriteback(w.f, w.started, w.o.Size-w.started)
		w.started = w.o.Size
	}
	if w.sum != nil {
		w.sum.Write(p[:n])
	}
	return n, err
}

// Seal makes the object durable, and not yet visible: what remains for Commit is to give it its name. Nothing may be written after it.
func (w *Writer) Seal() error {
	if w.done || w.sealed {
		return errors.New("buckets: seal of a writer that is finished")
	}
	if w.sum != nil {
		w.o.Checksum = checksum.Sum{Algorithm: checksum.CRC32, Type: checksum.FullObject, Value: checksum.Encode(w.sum.Sum(nil))}
		w.o.ETag = newID() + "-1"
		w.o.Parts = w.o.Parts.Add(w.o.Size)
	}
	w.sealed = true
	if err := w.seal(); err != nil {
		w.Abort()
		return err
	}
	return nil
}

// Commit makes the object durable and visible. The Writer is finished whether it succeeds or not.
func (w *Writer) Commit() error {
	if w.done {
		return errors.New("buckets: commit of a writer that is finished")
	}
	var err error
	if !w.sealed {
		err = w.Seal()
	}
	if err == nil {
		err = w.publish()
	}
	if err != nil {
		w.Abort()
		return err
	}
	w.done = true
	return nil
}

// seal completes the file and makes it durable under its temporary name.
func (w *Writer) seal() error {
	w.o.ModifiedAt = w.s.now().UTC().Truncate(time.Millisecond)
	t, err := tail(&w.o)
	if err != nil {
		return err
	}
	if _, err := w.f.Write(t); err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil {
		return err
	}
	return w.f.Close()
}

func (w *Writer) publish() error {
	w.b.mu.Lock()
	defer w.b.mu.Unlock()
	if w.b.gone {
		return ErrNoSuchBucket
	}
	if err := w.allowed(); err != nil {
		return err
	}
	return install(w.f.Name(), w.path())
}

// Abort drops what was written. After Commit it does nothing.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.f.Close()
	os.Remove(w.f.Name())
}

// Object describes what was committed.
func (w *Writer) Object() Object { return w.o }

// newID is 32 hexadecimal digits that nobody else has.
func newID() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
