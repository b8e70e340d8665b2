package wire

import (
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

type kind uint8

const (
	kindString kind = iota + 1
	kindBool
	kindInt
	kindFloat
	kindTime
	kindStruct
	kindList
)

// shape is the plan of one Go type: everything the codec needs, found once by reflection.
type shape struct {
	typ    reflect.Type
	kind   kind
	fields []field // of a structure, in the order of the Go struct, which is the model's
	byName map[string]int
	elem   *shape   // of a list
	enum   []string // of a string: its only values, if it has such
}

// field is a member of a structure. Its position in shape.fields is that in the Go struct.
type field struct {
	name, also, item      string
	shape                 *shape
	required, emptyAbsent bool
	limits, elem          limits
}

type limits struct {
	min, max       int64
	hasMin, hasMax bool
	pattern        *regexp.Regexp // anchored at both ends
	source         string         // the pattern as the API states it
}

var timeType = reflect.TypeFor[time.Time]()

// Enum is implemented by string types that have only certain values.
type Enum interface{ Values() []string }

var (
	plans    sync.Map // reflect.Type to *shape, complete ones only
	planning sync.Mutex
)

// structPlan returns the plan of the struct type t.
func structPlan(t reflect.Type) (*shape, error) {
	if p, ok := plans.Load(t); ok {
		return p.(*shape), nil
	}
	planning.Lock()
	defer planning.Unlock()
	if p, ok := plans.Load(t); ok {
		return p.(*shape), nil
	}
	building := map[reflect.Type]*shape{}
	s, err := buildShape(t, building)
	if err != nil {
		return nil, fmt.Errorf("wire: %s cannot be coded: %w", t, err)
	}
	if s.kind != kindStruct {
		return nil, fmt.Errorf("wire: %s cannot be coded: not a structure", t)
	}
	for t, s := range building {
		plans.Store(t, s)
	}
	return s, nil
}

// target returns the struct that pointer points to, and its plan.
func target(pointer any) (reflect.Value, *shape, error) {
	v := reflect.ValueOf(pointer)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return reflect.Value{}, nil, fmt.Errorf("wire: %T is not a pointer to a structure", pointer)
	}
	s, err := structPlan(v.Type().Elem())
	return v.Elem(), s, err
}

func buildShape(t reflect.Type, building map[reflect.Type]*shape) (*shape, error) {
	if s := building[t]; s != nil { // also a structure that contains itself
		return s, nil
	}
	s := &shape{typ: t}
	building[t] = s
	switch {
	case t == timeType:
		s.kind = kindTime
	case t.Kind() == reflect.String:
		s.kind = kindString
		if e, ok := reflect.Zero(t).Interface().(Enum); ok {
			s.enum = e.Values()
		}
	case t.Kind() == reflect.Bool:
		s.kind = kindBool
	case t.Kind() == reflect.Int32:
		s.kind = kindInt
	case t.Kind() == reflect.Float64:
		s.kind = kindFloat
	case t.Kind() == reflect.Slice:
		s.kind = kindList
		elem, err := buildShape(t.Elem(), building)
		if err != nil {
			return nil, err
		}
		if elem.kind == kindList {
			return nil, fmt.Errorf("%s is a list of lists", t)
		}
		s.elem = elem
	case t.Kind() == reflect.Struct:
		s.kind = kindStruct
		return s, s.addFields(building)
	default:
		return nil, fmt.Errorf("%s is no kind of shape", t)
	}
	return s, nil
}

func (s *shape) addFields(building map[reflect.Type]*shape) error {
	n := s.typ.NumField()
	s.fields, s.byName = make([]field, n), make(map[string]int, n)
	for i := range n {
		sf := s.typ.Field(i)
		f, err := parseTags(sf.Tag)
		if err == nil {
			t := sf.Type
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			} else if t.Kind() != reflect.Slice {
				err = fmt.Errorf("%s cannot be absent", t)
			}
			if err == nil {
				f.shape, err = buildShape(t, building)
			}
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", sf.Name, err)
		}
		if _, twice := s.byName[f.name]; twice {
			return fmt.Errorf("field %s: %q is taken", sf.Name, f.name)
		}
		s.fields[i], s.byName[f.name] = f, i
	}
	return nil
}

func parseTags(tag reflect.StructTag) (field, error) {
	words := strings.Split(tag.Get("wire"), ",")
	f := field{name: words[0], item: "member"}
	if f.name == "" {
		return f, fmt.Errorf("no wire name")
	}
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		var err error
		switch key {
		case "required":
			f.required = true
		case "emptyabsent":
			f.emptyAbsent = true
		case "item":
			f.item = value
		case "also":
			f.also = value
		case "min":
			f.limits.min, err = strconv.ParseInt(value, 10, 64)
			f.limits.hasMin = true
		case "max":
			f.limits.max, err = strconv.ParseInt(value, 10, 64)
			f.limits.hasMax = true
		case "emin":
			f.elem.min, err = strconv.ParseInt(value, 10, 64)
			f.elem.hasMin = true
		case "emax":
			f.elem.max, err = strconv.ParseInt(value, 10, 64)
			f.elem.hasMax = true
		default:
			err = fmt.Errorf("unknown word %q in its tag", key)
		}
		if err != nil {
			return f, err
		}
	}
	if err := f.limits.setPattern(tag.Get("pattern")); err != nil {
		return f, err
	}
	return f, f.elem.setPattern(tag.Get("epattern"))
}

func (l *limits) setPattern(source string) (err error) {
	if source != "" {
		l.source = source
		l.pattern, err = regexp.Compile(`\A(?:` + source + `)\z`)
	}
	return err
}

// path is where in a request we are; it becomes a string only for an error.
type path struct {
	parent *path
	name   string
	index  int // 1-based, of a list's element; 0 for a field
}

func (p *path) String() string {
	if p == nil {
		return ""
	}
	own := p.name
	if p.index > 0 {
		own += "." + strconv.Itoa(p.index)
	}
	if before := p.parent.String(); before != "" {
		return before + "." + own
	}
	return own
}

func (p *path) invalid(reason string) error {
	return &ValidationError{Parameter: p.String(), Reason: reason}
}

func (p *path) depth() int {
	n := 0
	for ; p != nil; p = p.parent {
		n++
	}
	return n
}
