// Package s3 is the S3 face of the built-in buckets: enough of the protocol for the aws CLI and the SDKs to make buckets and to put, list,
// read, copy and delete objects. What S3 has beyond that is answered with NotImplemented, never ignored where ignoring would mislead.
package s3

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/blob/buckets"
)

// Caller is who sent a request, as its signature proved.
type Caller struct {
	Account   string // twelve digits
	Region    string // that the signature was made for
	RequestID string
	Principal string // ARN
}

// Handler answers S3 requests whose signature and body encoding were dealt with already.
type Handler struct {
	Buckets *buckets.Service
	// Policy decides whether the caller may take an action, such as s3:PutObject, on a resource, such as arn:aws:s3:::bucket/key.
	// Its error is the message of an AccessDenied. Nil allows everything. Buckets are open to their owner's account only in any case.
	Policy func(ctx context.Context, c Caller, action, resource string) error
	// Domains are host names under which bucket.domain is a bucket; the path serves always.
	Domains []string
	// Log takes what became an InternalError. Nil means slog.Default.
	Log *slog.Logger

	patience time.Duration // before a long answer shows signs of life; 0 means the default
}

// call is one request on its way through a handler.
type call struct {
	h           *Handler
	w           http.ResponseWriter
	r           *http.Request
	q           map[string][]string
	caller      Caller
	bucket, key string
	b           buckets.Bucket // once the operation needs one
}

// ServeS3 answers one request. The body must be the object's bytes: aws-chunked is decoded by then, and a read that fails with a *Fault is
// answered with that. Trailers, if any, are in r.Trailer after the body's end.
func (h *Handler) ServeS3(w http.ResponseWriter, r *http.Request, caller Caller) {
	c := &call{h: h, w: w, r: r, q: r.URL.Query(), caller: caller}
	if caller.RequestID != "" {
		w.Header().Set("X-Amz-Request-Id", caller.RequestID)
	}
	c.bucket, c.key = h.address(r)
	if err := c.serve(); err != nil {
		c.fail(err)
	}
}

// address finds bucket and key in path or host.
func (h *Handler) address(r *http.Request) (bucket, key string) {
	path := strings.TrimPrefix(r.URL.Path, "/")
	host, _, _ := strings.Cut(r.Host, ":")
	for _, d := range h.Domains {
		if b, ok := strings.CutSuffix(strings.ToLower(host), "."+d); ok && b != "" && b != "s3" {
			return b, path
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	return bucket, key
}

func (c *call) has(param string) bool { _, ok := c.q[param]; return ok }

func (c *call) param(name string) string {
	if v := c.q[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (c *call) serve() error {
	op, err := c.route()
	if err != nil {
		return err
	}
	if err := c.allowed(op.action, c.arn(op)); err != nil {
		return err
	}
	if op.inBucket {
		if c.b, err = c.open(c.bucket); err != nil {
			return err
		}
	}
	return op.do(c)
}

func (c *call) arn(op operation) string {
	switch {
	case c.bucket == "":
		return "*"
	case c.key == "":
		return "arn:aws:s3:::" + c.bucket
	}
	return "arn:aws:s3:::" + c.bucket + "/" + c.key
}

func (c *call) allowed(action, resource string) error {
	if c.h.Policy == nil {
		return nil
	}
	if err := c.h.Policy(c.r.Context(), c.caller, action, resource); err != nil {
		return &Fault{"AccessDenied", http.StatusForbidden, err.Error()}
	}
	return nil
}

// open finds a bucket that the caller's account owns.
func (c *call) open(name string) (buckets.Bucket, error) {
	b, err := c.h.Buckets.HeadBucket(c.r.Context(), name)
	if err != nil {
		return b, err
	}
	if b.Owner != c.caller.Account {
		return b, accessDenied
	}
	// A client may say whose bucket it believes this to be.
	if want := c.r.Header.Get("X-Amz-Expected-Bucket-Owner"); want != "" && name == c.bucket && want != b.Owner {
		return b, accessDenied
	}
	return b, nil
}
