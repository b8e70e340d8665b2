package elasticache

import (
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/api/coverage"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/wire"
)

// pointless are operations that have no meaning on one's own machines, by a part of their names.
var pointless = []struct{ part, why string }{
	{"GlobalReplicationGroup", "a global datastore spans regions, and a server is one place"},
	{"PurchaseReserved", "there is nothing to reserve on one's own machines"},
	{"CacheSecurityGroup", "cache security groups belong to EC2-Classic, which is no more"},
	{"Migration", "export the data as an RDB file and restore that instead"},
}

// decide says what becomes of an operation without a route, and why.
func decide(op *wire.Operation) coverage.Op {
	for _, p := range pointless {
		if strings.Contains(op.Name, p.part) {
			return coverage.Op{Name: op.Name, Status: coverage.Unsupported, Reason: p.why}
		}
	}
	return coverage.Op{Name: op.Name, Status: coverage.NotYet, Reason: "this version does not serve it"}
}

func unserved(op *wire.Operation) string { return decide(op).Reason }

// Decisions says of every operation of the API what becomes of it.
func Decisions() []coverage.Op {
	served := New(nil).Routes()
	var all []coverage.Op
	for _, op := range ecapi.Service.Operations {
		switch {
		case !slices.Contains(served, op.Name):
			all = append(all, decide(op))
		case emptyByNature[op.Name] != "":
			all = append(all, coverage.Op{Name: op.Name, Status: coverage.Empty, Reason: emptyByNature[op.Name]})
		default:
			all = append(all, coverage.Op{Name: op.Name, Status: coverage.Served})
		}
	}
	return all
}
