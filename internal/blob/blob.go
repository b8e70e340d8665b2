// Package blob is the contract for stores of immutable objects under slash-separated keys. Its folders hold the
// implementations (disk, s3), the decorators (retry, fault) and the suite that every one of them passes (blobtest).
package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Sentinels that implementations wrap; test with errors.Is.
var (
	ErrNotFound   = errors.New("object not found")
	ErrExists     = errors.New("object exists already")
	ErrInvalidKey = errors.New("invalid object key")
	ErrClosed     = errors.New("object writer is finished")
)

// MaxKey is the greatest length of a key in bytes.
const MaxKey = 1024

// CreateOptions say how an object is created.
type CreateOptions struct {
	// IfAbsent makes Commit fail with ErrExists when the key exists; of any number of concurrent writers one wins.
	// Without it the object is replaced atomically.
	IfAbsent bool
}

// Info describes an object.
type Info struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}

// Writer takes the bytes of one object in order. It is not safe for concurrent use.
type Writer interface {
	io.Writer
	// Commit makes the object durable and visible, both before it returns nil. After an error the object may or may not be
	// there (a network can break between the act and its answer), but never in part.
	Commit() error
	// Abort drops what was written; after Commit it does nothing. Exactly one of both must be called; a deferred Abort is fine.
	Abort()
}

// Bucket is a flat space of objects. All methods are safe for concurrent use.
type Bucket interface {
	// Create begins an object. Cancelling ctx fails the writer. ErrExists may come here or from Commit.
	Create(ctx context.Context, key string, o CreateOptions) (Writer, error)
	// Open reads n bytes from offset off; n < 0 means to the end. Less is returned at the object's end, and nothing beyond it.
	// Errors: ErrNotFound.
	Open(ctx context.Context, key string, off, n int64) (io.ReadCloser, error)
	// Stat describes an object. Errors: ErrNotFound.
	Stat(ctx context.Context, key string) (Info, error)
	// List calls fn for every object whose key starts with prefix, in byte order of the keys, until fn returns an error, which
	// List returns. fn may delete the object that it is given.
	List(ctx context.Context, prefix string, fn func(Info) error) error
	// Delete removes an object, durably. An absent object is fine.
	Delete(ctx context.Context, key string) error
}

// CheckKey refuses a key that some store could not hold: empty, too long, absolute, with empty, "." or ".." segments,
// with a segment over 255 bytes, or with control characters.
func CheckKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return fmt.Errorf("%w: %d bytes", ErrInvalidKey, len(key))
	}
	for i := 0; i < len(key); i++ {
		if key[i] < ' ' || key[i] == 0x7f || key[i] == '\\' {
			return fmt.Errorf("%w: %q: byte %#x", ErrInvalidKey, key, key[i])
		}
	}
	for seg := range strings.SplitSeq(key, "/") {
		if seg == "" || seg == "." || seg == ".." || len(seg) > 255 {
			return fmt.Errorf("%w: %q: segment %q", ErrInvalidKey, key, seg)
		}
	}
	return nil
}

// Put writes a small object whole.
func Put(ctx context.Context, b Bucket, key string, data []byte, o CreateOptions) error {
	w, err := b.Create(ctx, key, o)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Commit()
}

// Get reads an object of at most limit bytes whole. A larger object is an error.
func Get(ctx context.Context, b Bucket, key string, limit int64) ([]byte, error) {
	r, err := b.Open(ctx, key, 0, limit+1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: larger than %d bytes", key, limit)
	}
	return data, nil
}
