package wire

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestEncodeXML(t *testing.T) {
	t.Parallel()
	got, err := EncodeXML(opThing, "id-1", &thing{
		Name: ptr("a<b>&\"'\r\n\x00\xff"), Flag: ptr(false), Count: ptr(int32(0)), Ratio: ptr(0.5),
		When: ptr(time.Date(2026, 11, 21, 10, 0, 0, 5e6, time.FixedZone("", 3600))), Token: ptr(Secret("tok")), Pair: &pair{},
		Tags: []pair{{Key: ptr("k"), Value: ptr("")}}, Words: []string{}, Nums: []int32{1, 2},
	})
	want := `<DoThingResponse xmlns="http://example.com/doc/"><DoThingResult><Name>a&lt;b&gt;&amp;&quot;'&#xD;` + "\n\uFFFD\uFFFD" + `</Name><Flag>false</Flag>` +
		`<Count>0</Count><Ratio>0.5</Ratio><When>2026-11-21T09:00:00.005Z</When><Token>tok</Token><Pair></Pair><Tags><Tag><Key>k</Key><Value></Value></Tag></Tags>` +
		`<Words></Words><Nums><Num>1</Num><Num>2</Num></Nums><OtherNums><Num>1</Num><Num>2</Num></OtherNums>` +
		`</DoThingResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></DoThingResponse>` + "\n"
	if err != nil || string(got) != want {
		t.Errorf("error %v, got\n%s, want\n%s", err, got, want)
	}
}

// Every byte sequence, legal or not, gives a document that parses.
func TestEveryTextParses(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for c := range 256 {
		all.WriteByte(byte(c))
	}
	for r := rune(0); r <= 0x10FFFF; r += 0x3F {
		all.WriteRune(r)
	}
	all.WriteString("\uFFFE\uFFFF\xed\xa0\x80]]>")
	in := &thing{Name: ptr(all.String())}
	doc, err := EncodeXML(opThing, all.String(), in)
	if err != nil {
		t.Fatal(err)
	}
	back := &thing{}
	id, err := DecodeXML(doc, opThing.Wrapper, back)
	if err != nil || *back.Name != id || !strings.HasSuffix(id, "]]>") {
		t.Errorf("error %v; id and name read back the same: %v", err, id == *back.Name)
	}
	fault := EncodeFault(queryAPI, &Fault{Code: "C", Status: 400}, all.String(), "id")
	if err := xml.Unmarshal(fault.Body, new(any)); err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("fault: %v", err)
	}
	document, err := EncodeJSON(in)
	if err != nil || !json.Valid(document) {
		t.Errorf("JSON: %v\n%q", err, document)
	}
	if fault := EncodeFault(jsonAPI, &Fault{Code: "C", Status: 400}, all.String(), "id"); !json.Valid(fault.Body) {
		t.Errorf("JSON fault: %q", fault.Body)
	}
}

func TestDecodeJSON(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 11, 21, 10, 30, 5, 250e6, time.UTC)
	for body, want := range map[string]thing{
		"":                                      {},
		" {} \n":                                {},
		`{"Name":null,"Tags":null,"Pair":null}`: {},
		`{"Name":"a\u00e9\n","Flag":false,"Count":3,"Ratio":2}`: {Name: ptr("aé\n"), Flag: ptr(false), Count: ptr(int32(3)), Ratio: ptr(2.0)},
		`{"When":1795257005.25}`:                                {When: &when},
		`{"When":1.79525700525e9}`:                              {When: &when},
		`{"When":"2026-11-21T10:30:05.25Z"}`:                    {When: &when},
		`{"Bucket":"","Tags":[],"Pair":{}}`:                     {Tags: []pair{}, Pair: &pair{}},
		`{"Tags":[{"Key":"a"},{}],"Nums":[1,2]}`:                {Tags: []pair{{Key: ptr("a")}, {}}, Nums: []int32{1, 2}},
	} {
		got := &thing{}
		unknown, err := DecodeJSON([]byte(body), got)
		if err != nil || unknown.Count != 0 || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: error %v, unknown %v, got %+v", body, err, unknown, *got)
		}
	}
	got := &thing{}
	unknown, err := DecodeJSON([]byte(`{"name":"x","Nope":[{"a":[1,{"b":{}}]},[]],"Pair":{"Zip":{}},"Tags":[{"Zap":1,"Key":"k"}],"Name":"n"}`), got)
	if want := []string{"Nope", "Pair.Zip", "Tags.Tag.1.Zap", "name"}; err != nil || unknown.Count != 4 || !reflect.DeepEqual(unknown.Names, want) {
		t.Errorf("error %v, unknown %v", err, unknown)
	}
	if *got.Name != "n" || *got.Tags[0].Key != "k" {
		t.Errorf("what follows unknown fields is lost: %+v", got)
	}
}

