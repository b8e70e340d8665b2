package wire

import (
	"bytes"
	"encoding/json"
	"reflect"
)

// DecodeJSON fills the struct that dst points to from one JSON object; an empty body counts as {}. null is absent.
// Broken JSON, trailing text included, gives a *MalformedError; a value of the wrong type or a repeated parameter a
// *ValidationError, the first by its place in the document.
func DecodeJSON(body []byte, dst any) (Unknown, error) {
	v, s, err := target(dst)
	if err != nil {
		return Unknown{}, err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return Unknown{}, nil
	}
	if !json.Valid(body) { // checked as a whole first: below, only types can be wrong
		return Unknown{}, &MalformedError{Reason: "not one JSON document"}
	}
	d := &jsonDecoder{Decoder: json.NewDecoder(bytes.NewReader(body))}
	d.UseNumber()
	t, err := d.Token()
	if err == nil && t != json.Delim('{') {
		return Unknown{}, &MalformedError{Reason: "not a JSON object"}
	}
	if err == nil {
		err = d.object(v, s, nil)
	}
	return d.unknown.list(), err
}

type jsonDecoder struct {
	*json.Decoder
	unknown unknownNames
}

// object reads the rest of an object whose brace is read.
func (d *jsonDecoder) object(v reflect.Value, s *shape, p *path) error {
	if p.depth() > maxNesting {
		return p.invalid("is nested too deeply")
	}
	seen := make([]bool, len(s.fields))
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := t.(string)
		if !ok { // the closing brace
			return nil
		}
		here := &path{parent: p, name: name}
		i, known := s.byName[name]
		if !known {
			d.unknown.add(here.String())
			if t, err = d.Token(); err == nil {
				err = d.skip(t)
			}
		} else if seen[i] {
			err = here.invalid("is given more than once")
		} else {
			seen[i] = true
			err = d.field(v.Field(i), &s.fields[i], here)
		}
		if err != nil {
			return err
		}
	}
}

func (d *jsonDecoder) field(v reflect.Value, f *field, p *path) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if f.shape.kind == kindList {
		return d.list(t, v, f, p)
	}
	if f.emptyAbsent && t == "" {
		return nil
	}
	to := reflect.New(f.shape.typ)
	if err := d.value(t, to.Elem(), f.shape, p); err != nil {
		return err
	}
	v.Set(to)
	return nil
}

func (d *jsonDecoder) list(t json.Token, v reflect.Value, f *field, p *path) error {
	if t != json.Delim('[') {
		return p.invalid("must be a list")
	}
	list := reflect.MakeSlice(f.shape.typ, 0, 0)
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		if t == json.Delim(']') {
			v.Set(list)
			return nil
		}
		n := list.Len() + 1
		if n > maxListLength {
			return p.invalid(reasonTooMany)
		}
		here := &path{parent: p, name: f.item, index: n}
		list = reflect.Append(list, reflect.Zero(f.shape.elem.typ))
		if err := d.value(t, list.Index(n-1), f.shape.elem, here); err != nil {
			return err
		}
	}
}

// value reads the value that begins with t.
func (d *jsonDecoder) value(t json.Token, v reflect.Value, s *shape, p *path) error {
	switch s.kind {
	case kindStruct:
		if t == json.Delim('{') {
			return d.object(v, s, p)
		}
		return p.invalid("must be a structure")
	case kindString:
		if text, ok := t.(string); ok {
			v.SetString(text)
			return nil
		}
		return p.invalid("must be a string")
	case kindBool:
		if is, ok := t.(bool); ok {
			v.SetBool(is)
			return nil
		}
		return p.invalid("must be true or false")
	case kindTime:
		if number, ok := t.(json.Number); ok {
			when, ok := parseEpoch(number.String())
			if !ok {
				return p.invalid("must be a timestamp in seconds since 1970")
			}
			v.Set(reflect.ValueOf(when))
			return nil
		}
		if text, ok := t.(string); ok {
			return setText(v, s, text, p)
		}
		return p.invalid("must be a timestamp in seconds since 1970")
	default:
		if number, ok := t.(json.Number); ok {
			return setText(v, s, number.String(), p)
		}
		return setText(v, s, "", p)
	}
}

// skip passes over the value that begins with t.
func (d *jsonDecoder) skip(t json.Token) error {
	depth := 0
	for {
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
		var err error
		if t, err = d.Token(); err != nil {
			return err
		}
	}
}
