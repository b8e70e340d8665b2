package wire

import (
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Validate checks the struct that in points to against everything its tags say. The error is a *ValidationError: in each
// structure first what is missing, then what is wrong, both in the order of the fields.
func Validate(in any) error {
	v, s, err := target(in)
	if err != nil {
		return err
	}
	return checkStruct(v, s, nil)
}

func checkStruct(v reflect.Value, s *shape, p *path) error {
	for i := range s.fields {
		if f := &s.fields[i]; f.required && blank(v.Field(i), f.shape) {
			here := path{parent: p, name: f.name}
			return &ValidationError{Parameter: here.String(), Reason: reasonMissing, Missing: true}
		}
	}
	for i := range s.fields {
		f, fv := &s.fields[i], v.Field(i)
		if fv.IsNil() {
			continue
		}
		here := path{parent: p, name: f.name}
		if f.shape.kind != kindList {
			if err := checkValue(fv.Elem(), f.shape, &f.limits, &here); err != nil {
				return err
			}
			continue
		}
		if reason := f.limits.outside(int64(fv.Len()), "element"); reason != "" {
			return here.invalid(reason)
		}
		for j := range fv.Len() {
			at := path{parent: &here, name: f.item, index: j + 1}
			if err := checkValue(fv.Index(j), f.shape.elem, &f.elem, &at); err != nil {
				return err
			}
		}
	}
	return nil
}

func blank(v reflect.Value, s *shape) bool {
	return v.IsNil() || s.kind == kindString && strings.TrimSpace(v.Elem().String()) == ""
}

func checkValue(v reflect.Value, s *shape, l *limits, p *path) error {
	reason := ""
	switch s.kind {
	case kindStruct:
		return checkStruct(v, s, p)
	case kindInt:
		reason = l.outside(v.Int(), "")
	case kindString:
		reason = checkString(v.String(), s, l)
	}
	if reason != "" {
		return p.invalid(reason)
	}
	return nil
}

func checkString(text string, s *shape, l *limits) string {
	for i, r := range text {
		if !legal(r) || r == utf8.RuneError && !strings.HasPrefix(text[i:], "\uFFFD") {
			return "must be UTF-8 text without control characters"
		}
	}
	if s.enum != nil {
		for _, one := range s.enum {
			if text == one {
				return ""
			}
		}
		return "must be one of " + strings.Join(s.enum, ", ")
	}
	if l.hasMin || l.hasMax {
		if reason := l.outside(int64(utf8.RuneCountInString(text)), "character"); reason != "" {
			return reason
		}
	}
	if l.pattern != nil && !l.pattern.MatchString(text) {
		return "must match the pattern " + l.source
	}
	return ""
}

// outside says what is wrong with n: a count of units, or a value if there is no unit. "" if nothing is.
func (l *limits) outside(n int64, unit string) string {
	if (!l.hasMin || n >= l.min) && (!l.hasMax || n <= l.max) {
		return ""
	}
	low, high := strconv.FormatInt(l.min, 10), strconv.FormatInt(l.max, 10)
	verb := "have"
	if unit == "" {
		verb = "be"
	}
	switch {
	case l.hasMin && l.hasMax:
		return "must " + verb + " from " + low + " to " + high + plural(unit, l.max)
	case l.hasMin:
		return "must " + verb + " at least " + low + plural(unit, l.min)
	default:
		return "must " + verb + " at most " + high + plural(unit, l.max)
	}
}

func plural(unit string, n int64) string {
	switch {
	case unit == "":
		return ""
	case n == 1:
		return " " + unit
	}
	return " " + unit + "s"
}
