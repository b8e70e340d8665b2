package buckets

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// expected lists by the definition.
func expected(all []string, o ListOptions) (names []string) {
	slices.Sort(all)
	for _, k := range all {
		if !strings.HasPrefix(k, o.Prefix) || k <= o.After {
			continue
		}
		name := k
		if i := strings.Index(k[len(o.Prefix):], o.Delimiter); o.Delimiter != "" && i >= 0 {
			name = k[:len(o.Prefix)+i+len(o.Delimiter)]
			if name == o.After {
				continue
			}
		}
		if len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

func namesOf(p Page) (names []string) {
	for _, o := range p.Objects {
		names = append(names, o.Key)
	}
	names = append(names, p.Prefixes...)
	slices.Sort(names)
	return names
}

func TestListIsSortedAndComplete(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		s := open(t, filepath.Join(dir, fmt.Sprint(n)))
		if _, err := s.CreateBucket(t.Context(), "bkt", alice, "us-east-1"); err != nil {
			rt.Fatal(err)
		}
		all := rapid.SliceOfNDistinct(keys(), 0, 25, rapid.ID[string]).Draw(rt, "keys")
		for _, k := range all {
			// Durability is not what is tested here: write the files plainly.
			o := Object{Key: k, ETag: "e"}
			b, _ := tail(&o)
			path := filepath.Join(s.buckets["bkt"].objects(), keyPath(k))
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				rt.Fatal(err)
			}
			if err := os.WriteFile(path, b, 0o600); err != nil {
				rt.Fatal(err)
			}
		}
		o := ListOptions{
			Delimiter: rapid.SampledFrom([]string{"", "/", "a", "x/"}).Draw(rt, "delimiter"),
			Max:       rapid.IntRange(1, 30).Draw(rt, "max"),
		}
		if len(all) > 0 {
			k := rapid.SampledFrom(all).Draw(rt, "of")
			o.Prefix = k[:rapid.IntRange(0, len(k)).Draw(rt, "prefix")]
			if rapid.Bool().Draw(rt, "after?") {
				o.After = rapid.SampledFrom(all).Draw(rt, "after")
			}
		}
		want := expected(all, o)
		var got []string
		for {
			p, err := s.List(t.Context(), "bkt", o)
			if err != nil {
				rt.Fatal(err)
			}
			names := namesOf(p)
			if len(names) > o.Max {
				rt.Fatalf("a page of %d", len(names))
			}
			got = append(got, names...)
			if !p.Truncated {
				break
			}
			o.After = p.Next
		}
		if !slices.Equal(got, want) {
			rt.Fatalf("listed %q\nwant   %q", got, want)
		}
	})
}

// More entries than a batch holds, and more than are sorted at once.
func TestListOfALargeDirectory(t *testing.T) {
	t.Parallel()
	s, _ := withBucket(t)
	b, _ := tail(&Object{ETag: "e"})
	dir := filepath.Join(s.buckets["bkt"].objects(), "dbig")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	const total = 5*batch + 7
	for i := range total {
		// A crash leaves empty directories; they must not cut a listing short.
		if i%2 == 0 {
			if err := os.Mkdir(filepath.Join(dir, escape(kindDir, fmt.Sprintf("%06d", i))), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, escape(kindObject, fmt.Sprintf("%06d", i))), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen, o := 0, ListOptions{Prefix: "big/", Max: 1000}
	for {
		p, err := s.List(t.Context(), "bkt", o)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(p.Objects)
		if !p.Truncated {
			break
		}
		if len(p.Objects) != o.Max {
			t.Fatalf("a page has %d objects", len(p.Objects))
		}
		o.After = p.Next
	}
	if seen != total {
		t.Errorf("%d objects were listed, want %d", seen, total)
	}
	p, err := s.List(t.Context(), "bkt", ListOptions{Delimiter: "/", Max: 10})
	if err != nil || len(p.Prefixes) != 1 || p.Prefixes[0] != "big/" || p.Truncated {
		t.Errorf("%+v, %v", p, err)
	}
}
