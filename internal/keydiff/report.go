package keydiff

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/keyframe/keyframe/rdb"
)

// ChangeKind says what became of a key.
type ChangeKind string

// What can become of a key.
const (
	Same    ChangeKind = "same"
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
)

// Change is a key that is not the same on both sides. Its key is good until the function that was given it returns.
type Change struct {
	Kind    ChangeKind
	DB      uint64
	Key     []byte // its first 1024 bytes
	KeySize int64  // of all of it
	Before  *Value // nil if added
	After   *Value // nil if removed

	// Of a changed key: what is different.
	Value, Expiry bool
}

// Value is what a side has under a key.
type Value struct {
	Type     rdb.Kind
	Size     int64 // with its key, in the file
	ExpireAt int64 // Unix milliseconds; 0: never
}

// Growth is by how many bytes of file the key grew.
func (c *Change) Growth() (n int64) {
	if c.After != nil {
		n = c.After.Size
	}
	if c.Before != nil {
		n -= c.Before.Size
	}
	return n
}

func changeOf(a, b *entry) Change {
	side := func(e *entry) *Value { return &Value{Type: e.kind, Size: e.size, ExpireAt: e.expireAt} }
	e := b
	var c Change
	switch {
	case a == nil:
		c = Change{Kind: Added, After: side(b)}
	case b == nil:
		e = a
		c = Change{Kind: Removed, Before: side(a)}
	default:
		c = Change{Kind: Same, Before: side(a), After: side(b), Value: a.kind != b.kind || a.digest != b.digest, Expiry: a.expireAt != b.expireAt}
		if c.Value || c.Expiry {
			c.Kind = Changed
		}
	}
	c.DB, c.Key, c.KeySize = e.db, e.key, e.keyLen
	return c
}

// Count is a number of keys, and their bytes in the file.
type Count struct{ Keys, Bytes int64 }

func (c *Count) add(bytes int64) { c.Keys, c.Bytes = c.Keys+1, c.Bytes+bytes }

func (c *Count) merge(o Count) { c.Keys, c.Bytes = c.Keys+o.Keys, c.Bytes+o.Bytes }

// Changes count what became of keys.
type Changes struct {
	Added      Count
	Removed    Count
	Changed    Count // bytes after
	ChangedWas int64 // bytes before
	ExpiryOnly int64 // keys of Changed whose value is the same
	Same       Count // bytes after
}

func (c *Changes) count(ch Change) {
	switch ch.Kind {
	case Added:
		c.Added.add(ch.After.Size)
	case Removed:
		c.Removed.add(ch.Before.Size)
	case Changed:
		c.Changed.add(ch.After.Size)
		c.ChangedWas += ch.Before.Size
		if !ch.Value {
			c.ExpiryOnly++
		}
	default:
		c.Same.add(ch.After.Size)
	}
}

// Merge adds the counts of o.
func (c *Changes) Merge(o Changes) {
	c.Added.merge(o.Added)
	c.Removed.merge(o.Removed)
	c.Changed.merge(o.Changed)
	c.Same.merge(o.Same)
	c.ChangedWas += o.ChangedWas
	c.ExpiryOnly += o.ExpiryOnly
}

// Growth is by how many bytes of file these keys grew.
func (c *Changes) Growth() int64 {
	return c.Added.Bytes - c.Removed.Bytes + c.Changed.Bytes - c.ChangedWas
}

// moved is how much of the file is not as it was.
func (c *Changes) moved() int64 {
	return c.Added.Bytes + c.Removed.Bytes + max(c.Changed.Bytes, c.ChangedWas)
}

// Different tells whether any key is.
func (c *Changes) Different() bool { return c.Added.Keys+c.Removed.Keys+c.Changed.Keys > 0 }

// Prefix is what became of the keys that begin alike.
type Prefix struct {
	Prefix string // empty: of keys without separator
	Changes
}

