package wire

import (
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// DecodeQuery fills the struct that dst points to from the parameters of a Query request. Action, Version and the
// parameters of a signature are skipped. Lists may be written Tags.Tag.N, Tags.member.N, Tags.Tags.N or Tags.N, with or
// without gaps in N up to 1000; "Tags=" is an empty list. The error is a *ValidationError, the first by the order
// of fields, unless the parameters themselves contradict each other.
func DecodeQuery(values url.Values, dst any) (Unknown, error) {
	v, s, err := target(dst)
	if err != nil {
		return Unknown{}, err
	}
	d := queryDecoder{}
	root := &node{}
	for key, texts := range values {
		d.put(root, s, key, texts)
	}
	if d.err != nil {
		return d.unknown.list(), d.err
	}
	return d.unknown.list(), fillStruct(v, s, root, nil)
}

// node is what the request says about one place: a text, or what lies beneath it by field or list index.
type node struct {
	text    string
	present bool // text was given
	kids    map[int]*node
}

func (n *node) kid(i int) *node {
	if k := n.kids[i]; k != nil {
		return k
	}
	if n.kids == nil {
		n.kids = make(map[int]*node, 4)
	}
	k := &node{}
	n.kids[i] = k
	return k
}

type queryDecoder struct {
	unknown unknownNames
	err     error  // the one with the lowest key, as maps have no order
	errKey  string // its key
}

func (d *queryDecoder) fail(key, reason string) {
	if d.err == nil || key < d.errKey {
		name := key
		if len(name) > maxUnknownBytes {
			name = strings.ToValidUTF8(name[:maxUnknownBytes], "")
		}
		d.err, d.errKey = &ValidationError{Parameter: name, Reason: reason}, key
	}
}

// maxNesting bounds structures that contain themselves; no model of AWS goes beyond 6.
const maxNesting = 32

// put finds the place that the key names and notes the text there. Nothing is noted for a key that names no place.
func (d *queryDecoder) put(root *node, s *shape, key string, texts []string) {
	if len(texts) == 0 {
		return
	}
	var few [8]int
	steps := few[:0]
	for rest, more := key, true; more; {
		if s.kind != kindStruct || len(steps) >= maxNesting {
			d.unknown.add(key)
			return
		}
		var name string
		name, rest, more = strings.Cut(rest, ".")
		i, known := s.byName[name]
		if !known {
			if len(steps) > 0 || !reserved(name) {
				d.unknown.add(key)
			}
			return
		}
		f := &s.fields[i]
		s, steps = f.shape, append(steps, i)
		if s.kind != kindList || !more {
			continue
		}
		name, rest, more = strings.Cut(rest, ".")
		if more && (name == f.item || name == "member" || name == f.name) {
			name, rest, more = strings.Cut(rest, ".")
		}
		index, ok := listIndex(name)
		if !ok {
			d.unknown.add(key)
			return
		}
		if index < 1 || index > maxListLength {
			d.fail(key, "must have an index from 1 to 1000")
			return
		}
		s, steps = s.elem, append(steps, index)
	}
	n := root
	for _, step := range steps {
		n = n.kid(step)
	}
	if n.present || len(texts) > 1 {
		d.fail(key, "is given more than once")
		return
	}
	n.text, n.present = texts[0], true
}

// listIndex reads a list index. Numbers of more than six digits are too large, not unknown.
func listIndex(text string) (int, bool) {
	n := 0
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), maxListLength+1)
	}
	return n, text != ""
}

// reserved tells whether a parameter belongs to the protocol or to a signature, and not to the operation.
func reserved(name string) bool {
	switch name {
	case "Action", "Version", "AWSAccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SecurityToken", "Timestamp", "Expires":
		return true
	}
	return len(name) > 6 && strings.EqualFold(name[:6], "X-Amz-")
}

func fillStruct(v reflect.Value, s *shape, n *node, p *path) error {
	for i := range s.fields {
		k := n.kids[i]
		if k == nil {
			continue
		}
		f := &s.fields[i]
		here := path{parent: p, name: f.name}
		if f.shape.kind == kindList {
			if err := fillList(v.Field(i), f, k, &here); err != nil {
				return err
			}
			continue
		}
		if f.emptyAbsent && k.text == "" && f.shape.kind == kindString {
			continue
		}
		to := reflect.New(f.shape.typ)
		if err := fillValue(to.Elem(), f.shape, k, &here); err != nil {
			return err
		}
		v.Field(i).Set(to)
	}
	return nil
}

func fillValue(v reflect.Value, s *shape, n *node, p *path) error {
	if s.kind != kindStruct {
		return setText(v, s, n.text, p)
	}
	if n.text != "" {
		return p.invalid("must be a structure")
	}
	return fillStruct(v, s, n, p)
}

// fillList closes the gaps between indexes: they say the order, not the place.
func fillList(v reflect.Value, f *field, n *node, p *path) error {
	if n.text != "" {
		return p.invalid("must be a list")
	}
	list := reflect.MakeSlice(f.shape.typ, len(n.kids), len(n.kids))
	for at, index := range slices.Sorted(maps.Keys(n.kids)) {
		here := path{parent: p, name: f.item, index: index}
		if err := fillValue(list.Index(at), f.shape.elem, n.kids[index], &here); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}
