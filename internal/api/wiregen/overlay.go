package main

import (
	"fmt"
	"slices"
	"strings"
)

// overlay is what internal/api/facts/overlay.json says about one API.
type overlay struct {
	Operations  ordered[operation]        `json:"operations"`
	Shapes      ordered[modelShape]       `json:"shapes"`
	Members     ordered[ordered[*member]] `json:"members"`
	Errors      ordered[[]string]         `json:"errors"`
	Required    []string                  `json:"required"`
	Optional    []string                  `json:"optional"`
	Also        ordered[string]           `json:"also"`
	EmptyAbsent []string                  `json:"emptyAbsent"`
	Limits      ordered[limits]           `json:"limits"`
	Secret      []string                  `json:"secret"`
}

// apply merges the overlay into the model. An entry that changes nothing is refused, so that the overlay stays small.
func (o *overlay) apply(m *model) error {
	for _, name := range o.Operations.names {
		if _, ok := m.Operations.by[name]; ok {
			return fmt.Errorf("overlay: the model has the operation %s by now", name)
		}
		m.Operations.set(name, o.Operations.by[name])
	}
	for _, name := range o.Shapes.names {
		if _, ok := m.Shapes.by[name]; ok {
			return fmt.Errorf("overlay: the model has the shape %s by now", name)
		}
		m.Shapes.set(name, o.Shapes.by[name])
	}
	for _, name := range o.Members.names {
		s, ok := m.Shapes.by[name]
		if !ok {
			return fmt.Errorf("overlay: members of unknown shape %s", name)
		}
		added := o.Members.by[name]
		for _, field := range added.names {
			if _, ok := s.Members.by[field]; ok {
				return fmt.Errorf("overlay: the model has %s.%s by now", name, field)
			}
			s.Members.set(field, added.by[field])
		}
		m.Shapes.by[name] = s
	}
	for _, name := range o.Errors.names {
		op, ok := m.Operations.by[name]
		if !ok {
			return fmt.Errorf("overlay: errors of unknown operation %s", name)
		}
		for _, fault := range o.Errors.by[name] {
			if slices.ContainsFunc(op.Errors, func(r shapeRef) bool { return r.Shape == fault }) {
				return fmt.Errorf("overlay: the model has %s of %s by now", fault, name)
			}
			op.Errors = append(op.Errors, shapeRef{Shape: fault})
		}
		m.Operations.by[name] = op
	}
	for _, name := range m.Shapes.names {
		s := m.Shapes.by[name]
		for _, field := range s.Required {
			if s.Members.by[field] == nil {
				return fmt.Errorf("%s requires %s, which it does not have", name, field)
			}
			s.Members.by[field].required = true
		}
	}
	return o.applyToMembers(m)
}

func (o *overlay) applyToMembers(m *model) error {
	inputs := map[string]bool{}
	for _, op := range m.Operations.by {
		if op.Input != nil {
			inputs[op.Input.Shape] = true
		}
	}
	everywhere := func(string) bool { return true }
	requests := func(shape string) bool { return inputs[shape] } // what bounds requests would only be noise in answers
	each := func(what string, keys []string, star func(shape string) bool, change func(key string, f *member) (changed bool)) error {
		for _, key := range keys {
			changed := false
			shape, field, _ := strings.Cut(key, ".")
			for _, name := range m.Shapes.names {
				f := m.Shapes.by[name].Members.by[field]
				if f != nil && (shape == name || shape == "*" && star(name)) && change(key, f) {
					changed = true
				}
			}
			if !changed {
				return fmt.Errorf("overlay: %s of %s changes nothing", what, key)
			}
		}
		return nil
	}
	set := func(b *bool, to bool) bool {
		changed := *b != to
		*b = to
		return changed
	}
	for _, err := range []error{
		each("required", o.Required, requests, func(_ string, f *member) bool { return set(&f.required, true) }),
		each("optional", o.Optional, requests, func(_ string, f *member) bool { return set(&f.required, false) }),
		each("emptyAbsent", o.EmptyAbsent, requests, func(_ string, f *member) bool { return set(&f.emptyAbsent, true) }),
		each("secret", o.Secret, everywhere, func(_ string, f *member) bool { return set(&f.secret, true) }),
		each("also", o.Also.names, everywhere, func(key string, f *member) bool { f.also = o.Also.by[key]; return true }),
		each("limits", o.Limits.names, requests, func(key string, f *member) bool {
			l := o.Limits.by[key]
			f.limits = &l
			return true
		}),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}
