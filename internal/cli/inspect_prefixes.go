package cli

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/keyframe/keyframe/rdb/keyspace"
)

// showPrefixes draws the heaviest prefixes as a tree. What a line without indentation sums up to so far stands behind its bar.
func showPrefixes(t *table, r *keyspace.Report, top int) {
	g := grid{{"PREFIX", countHead(r), ">SIZE", ">SHARE", "", ">SO FAR"}}
	var sum, shown int64
	var lacks keyspace.Count
	var draw func(list []*branch, depth int)
	draw = func(list []*branch, depth int) {
		for _, b := range list {
			p, sofar := b.entry, ""
			lacks.Keys, lacks.Bytes = max(lacks.Keys, p.Lacks.Keys), max(lacks.Bytes, p.Lacks.Bytes)
			if depth == 0 {
				sum += p.Bytes
				shown += p.Keys
				sofar = percent(sum, r.Bytes)
			}
			g.add(strings.Repeat("  ", depth)+shortened(p.Prefix, maxShown)+"*", humanize.Comma(p.Keys), bytes(p.Bytes), percent(p.Bytes, r.Bytes), bars(p.Bytes, r.Bytes), sofar)
			draw(b.below, depth+1)
		}
	}
	draw(forest(r.Prefixes.Heaviest, r.Bytes, top), 0)
	if rest := max(r.Bytes-sum, 0); r.Keys > shown && len(g) > 1 {
		g.add("all other "+things(r), humanize.Comma(r.Keys-shown), bytes(rest), percent(rest, r.Bytes), bars(rest, r.Bytes), "")
	}
	g.print(t)
	if !r.Prefixes.Exact && len(g) > 1 {
		exactly := "are exact"
		if lacks != (keyspace.Count{}) {
			exactly = fmt.Sprintf("may have up to %s and %s %s more", bytes(lacks.Bytes), humanize.Comma(lacks.Keys), things(r))
		}
		t.line(fmt.Sprintf("There are too many prefixes to count all. Those shown %s; one that is not in the report has at most %s and %s %s.",
			exactly, bytes(r.Prefixes.Unlisted.Bytes), humanize.Comma(r.Prefixes.Unlisted.Keys), things(r)))
	}
}

// branch is a prefix with those that it begins.
type branch struct {
	entry *keyspace.Prefix
	shown bool
	below []*branch
}

// forest is the n heaviest of the list, which is sorted by bytes, as trees. A prefix that has nearly nothing but a longer one in it makes room for
// that: of "app:" and "app:user:" with the same keys the second says more.
func forest(list []keyspace.Prefix, total int64, n int) (roots []*branch) {
	all := map[string]*branch{}
	var order []*branch
	for i := range list {
		b := &branch{entry: &list[i]}
		order, all[string(list[i].Prefix)] = append(order, b), b
	}
	kept := 0
	for _, b := range order {
		if kept == n {
			break
		}
		if b.onlyChild(order) != nil {
			continue
		}
		// A hundredth of a hundredth is no news, but the first few always are.
		if kept >= 3 && b.entry.Bytes < total/1000 {
			continue
		}
		kept, b.shown = kept+1, true
		if up := b.above(all); up != nil {
			up.below = append(up.below, b)
		} else {
			roots = append(roots, b)
		}
	}
	return roots
}

// onlyChild is a longer prefix that has all but a thousandth of b.
func (b *branch) onlyChild(all []*branch) *branch {
	for _, c := range all {
		if c != b && len(c.entry.Prefix) > len(b.entry.Prefix) && strings.HasPrefix(string(c.entry.Prefix), string(b.entry.Prefix)) &&
			c.entry.Keys >= b.entry.Keys-b.entry.Keys/1000 && c.entry.Bytes >= b.entry.Bytes-b.entry.Bytes/1000 {
			return c
		}
	}
	return nil
}

// above is the nearest shorter prefix that is shown.
func (b *branch) above(all map[string]*branch) (up *branch) {
	p := string(b.entry.Prefix)
	for n := len(p) - 1; n > 0; n-- {
		if x := all[p[:n]]; x != nil && x.shown {
			return x
		}
	}
	return nil
}
