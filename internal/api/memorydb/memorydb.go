// Package memorydb is the MemoryDB API as a face of the control plane. Its operation table is whole and none of it is
// served yet: every operation answers with a fault that says so.
package memorydb

import (
	"strings"

	"github.com/keyframe/keyframe/internal/api/coverage"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
)

// New makes the face.
func New() *gateway.API {
	return gateway.NewAPI(mdbapi.Service, gateway.APIOptions{
		Fault:    func(*wire.Operation, error) *wire.FaultError { return nil },
		Unserved: func(op *wire.Operation) string { return decide(op).Reason },
	})
}

func decide(op *wire.Operation) coverage.Op {
	switch {
	case strings.Contains(op.Name, "MultiRegion"):
		return coverage.Op{Name: op.Name, Status: coverage.Unsupported, Reason: "a multi-Region cluster spans regions, and a server is one place"}
	case strings.HasPrefix(op.Name, "PurchaseReserved"):
		return coverage.Op{Name: op.Name, Status: coverage.Unsupported, Reason: "there is nothing to reserve on one's own machines"}
	}
	return coverage.Op{Name: op.Name, Status: coverage.NotYet, Reason: "this version serves ElastiCache serverless caches and their snapshots"}
}

// Decisions says of every operation of the API what becomes of it.
func Decisions() []coverage.Op {
	var all []coverage.Op
	for _, op := range mdbapi.Service.Operations {
		all = append(all, decide(op))
	}
	return all
}
