package wire

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

func decodeQuery(t *testing.T, query string) (*thing, Unknown, error) {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	in := &thing{}
	unknown, err := DecodeQuery(values, in)
	return in, unknown, err
}

func TestDecodeQuery(t *testing.T) {
	t.Parallel()
	when := time.Date(2026, 11, 21, 10, 30, 5, 0, time.UTC)
	for query, want := range map[string]thing{
		"":                                    {},
		"Action=X&Version=2015-02-02":         {},
		"Name=":                               {Name: ptr("")},
		"Name=a%26b+c":                        {Name: ptr("a&b c")},
		"Flag=TRUE":                           {Flag: ptr(true)},
		"Flag=False":                          {Flag: ptr(false)},
		"Count=-7":                            {Count: ptr(int32(-7))},
		"Ratio=1e3":                           {Ratio: ptr(1000.0)},
		"Color=blue":                          {Color: ptr(color("blue"))}, // Validate's business
		"Token=s3cret":                        {Token: ptr(Secret("s3cret"))},
		"Bucket=":                             {},
		"Bucket=b":                            {Bucket: ptr("b")},
		"Pair.Key=k&Pair.Value=":              {Pair: &pair{Key: ptr("k"), Value: ptr("")}},
		"Pair=":                               {Pair: &pair{}},
		"Tags=":                               {Tags: []pair{}},
		"Tags.Tag.1.Key=a&Tags.Tag.2=":        {Tags: []pair{{Key: ptr("a")}, {}}},
		"Tags.member.1.Key=a":                 {Tags: []pair{{Key: ptr("a")}}},
		"Tags.Tags.1.Key=a":                   {Tags: []pair{{Key: ptr("a")}}},
		"Tags.1.Key=a":                        {Tags: []pair{{Key: ptr("a")}}},
		"Nums.Num.10=3&Nums.Num.9=2":          {Nums: []int32{2, 3}}, // order is numeric, gaps close
		"Nums.Num.1000=1":                     {Nums: []int32{1}},
		"Words.member.1=x":                    {Words: []string{"x"}},
		"Words.Words.1=x":                     {Words: []string{"x"}},
		"Words.1=x":                           {Words: []string{"x"}},
		"Colors.member.1=red":                 {Colors: []color{"red"}},
		"When=2026-11-21T10:30:05Z":           {When: &when},
		"When=2026-11-21T10:30:05.000Z":       {When: &when},
		"When=2026-11-21T11:30:05%2B0100":     {When: &when},
		"When=2026-11-21T10:30:05":            {When: &when},
		"When=20261121T103005Z":               {When: &when},
		"When=2026-11-21T10:30:05.25Z":        {When: ptr(when.Add(250 * time.Millisecond))},
		"When=2026-11-21T10:30:05.123456789Z": {When: ptr(when.Add(123456789))},
		"When=2026-11-21T10:30Z":              {When: ptr(when.Add(-5 * time.Second))},
		"When=2026-11-21":                     {When: ptr(when.Truncate(24 * time.Hour))},
	} {
		got, unknown, err := decodeQuery(t, query)
		if err != nil || unknown.Count != 0 {
			t.Errorf("%s: error %v, unknown %v", query, err, unknown)
		} else if !reflect.DeepEqual(*got, want) {
			t.Errorf("%s: got %+v, want %+v", query, *got, want)
		}
	}
}

func TestDecodeQueryRefuses(t *testing.T) {
	t.Parallel()
	for query, parameter := range map[string]string{
		"Flag=yes":                         "Flag",
		"Flag=":                            "Flag",
		"Count=1.5":                        "Count",
		"Count=2147483648":                 "Count",
		"Count=":                           "Count",
		"Ratio=NaN":                        "Ratio",
		"Ratio=1e999":                      "Ratio",
		"When=yesterday":                   "When",
		"When=10000-01-01T00:00:00Z":       "When",
		"When=0001-01-01T00:00:00%2B14:00": "When",
		"Tags=x":                           "Tags",
		"Pair=x":                           "Pair",
		"Tags.Tag.1=x":                     "Tags.Tag.1",
		"Nums.Num.3=x":                     "Nums.Num.3",
		"Nums.Num.0=1":                     "Nums.Num.0",
		"Nums.Num.1001=1":                  "Nums.Num.1001",
		"Nums.Num.99999999999999999999=1":  "Nums.Num.99999999999999999999",
		"Name=a&Name=b":                    "Name",
		"Name=a&Name=a":                    "Name",
		"Nums.Num.1=1&Nums.member.1=1":     "Nums.Num.1|Nums.member.1",
		"Count=x&Ratio=x&Flag=x":           "Flag", // by field
		"Nums.member.0=1&Nums.Num.0=1&Name=a&Name=b": "Name",
	} {
		for range 10 { // whatever the order of the map
			_, _, err := decodeQuery(t, query)
			var invalid *ValidationError
			if !errors.As(err, &invalid) || invalid.Missing {
				t.Errorf("%s: error %v", query, err)
			} else if !strings.Contains("|"+parameter+"|", "|"+invalid.Parameter+"|") {
				t.Errorf("%s: blames %s, want %s", query, invalid.Parameter, parameter)
			}
		}
	}
}

