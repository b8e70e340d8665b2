package wire

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestValidate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in   any
		want string // of the error
	}{
		"nothing":            {&thing{}, ""},
		"missing":            {&named{Last: ptr("a")}, "The parameter First must be provided and must not be blank."},
		"blank":              {&named{First: ptr("a"), Last: ptr(" \t")}, "The parameter Last must be provided and must not be blank."},
		"missing wins":       {&named{First: ptr("UPPER"), Count: ptr(int32(0))}, "The parameter Last must be provided and must not be blank."},
		"then in order":      {&named{First: ptr("UPPER"), Count: ptr(int32(0)), Last: ptr("a")}, "The parameter First must have at most 3 characters."},
		"pattern":            {&named{First: ptr("A"), Last: ptr("a")}, "The parameter First must match the pattern [a-z]*."},
		"anchored":           {&named{First: ptr("a\n"), Last: ptr("a")}, "The parameter First must match the pattern [a-z]*."},
		"characters":         {&named{First: ptr("éèà"), Last: ptr("a")}, "The parameter First must match the pattern [a-z]*."},
		"too small":          {&named{First: ptr("a"), Count: ptr(int32(1)), Last: ptr("a")}, "The parameter Count must be at least 2."},
		"range":              {&thing{Count: ptr(int32(101))}, "The parameter Count must be from 1 to 100."},
		"enum":               {&thing{Color: ptr(color("blue"))}, "The parameter Color must be one of red, green."},
		"enum empty":         {&thing{Color: ptr(color(""))}, "The parameter Color must be one of red, green."},
		"enum in list":       {&thing{Colors: []color{"red", "Red"}}, "The parameter Colors.member.2 must be one of red, green."},
		"secret":             {&thing{Token: ptr(Secret("abc"))}, "The parameter Token must have at least 4 characters."},
		"nested missing":     {&thing{Pair: &pair{}}, "The parameter Pair.Key must be provided and must not be blank."},
		"nested long":        {&thing{Tags: []pair{{Key: ptr("éèàù")}, {Key: ptr("12345")}}}, "The parameter Tags.Tag.2.Key must have from 1 to 4 characters."},
		"list too long":      {&thing{Tags: make([]pair, 3)}, "The parameter Tags must have at most 2 elements."},
		"list too short":     {&thing{Words: []string{}}, "The parameter Words must have at least 1 element."},
		"element":            {&thing{Words: []string{"abc", "a"}}, "The parameter Words.member.2 must have from 2 to 5 characters."},
		"element pattern":    {&thing{Words: []string{"ABC"}}, "The parameter Words.member.1 must match the pattern [a-z]+."},
		"NUL":                {&thing{Name: ptr("a\x00")}, "The parameter Name must be UTF-8 text without control characters."},
		"not UTF-8":          {&thing{Name: ptr("a\xff")}, "The parameter Name must be UTF-8 text without control characters."},
		"surrogate":          {&thing{Name: ptr("\xed\xa0\x80")}, "The parameter Name must be UTF-8 text without control characters."},
		"replacement itself": {&thing{Name: ptr("a\uFFFDb\t\r\n😀")}, ""},
	} {
		err := Validate(c.in)
		got := ""
		if err != nil {
			got = err.Error()
			var invalid *ValidationError
			if !errors.As(err, &invalid) || invalid.Missing != strings.Contains(c.want, "provided") {
				t.Errorf("%s: %#v", name, err)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := Secret("hunter2")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "p", &s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "s", s, "in", thing{Token: &s})
	json, err := s.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	all := log.String() + string(json) + fmt.Sprint(s, &s) + fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s, []any{s}) + fmt.Sprintf(strings.ToLower("%D"), s)
	if strings.Contains(all, "hunter2") || strings.Contains(all, "68756e7465723") {
		t.Errorf("printed: %s", all)
	}
}
