package lzf

import (
	"errors"
	"strings"
	"testing"
)

type stream struct{ name, packed, text string }

var streams = []stream{
	{"nothing", "", ""},
	{"literals", "\x04hello", "hello"},
	{"most literals", "\x1f" + strings.Repeat("x", 32), strings.Repeat("x", 32)},
	{"run of one byte", "\x00a\xe0\x02\x00", strings.Repeat("a", 12)},
	{"longest reference", "\x00a\xe0\xff\x00", strings.Repeat("a", 265)},
	{"overlapping pair", "\x01ab\x80\x01", "abababab"},
	{"overlapping three", "\x02abc\xe0\x00\x02", "abcabcabcabc"},
	{"plain reference", "\x05abcdef\x20\x05", "abcdefabc"},
	farReference(),
}

// farReference is 8192 literals and a reference of 3 bytes to the first of them.
func farReference() stream {
	s := stream{name: "far reference"}
	for i := range 256 {
		chunk := strings.Repeat(string(rune('A'+i%26)), 32)
		s.packed += "\x1f" + chunk
		s.text += chunk
	}
	s.packed += "\x3f\xff"
	s.text += "AAA"
	return s
}

func TestDecode(t *testing.T) {
	t.Parallel()
	for _, s := range streams {
		dst := make([]byte, len(s.text))
		if err := Decode(dst, []byte(s.packed)); err != nil || string(dst) != s.text {
			t.Errorf("%s: %q, %v; want %q", s.name, dst, err, s.text)
		}
		if err := Decode(make([]byte, len(s.text)+1), []byte(s.packed)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s into one byte more: %v, want ErrCorrupt", s.name, err)
		}
		if s.text != "" {
			if err := Decode(make([]byte, len(s.text)-1), []byte(s.packed)); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s into one byte less: %v, want ErrCorrupt", s.name, err)
			}
			if err := Decode(dst, []byte(s.packed[:len(s.packed)-1])); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s cut short: %v, want ErrCorrupt", s.name, err)
			}
		}
	}
}

func TestAppendPrefix(t *testing.T) {
	t.Parallel()
	for _, s := range streams {
		for n := 0; n <= len(s.text)+2; n += 1 + n/64 {
			got, err := AppendPrefix([]byte("kept:"), []byte(s.packed), n)
			if want := "kept:" + s.text[:min(n, len(s.text))]; err != nil || string(got) != want {
				t.Fatalf("%s, first %d: %q, %v; want %q", s.name, n, got, err, want)
			}
		}
	}
}

// A reference must not reach into what was in dst before.
func TestAppendPrefixStaysInside(t *testing.T) {
	t.Parallel()
	got, err := AppendPrefix([]byte("secret"), []byte("\x00a\x20\x03"), 100)
	if !errors.Is(err, ErrCorrupt) || string(got) != "secreta" {
		t.Errorf("%q, %v; want the literal and ErrCorrupt", got, err)
	}
}
