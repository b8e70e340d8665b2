package s3

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/keyframe/keyframe/internal/blob"
)

const (
	chunkSize = 8 << 20 // of the first uploaded parts; S3 wants at least 5 MiB for all but the last
	inFlight  = 2       // uploads at a time; one more chunk is being filled
	growEvery = 1000    // the chunk doubles after so many parts: 10,000 parts then hold 8 TB and not 80 GB
	abortTime = 30 * time.Second
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(p []byte) *string {
	return aws.String(base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(p, castagnoli))))
}

// writer collects chunks. An object that fits into one is put whole, any other becomes a multipart upload.
type writer struct {
	b      *Bucket
	ctx    context.Context
	cancel context.CancelFunc
	key    string
	full   *string
	o      blob.CreateOptions

	buf    []byte
	size   int // of a chunk
	upload *string
	next   int32 // number of the next part
	slots  chan struct{}
	free   chan []byte
	wg     sync.WaitGroup
	mu     sync.Mutex
	parts  []types.CompletedPart
	failed error
	done   bool
}

// Create implements blob.Bucket. Memory: three chunks of 8 MiB, which grow with objects over 8 GB.
func (b *Bucket) Create(ctx context.Context, key string, o blob.CreateOptions) (blob.Writer, error) {
	full, err := b.key(key)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	return &writer{b: b, ctx: ctx, cancel: cancel, key: key, full: full, o: o, size: b.chunk, next: 1,
		slots: make(chan struct{}, inFlight), free: make(chan []byte, inFlight+1)}, nil
}

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, blob.ErrClosed
	}
	n := 0
	for len(p) > 0 {
		if len(w.buf) == w.size {
			if err := w.flush(); err != nil {
				return n, err
			}
		}
		k := min(w.size-len(w.buf), len(p))
		w.buf = slices.Grow(w.buf, k)
		w.buf = append(w.buf, p[:k]...)
		n, p = n+k, p[k:]
	}
	return n, w.err()
}

func (w *writer) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = w.ctx.Err()
	}
	return w.failed
}

func (w *writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = err
	}
}

// flush sends the collected chunk as the next part, in the background.
func (w *writer) flush() error {
	if err := w.err(); err != nil {
		return err
	}
	if w.upload == nil {
		out, err := w.b.client.CreateMultipartUpload(w.ctx, &awss3.CreateMultipartUploadInput{Bucket: &w.b.name, Key: w.full,
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc32c})
		if err != nil {
			w.fail(wrap("create", w.key, err))
			return w.err()
		}
		w.upload = out.UploadId
	}
	select {
	case w.slots <- struct{}{}:
	case <-w.ctx.Done():
		return w.err()
	}
	data, number := w.buf, w.next
	w.next++
	w.wg.Go(func() {
		defer func() { <-w.slots }()
		if !w.send(data, number) {
			return // the failed request may still read it
		}
		select {
		case w.free <- data[:0]:
		default:
		}
	})
	w.buf = nil
	if w.next%growEvery == 0 {
		w.size *= 2
	}
	select {
	case w.buf = <-w.free:
	default:
	}
	return nil
}

// send uploads a part, and tells whether it is there.
func (w *writer) send(data []byte, number int32) bool {
	sum := checksum(data)
	out, err := w.b.client.UploadPart(w.ctx, &awss3.UploadPartInput{Bucket: &w.b.name, Key: w.full, UploadId: w.upload,
		PartNumber: &number, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))), ChecksumCRC32C: sum}, unsigned)
	if err != nil {
		w.fail(wrap(fmt.Sprintf("upload part %d of", number), w.key, err))
		return false
	}
	w.mu.Lock()
	w.parts = append(w.parts, types.CompletedPart{ETag: out.ETag, PartNumber: &number, ChecksumCRC32C: sum})
	w.mu.Unlock()
	return true
}

// Commit implements blob.Writer.
func (w *writer) Commit() error {
	if w.done {
		return blob.ErrClosed
	}
	if err := w.err(); err != nil {
		w.Abort()
		return err
	}
	if w.upload == nil {
		w.done = true
		defer w.cancel()
		return w.put()
	}
	err := w.flush()
	w.wg.Wait()
	if err == nil {
		err = w.err()
	}
	if err == nil {
		err = w.complete()
	}
	if err != nil {
		w.Abort()
		return err
	}
	w.done = true
	w.cancel()
	return nil
}

func (w *writer) put() error {
	in := &awss3.PutObjectInput{Bucket: &w.b.name, Key: w.full, Body: bytes.NewReader(w.buf),
		ContentLength: aws.Int64(int64(len(w.buf))), ChecksumCRC32C: checksum(w.buf)}
	if w.o.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	_, err := w.b.client.PutObject(w.ctx, in, unsigned)
	return wrap("put", w.key, err)
}

func (w *writer) complete() error {
	slices.SortFunc(w.parts, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	in := &awss3.CompleteMultipartUploadInput{Bucket: &w.b.name, Key: w.full, UploadId: w.upload,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: w.parts}}
	if w.o.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	_, err := w.b.client.CompleteMultipartUpload(w.ctx, in)
	return wrap("complete", w.key, err)
}

// Abort implements blob.Writer. The upload is aborted even when the context is gone, or its parts would be paid for forever.
func (w *writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.cancel()
	w.wg.Wait()
	if w.upload == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.ctx), abortTime)
	defer cancel()
	//nolint:errcheck // a bucket's lifecycle rule is the second line of defence; the operating guide says so
	w.b.client.AbortMultipartUpload(ctx, &awss3.AbortMultipartUploadInput{Bucket: &w.b.name, Key: w.full, UploadId: w.upload})
}