// Report is the result of a comparison.
type Report struct {
	A, B Count
	Changes
	DuplicatesA, DuplicatesB int64    // keys that a side had more than once: the first counts
	Prefixes                 []Prefix // with changes; those that grew or shrank most come first
	Rest                     Changes  // of all prefixes that are not in Prefixes
	Biggest                  []Change // by what they grew or shrank

	o        Options
	prefixes map[string]*Changes
}

func newReport(o Options) *Report { return &Report{o: o, prefixes: map[string]*Changes{}} }

func (r *Report) count(c Change) {
	r.Changes.count(c)
	p := r.prefixes[string(prefixOf(c.Key, r.o.Separators, r.o.Depth))]
	if p == nil {
		p = r.prefix(string(prefixOf(c.Key, r.o.Separators, r.o.Depth)))
	}
	p.count(c)
	if c.Kind != Same {
		r.rank(c)
	}
}

// prefix finds where a prefix is counted. Partitions come in the order of hashes, so a prefix that many keys have is met among the
// first: what comes too late to be counted on its own is rare.
func (r *Report) prefix(prefix string) *Changes {
	p := r.prefixes[prefix]
	switch {
	case p != nil:
	case len(r.prefixes) >= r.o.Prefixes:
		p = &r.Rest
	default:
		p = new(Changes)
		r.prefixes[prefix] = p
	}
	return p
}

// longestPrefix is what a prefix may have of bytes.
const longestPrefix = 128

// prefixOf is the key's start through its depth-th separator, or its last if it has fewer.
func prefixOf(key []byte, separators string, depth int) []byte {
	head := key[:min(len(key), longestPrefix)]
	end := 0
	for range depth {
		i := bytes.IndexAny(head[end:], separators)
		if i < 0 {
			break
		}
		end += i + 1
	}
	return head[:end]
}

// rank keeps the biggest changes, twice as many as wanted at most.
func (r *Report) rank(c Change) {
	if n := len(r.Biggest); n >= r.o.Biggest && bigger(r.Biggest[r.o.Biggest-1], c) < 0 {
		return // once there are so many, the first of them are in order
	}
	c.Key = bytes.Clone(c.Key)
	r.Biggest = append(r.Biggest, c)
	if n := len(r.Biggest); n == r.o.Biggest || n >= 2*r.o.Biggest {
		r.trim()
	}
}

func (r *Report) trim() {
	slices.SortFunc(r.Biggest, bigger)
	r.Biggest = r.Biggest[:min(len(r.Biggest), r.o.Biggest)]
}

// bigger orders changes, the biggest first.
func bigger(x, y Change) int {
	size := func(c Change) (n int64) {
		for _, v := range []*Value{c.Before, c.After} {
			if v != nil {
				n = max(n, v.Size)
			}
		}
		return n
	}
	return cmp.Or(cmp.Compare(abs(y.Growth()), abs(x.Growth())), cmp.Compare(size(y), size(x)), cmp.Compare(x.DB, y.DB), bytes.Compare(x.Key, y.Key))
}

func (r *Report) merge(o *Report) {
	r.Changes.Merge(o.Changes)
	r.Rest.Merge(o.Rest)
	r.DuplicatesA += o.DuplicatesA
	r.DuplicatesB += o.DuplicatesB
	for prefix, c := range o.prefixes {
		r.prefix(prefix).Merge(*c)
	}
	r.Biggest = append(r.Biggest, o.Biggest...)
	r.trim()
}

// finish makes the lists.
func (r *Report) finish() {
	r.trim()
	r.Prefixes = []Prefix{}
	for prefix, c := range r.prefixes {
		if c.Different() {
			r.Prefixes = append(r.Prefixes, Prefix{prefix, *c})
		} else {
			r.Rest.Merge(*c)
		}
	}
	slices.SortFunc(r.Prefixes, func(x, y Prefix) int {
		return cmp.Or(cmp.Compare(abs(y.Growth()), abs(x.Growth())), cmp.Compare(y.moved(), x.moved()), cmp.Compare(x.Prefix, y.Prefix))
	})
}

func abs(n int64) int64 { return max(n, -n) }
