package keyspace

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"
)

const (
	biggestKeys = 100
	maxName     = 256 // bytes of a large key's name that are kept
)

// large is a key that may be among the largest.
type large struct {
	size     int64
	name     []byte
	length   int // of the whole name
	db       uint64
	typ      byte
	plain    bool // it has no type
	slot     int
	expireAt int64
	elements int64
}

// beats is a total order, so that the largest do not depend on the order of records.
func (l *large) beats(o *large) bool {
	return cmp.Or(-cmp.Compare(l.size, o.size), cmp.Compare(l.db, o.db), bytes.Compare(l.name, o.name), cmp.Compare(l.length, o.length)) < 0
}

// biggest keeps the largest keys, as a heap with the smallest of them in front.
type biggest struct {
	kept  []large
	least int64 // what is smaller need not be offered
}

func (b *biggest) Len() int           { return len(b.kept) }
func (b *biggest) Less(i, j int) bool { return b.kept[j].beats(&b.kept[i]) }
func (b *biggest) Swap(i, j int)      { b.kept[i], b.kept[j] = b.kept[j], b.kept[i] }
func (b *biggest) Push(any)           {}
func (b *biggest) Pop() any           { return nil }

// take keeps a copy of l if it is among the largest.
func (b *biggest) take(l *large) {
	if len(b.kept) < biggestKeys {
		kept := *l
		kept.name = slices.Clone(l.name)
		b.kept = append(b.kept, kept)
		if len(b.kept) == biggestKeys {
			heap.Init(b)
			b.least = b.kept[0].size
		}
		return
	}
	first := &b.kept[0]
	if !l.beats(first) {
		return
	}
	name := append(first.name[:0], l.name...)
	*first = *l
	first.name = name
	heap.Fix(b, 0)
	b.least = b.kept[0].size
}

// sorted are the largest first.
func (b *biggest) sorted() []large {
	list := slices.Clone(b.kept)
	slices.SortFunc(list, func(x, y large) int {
		if x.beats(&y) {
			return -1
		}
		return 1
	})
	return list
}
