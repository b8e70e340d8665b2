// Package memorydb is the MemoryDB API as a face of the control plane: routes, conversions between its shapes and our words, and
// the translation of errors into its faults. It decides nothing.
package memorydb

import (
	"slices"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/api/coverage"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// service is the signing name, and where the control plane finds our groups, users and events.
const service = "memorydb"

// New makes the face.
func New(c *control.Control) *gateway.API {
	f := gateway.NewAPI(mdbapi.Service, gateway.APIOptions{Fault: fault, Unserved: unserved})
	h := handler{c}
	h.clusterRoutes(f)
	h.snapshotRoutes(f)
	h.parameterGroupRoutes(f)
	h.subnetGroupRoutes(f)
	h.accessRoutes(f)
	h.aroundRoutes(f)
	h.emptyRoutes(f)
	return f
}

// handler carries out commands for the face.
type handler struct{ control *control.Control }

// need is the permission for an action on the resource of a type and name; an empty name stands for all.
func need(c *gateway.Call, action, typ string, name *string) []policy.Need {
	return []policy.Need{{Action: service + ":" + action, Resource: arnOf(c, typ, name)}}
}

// tagged are the needs of an operation that may tag what it makes.
func tagged(c *gateway.Call, action, typ string, name *string, tags []mdbapi.Tag) []policy.Need {
	conditions := map[string][]string{}
	for _, t := range tags {
		conditions["aws:RequestTag/"+text(t.Key)] = []string{text(t.Value)}
		conditions["aws:TagKeys"] = append(conditions["aws:TagKeys"], text(t.Key))
	}
	arn := arnOf(c, typ, name)
	needs := []policy.Need{{Action: service + ":" + action, Resource: arn, Conditions: conditions}}
	if len(tags) > 0 {
		needs = append(needs, policy.Need{Action: service + ":TagResource", Resource: arn, Conditions: conditions})
	}
	return needs
}

// arnOf is an ARN for policies; names in it are in lower case, and no name stands for all.
func arnOf(c *gateway.Call, typ string, name *string) string {
	if text(name) == "" {
		return "*"
	}
	return resource.ARN{Partition: resource.Partition(c.Scope.Region), Service: service, Region: c.Scope.Region, Account: c.Scope.Account,
		Type: typ, Name: strings.ToLower(strings.TrimSpace(*name))}.String()
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func number(n *int32) *int {
	if n == nil {
		return nil
	}
	v := int(*n)
	return &v
}

func ptr[T any](v T) *T { return &v }

// shown is a string that is absent when it is empty.
func shown(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// stamp is a time that is absent when it is zero.
func stamp(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func tagsIn(tags []mdbapi.Tag) []resource.Tag {
	var out []resource.Tag
	for _, t := range tags {
		out = append(out, resource.Tag{Key: text(t.Key), Value: text(t.Value)})
	}
	return out
}

func tagsOut(tags []resource.Tag) []mdbapi.Tag {
	out := make([]mdbapi.Tag, len(tags))
	for i, t := range tags {
		out[i] = mdbapi.Tag{Key: ptr(t.Key), Value: ptr(t.Value)}
	}
	return out
}

func decide(op *wire.Operation) coverage.Op {
	switch {
	case strings.Contains(op.Name, "MultiRegion"):
		return coverage.Op{Name: op.Name, Status: coverage.Unsupported, Reason: "a multi-Region cluster spans regions, and a server is one place"}
	case strings.HasPrefix(op.Name, "PurchaseReserved"):
		return coverage.Op{Name: op.Name, Status: coverage.Unsupported, Reason: "there is nothing to reserve on one's own machines"}
	}
	return coverage.Op{Name: op.Name, Status: coverage.NotYet, Reason: "this version does not serve it yet"}
}

func unserved(op *wire.Operation) string { return decide(op).Reason }

// Decisions says of every operation of the API what becomes of it.
func Decisions() []coverage.Op {
	served := New(nil).Routes()
	var all []coverage.Op
	for _, op := range mdbapi.Service.Operations {
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
