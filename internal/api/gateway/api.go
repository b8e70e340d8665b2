package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/resource"
)

// API is a Query or JSON face: the operation table of a service, and routes for those operations that are served.
type API struct {
	service *wire.Service
	o       APIOptions
	routes  map[string]func(context.Context, *Call, any) (any, error)
}

// APIOptions say how a face speaks of failures.
type APIOptions struct {
	// Fault translates an error of a handler (*resource.Error and what wraps it) or of validation (*wire.ValidationError)
	// into a fault of the API. nil means that it is neither: the answer is InternalFailure and the cause is logged.
	// A handler may also return a *wire.FaultError, which goes out as it is, and AccessDenied never comes here.
	Fault func(op *wire.Operation, err error) *wire.FaultError
	// Unserved says why a known operation is not served; nil, or an empty string, for no reason beyond that.
	Unserved func(op *wire.Operation) string
	// Hint ends the message about an operation that the API does not have.
	Hint string
}

// NewAPI makes a face without routes.
func NewAPI(service *wire.Service, o APIOptions) *API {
	if o.Fault == nil {
		panic("gateway: " + service.Name + " has no Fault")
	}
	return &API{service: service, o: o, routes: map[string]func(context.Context, *Call, any) (any, error){}}
}

// Route makes a face serve an operation. needs names the permissions that a request asks for, and handle runs only when
// policy grants them all; in is decoded and valid. It panics on what only a programmer can get wrong: an operation of
// another API, a second route, a nil function.
func Route[In, Out any](f *API, op wire.Op[In, Out], needs func(c *Call, in *In) []policy.Need,
	handle func(ctx context.Context, c *Call, in *In) (*Out, error)) {
	switch {
	case f.service.Operation(op.Name) != op.Operation:
		panic("gateway: " + op.Name + " is not an operation of " + f.service.Name)
	case f.routes[op.Name] != nil:
		panic("gateway: two routes for " + op.Name)
	case needs == nil || handle == nil:
		panic("gateway: the route of " + op.Name + " is incomplete")
	}
	f.routes[op.Name] = func(ctx context.Context, c *Call, in any) (any, error) {
		if err := c.Authorize(needs(c, in.(*In))...); err != nil {
			return nil, err
		}
		out, err := handle(ctx, c, in.(*In))
		if err == nil && out == nil {
			err = errors.New("the handler returned nothing")
		}
		return out, err
	}
}

// Routes lists the operations that are served, sorted.
func (f *API) Routes() []string {
	var names []string
	for name := range f.routes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// SigningName is the name in the credential scope.
func (f *API) SigningName() string { return f.service.Name }

// Protocol is Query or JSON.
func (f *API) Protocol() Protocol {
	if f.service.Protocol == wire.JSON {
		return JSON
	}
	return Query
}

func (f *API) serve(w *recorder, c *Call, body []byte) {
	op, parameters, fault := f.operation(c, body)
	if fault != nil {
		f.fault(w, c, fault)
		return
	}
	c.Action = op.Name
	route := f.routes[op.Name]
	if route == nil {
		f.fault(w, c, f.unserved(op))
		return
	}
	in, unknown, err := wire.Decode(op, parameters, body)
	c.unknown = unknown.Count
	var out any
	if err == nil {
		out, err = route(c.Request.Context(), c, in)
	}
	var text []byte
	if err == nil {
		text, err = wire.Encode(op, c.RequestID, out)
	}
	if err != nil {
		f.fault(w, c, f.faultOf(c, op, err))
		return
	}
	write(w, http.StatusOK, map[string]string{"Content-Type": f.service.ContentType()}, text)
}

// operation finds out what is asked for, and for Query the parameters.
func (f *API) operation(c *Call, body []byte) (*wire.Operation, url.Values, *wire.FaultError) {
	if f.Protocol() == JSON {
		target := c.Request.Header.Get("X-Amz-Target")
		prefix, name, _ := strings.Cut(target, ".")
		op := f.service.Operation(name)
		if op == nil || prefix != f.service.TargetPrefix || c.Request.Method != http.MethodPost {
			return nil, nil, f.common(wire.UnknownOperation, fmt.Sprintf("%s X-Amz-Target %q is not an operation of %s.%s",
				clip(c.Request.Method), clip(target), f.service.Title, f.o.Hint))
		}
		return op, nil, nil
	}
	values, err := url.ParseQuery(c.Request.URL.RawQuery)
	if err == nil && c.Request.Method != http.MethodGet {
		var form url.Values
		form, err = url.ParseQuery(string(body))
		for k, v := range form {
			values[k] = append(values[k], v...)
		}
	}
	if err != nil {
		return nil, nil, f.common(wire.Malformed, "The query string or form of the request is not valid percent-encoding.")
	}
	action, version := values["Action"], values["Version"]
	if len(action) != 1 || action[0] == "" || len(version) > 1 {
		return nil, nil, f.common(wire.MissingAction, "The request must contain the parameter Action once, and Version at most once.")
	}
	v := f.service.Version
	if len(version) == 1 {
		v = version[0]
	}
	op := f.service.Operation(action[0])
	if op == nil || v != f.service.Version {
		return nil, nil, f.common(wire.UnknownOperation, fmt.Sprintf("Could not find operation %s for version %s.%s", clip(action[0]), clip(v), f.o.Hint))
	}
	return op, values, nil
}

// unserved is the fault of an operation that AWS has and Keyframe has not. It is nothing to be tried again.
func (f *API) unserved(op *wire.Operation) *wire.FaultError {
	code := "UnsupportedOperation"
	if f.Protocol() == JSON {
		code += "Exception"
	}
	message := fmt.Sprintf("Keyframe does not serve the operation %s of %s", op.Name, f.service.Title)
	if f.o.Unserved != nil {
		if reason := f.o.Unserved(op); reason != "" {
			message += ": " + strings.TrimSuffix(reason, ".")
		}
	}
	return (&wire.Fault{Shape: code, Code: code, Status: http.StatusBadRequest, Sender: true}).New(message + ".")
}

// faultOf translates an error of any stage behind authentication.
func (f *API) faultOf(c *Call, op *wire.Operation, err error) *wire.FaultError {
	var own *wire.FaultError
	var denied *resource.Error
	var malformed *wire.MalformedError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &malformed):
		return f.common(wire.Malformed, malformed.Error())
	case errors.As(err, &denied) && denied.Kind == resource.AccessDenied:
		return f.common(wire.AccessDenied, denied.Error())
	}
	if fault := f.o.Fault(op, err); fault != nil {
		return fault
	}
	c.cause = err
	why := internal(c)
	return f.common(why.fault, why.message)
}

func (f *API) common(fault *wire.CommonFault, message string) *wire.FaultError {
	return fault.For(f.service.Protocol).New(message)
}

func (f *API) refuse(w *recorder, c *Call, why refusal) {
	f.fault(w, c, f.common(why.fault, why.message))
}

func (f *API) fault(w *recorder, c *Call, fault *wire.FaultError) {
	a := wire.EncodeFault(f.service.API, fault.Fault, fault.Message, c.RequestID)
	w.code = fault.Fault.Code
	write(w, a.Status, a.Headers, a.Body)
}

func write(w *recorder, status int, headers map[string]string, body []byte) {
	for k, v := range headers {
		w.Header().Set(k, v)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone cannot be told
}

// clip keeps what a client sent from filling a message.
func clip(s string) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > 100 {
		return strings.ToValidUTF8(s[:100], "") + "..."
	}
	return s
}
