package wire

import "reflect"

// EncodeXML writes the answer of a Query operation. out points to the operation's output struct; nil fields are left out,
// empty lists are empty elements.
func EncodeXML(op *Operation, requestID string, out any) ([]byte, error) {
	v, s, err := target(out)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, 1024)
	b = append(append(b, '<'), op.Name...)
	b = append(b, "Response"...)
	b = appendNamespace(b, op.API.Namespace)
	b = append(b, '>')
	if op.Wrapper != "" {
		b = appendStart(b, op.Wrapper)
		b = appendStruct(b, v, s)
		b = appendEnd(b, op.Wrapper)
	}
	b = appendStart(b, "ResponseMetadata")
	b = appendElement(b, "RequestId", requestID)
	b = appendEnd(b, "ResponseMetadata")
	b = appendEnd(b, op.Name+"Response")
	return append(b, '\n'), nil
}

func appendStruct(b []byte, v reflect.Value, s *shape) []byte {
	for i := range s.fields {
		f, fv := &s.fields[i], v.Field(i)
		if fv.IsNil() {
			continue
		}
		b = appendField(b, f.name, fv, f)
		if f.also != "" {
			b = appendField(b, f.also, fv, f)
		}
	}
	return b
}

func appendField(b []byte, name string, v reflect.Value, f *field) []byte {
	if f.shape.kind != kindList {
		return appendValue(b, name, v.Elem(), f.shape)
	}
	b = appendStart(b, name)
	for i := range v.Len() {
		b = appendValue(b, f.item, v.Index(i), f.shape.elem)
	}
	return appendEnd(b, name)
}

func appendValue(b []byte, name string, v reflect.Value, s *shape) []byte {
	b = appendStart(b, name)
	switch s.kind {
	case kindStruct:
		b = appendStruct(b, v, s)
	case kindString:
		b = appendXMLText(b, v.String())
	default:
		b = appendText(b, v, s)
	}
	return appendEnd(b, name)
}
