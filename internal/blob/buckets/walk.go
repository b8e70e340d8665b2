package buckets

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// entry is a file or directory among those of a bucket's objects.
type entry struct {
	name  string // on disk
	order string // what it adds to the key of everything in it: entries sorted by it are keys sorted bytewise
	kind  byte
}

// Names are read and sorted in batches, so that a huge directory costs time but not memory.
const batch = 1024

// visitor decides how a walk goes on.
type visitor struct {
	// wanted tells from the key so far whether the entry matters.
	wanted func(sofar string, kind byte) bool
	// object and dir return false to end the walk. dir may refuse to enter.
	object func(key, path string) (bool, error)
	dir    func(sofar, path string) (enter, more bool, err error)
}

// walk visits what is below a directory in the order of keys. Entries that come or go meanwhile may be seen or not.
func (v *visitor) walk(dir, sofar string) (more bool, err error) {
	after := ""
	for first := true; ; first = false {
		entries, rest, err := v.next(dir, sofar, after, first)
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			path, key := filepath.Join(dir, e.name), sofar+e.order
			if e.kind == kindObject {
				more, err = v.object(key, path)
			} else {
				var enter bool
				enter, more, err = v.dir(key, path)
				if err == nil && enter && more {
					more, err = v.walk(path, key)
				}
			}
			if err != nil || !more {
				return false, err
			}
			after = e.order
		}
		if !rest {
			return true, nil
		}
	}
}

// next is the batch of wanted entries that follows after, and whether there are more.
func (v *visitor) next(dir, sofar, after string, first bool) (list []entry, rest bool, err error) {
	d, err := os.Open(dir)
	if absent(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer d.Close()
	byOrder := func() { sort.Slice(list, func(i, j int) bool { return list[i].order < list[j].order }) }
	for {
		names, err := d.Readdirnames(batch)
		for _, name := range names {
			kind, piece, ok := unescape(name)
			if !ok {
				continue
			}
			e := entry{name, piece, kind}
			if kind == kindDir {
				e.order += "/"
			}
			if (first || e.order > after) && v.wanted(sofar+e.order, kind) {
				list = append(list, e)
			}
		}
		if len(list) >= 4*batch {
			byOrder()
			list, rest = list[:batch], true
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, false, err
		}
	}
	byOrder()
	if rest { // what was dropped may come before what was read since
		list = list[:batch]
	}
	return list, rest, nil
}

// holdsAny reports whether any object lies below a directory. A crash can leave directories that hold nothing.
func holdsAny(dir string) (bool, error) {
	found := false
	v := &visitor{
		wanted: func(string, byte) bool { return true },
		object: func(string, string) (bool, error) { found = true; return false, nil },
		dir:    func(string, string) (bool, bool, error) { return true, true, nil },
	}
	d, err := os.Open(dir)
	if absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	names, err := d.Readdirnames(1)
	d.Close()
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	// The usual case: what comes first is an object, no need to read and sort its siblings.
	if len(names) == 1 && strings.HasPrefix(names[0], string(kindObject)) {
		return true, nil
	}
	_, err = v.walk(dir, "")
	return found, err
}