func TestDecodeJSONRefuses(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"{", `{"Name":"a"} x`, `{} {}`, `{"Name":"a",}`, `[]`, `null`, `"x"`, "\x00", `{"Name":'a'}`, `{"Name":"` + "\n" + `"}`} {
		var malformed *MalformedError
		if _, err := DecodeJSON([]byte(body), &thing{}); !errors.As(err, &malformed) {
			t.Errorf("%q: error %v", body, err)
		}
	}
	for body, parameter := range map[string]string{
		`{"Name":1}`: "Name", `{"Name":["a"]}`: "Name", `{"Flag":"true"}`: "Flag", `{"Count":"3"}`: "Count", `{"Count":1.0}`: "Count",
		`{"Count":3000000000}`: "Count", `{"Ratio":"NaN"}`: "Ratio", `{"Ratio":true}`: "Ratio", `{"Ratio":1e999}`: "Ratio", `{"When":true}`: "When", `{"When":1e30}`: "When",
		`{"When":"soon"}`: "When", `{"Pair":[]}`: "Pair", `{"Tags":{}}`: "Tags", `{"Tags":[null]}`: "Tags.Tag.1", `{"Tags":[{"Key":{}}]}`: "Tags.Tag.1.Key",
		`{"Nums":[1,"2"]}`: "Nums.Num.2", `{"Name":"a","Name":"a"}`: "Name", `{"Nums":[` + strings.Repeat("1,", 1000) + `1]}`: "Nums",
	} {
		var invalid *ValidationError
		if _, err := DecodeJSON([]byte(body), &thing{}); !errors.As(err, &invalid) || invalid.Parameter != parameter {
			t.Errorf("%.60s: error %v, want one about %s", body, err, parameter)
		}
	}
}

func TestDecodeXMLRefuses(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "x", "<a>", "<a><b></a>", "<a></a>", "<DoThingResult></DoThingResult>", `{"a":1}`, "<a><DoThingResult><Name>x</Name>"} {
		var malformed *MalformedError
		if _, err := DecodeXML([]byte(body), "DoThingResult", &thing{}); !errors.As(err, &malformed) {
			t.Errorf("%q: error %v", body, err)
		}
	}
	var invalid *ValidationError
	if _, err := DecodeXML([]byte("<R><DoThingResult><Nums><Num>1</Num><Num>x</Num></Nums></DoThingResult></R>"), "DoThingResult", &thing{}); !errors.As(err, &invalid) || invalid.Parameter != "Nums.Num.2" {
		t.Errorf("bad number: error %v", err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	f := &Fault{Shape: "CacheClusterNotFoundFault", Code: "CacheClusterNotFound", Status: 404, Sender: true}
	a := EncodeFault(queryAPI, f, "no <x>", "id-1")
	want := `<ErrorResponse xmlns="http://example.com/doc/"><Error><Type>Sender</Type><Code>CacheClusterNotFound</Code><Message>no &lt;x&gt;</Message></Error><RequestId>id-1</RequestId></ErrorResponse>` + "\n"
	if string(a.Body) != want || a.Status != 404 || a.Headers["Content-Type"] != "text/xml" || a.Headers["x-amzn-RequestId"] != "id-1" || a.Headers["x-amzn-ErrorType"] != "" {
		t.Errorf("Query: %+v\n%s", a, a.Body)
	}
	back, err := DecodeFault(a.Body)
	if err != nil || *back != (RemoteFault{Code: "CacheClusterNotFound", Message: "no <x>", RequestID: "id-1"}) {
		t.Errorf("read back: %v, error %v", back, err)
	}
	for _, body := range []string{"", "<html></html>", "<ErrorResponse><Error>"} {
		var malformed *MalformedError
		if _, err := DecodeFault([]byte(body)); !errors.As(err, &malformed) {
			t.Errorf("%q: error %v", body, err)
		}
	}
	internal := EncodeFault(queryAPI, InternalFailure.For(Query), "m", "id")
	if internal.Status != 500 || !bytes.Contains(internal.Body, []byte("<Type>Receiver</Type>")) {
		t.Errorf("internal failure: %+v %s", internal, internal.Body)
	}
	a = EncodeFault(jsonAPI, AccessDenied.For(JSON), `no "x"`, "id-1")
	if string(a.Body) != `{"__type":"AccessDeniedException","message":"no \"x\""}` || a.Status != 400 || a.Headers["x-amzn-ErrorType"] != "AccessDeniedException" {
		t.Errorf("JSON: %+v\n%s", a, a.Body)
	}
	if got := f.New("gone").Error(); got != "CacheClusterNotFound: gone" {
		t.Errorf("error text %q", got)
	}
}

func TestDispatch(t *testing.T) {
	t.Parallel()
	op := NewOp[named, thing](jsonAPI, "Name", "").Operation
	s := NewService(jsonAPI, []*Operation{op, NewOp[named, thing](jsonAPI, "A", "").Operation}, nil)
	if s.Operation("Name") != op || s.Operation("name") != nil || s.Operations[0].Name != "A" {
		t.Errorf("lookup in %v", s.Operations)
	}
	in, unknown, err := Decode(op, nil, []byte(`{"First":"a","Last":"b","X":1}`))
	if err != nil || unknown.Count != 1 || *in.(*named).Last != "b" {
		t.Errorf("in %v, unknown %v, error %v", in, unknown, err)
	}
	var invalid *ValidationError
	if _, _, err = Decode(op, nil, nil); !errors.As(err, &invalid) || !invalid.Missing {
		t.Errorf("empty request: error %v", err)
	}
	if out, err := Encode(op, "id", &thing{Name: ptr("x")}); err != nil || string(out) != `{"Name":"x"}` {
		t.Errorf("out %s, error %v", out, err)
	}
	f := &Fault{}
	declaring := NewOp[named, thing](queryAPI, "D", "", f)
	if !declaring.Declares(f) || declaring.Declares(&Fault{}) {
		t.Error("Declares goes by identity")
	}
}
