package wire

import (
	"net/url"
	"reflect"
	"strconv"
)

// EncodeQuery writes the request of an operation as a client sends it. in points to the operation's input struct.
func EncodeQuery(op *Operation, in any) (url.Values, error) {
	v, s, err := target(in)
	if err != nil {
		return nil, err
	}
	values := url.Values{"Action": {op.Name}, "Version": {op.API.Version}}
	putStruct(values, "", v, s)
	return values, nil
}

func putStruct(values url.Values, prefix string, v reflect.Value, s *shape) {
	for i := range s.fields {
		f, fv := &s.fields[i], v.Field(i)
		if fv.IsNil() {
			continue
		}
		key := prefix + f.name
		if f.shape.kind != kindList {
			putValue(values, key, fv.Elem(), f.shape)
			continue
		}
		if fv.Len() == 0 {
			values.Set(key, "")
		}
		for j := range fv.Len() {
			putValue(values, key+"."+f.item+"."+strconv.Itoa(j+1), fv.Index(j), f.shape.elem)
		}
	}
}

func putValue(values url.Values, key string, v reflect.Value, s *shape) {
	if s.kind != kindStruct {
		values.Set(key, string(appendText(nil, v, s)))
		return
	}
	before := len(values)
	putStruct(values, key+".", v, s)
	if len(values) == before { // nothing in it, yet it is there
		values.Set(key, "")
	}
}
