package gateway

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
	"github.com/keyframe/keyframe/internal/resource"
)

// Call is one authenticated request on its way to a handler.
type Call struct {
	RequestID string
	Principal iam.Principal
	Scope     resource.Scope // account of the principal, region of the signature
	Service   string         // signing name
	Action    string         // operation; a REST face sets it
	Now       time.Time      // when the request arrived; use it rather than the clock
	Request   *http.Request  // for REST faces the body is decoded, and checked as it is read
	Log       *slog.Logger   // carries the request id

	face    Face
	cause   error // behind an InternalFailure
	unknown int   // parameters that the API does not have
}

// Authorize asks policy about needs that a handler learns only on its way. The error is a *resource.Error of kind
// AccessDenied, to be returned as it is.
func (c *Call) Authorize(needs ...policy.Need) error {
	d := policy.Decide(c.Principal.Identity(), needs...)
	if d.Allowed {
		return nil
	}
	return &resource.Error{Kind: resource.AccessDenied, Type: resource.TypeOther, ID: d.Need.Resource, Message: d.Message()}
}

// Protocol is the form of a face's requests and answers.
type Protocol int

const (
	Query Protocol = iota + 1 // form parameters in, XML out
	JSON                      // JSON 1.1 both ways, operation in X-Amz-Target
	REST                      // S3: the face reads the request and writes the answer itself
)

// Face is one API behind the door: an *API or a *RESTFace.
type Face interface {
	SigningName() string
	Protocol() Protocol
	// serve answers an authenticated call; body is the whole body unless the protocol is REST.
	serve(w *recorder, c *Call, body []byte)
	// refuse answers a request that did not get as far, or failed.
	refuse(w *recorder, c *Call, why refusal)
}

// refusal is a failure before it takes the shape of a protocol.
type refusal struct {
	fault     *wire.CommonFault
	message   string
	kind      sigv4.Kind // if the signature was the reason
	presigned bool
}

func internal(c *Call) refusal {
	return refusal{fault: wire.InternalFailure, message: "An internal error has occurred. The server's log has more under request " + c.RequestID + "."}
}

var kindFaults = map[sigv4.Kind]*wire.CommonFault{
	sigv4.MissingAuthenticationToken: wire.MissingAuthenticationToken,
	sigv4.IncompleteSignature:        wire.IncompleteSignature,
	sigv4.InvalidClientTokenID:       wire.InvalidClientToken,
	sigv4.InvalidToken:               wire.InvalidClientToken,
	sigv4.SignatureDoesNotMatch:      wire.SignatureDoesNotMatch,
	sigv4.HeadersNotSigned:           wire.SignatureDoesNotMatch,
	sigv4.RequestExpired:             wire.RequestExpired,
	sigv4.MalformedQuery:             wire.Malformed,
	sigv4.Unsupported:                wire.IncompleteSignature,
	sigv4.PayloadMismatch:            wire.SignatureDoesNotMatch,
	sigv4.BadDigest:                  wire.Malformed,
	sigv4.IncompleteBody:             wire.Malformed,
	sigv4.MalformedBody:              wire.Malformed,
	sigv4.MissingLength:              wire.Malformed,
}

// refusalFor explains an error of authentication or of reading the body.
func refusalFor(c *Call, err error, presigned bool) refusal {
	var bad *sigv4.Error
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &bad):
		return refusal{kindFaults[bad.Kind], bad.Message, bad.Kind, presigned}
	case errors.As(err, &large):
		return refusal{fault: wire.RequestTooLarge, message: "The body of the request is larger than this server accepts."}
	}
	return refusal{fault: wire.Malformed, message: "The body of the request broke off: " + err.Error(), kind: sigv4.IncompleteBody}
}

// withBody is the request as a REST face sees it: without the framing that was taken off.
func withBody(r *http.Request, b *sigv4.Body) *http.Request {
	out := r.WithContext(r.Context())
	out.Header = r.Header.Clone()
	out.Body, out.ContentLength, out.TransferEncoding = b, b.Length(), nil
	out.Trailer = b.Trailer() // filled when the body has been read
	var kept []string
	for _, v := range r.Header.Values("Content-Encoding") {
		for e := range strings.SplitSeq(v, ",") {
			if e = strings.TrimSpace(e); e != "" && !strings.EqualFold(e, "aws-chunked") {
				kept = append(kept, e)
			}
		}
	}
	out.Header.Del("Content-Encoding")
	if len(kept) > 0 {
		out.Header.Set("Content-Encoding", strings.Join(kept, ","))
	}
	out.Header.Del("Content-Length")
	return out
}
