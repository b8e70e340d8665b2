package buckets

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/keyframe/keyframe/internal/blob/checksum"
)

// PutOptions are those of Put and PutPart.
type PutOptions struct {
	CreateOptions
	Algorithm checksum.Algorithm // of the checksum to compute and keep; empty for none
	// Accept sees what the bytes came to before anything is visible; its error refuses them. May be nil.
	Accept func(Digest) error
}

// Digest is what the bytes of an object or part came to.
type Digest struct {
	Size int64
	MD5  []byte
	Sum  []byte // by the algorithm asked for, else nil
}

// Put writes an object from a stream. Its ETag is the MD5 of its bytes.
func (s *Service) Put(ctx context.Context, bucket, key string, r io.Reader, opts PutOptions) (Object, error) {
	w, err := s.begin(ctx, bucket, key, opts.CreateOptions)
	if err != nil {
		return Object{}, err
	}
	defer w.Abort()
	if err := w.fill(ctx, r, opts); err != nil {
		return Object{}, err
	}
	if err := w.Commit(); err != nil {
		return Object{}, err
	}
	return w.o, nil
}

var copyBuffers = sync.Pool{New: func() any { return new([256 << 10]byte) }}

// fill takes the stream's bytes and sets ETag and checksum.
func (w *Writer) fill(ctx context.Context, r io.Reader, opts PutOptions) error {
	var sum hash.Hash
	sums := io.Writer(io.Discard)
	md := md5.New()
	if opts.Algorithm != "" {
		sum = opts.Algorithm.New()
		sums = sum
	}
	buf := copyBuffers.Get().(*[256 << 10]byte)
	defer copyBuffers.Put(buf)
	// The struct hides ReadFrom and WriteTo: the copy must go through the hashes.
	if _, err := io.CopyBuffer(io.MultiWriter(onlyWriter{w}, md, sums), onlyReader{r}, buf[:]); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	d := Digest{Size: w.o.Size, MD5: md.Sum(nil)}
	w.o.ETag = hex.EncodeToString(d.MD5)
	if sum != nil {
		d.Sum = sum.Sum(nil)
		w.o.Checksum = checksum.Sum{Algorithm: opts.Algorithm, Type: checksum.FullObject, Value: checksum.Encode(d.Sum)}
	}
	if opts.Accept != nil {
		return opts.Accept(d)
	}
	return nil
}

type onlyWriter struct{ io.Writer }
type onlyReader struct{ io.Reader }

// Reader reads an object. It keeps reading the same object when that is overwritten or deleted meanwhile.
type Reader struct {
	Object
	f *os.File
}

// Get opens an object. The caller closes it.
func (s *Service) Get(_ context.Context, bucket, key string) (*Reader, error) {
	path, err := s.find(bucket, key)
	if err != nil {
		return nil, err
	}
	f, o, err := openObject(path)
	if absent(err) {
		return nil, ErrNoSuchKey
	}
	if err != nil {
		return nil, err
	}
	return &Reader{*o, f}, nil
}

// Range is a stream of n bytes from off, cut at the object's end. One range is read at a time.
func (r *Reader) Range(off, n int64) (io.Reader, error) {
	off = max(0, min(off, r.Size))
	if _, err := r.f.Seek(off, io.SeekStart); err != nil {
		return nil, err
	}
	return io.LimitReader(r.f, max(0, min(n, r.Size-off))), nil
}

// Close ends the reading.
func (r *Reader) Close() error { return r.f.Close() }

// Head describes an object, or fails with ErrNoSuchKey.
func (s *Service) Head(_ context.Context, bucket, key string) (Object, error) {
	path, err := s.find(bucket, key)
	if err != nil {
		return Object{}, err
	}
	o, err := statObject(path)
	if absent(err) {
		return Object{}, ErrNoSuchKey
	}
	if err != nil {
		return Object{}, err
	}
	return *o, nil
}

func (s *Service) find(bucket, key string) (string, error) {
	b, err := s.bucket(bucket)
	if err != nil {
		return "", err
	}
	if err := checkKey(key); err != nil {
		return "", err
	}
	return filepath.Join(b.objects(), keyPath(key)), nil
}

// Delete removes an object. One that is absent is fine.
func (s *Service) Delete(_ context.Context, bucket, key string) error {
	path, err := s.find(bucket, key)
	if err != nil {
		return err
	}
	b, err := s.bucket(bucket)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := os.Remove(path); err != nil {
		if absent(err) {
			return nil
		}
		return err
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	prune(filepath.Dir(path), b.objects())
	return nil
}