func TestDecodeQueryCountsUnknown(t *testing.T) {
	t.Parallel()
	in, unknown, err := decodeQuery(t, "Nope=1&Name=a&Name.X=1&Pair.Zip=1&Tags.Tag=1&Tags.Label.1.Key=a&Tags.Tag.x.Key=a&Tags.Tag.1.Nope=a&X-Amz-Date=1&.=1&=1")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"", ".", "Name.X", "Nope", "Pair.Zip", "Tags.Label.1.Key", "Tags.Tag", "Tags.Tag.1.Nope", "Tags.Tag.x.Key"}
	if unknown.Count != len(want) || !reflect.DeepEqual(unknown.Names, want) {
		t.Errorf("unknown %d %q, want %q", unknown.Count, unknown.Names, want)
	}
	if !reflect.DeepEqual(*in, thing{Name: ptr("a")}) {
		t.Errorf("unknown parameters left traces: %+v", *in)
	}

	many := url.Values{}
	for _, c := range "abcdefghijklmnopqrstuvwxyz" {
		many.Set("Nope"+string(c)+strings.Repeat("x", 1000), "1")
	}
	unknown, err = DecodeQuery(many, &thing{})
	if err != nil || unknown.Count != 26 || len(unknown.Names) != 16 || unknown.Names[0][:5] != "Nopea" || len(unknown.Names[0]) != 64 {
		t.Errorf("error %v, %d unknown, names %q", err, unknown.Count, unknown.Names)
	}
}

func TestNestingIsCapped(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("Next.", 100_000) + "Name"
	in := &chain{}
	unknown, err := DecodeQuery(url.Values{deep: {"x"}}, in)
	if err != nil || unknown.Count != 1 || in.Next != nil {
		t.Errorf("Query: error %v, unknown %d, %v", err, unknown.Count, in)
	}
	var invalid *ValidationError
	body := strings.Repeat(`{"Next":`, 200) + "{}" + strings.Repeat("}", 200)
	if _, err = DecodeJSON([]byte(body), in); !errors.As(err, &invalid) {
		t.Errorf("JSON: error %v", err)
	}
	body = "<R><DoChainResult>" + strings.Repeat("<Next>", 200) + strings.Repeat("</Next>", 200) + "</DoChainResult></R>"
	if _, err = DecodeXML([]byte(body), "DoChainResult", in); !errors.As(err, &invalid) {
		t.Errorf("XML: error %v", err)
	}
}

func TestOnlyShapesAreCoded(t *testing.T) {
	t.Parallel()
	for _, dst := range []any{nil, 1, thing{}, (*thing)(nil), new(int), &struct{ A *string }{}, &struct {
		A string `wire:"A"`
	}{}, &struct {
		A *int64 `wire:"A"`
	}{}, &struct {
		A map[string]string `wire:"A"`
	}{}, &struct {
		A [][]string `wire:"A"`
	}{}, &struct {
		A *string `wire:"A,max=many"`
	}{}, &struct {
		A *string `wire:"A,huge"`
	}{}, &struct {
		A *string `wire:"A" pattern:"("`
	}{}, &struct {
		A *string `wire:"A"`
		B *string `wire:"A"`
	}{}} {
		if _, err := DecodeQuery(url.Values{"A": {"1"}}, dst); err == nil {
			t.Errorf("%T was decoded", dst)
		}
		if err := Validate(dst); err == nil {
			t.Errorf("%T was validated", dst)
		}
	}
}
