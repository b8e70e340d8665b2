package target

import (
	"context"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// reconnects is how often in a row a connection may break without a byte of progress.
const reconnects = 5

type foreignReader struct {
	f           *foreign
	ctx         context.Context
	at          func(*s3.Options)
	bucket, key string

	info Info
	off  int64
	idle int // reconnections since the last byte
	body io.ReadCloser
}

// request asks for the rest of the object; after the first time, of the same object.
func (r *foreignReader) request() error {
	in := &s3.GetObjectInput{Bucket: &r.bucket, Key: &r.key}
	if r.body != nil {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-", r.off))
		in.IfMatch = aws.String(`"` + r.info.ETag + `"`)
	}
	out, err := r.f.client.GetObject(r.ctx, in, r.at)
	if err != nil {
		return err
	}
	if r.body == nil {
		r.info = Info{aws.ToInt64(out.ContentLength), bare(out.ETag), out.Metadata[tokenName]}
	} else {
		r.body.Close()
	}
	r.body = out.Body
	return nil
}

func (r *foreignReader) Read(p []byte) (int, error) {
	for {
		n, err := r.body.Read(p)
		r.off += int64(n)
		if n > 0 {
			r.idle = 0
			if r.off == r.info.Size {
				return n, err // the end, or a checksum that does not hold
			}
			return n, nil // a break comes again with the next read, and is mended then
		}
		if err == nil {
			return 0, nil
		}
		if r.off == r.info.Size {
			return 0, err
		}
		if e := r.ctx.Err(); e != nil {
			return 0, e
		}
		if r.idle++; r.idle > reconnects {
			return 0, fmt.Errorf("read %s/%s at byte %d: %w", r.bucket, r.key, r.off, err)
		}
		if err := r.request(); err != nil {
			return 0, fmt.Errorf("read %s/%s at byte %d: %w", r.bucket, r.key, r.off, told(err))
		}
	}
}

func (r *foreignReader) Close() error { return r.body.Close() }
