package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
	"github.com/keyframe/keyframe/internal/resource"
)

var root = iam.Principal{Account: "111111111111", ARN: "arn:aws:iam::111111111111:root", UserID: "111111111111", AccessKeyID: "K"}

func lookup(id string) (iam.Principal, iam.Secret, bool) { return root, iam.NewSecret("s"), id == "K" }

func signed(t *testing.T, service, method, target, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	creds := sigv4.Credentials{AccessKeyID: "K", Secret: sigv4.NewSecret("s")}
	if err := sigv4.Sign(r, creds, "us-east-1", service, sigv4.PayloadHash([]byte(body)), time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

// Every reason for a refusal has a code in every protocol.
func TestKindsAreTranslated(t *testing.T) {
	t.Parallel()
	for _, k := range sigv4.Kinds() {
		f := kindFaults[k]
		if f == nil {
			t.Errorf("%s has no fault", k)
			continue
		}
		for _, protocol := range []wire.Protocol{wire.Query, wire.JSON} {
			if f.For(protocol).Status < 400 || f.For(protocol).Code == "" {
				t.Errorf("%s: %+v", k, f.For(protocol))
			}
		}
		for _, presigned := range []bool{true, false} {
			code, status := sigv4.S3Code(k, presigned)
			if status < 400 || k != sigv4.SignatureDoesNotMatch && code == "SignatureDoesNotMatch" {
				t.Errorf("%s for S3: %s %d", k, code, status)
			}
		}
	}
}

type nothing struct{}

// A route that names no permission is closed, and one whose handler returns nothing fails, both without harm.
func TestCarelessRoutes(t *testing.T) {
	t.Parallel()
	api := &wire.API{Name: "test", Title: "Test", Version: "1", Protocol: wire.Query, Namespace: "urn:test"}
	closed := wire.NewOp[nothing, nothing](api, "Closed", "")
	empty := wire.NewOp[nothing, nothing](api, "Empty", "")
	f := NewAPI(wire.NewService(api, []*wire.Operation{closed.Operation, empty.Operation}, nil),
		APIOptions{Fault: func(*wire.Operation, error) *wire.FaultError { return nil }})
	Route(f, closed, func(*Call, *nothing) []policy.Need { return nil },
		func(context.Context, *Call, *nothing) (*nothing, error) { panic("reached") })
	Route(f, empty, func(*Call, *nothing) []policy.Need { return []policy.Need{{Action: "test:Empty", Resource: "*"}} },
		func(context.Context, *Call, *nothing) (*nothing, error) { return nil, nil })
	if got := strings.Join(f.Routes(), " "); got != "Closed Empty" {
		t.Fatal(got)
	}
	var log strings.Builder
	g := New(Options{Faces: []Face{f}, Lookup: lookup, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for action, want := range map[string]string{"Closed": "<Code>AccessDenied</Code>", "Empty": "<Code>InternalFailure</Code>"} {
		w := httptest.NewRecorder()
		g.ServeHTTP(w, signed(t, "test", "POST", "http://h/", "Action="+action))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", action, w.Body)
		}
	}
	if !strings.Contains(log.String(), "the handler returned nothing") {
		t.Error(log.String())
	}
}

func TestRESTFace(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	face := NewREST("s3", func(w http.ResponseWriter, c *Call) {
		c.Action = c.Request.URL.Query().Get("do")
		switch c.Action {
		case "panic":
			panic("early")
		case "late panic":
			w.WriteHeader(http.StatusAccepted)
			panic("late")
		case "abort":
			panic(http.ErrAbortHandler)
		case "denied":
			err := c.Authorize(policy.Need{Action: "s3:GetObject", Resource: "arn:aws:s3:::b/k", Owner: "222222222222"})
			var e *resource.Error
			if !errors.As(err, &e) || e.Kind != resource.AccessDenied {
				t.Errorf("got %v", err)
			}
		case "echo":
			if c.Request.ContentLength != 5 || c.Request.Header.Get("Content-Encoding") != "gzip" || c.Scope != (resource.Scope{Account: root.Account, Region: "us-east-1"}) {
				t.Errorf("length %d, header %v, scope %v", c.Request.ContentLength, c.Request.Header, c.Scope)
			}
			if n, err := w.(io.ReaderFrom).ReadFrom(c.Request.Body); n != 5 || err != nil {
				t.Errorf("copied %d, %v", n, err)
			}
		}
		if rc := http.NewResponseController(w); rc.Flush() != nil {
			t.Error("Flush does not reach the connection")
		}
	})
	g := New(Options{Faces: []Face{face}, Lookup: lookup, Log: slog.New(slog.NewTextHandler(&log, nil))})
	do := func(what string) *httptest.ResponseRecorder {
		r := signed(t, "s3", "PUT", "http://h/b/k?do="+strings.ReplaceAll(what, " ", "%20"), "hello")
		r.Header.Set("Content-Encoding", "aws-chunked, gzip") // not signed, as any header that is not x-amz-* may be
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	if w := do("echo"); w.Body.String() != "hello" || w.Code != 200 {
		t.Error(w.Code, w.Body)
	}
	if w := do("panic"); w.Code != 500 || !strings.Contains(w.Body.String(), "<Code>InternalError</Code>") || strings.Contains(w.Body.String(), "early") {
		t.Error(w.Code, w.Body)
	}
	if w := do("late panic"); w.Code != 202 || w.Body.Len() > 0 {
		t.Error(w.Code, w.Body)
	}
	do("denied")
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("recovered %v", p)
			}
		}()
		do("abort")
	}()
	for _, text := range []string{"panic: early", "panic: late", "action=echo", "status=202"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("not in the log: %s", text)
		}
	}
}

func TestNoFaces(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	New(Options{Lookup: lookup, Log: slog.New(slog.DiscardHandler)}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != 403 || w.Body.Len() == 0 {
		t.Error(w.Code, w.Body)
	}
}

func FuzzGateway(f *testing.F) {
	api := &wire.API{Name: "test", Title: "Test", Version: "1", Protocol: wire.Query, Namespace: "urn:test"}
	op := wire.NewOp[nothing, nothing](api, "Go", "")
	face := NewAPI(wire.NewService(api, []*wire.Operation{op.Operation}, nil), APIOptions{Fault: func(*wire.Operation, error) *wire.FaultError { return nil }})
	Route(face, op, func(*Call, *nothing) []policy.Need { return []policy.Need{{Action: "test:Go", Resource: "*"}} },
		func(context.Context, *Call, *nothing) (*nothing, error) { return &nothing{}, nil })
	g := New(Options{Faces: []Face{face}, Lookup: lookup, Log: slog.New(slog.DiscardHandler)})
	f.Add("a=1", "Action=Go&Version=1")
	f.Add("", "Action=%zz")
	f.Add("Action=Go", "\x00&=")
	f.Fuzz(func(t *testing.T, query, body string) {
		r := httptest.NewRequest("POST", "http://h/", strings.NewReader(body))
		r.URL.RawQuery = query
		creds := sigv4.Credentials{AccessKeyID: "K", Secret: sigv4.NewSecret("s")}
		_ = sigv4.Sign(r, creds, "us-east-1", "test", sigv4.PayloadHash([]byte(body)), time.Now()) // refused below if the query is broken
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		if w.Code >= 500 || w.Body.Len() == 0 || w.Header().Get("X-Amzn-Requestid") == "" {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	})
}
