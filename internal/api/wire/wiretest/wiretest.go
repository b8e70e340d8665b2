// Package wiretest holds an operation table against a live AWS SDK client: every operation, every field both ways, every
// declared fault. It reaches the client by reflection, so that the SDK stays a dependency of tests alone.
package wiretest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/api/wire"
)

// Client makes an SDK client that talks to the endpoint, without retries.
type Client func(endpoint string) any

// Run checks the whole service.
func Run(t *testing.T, service *wire.Service, newClient Client) {
	t.Helper()
	server := &recorder{service: service}
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	client := reflect.ValueOf(newClient(listener.URL))
	t.Run("table", func(t *testing.T) { sameOperations(t, service, client) })
	for _, op := range service.Operations {
		t.Run(op.Name, func(t *testing.T) {
			method := client.MethodByName(op.Name)
			if !method.IsValid() {
				t.Fatal("the SDK has no such operation")
			}
			t.Run("fields", func(t *testing.T) { server.fields(t, op, method) })
			for _, f := range op.Faults {
				t.Run(f.Shape, func(t *testing.T) { server.answersFault(t, op, f, method) })
			}
		})
	}
}

// sameOperations fails when the SDK knows an operation that the table lacks.
func sameOperations(t *testing.T, service *wire.Service, client reflect.Value) {
	for i := range client.NumMethod() {
		name, typ := client.Type().Method(i).Name, client.Method(i).Type()
		if typ.NumIn() == 3 && typ.NumOut() == 2 && service.Operation(name) == nil {
			t.Errorf("the SDK has %s, the table does not", name)
		}
	}
}

// recorder is the server: it keeps what it decoded and answers what it is told. Calls come one at a time.
type recorder struct {
	service *wire.Service
	op      *wire.Operation
	answer  any // or
	fault   *wire.Fault

	in      any
	unknown wire.Unknown
	err     error
}

func (s *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.in, s.unknown, s.err = nil, wire.Unknown{}, nil
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.err = err
		return
	}
	values, name := url.Values(nil), ""
	if s.service.Protocol == wire.JSON {
		name = strings.TrimPrefix(r.Header.Get("X-Amz-Target"), s.service.TargetPrefix+".")
	} else if values, s.err = url.ParseQuery(string(body)); s.err == nil {
		name = values.Get("Action")
	}
	op := s.service.Operation(name)
	if op != s.op {
		s.err = fmt.Errorf("request for %q, want %s", name, s.op.Name)
	}
	if s.err == nil {
		s.in = op.NewInput()
		if s.service.Protocol == wire.JSON {
			s.unknown, s.err = wire.DecodeJSON(body, s.in)
		} else {
			s.unknown, s.err = wire.DecodeQuery(values, s.in)
		}
	}
	if s.fault != nil {
		a := wire.EncodeFault(s.service.API, s.fault, faultMessage, requestID)
		for k, v := range a.Headers {
			w.Header().Set(k, v)
		}
		w.WriteHeader(a.Status)
		w.Write(a.Body)
		return
	}
	out, err := wire.Encode(s.op, requestID, s.answer)
	if err != nil {
		s.err = errors.Join(s.err, err)
	}
	w.Header().Set("Content-Type", s.service.ContentType())
	w.Write(out)
}

const (
	requestID    = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
	faultMessage = `what <is> "wrong" & why`
)

func (s *recorder) call(t *testing.T, op *wire.Operation, method reflect.Value) (sent, got reflect.Value, err error) {
	t.Helper()
	s.op = op
	sent = reflect.New(method.Type().In(1).Elem())
	fill(sent.Elem(), new(int))
	results := method.Call([]reflect.Value{reflect.ValueOf(context.Background()), sent})
	if s.err != nil {
		t.Fatalf("the server could not decode what the SDK sent: %v", s.err)
	}
	err, _ = results[1].Interface().(error)
	return sent.Elem(), results[0], err
}

// fields sends every field of the request, and answers every field of the answer.
func (s *recorder) fields(t *testing.T, op *wire.Operation, method reflect.Value) {
	answer := reflect.New(op.Output)
	fill(answer.Elem(), new(int))
	s.answer, s.fault = answer.Interface(), nil
	sent, got, err := s.call(t, op, method)
	if err != nil {
		t.Fatalf("the SDK could not read the answer: %v", err)
	}
	if s.unknown.Count > 0 {
		t.Errorf("the SDK sends parameters that we do not know: %q", s.unknown.Names)
	}
	for _, d := range slices.Concat(diff("request", sent, reflect.ValueOf(s.in).Elem()), diff("answer", got.Elem(), answer.Elem())) {
		t.Error(d)
	}
}

// answersFault expects the typed error of the SDK with our message and status.
func (s *recorder) answersFault(t *testing.T, op *wire.Operation, f *wire.Fault, method reflect.Value) {
	s.fault = f
	_, _, err := s.call(t, op, method)
	if err == nil {
		t.Fatal("the SDK saw no error")
	}
	var status interface{ HTTPStatusCode() int }
	if !errors.As(err, &status) || status.HTTPStatusCode() != f.Status {
		t.Errorf("HTTP status of %v: want %d", err, f.Status)
	}
	var coded interface {
		error
		ErrorMessage() string
	}
	if !errors.As(err, &coded) {
		t.Fatalf("%T has no message", err)
	}
	if name := reflect.TypeOf(coded).Elem().Name(); name != f.Shape {
		t.Errorf("the SDK saw a %s, want %s", name, f.Shape)
	}
	if coded.ErrorMessage() != faultMessage {
		t.Errorf("message %q, want %q", coded.ErrorMessage(), faultMessage)
	}
}
