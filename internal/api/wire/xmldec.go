package wire

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
)

// DecodeXML reads the answer of a Query operation into the output struct that out points to, for our own client. wrapper
// is the operation's result element, "" if it has none. Unknown elements are skipped. A body that is no such answer gives a *MalformedError,
// a value that does not parse a *ValidationError.
func DecodeXML(body []byte, wrapper string, out any) (requestID string, err error) {
	v, s, err := target(out)
	if err != nil {
		return "", err
	}
	d := &xmlDecoder{Decoder: xml.NewDecoder(bytes.NewReader(body))}
	if _, err = d.start(); err == nil {
		requestID, err = d.response(wrapper, v, s)
	}
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = &MalformedError{Reason: "XML: " + err.Error()}
	}
	return requestID, err
}

type xmlDecoder struct{ *xml.Decoder }

// start goes to the root element.
func (d *xmlDecoder) start() (string, error) {
	for {
		t, err := d.Token()
		if err != nil {
			return "", err
		}
		if e, ok := t.(xml.StartElement); ok {
			return e.Name.Local, nil
		}
	}
}

func (d *xmlDecoder) response(wrapper string, v reflect.Value, s *shape) (requestID string, err error) {
	found := wrapper == ""
	err = d.children(func(name string) error {
		switch {
		case name == wrapper:
			found = true
			return d.structure(v, s, nil)
		case name == "ResponseMetadata":
			return d.children(func(name string) (err error) {
				if name != "RequestId" {
					return d.Skip()
				}
				requestID, err = d.text()
				return err
			})
		}
		return d.Skip()
	})
	if err == nil && !found {
		err = &MalformedError{Reason: "XML: no element " + wrapper}
	}
	return requestID, err
}

// children calls each for every element up to the end of the current one. each must consume the element.
func (d *xmlDecoder) children(each func(name string) error) error {
	for {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch e := t.(type) {
		case xml.StartElement:
			if err := each(e.Name.Local); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		}
	}
}

// text returns the character data up to the end of the current element.
func (d *xmlDecoder) text() (string, error) {
	var b strings.Builder
	for {
		t, err := d.Token()
		if err != nil {
			return "", err
		}
		switch e := t.(type) {
		case xml.CharData:
			b.Write(e)
		case xml.StartElement:
			if err := d.Skip(); err != nil {
				return "", err
			}
		case xml.EndElement:
			return b.String(), nil
		}
	}
}

func (d *xmlDecoder) structure(v reflect.Value, s *shape, p *path) error {
	if p.depth() > maxNesting {
		return p.invalid("is nested too deeply")
	}
	return d.children(func(name string) error {
		i, known := s.byName[name]
		if !known {
			return d.Skip()
		}
		f, fv := &s.fields[i], v.Field(i)
		here := &path{parent: p, name: f.name}
		if f.shape.kind == kindList {
			return d.list(fv, f, here)
		}
		fv.Set(reflect.New(f.shape.typ))
		return d.value(fv.Elem(), f.shape, here)
	})
}

func (d *xmlDecoder) list(v reflect.Value, f *field, p *path) error {
	list := reflect.MakeSlice(f.shape.typ, 0, 0)
	err := d.children(func(name string) error {
		if name != f.item && name != "member" {
			return d.Skip()
		}
		list = reflect.Append(list, reflect.Zero(f.shape.elem.typ))
		n := list.Len()
		return d.value(list.Index(n-1), f.shape.elem, &path{parent: p, name: f.item, index: n})
	})
	v.Set(list)
	return err
}

func (d *xmlDecoder) value(v reflect.Value, s *shape, p *path) error {
	if s.kind == kindStruct {
		return d.structure(v, s, p)
	}
	text, err := d.text()
	if err != nil {
		return err
	}
	if s.kind != kindString {
		text = strings.TrimSpace(text)
	}
	return setText(v, s, text, p)
}
