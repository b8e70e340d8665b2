// Package coverage says of every operation of an API whether Keyframe serves it, and writes docs/api-coverage.md.
//
// The faces decide: each hands its operation table and its decisions to New, which fails if an operation has none. A command
// above the faces then writes Markdown of all services, under go:generate:
//
//	ec, err := coverage.New(ecapi.Service, elasticache.Decisions())
//	...
//	os.WriteFile("docs/api-coverage.md", []byte(coverage.Markdown([]coverage.Service{ec, mdb})), 0o644)
package coverage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/api/wire"
)

// Status is what becomes of a call.
type Status string

const (
	Served Status = "served"
	// Empty operations describe what cannot exist here, and truthfully answer an empty list.
	Empty Status = "empty by nature"
	// NotYet operations could be served by a later version.
	NotYet Status = "not supported yet"
	// Unsupported operations make no sense outside AWS.
	Unsupported Status = "not supported"
)

// Statuses lists all statuses, in the order of the page.
func Statuses() []Status { return []Status{Served, Empty, NotYet, Unsupported} }

// Op is one operation. Every status but Served needs a reason: half a sentence for the user.
type Op struct {
	Name   string
	Status Status
	Reason string
}

// Service is one API with all of its operations.
type Service struct {
	Name    string // Amazon ElastiCache
	Version string // 2015-02-02
	Ops     []Op   // sorted by name
}

// New joins an operation table with one decision for each of its operations. The error names every operation that is
// undecided, unknown, decided twice, or lacks its reason.
func New(table *wire.Service, decisions []Op) (Service, error) {
	s := Service{Name: table.Title, Version: table.Version}
	byName := map[string]Op{}
	var errs []error
	for _, d := range decisions {
		if table.Operation(d.Name) == nil {
			errs = append(errs, fmt.Errorf("%s: %s has no such operation", d.Name, table.Title))
		}
		if _, twice := byName[d.Name]; twice {
			errs = append(errs, fmt.Errorf("%s: decided twice", d.Name))
		}
		if !slices.Contains(Statuses(), d.Status) {
			errs = append(errs, fmt.Errorf("%s: unknown status %q", d.Name, d.Status))
		} else if d.Status != Served && d.Reason == "" {
			errs = append(errs, fmt.Errorf("%s: %s, but no reason is given", d.Name, d.Status))
		}
		byName[d.Name] = d
	}
	for _, op := range table.Operations {
		if _, ok := byName[op.Name]; !ok {
			errs = append(errs, fmt.Errorf("%s: neither served nor listed as not supported", op.Name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		s.Ops = append(s.Ops, byName[name])
	}
	return s, errors.Join(errs...)
}

// Markdown writes the page. Equal services give equal bytes.
func Markdown(services []Service) string {
	var b strings.Builder
	b.WriteString("<!-- Generated from the operation tables and the routes of the faces (internal/api/coverage). Do not edit. -->\n\n# API coverage\n\n")
	b.WriteString("Every operation of each API, and what Keyframe does with a call to it.\n\n")
	b.WriteString("| API | Operations |")
	for _, st := range Statuses() {
		fmt.Fprintf(&b, " %s |", title(st))
	}
	b.WriteString("\n|---|---:|" + strings.Repeat("---:|", len(Statuses())) + "\n")
	for _, s := range services {
		fmt.Fprintf(&b, "| %s %s | %d |", s.Name, s.Version, len(s.Ops))
		for _, st := range Statuses() {
			fmt.Fprintf(&b, " %d |", len(s.with(st)))
		}
		b.WriteByte('\n')
	}
	for _, s := range services {
		fmt.Fprintf(&b, "\n## %s\n", s.Name)
		for _, st := range Statuses() {
			ops := s.with(st)
			if len(ops) == 0 {
				continue
			}
			fmt.Fprintf(&b, "\n### %s\n\n", title(st))
			for _, op := range ops {
				fmt.Fprintf(&b, "- `%s`", op.Name)
				if op.Reason != "" {
					fmt.Fprintf(&b, ": %s", op.Reason)
				}
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// with returns the operations of that status, sorted by name.
func (s Service) with(st Status) []Op {
	var ops []Op
	for _, op := range s.Ops {
		if op.Status == st {
			ops = append(ops, op)
		}
	}
	slices.SortFunc(ops, func(a, b Op) int { return strings.Compare(a.Name, b.Name) })
	return ops
}

func title(st Status) string { return strings.ToUpper(string(st[:1])) + string(st[1:]) }
