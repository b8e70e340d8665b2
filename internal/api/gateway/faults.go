package gateway

import (
	"cmp"
	"errors"

	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/resource"
)

// Faults says which fault of an API stands for which error of the control plane.
type Faults struct {
	ByType  map[resource.ErrorKind]map[resource.Type]*wire.Fault // faults that depend on the resource they are about
	ByKind  map[resource.ErrorKind]*wire.Fault                   // faults that do not, and those that stand in where the API has none for the resource
	Invalid *wire.Fault                                          // what the codec refuses, and what stands in for all others
}

// Translate turns what the control plane and the codec return into a fault. Of the faults that fit it takes the first that the operation
// declares: for others clients have no type. AccessDenied is the gateway's own. nil means that the error is neither.
func (t Faults) Translate(op *wire.Operation, err error) *wire.FaultError {
	var bad *wire.ValidationError
	if errors.As(err, &bad) {
		return t.Invalid.New(bad.Error())
	}
	var e *resource.Error
	if !errors.As(err, &e) {
		return nil
	}
	narrow, wide := t.ByType[e.Kind][e.Type], t.ByKind[e.Kind]
	if narrow == nil && wide == nil {
		return nil
	}
	for _, f := range []*wire.Fault{narrow, wide, t.Invalid} {
		if f != nil && (op == nil || op.Declares(f)) {
			return f.New(err.Error())
		}
	}
	return cmp.Or(narrow, wide).New(err.Error())
}
