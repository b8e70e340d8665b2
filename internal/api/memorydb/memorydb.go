// Package memorydb is the MemoryDB API as a face of the control plane. Its operation table is whole and none of it is
// served yet: every operation answers with a fault that says so.
package memorydb

import (
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
)

// New makes the face.
func New() *gateway.API {
	return gateway.NewAPI(mdbapi.Service, gateway.APIOptions{
		Fault: func(*wire.Operation, error) *wire.FaultError { return nil },
		Unserved: func(*wire.Operation) string {
			return "this version serves ElastiCache serverless caches and their snapshots"
		},
	})
}
