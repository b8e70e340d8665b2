package wire

import (
	"fmt"
	"reflect"
	"sort"
)

// Protocol is the form of requests and answers.
type Protocol int

const (
	Query Protocol = iota + 1 // form parameters in, XML out
	JSON                      // JSON 1.1 both ways
)

// API is what all operations of one service have in common on the wire.
type API struct {
	Name         string   // the signing name in the credential scope: elasticache, memorydb
	Title        string   // for people: Amazon ElastiCache
	Version      string   // 2015-02-02
	Protocol     Protocol //
	Namespace    string   // XML namespace of answers; Query only
	TargetPrefix string   // X-Amz-Target is TargetPrefix.Operation; JSON only
}

// ContentType is the media type of the API's answers.
func (a *API) ContentType() string {
	if a.Protocol == JSON {
		return "application/x-amz-json-1.1"
	}
	return "text/xml"
}

// Operation is one row of an API's operation table.
type Operation struct {
	API     *API
	Name    string
	Input   reflect.Type // struct type of the request
	Output  reflect.Type // struct type of the answer; an empty struct if there is none
	Wrapper string       // XML element around the answer's fields; empty if the answer has none
	Faults  []*Fault     // what the operation is declared to fail with
}

// NewInput returns a new pointer to the operation's input struct.
func (o *Operation) NewInput() any { return reflect.New(o.Input).Interface() }

// Declares tells whether the fault is in the operation's list, which is what clients have types for.
func (o *Operation) Declares(f *Fault) bool {
	for _, d := range o.Faults {
		if d == f {
			return true
		}
	}
	return false
}

// Op is an operation with its Go types, so that a handler of the wrong type does not compile:
//
//	func Route[In, Out any](op wire.Op[In, Out], handle func(context.Context, *In) (*Out, error))
type Op[In, Out any] struct{ *Operation }

// NewOp makes a row of an operation table. In and Out are struct types.
func NewOp[In, Out any](api *API, name, wrapper string, faults ...*Fault) Op[In, Out] {
	return Op[In, Out]{&Operation{API: api, Name: name, Input: reflect.TypeFor[In](), Output: reflect.TypeFor[Out](), Wrapper: wrapper, Faults: faults}}
}

// Service is a whole API: its operations and its faults.
type Service struct {
	*API
	Operations []*Operation // sorted by name
	Faults     []*Fault     // sorted by shape
	byName     map[string]*Operation
}

// NewService indexes the tables. It panics if two operations have one name: the tables are generated.
func NewService(api *API, operations []*Operation, faults []*Fault) *Service {
	s := &Service{API: api, Operations: operations, Faults: faults, byName: make(map[string]*Operation, len(operations))}
	sort.Slice(s.Operations, func(i, j int) bool { return s.Operations[i].Name < s.Operations[j].Name })
	for _, o := range operations {
		if s.byName[o.Name] != nil {
			panic(fmt.Sprintf("wire: operation %s of %s stands twice in its table", o.Name, api.Name))
		}
		s.byName[o.Name] = o
	}
	return s
}

// Operation returns the operation of that exact name, or nil.
func (s *Service) Operation(name string) *Operation { return s.byName[name] }
