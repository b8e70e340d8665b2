package buckets

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"abc": true, "my-bucket.logs-2024": true, "1.2.3": true, strings.Repeat("a", 63): true, "0ab": true,
		"ab": false, strings.Repeat("a", 64): false, "Abc": false, "a_b": false, "-ab": false, "ab-": false, "a..b": false, ".ab": false,
		"ab.": false, "a.-b": false, "a-.b": false, "192.168.5.4": false, "a/b": false, "..": false, "...": false, "xn--abc": false,
		"abc-s3alias": false, "a b": false, "": false, "büc": false,
	} {
		if got := ValidName(name); got != want {
			t.Errorf("ValidName(%q) = %v", name, got)
		}
	}
}

// keyOf is the inverse of keyPath.
func keyOf(path string) (string, bool) {
	var key strings.Builder
	for _, name := range strings.Split(path, string(filepath.Separator)) {
		kind, piece, ok := unescape(name)
		if !ok {
			return "", false
		}
		key.WriteString(piece)
		if kind == kindDir {
			key.WriteByte('/')
		}
	}
	return key.String(), true
}

// keys draws valid keys that are likely to collide, to be cut and to be escaped.
func keys() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"", ".", "..", "a", "A", "a!", "a0", "%", "%2f", "é", "\x00", "o", strings.Repeat("x", 79),
			strings.Repeat("x", 80), strings.Repeat("x", 81), strings.Repeat("é", 80)}),
		rapid.StringN(0, 12, 40),
	)
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 1, 5).Draw(t, "pieces"), "/")
	}).Filter(func(s string) bool { return checkKey(s) == nil })
}

func TestKeyPathIsSafeAndHasAnInverse(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		key := keys().Draw(t, "key")
		path := keyPath(key)
		if !filepath.IsLocal(path) {
			t.Fatalf("%q leaves its directory: %q", key, path)
		}
		for _, name := range strings.Split(path, "/") {
			if len(name) > 255 || name == "" || name == "." || name == ".." {
				t.Fatalf("%q has the name %q in its path", key, name)
			}
		}
		if back, ok := keyOf(path); !ok || back != key {
			t.Fatalf("%q became %q became %q", key, path, back)
		}
	})
}

func TestTheLongestKeysFitAPath(t *testing.T) {
	t.Parallel()
	for _, key := range []string{
		strings.Repeat("/", MaxKey), strings.Repeat("é", MaxKey/2), strings.Repeat("A", MaxKey), strings.Repeat("é/", MaxKey/3),
	} {
		if n := len(keyPath(key)); n > 3500 {
			t.Errorf("a key of %d bytes like %q has a path of %d", len(key), key[:4], n)
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, s := range []string{"a", "a/b", "../../etc/passwd", "/", "//", "%2e", "\x00", strings.Repeat("k", 1024)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if checkKey(key) != nil {
			return
		}
		if !utf8.ValidString(key) {
			t.Fatal("a key that is not UTF-8 was taken")
		}
		path := keyPath(key)
		if back, ok := keyOf(path); !ok || back != key || !filepath.IsLocal(path) {
			t.Fatalf("%q became %q became %q", key, path, back)
		}
	})
}

func FuzzUnescape(f *testing.F) {
	for _, s := range []string{"oabc", "d", "c" + strings.Repeat("a", 80), "o%2f", "o%", "o%6", "%", "o%61", "o%FF"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if kind, piece, ok := unescape(name); ok && escape(kind, piece) != name {
			t.Fatalf("%q is not the name of %q", name, piece)
		}
	})
}
