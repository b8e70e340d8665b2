package glob

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

func TestMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, key string
		want         bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a\x00b", true}, {"a*", "a", true}, {"a*", "ba", false},
		{"h?llo", "hello", true}, {"h?llo", "hllo", false}, {"h[ae]llo", "hallo", true}, {"h[ae]llo", "hillo", false},
		{"h[^e]llo", "hallo", true}, {"h[^e]llo", "hello", false}, {"h[a-c]llo", "hbllo", true}, {"h[c-a]llo", "hbllo", true},
		{`h\*llo`, "h*llo", true}, {`h\*llo`, "hello", false}, {`\`, `\`, true}, {`a\`, `a\`, true}, {`a[\]]`, "a]", true}, {`[\`, `\`, true},
		{"[", "[", false}, {"[^", "x", true}, {"[abc", "b", true}, {"[]", "]", false}, {"[]a]", "a]", false}, {"[^]a", "xa", true}, {"[a-]", "b", false},
		{"[a-]", "^", true}, {"[a-", "-", true}, {"[a^]", "^", true}, {"a**b*", "axxbyy", true}, {"*a*b", "aabab", true}, {"*a*b", "aaba", false},
		{"user:*:cart", "user:1:2:cart", true}, {"\xff?\x00", "\xff\xfe\x00", true},
	} {
		if got := Compile(c.pattern).Match([]byte(c.key)); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.key, got)
		}
	}
	if key, ok := Compile(`a\*b`).Literal(); !ok || string(key) != "a*b" {
		t.Errorf("literal %q, %v", key, ok)
	}
	if _, ok := Compile("a*").Literal(); ok {
		t.Error("a* is no literal")
	}
}

// slow says the same by trying everything.
func slow(p, k []byte) bool {
	if len(p) == 0 {
		return len(k) == 0
	}
	switch {
	case p[0] == '*':
		return slow(p[1:], k) || len(k) > 0 && slow(p, k[1:])
	case len(k) == 0:
		return false
	case p[0] == '?':
		return slow(p[1:], k[1:])
	case p[0] == '\\' && len(p) > 1:
		return p[1] == k[0] && slow(p[2:], k[1:])
	case p[0] != '[':
		return p[0] == k[0] && slow(p[1:], k[1:])
	}
	p = p[1:]
	p, not := bytes.CutPrefix(p, []byte("^"))
	found := false
	for len(p) > 0 && p[0] != ']' {
		switch {
		case p[0] == '\\' && len(p) > 1:
			found = found || p[1] == k[0]
			p = p[2:]
		case len(p) > 2 && p[1] == '-':
			found = found || p[0] <= k[0] && k[0] <= p[2] || p[2] <= k[0] && k[0] <= p[0]
			p = p[3:]
		default:
			found = found || p[0] == k[0]
			p = p[1:]
		}
	}
	return found != not && slow(p[min(1, len(p)):], k[1:])
}

func FuzzMatch(f *testing.F) {
	for _, p := range []string{"", "*", "a*b*c", "[^a-c]*", `\*?[\]]`, "[a", "[^", "a**", "[z-a-c]", "[]", "[^]"} {
		f.Add(p, "abcabc")
		f.Add(p, "a]*")
	}
	f.Fuzz(func(t *testing.T, pattern, key string) {
		if len(pattern) > 20 || len(key) > 20 {
			return // the reference is slow
		}
		if got, want := Compile(pattern).Match([]byte(key)), slow([]byte(pattern), []byte(key)); got != want {
			t.Fatalf("%q on %q: %v", pattern, key, got)
		}
	})
}

func TestManyStars(t *testing.T) {
	t.Parallel()
	p := Compile(strings.Repeat("a*", 200) + "b")
	if p.Match([]byte(strings.Repeat("a", 20000))) { // whoever tries every star anew is not done in this life
		t.Error("there is no b")
	}
}

// What an engine's KEYS finds, Match finds, for random keys and patterns of a few awkward bytes.
func TestMatchAgreesWithEngine(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, resource.Valkey)
	c := n.Admin(t)
	text := rapid.SliceOfN(rapid.SampledFrom([]byte(`ab*?[]^-\z`)), 1, 8)
	rapid.Check(t, func(rt *rapid.T) {
		ctx := kftest.Context(t)
		keys := rapid.SliceOfN(text, 1, 20).Draw(rt, "keys")
		cmds := [][]string{{"FLUSHALL"}}
		want := map[string]bool{}
		pattern := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]byte(`ab*?[]^-\z`)), 1, 10), func(b []byte) string { return string(b) }).Draw(rt, "pattern")
		p := Compile(pattern)
		for _, k := range keys {
			cmds = append(cmds, []string{"SET", string(k), ""})
			if p.Match(k) {
				want[string(k)] = true
			}
		}
		answers, err := c.Pipeline(ctx, append(cmds, []string{"KEYS", pattern})...)
		if err != nil {
			rt.Fatal(err)
		}
		got := map[string]bool{}
		for _, e := range answers[len(answers)-1].Elems {
			got[e.Str] = true
		}
		for _, k := range keys {
			if got[string(k)] != want[string(k)] {
				rt.Fatalf("%q on %q: engine %v, here %v", pattern, k, got[string(k)], want[string(k)])
			}
		}
	})
}
