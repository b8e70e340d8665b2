// Package gateway is the HTTP door of Keyframe. Every request passes the same stages in the same order: cap the body and
// give an id, authenticate, decode, validate, authorize, handle, encode. One port serves all APIs: the signing name in
// the credential scope says which face a request is for.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
	"github.com/keyframe/keyframe/internal/resource"
)

// DefaultMaxBody is the most bytes that the body of a Query or JSON request may have.
const DefaultMaxBody = 1 << 20

// DefaultPatience is how long a client may take to send the body of a Query or JSON request, or the next bytes of an object.
// Without it a stranger could hold connections for ever: the server reads a refused body's rest too, to keep the connection.
const DefaultPatience = 30 * time.Second

// Options are what a Gateway is made of. Faces and Lookup are needed, the rest has defaults.
type Options struct {
	Faces []Face
	// Lookup finds who signs with an access key: (*iam.Directory).Lookup.
	Lookup func(accessKeyID string) (iam.Principal, iam.Secret, bool)

	MaxBody  int64                                                        // of Query and JSON requests; DefaultMaxBody if 0
	Patience time.Duration                                                // with a body: all of it for Query and JSON, each read of it for REST; DefaultPatience if 0
	Ready    func(context.Context) error                                  // what /healthz asks; always ready if nil
	Metrics  http.Handler                                                 // answers /metrics; not served if nil
	Log      *slog.Logger                                                 // slog.Default() if nil
	Now      func() time.Time                                             // time.Now if nil
	Observe  func(service, action string, status int, took time.Duration) // after each API request; action is "" if it is none of the API's
}

// Gateway is an http.Handler. It holds no state of requests.
type Gateway struct {
	o     Options
	faces map[string]Face
	names []string // signing names, sorted
}

// New makes a gateway. It panics if two faces have one signing name, or if Lookup is missing: both are mistakes of a program.
func New(o Options) *Gateway {
	if o.Lookup == nil {
		panic("gateway: no Lookup")
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	g := &Gateway{o: o, faces: map[string]Face{}}
	for _, f := range o.Faces {
		if g.faces[f.SigningName()] != nil {
			panic("gateway: two faces have the signing name " + f.SigningName())
		}
		g.faces[f.SigningName()] = f
		g.names = append(g.names, f.SigningName())
	}
	slices.Sort(g.names)
	return g
}

// ServeHTTP answers a request. Every answer has a request id and a body in the protocol of the API that it is for.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &Call{RequestID: uuid.NewString(), Now: g.o.Now(), Request: r}
	w.Header().Set("x-amzn-RequestId", c.RequestID)
	switch {
	case r.URL.Path == "/healthz":
		g.health(w, r)
		return
	case r.URL.Path == "/metrics" && g.o.Metrics != nil:
		g.o.Metrics.ServeHTTP(w, r)
		return
	}
	rec := &recorder{ResponseWriter: w}
	start := time.Now()
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = newPatient(w, r.Body, g.o.Patience)
	}
	c.face = g.guess(r)
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			c.cause = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			if rec.status == 0 {
				c.face.refuse(rec, c, internal(c))
			}
		}
		g.report(c, rec, time.Since(start))
	}()
	g.serve(rec, r, c)
}

func (g *Gateway) serve(w *recorder, r *http.Request, c *Call) {
	signature, err := sigv4.Parse(r)
	if face := g.faces[signature.Service]; face != nil {
		c.face = face
	}
	if err == nil && g.faces[signature.Service] == nil {
		c.face.refuse(w, c, refusal{fault: wire.SignatureDoesNotMatch, message: fmt.Sprintf(
			"Credential should be scoped to correct service, not %q: this server answers for %s.", signature.Service, strings.Join(g.names, ", "))})
		return
	}
	var body []byte
	if err == nil {
		body, err = g.authenticate(w, r, c, signature)
	}
	if err != nil {
		c.face.refuse(w, c, refusalFor(c, err, signature.Presigned))
		return
	}
	c.face.serve(w, c, body)
}

// authenticate proves who signed the request. It returns the whole body, or for REST faces leaves it in c.Request, to be
// read and checked as it streams.
func (g *Gateway) authenticate(w *recorder, r *http.Request, c *Call, s *sigv4.Signature) ([]byte, error) {
	principal, secret, known := g.o.Lookup(s.AccessKeyID)
	creds := sigv4.Credentials{AccessKeyID: s.AccessKeyID, Secret: secret}
	if !known {
		creds = sigv4.Credentials{} // Verify says so in the right words
	}
	var body []byte
	if c.face.Protocol() == REST {
		stream, err := s.VerifyS3(r, creds, c.Now)
		if err != nil {
			return nil, err
		}
		if b, ok := r.Body.(*patient); ok {
			b.each = true
		}
		c.Request = withBody(r, stream)
	} else {
		if known {
			var err error
			if body, err = io.ReadAll(http.MaxBytesReader(w.ResponseWriter, r.Body, g.o.MaxBody)); err != nil {
				return nil, err
			}
		}
		if err := s.Verify(r, creds, body, c.Now); err != nil {
			return nil, err
		}
	}
	c.Principal, c.Service = principal, s.Service
	c.Scope = resource.Scope{Account: principal.Account, Region: s.Region}
	c.Log = g.o.Log.With("request_id", c.RequestID)
	return body, nil
}

// guess finds the face in whose protocol a request is refused that does not even say which service it is for.
func (g *Gateway) guess(r *http.Request) Face {
	want := Query
	contentType := strings.ToLower(r.Header.Get("Content-Type"))
	switch {
	case r.Header.Get("X-Amz-Target") != "" || strings.HasPrefix(contentType, "application/x-amz-json"):
		want = JSON
	case r.URL.Path != "/" && r.URL.Path != "", r.Header.Get("X-Amz-Content-Sha256") != "":
		want = REST
	}
	for _, protocol := range []Protocol{want, Query, JSON, REST} {
		for _, name := range g.names {
			if f := g.faces[name]; f.Protocol() == protocol {
				return f
			}
		}
	}
	return NewREST("", nil)
}

func (g *Gateway) health(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusOK, "ok\n"
	if g.o.Ready != nil {
		if err := g.o.Ready(r.Context()); err != nil {
			status, text = http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n"
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

// report writes the request's line in the log, and counts it.
func (g *Gateway) report(c *Call, rec *recorder, took time.Duration) {
	status := rec.status
	if status == 0 {
		status = http.StatusOK
	}
	if g.o.Observe != nil {
		g.o.Observe(c.face.SigningName(), c.Action, status, took)
	}
	attrs := []slog.Attr{
		slog.String("request_id", c.RequestID), slog.String("service", c.face.SigningName()), slog.String("action", c.Action),
		slog.String("region", c.Scope.Region), slog.String("account", c.Scope.Account), slog.Int("status", status), slog.Duration("duration", took),
	}
	if rec.code != "" {
		attrs = append(attrs, slog.String("code", rec.code))
	}
	if c.unknown > 0 {
		attrs = append(attrs, slog.Int("unknown_parameters", c.unknown))
	}
	level := slog.LevelInfo
	if c.cause != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.String("cause", c.cause.Error()))
	}
	g.o.Log.LogAttrs(c.Request.Context(), level, "request", attrs...)
}
