// Package client makes signed calls to a server: what the demo and the benchmarks need, in place of an SDK.
package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
)

// Client is who calls which server.
type Client struct {
	URL         string // http://host:port
	Region      string
	Credentials sigv4.Credentials
	HTTP        *http.Client // nil: http.DefaultClient
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// Call carries out an operation of a Query API. The error is a *wire.RemoteFault if the server refused.
func Call[In, Out any](ctx context.Context, c *Client, op wire.Op[In, Out], in *In) (*Out, error) {
	values, err := wire.EncodeQuery(op.Operation, in)
	if err != nil {
		return nil, err
	}
	form := values.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL+"/", strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	answer, err := c.do(r, op.API.Name, sigv4.PayloadHash([]byte(form)))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op.Name, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op.Name, err)
	}
	if answer.StatusCode != http.StatusOK {
		fault, err := wire.DecodeFault(body)
		if err != nil {
			return nil, fmt.Errorf("%s: status %d: %w", op.Name, answer.StatusCode, err)
		}
		return nil, fault
	}
	out := new(Out)
	_, err = wire.DecodeXML(body, op.Wrapper, out)
	return out, err
}

// S3 sends a request without a body to a path such as /bucket/key. The caller closes the answer's body.
// An answer that is not a success is an error.
func (c *Client) S3(ctx context.Context, method, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.URL+path, nil)
	if err != nil {
		return nil, err
	}
	answer, err := c.do(r, "s3", sigv4.UnsignedPayload)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 != 2 {
		defer answer.Body.Close()
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096)) //nolint:errcheck // only for the message
		return nil, fmt.Errorf("%s %s: status %d: %s", method, path, answer.StatusCode, text)
	}
	return answer, nil
}

func (c *Client) do(r *http.Request, service, hash string) (*http.Response, error) {
	if err := sigv4.Sign(r, c.Credentials, c.Region, service, hash, time.Now()); err != nil {
		return nil, err
	}
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	return h.Do(r)
}
