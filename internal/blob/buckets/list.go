package buckets

import (
	"context"
	"strings"
)

// ListOptions say which objects to list.
type ListOptions struct {
	Prefix    string
	Delimiter string // keys that have it after Prefix are rolled up into one common prefix
	After     string // only keys and common prefixes after this one
	Max       int    // of objects and common prefixes together
}

// Page is one page of a listing, both lists sorted bytewise.
type Page struct {
	Objects   []Object
	Prefixes  []string // common prefixes
	Truncated bool
	Next      string // what to list After for the next page
}

// List lists a bucket's objects. A page takes memory for its own entries, whatever the bucket holds.
func (s *Service) List(ctx context.Context, bucket string, opts ListOptions) (Page, error) {
	b, err := s.bucket(bucket)
	if err != nil {
		return Page{}, err
	}
	if opts.Max <= 0 {
		return Page{}, nil
	}
	l := &lister{ctx: ctx, o: opts}
	v := &visitor{l.wanted, l.object, l.dir}
	if _, err := v.walk(b.objects(), ""); err != nil {
		return Page{}, err
	}
	return l.page, nil
}

type lister struct {
	ctx  context.Context
	o    ListOptions
	page Page
	last string // common prefix that was emitted last
}

func (l *lister) wanted(sofar string, kind byte) bool {
	if kind == kindObject {
		return sofar > l.o.After && strings.HasPrefix(sofar, l.o.Prefix)
	}
	// Everything in the directory begins with sofar.
	return (sofar > l.o.After || strings.HasPrefix(l.o.After, sofar)) &&
		(strings.HasPrefix(sofar, l.o.Prefix) || strings.HasPrefix(l.o.Prefix, sofar))
}

// common is the common prefix that a key falls under, or empty.
func (l *lister) common(key string) string {
	if l.o.Delimiter == "" || len(key) < len(l.o.Prefix) {
		return ""
	}
	i := strings.Index(key[len(l.o.Prefix):], l.o.Delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(l.o.Prefix)+i+len(l.o.Delimiter)]
}

// take makes room for one more entry, named name. It reports false when the page is full.
func (l *lister) take(name string) bool {
	if len(l.page.Objects)+len(l.page.Prefixes) == l.o.Max {
		l.page.Truncated = true
		return false
	}
	l.page.Next = name
	return true
}

func (l *lister) rollUp(common string) bool {
	if common == l.last || common == l.o.After {
		return true
	}
	if !l.take(common) {
		return false
	}
	l.page.Prefixes = append(l.page.Prefixes, common)
	l.last = common
	return true
}

func (l *lister) object(key, path string) (more bool, err error) {
	if err := l.ctx.Err(); err != nil {
		return false, err
	}
	if p := l.common(key); p != "" {
		return l.rollUp(p), nil
	}
	o, err := statObject(path)
	if absent(err) { // deleted meanwhile
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if !l.take(key) {
		return false, nil
	}
	l.page.Objects = append(l.page.Objects, *o)
	return true, nil
}

// dir spares the walk through a directory all of which rolls up into one common prefix.
func (l *lister) dir(sofar, path string) (enter, more bool, err error) {
	if err := l.ctx.Err(); err != nil {
		return false, false, err
	}
	p := l.common(sofar)
	switch {
	case p == "":
		return true, true, nil
	case p == l.last || p == l.o.After:
		return false, true, nil
	case strings.HasPrefix(l.o.After, sofar): // only some of its keys count
		return true, true, nil
	}
	any, err := holdsAny(path)
	if err != nil || !any {
		return false, err == nil, err
	}
	return false, l.rollUp(p), nil
}
