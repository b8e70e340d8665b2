package wire

import (
	"reflect"
	"time"
)

// EncodeJSON writes the struct that value points to as a JSON 1.1 document: an answer, or a request of our own client.
// nil fields are left out; timestamps are seconds since 1970.
func EncodeJSON(value any) ([]byte, error) {
	v, s, err := target(value)
	if err != nil {
		return nil, err
	}
	return appendJSONStruct(make([]byte, 0, 512), v, s), nil
}

func appendJSONStruct(b []byte, v reflect.Value, s *shape) []byte {
	b = append(b, '{')
	first := true
	for i := range s.fields {
		f, fv := &s.fields[i], v.Field(i)
		if fv.IsNil() {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendJSONString(b, f.name), ':')
		if f.shape.kind != kindList {
			b = appendJSONValue(b, fv.Elem(), f.shape)
			continue
		}
		b = append(b, '[')
		for j := range fv.Len() {
			if j > 0 {
				b = append(b, ',')
			}
			b = appendJSONValue(b, fv.Index(j), f.shape.elem)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func appendJSONValue(b []byte, v reflect.Value, s *shape) []byte {
	switch s.kind {
	case kindStruct:
		return appendJSONStruct(b, v, s)
	case kindString:
		return appendJSONString(b, v.String())
	case kindTime:
		return appendEpoch(b, *v.Addr().Interface().(*time.Time))
	case kindFloat:
		if f := v.Float(); f-f != 0 { // NaN or infinite: no JSON number
			return append(append(append(b, '"'), appendText(nil, v, s)...), '"')
		}
	}
	return appendText(b, v, s)
}
