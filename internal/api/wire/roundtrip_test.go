package wire_test

import (
	"math"
	"net/url"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
)

// text is what XML can carry; the XML decoder cannot give back anything else.
var text = rapid.StringOf(rapid.OneOf(
	rapid.RuneFrom([]rune("\t\n\r <>&\"'\\/=%+.;éαЖ漢😀\uFFFD\u2028")), rapid.Rune(), rapid.Int32Range(0x20, 0x7e))).
	Filter(func(s string) bool { return xmlLegal(s) })

func xmlLegal(s string) bool {
	for _, r := range s {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return false
		}
	}
	return true
}

// draw fills v with anything, absent included. blank says whether an empty string survives in the field.
func draw(t *rapid.T, v reflect.Value, blank bool) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		ms := rapid.Int64Range(-62135596800_000, 253402300799_000).Draw(t, "ms")
		v.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
		return
	case v.Kind() == reflect.Pointer:
		if rapid.Bool().Draw(t, "present") {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, v.Elem(), blank)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i), !hasWord(v.Type().Field(i).Tag.Get("wire"), "emptyabsent"))
		}
	case reflect.Slice:
		if n := rapid.IntRange(-1, 3).Draw(t, "length"); n >= 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				draw(t, v.Index(i), true)
			}
		}
	case reflect.String:
		s := text.Draw(t, "text")
		if s == "" && !blank {
			s = "x"
		}
		v.SetString(s)
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, "int")))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Filter(func(f float64) bool { return !math.IsInf(f, 0) && !math.IsNaN(f) }).Draw(t, "float"))
	default:
		t.Fatalf("no value for %s", v.Type())
	}
}

func hasWord(tag, word string) bool {
	for len(tag) > 0 {
		i := 0
		for i < len(tag) && tag[i] != ',' {
			i++
		}
		if tag[:i] == word {
			return true
		}
		tag = tag[min(i+1, len(tag)):]
	}
	return false
}

var (
	queryInputs  = []*wire.Operation{ecapi.OpCreateReplicationGroup.Operation, ecapi.OpCreateServerlessCache.Operation, ecapi.OpModifyReplicationGroup.Operation, ecapi.OpCreateUser.Operation}
	queryOutputs = []*wire.Operation{ecapi.OpDescribeSnapshots.Operation, ecapi.OpDescribeReplicationGroups.Operation, ecapi.OpDescribeReservedCacheNodes.Operation, ecapi.OpDeleteCacheParameterGroup.Operation}
	jsonShapes   = []*wire.Operation{mdbapi.OpCreateCluster.Operation, mdbapi.OpDescribeSnapshots.Operation, mdbapi.OpDescribeReservedNodes.Operation, mdbapi.OpDescribeEvents.Operation}
)

func drawShape(t *rapid.T, typ reflect.Type) any {
	v := reflect.New(typ)
	draw(t, v.Elem(), true)
	return v.Interface()
}

func same(t *rapid.T, what string, unknown wire.Unknown, err error, want, got any) {
	if err != nil || unknown.Count != 0 {
		t.Fatalf("%s: error %v, unknown %v", what, err, unknown)
	}
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("%s: got %+v, want %+v", what, got, want)
	}
}

func TestQueryRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		op := rapid.SampledFrom(queryInputs).Draw(t, "operation")
		in := drawShape(t, op.Input)
		values, err := wire.EncodeQuery(op, in)
		if err != nil {
			t.Fatal(err)
		}
		if values, err = url.ParseQuery(values.Encode()); err != nil || values.Get("Action") != op.Name {
			t.Fatalf("error %v, action %q", err, values.Get("Action"))
		}
		back := op.NewInput()
		unknown, err := wire.DecodeQuery(values, back)
		same(t, op.Name, unknown, err, in, back)
	})
}

func TestXMLRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		op := rapid.SampledFrom(queryOutputs).Draw(t, "operation")
		out := drawShape(t, op.Output)
		id := text.Draw(t, "id")
		doc, err := wire.EncodeXML(op, id, out)
		if err != nil {
			t.Fatal(err)
		}
		back := reflect.New(op.Output).Interface()
		gotID, err := wire.DecodeXML(doc, op.Wrapper, back)
		if gotID != id {
			t.Fatalf("request id %q, want %q", gotID, id)
		}
		same(t, op.Name, wire.Unknown{}, err, out, back)
	})
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		op := rapid.SampledFrom(jsonShapes).Draw(t, "operation")
		for _, typ := range []reflect.Type{op.Input, op.Output} {
			value := drawShape(t, typ)
			doc, err := wire.EncodeJSON(value)
			if err != nil {
				t.Fatal(err)
			}
			back := reflect.New(typ).Interface()
			unknown, err := wire.DecodeJSON(doc, back)
			same(t, typ.Name(), unknown, err, value, back)
		}
	})
}
