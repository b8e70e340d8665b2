package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/keyframe/keyframe/internal/api/s3"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
)

// NewS3 plugs the S3 face in. Its Policy is replaced by that of every other face.
func NewS3(h *s3.Handler) *RESTFace {
	own := *h
	own.Policy = func(ctx context.Context, caller s3.Caller, action, resource string) error {
		if c, ok := ctx.Value(callKey{}).(*Call); ok {
			c.Action = strings.TrimPrefix(action, "s3:")
		}
		who := iam.Principal{Account: caller.Account, ARN: caller.Principal}
		if d := policy.Decide(who.Identity(), policy.Need{Action: action, Resource: resource}); !d.Allowed {
			return errors.New(d.Message())
		}
		return nil
	}
	return NewREST("s3", func(w http.ResponseWriter, c *Call) {
		r := c.Request.WithContext(context.WithValue(c.Request.Context(), callKey{}, c))
		r.Body = s3Body{r.Body}
		own.ServeS3(w, r, s3.Caller{Account: c.Principal.Account, Region: c.Scope.Region, RequestID: c.RequestID, Principal: c.Principal.ARN})
	})
}

type callKey struct{}

// s3Body turns what is wrong with a body into the face's own faults.
type s3Body struct{ io.ReadCloser }

func (b s3Body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	var bad *sigv4.Error
	if errors.As(err, &bad) {
		code, status := sigv4.S3Code(bad.Kind, false)
		err = &s3.Fault{Code: code, Status: status, Message: bad.Message}
	}
	return n, err
}
