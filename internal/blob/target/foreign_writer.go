package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	inFlight  = 3     // parts that are on their way while the next one fills
	growAfter = 2000  // parts; then they double in size, so that 10000 hold about 1 TB
	lastPart  = 10000 // S3 has no more
	cleanUp   = 30 * time.Second
	letArrive = 5 * time.Second // time that parts in flight have when the upload is given up
)

// foreignWriter uploads in parts, and small objects at once. It holds inFlight+1 parts in memory.
type foreignWriter struct {
	f                  *foreign
	ctx                context.Context
	at                 func(*s3.Options)
	bucket, key, token string

	buf    []byte
	upload *string
	number int32 // of parts so far
	group  *errgroup.Group
	sent   context.Context // done when a part failed
	cancel context.CancelFunc
	free   sync.Pool
	done   bool

	mu    sync.Mutex
	parts []types.CompletedPart // by number
}

func (f *foreign) create(ctx context.Context, _, bucket, key, token string) (Writer, error) {
	at, err := f.at(ctx, bucket)
	if err != nil {
		return nil, err
	}
	w := &foreignWriter{f: f, ctx: ctx, at: at, bucket: bucket, key: key, token: token}
	inner, cancel := context.WithCancel(ctx)
	w.cancel = cancel
	w.group, w.sent = errgroup.WithContext(inner)
	w.group.SetLimit(inFlight)
	return w, nil
}

func (w *foreignWriter) partSize() int { return int(w.f.o.PartSize) << (w.number / growAfter) }

func (w *foreignWriter) Write(p []byte) (int, error) {
	if w.done {
		return 0, errors.New("export target: write to a writer that is finished")
	}
	total := len(p)
	for len(p) > 0 {
		if w.buf == nil {
			w.buf = w.buffer()
		}
		n := min(len(p), w.partSize()-len(w.buf))
		w.buf = append(w.buf, p[:n]...)
		p = p[n:]
		if len(w.buf) == w.partSize() {
			if err := w.send(); err != nil {
				return total - len(p), err
			}
		}
	}
	return total, nil
}

// buffer is memory for the next part, of one that was sent if it is large enough.
func (w *foreignWriter) buffer() []byte {
	if b, ok := w.free.Get().([]byte); ok && cap(b) >= w.partSize() {
		return b[:0]
	}
	return make([]byte, 0, w.partSize())
}

// send starts the upload of the part in the buffer; it waits while too many are on their way.
func (w *foreignWriter) send() error {
	if err := w.sent.Err(); err != nil {
		return w.why(err)
	}
	if w.upload == nil {
		out, err := w.f.client.CreateMultipartUpload(w.ctx, &s3.CreateMultipartUploadInput{
			Bucket: &w.bucket, Key: &w.key, ContentType: aws.String("application/octet-stream"),
			ChecksumAlgorithm: types.ChecksumAlgorithmCrc32, Metadata: map[string]string{tokenName: w.token},
		}, w.at)
		if err != nil {
			return told(err)
		}
		w.upload = out.UploadId
	}
	if w.number == lastPart {
		return fmt.Errorf("export target: %s/%s is too long: more than %d parts", w.bucket, w.key, lastPart)
	}
	data := w.buf
	w.buf = nil
	w.number++
	number := w.number
	w.mu.Lock()
	w.parts = append(w.parts, types.CompletedPart{})
	w.mu.Unlock()
	w.group.Go(func() error {
		out, err := w.f.client.UploadPart(w.sent, &s3.UploadPartInput{
			Bucket: &w.bucket, Key: &w.key, UploadId: w.upload, PartNumber: &number,
			Body: bytes.NewReader(data), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
		}, w.at)
		if err != nil {
			return told(err)
		}
		//lint:ignore SA6002 a slice header per 16 MiB does no harm
		w.free.Put(data)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.parts[number-1] = types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32}
		return nil
	})
	return nil
}

// why is the failure of a part that stopped the others, if there is one.
func (w *foreignWriter) why(err error) error {
	if e := w.group.Wait(); e != nil {
		return e
	}
	return err
}

// Finish uploads the rest; also a small object then goes by parts, so that it need not be kept in memory until Commit.
func (w *foreignWriter) Finish() error {
	if w.done {
		return errors.New("export target: finish of a writer that is finished")
	}
	if len(w.buf) > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	if err := w.group.Wait(); err != nil {
		return err
	}
	w.free = sync.Pool{}
	return nil
}

func (w *foreignWriter) Commit() error {
	if w.done {
		return errors.New("export target: commit of a writer that is finished")
	}
	err := w.commit()
	if err == nil {
		w.done = true
		w.cancel()
		return nil
	}
	// The answer to a success can be lost, and its repetition be refused: whose object is there?
	ctx, stop := context.WithTimeout(context.WithoutCancel(w.ctx), cleanUp)
	defer stop()
	have, statErr := w.f.statAt(ctx, w.at, w.bucket, w.key)
	if statErr == nil && have.Token == w.token {
		w.done = true
		w.cancel()
		return nil
	}
	w.Abort()
	if statErr == nil || status(err) == http.StatusPreconditionFailed {
		return fmt.Errorf("export to %s/%s: %w", w.bucket, w.key, ErrExists)
	}
	return fmt.Errorf("export to %s/%s: %w", w.bucket, w.key, told(err))
}

func (w *foreignWriter) commit() error {
	none := aws.String("*")
	if w.upload == nil {
		_, err := w.f.client.PutObject(w.ctx, &s3.PutObjectInput{
			Bucket: &w.bucket, Key: &w.key, Body: bytes.NewReader(w.buf), IfNoneMatch: none,
			ContentType: aws.String("application/octet-stream"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
			Metadata: map[string]string{tokenName: w.token},
		}, w.at)
		return err
	}
	if len(w.buf) > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	if err := w.group.Wait(); err != nil {
		return err
	}
	// For servers that ignore the condition.
	if _, err := w.f.statAt(w.ctx, w.at, w.bucket, w.key); err == nil {
		return ErrExists
	}
	_, err := w.f.client.CompleteMultipartUpload(w.ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &w.bucket, Key: &w.key, UploadId: w.upload, IfNoneMatch: none,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: w.parts},
	}, w.at)
	return err
}

// Abort drops the parts even when the writer's context has ended.
func (w *foreignWriter) Abort() {
	if w.done {
		return
	}
	w.done = true
	// A part that is cut off on its way can arrive after the upload is aborted, and revive it: let those in flight arrive.
	cut := time.AfterFunc(letArrive, w.cancel)
	_ = w.group.Wait()
	cut.Stop()
	w.cancel()
	if w.upload == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(w.ctx), cleanUp)
	defer stop()
	// S3 asks to abort again until no part is left. If all fails, AbortLeftovers of the next run drops it.
	for range 5 {
		_, _ = w.f.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &w.bucket, Key: &w.key, UploadId: w.upload}, w.at)
		if _, err := w.f.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &w.bucket, Key: &w.key, UploadId: w.upload}, w.at); err != nil {
			return
		}
	}
}
