package target

import (
	"context"
	"errors"
	"io"
	"math"

	"github.com/keyframe/keyframe/internal/blob/buckets"
)

// BuiltIn is the target of the built-in buckets.
func BuiltIn(s *buckets.Service) Target { return Target{builtIn{s}} }

type builtIn struct{ s *buckets.Service }

func (b builtIn) look(ctx context.Context, account, region, bucket, key string) (obstacle, error) {
	have, err := b.s.HeadBucket(ctx, bucket)
	switch {
	case errors.Is(err, buckets.ErrNoSuchBucket):
		return noBucket, nil
	case err != nil:
		return clear, err
	case have.Region != region:
		return wrongRegion, nil
	case have.Owner != account:
		return wrongOwner, nil
	case b.s.Writable() != nil:
		return noWrite, nil
	}
	switch _, err := b.s.Head(ctx, bucket, key); {
	case err == nil:
		return keyTaken, nil
	case errors.Is(err, buckets.ErrNoSuchKey):
		return clear, nil
	case errors.Is(err, buckets.ErrNoSuchBucket): // deleted meanwhile
		return noBucket, nil
	default:
		return clear, err
	}
}

// mine refuses buckets of other accounts.
func (b builtIn) mine(ctx context.Context, account, bucket string) error {
	have, err := b.s.HeadBucket(ctx, bucket)
	if err == nil && have.Owner != account {
		return ErrDenied
	}
	return translate(err)
}

// translate puts an error of the buckets in this package's terms.
func translate(err error) error {
	switch {
	case errors.Is(err, buckets.ErrNoSuchBucket):
		return ErrNoBucket
	case errors.Is(err, buckets.ErrNoSuchKey), errors.Is(err, buckets.ErrInvalidKey), errors.Is(err, buckets.ErrKeyLength):
		return ErrNoObject
	case errors.Is(err, buckets.ErrExists):
		return ErrExists
	}
	return err
}

func (b builtIn) create(ctx context.Context, account, bucket, key, token string) (Writer, error) {
	if err := b.mine(ctx, account, bucket); err != nil {
		return nil, err
	}
	w, err := b.s.Create(ctx, bucket, key, buckets.CreateOptions{
		Condition:  buckets.Condition{IfAbsent: true},
		Attributes: buckets.Attributes{ContentType: "application/octet-stream", Meta: map[string]string{tokenName: token}},
	})
	if err != nil {
		return nil, translate(err)
	}
	return &builtInWriter{w, ctx}, nil
}

type builtInWriter struct {
	w   *buckets.Writer
	ctx context.Context
}

func (w *builtInWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.w.Write(p)
}

func (w *builtInWriter) Finish() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	return translate(w.w.Seal())
}

func (w *builtInWriter) Commit() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	return translate(w.w.Commit())
}

func (w *builtInWriter) Abort() { w.w.Abort() }

func infoOf(o buckets.Object) Info { return Info{o.Size, o.ETag, o.Meta[tokenName]} }

func (b builtIn) open(ctx context.Context, account, bucket, key string) (io.ReadCloser, Info, error) {
	if err := b.mine(ctx, account, bucket); err != nil {
		return nil, Info{}, err
	}
	r, err := b.s.Get(ctx, bucket, key)
	if err != nil {
		return nil, Info{}, translate(err)
	}
	stream, err := r.Range(0, math.MaxInt64)
	if err != nil {
		r.Close()
		return nil, Info{}, err
	}
	return struct {
		io.Reader
		io.Closer
	}{stream, r}, infoOf(r.Object), nil
}

func (b builtIn) stat(ctx context.Context, account, bucket, key string) (Info, error) {
	if err := b.mine(ctx, account, bucket); err != nil {
		return Info{}, err
	}
	o, err := b.s.Head(ctx, bucket, key)
	if err != nil {
		return Info{}, translate(err)
	}
	return infoOf(o), nil
}

func (b builtIn) remove(ctx context.Context, account, bucket, key string) error {
	if err := b.mine(ctx, account, bucket); err != nil {
		return err
	}
	return translate(b.s.Delete(ctx, bucket, key))
}

// abortLeftovers has nothing to do: what a killed process wrote is removed when the buckets are opened.
func (b builtIn) abortLeftovers(context.Context, string, string, string) error { return nil }
