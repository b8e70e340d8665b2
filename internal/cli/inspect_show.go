package cli

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dustin/go-humanize"

	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// barWidth is that of a bar for all of something.
const barWidth = 24

// showReport is a report for people: first what there is in all, then what takes the most.
func showReport(t *table, x *inspected, top int) {
	r := x.Report
	head := fmt.Sprintf("%s: %s %s, %s in %s", x.Name, humanize.Comma(r.Keys), things(r), bytes(r.Bytes), bytesOf(r))
	if r.UsedMemory > 0 {
		head += fmt.Sprintf(" (as stored; %s used %s of memory)", plural(r.Files, "the engine", "the engines"), bytes(r.UsedMemory))
	}
	t.line(head)
	how := "counted while the snapshot was captured"
	if x.Counted == "now" {
		how = "counted now, by reading all of it"
	}
	as := "As of %s UTC"
	if ofItems(r) {
		as = "Read one after the other from %s UTC on"
	}
	t.line(fmt.Sprintf(as+"; %s, %s.", moment(r.At), orDash(strings.TrimSpace(r.Engine+" "+r.EngineVersion)), how))
	if n := len(r.Expiry); n > 0 && r.Keys > 0 {
		never := r.Expiry[n-1].Count
		t.line(fmt.Sprintf("Without expiry: %s of the %s, %s of the bytes.", percent(never.Keys, r.Keys), things(r), percent(never.Bytes, r.Bytes)))
	}
	if r.Functions > 0 || len(r.Modules) > 0 {
		t.line(fmt.Sprintf("Function libraries: %d. Modules with data: %s.", r.Functions, orDash(strings.Join(r.Modules, " "))))
	}
	if r.Keys == 0 {
		return
	}
	showTypes(t, r)
	showPrefixes(t, r, top)
	showBiggest(t, r, top)
	showExpiry(t, r)
	showSizes(t, r)
	showDatabases(t, r, top)
	showSlots(t, r, top)
	showTags(t, r, top)
}

// ofItems tells that a report is about items of Memcached, which have no types, databases or slots.
func ofItems(r *keyspace.Report) bool { return r.Engine == string(resource.Memcached) }

// things are what a report counts.
func things(r *keyspace.Report) string {
	if ofItems(r) {
		return "items"
	}
	return "keys"
}

// countHead is the head of their column.
func countHead(r *keyspace.Report) string { return ">" + strings.ToUpper(things(r)) }

// bytesOf is what the bytes of a report are those of.
func bytesOf(r *keyspace.Report) string {
	if ofItems(r) {
		return "keys and values"
	}
	return "records"
}

func showTypes(t *table, r *keyspace.Report) {
	g := grid{{"TYPE", ">KEYS", ">SIZE", ">SHARE", "", ">MEAN", ">ELEMENTS"}}
	for _, x := range r.Types {
		elements := "-"
		if x.Counted > 0 {
			elements = humanize.Comma(x.Elements)
			if x.Counted < x.Keys {
				elements += "+"
			}
		}
		g.add(x.Type, humanize.Comma(x.Keys), bytes(x.Bytes), percent(x.Bytes, r.Bytes), bars(x.Bytes, r.Bytes), mean(x.Count), elements)
	}
	g.print(t)
	g = grid{{"ENCODING", ">KEYS", ">SIZE", ">SHARE", ""}}
	for _, x := range r.Encodings {
		g.add(x.Encoding, humanize.Comma(x.Keys), bytes(x.Bytes), percent(x.Bytes, r.Bytes), bars(x.Bytes, r.Bytes))
	}
	g.print(t)
}

func showBiggest(t *table, r *keyspace.Report, top int) {
	g := grid{{">BIGGEST", ">SHARE", "TYPE", ">ELEMENTS", "EXPIRES", "KEY"}}
	if ofItems(r) {
		g = grid{{">BIGGEST", ">SHARE", "EXPIRES", "KEY"}}
	}
	for _, k := range r.Biggest[:min(top, len(r.Biggest))] {
		elements := "-"
		if k.Elements >= 0 {
			elements = humanize.Comma(k.Elements)
		}
		name := shortened(k.Name, maxShown)
		if k.Truncated() && len(k.Name) <= maxShown {
			name += "…"
		}
		if k.Truncated() {
			name += fmt.Sprintf(" (%s bytes long)", humanize.Comma(int64(k.NameBytes)))
		}
		if k.Database != 0 {
			name += fmt.Sprintf(" (database %d)", k.Database)
		}
		if ofItems(r) {
			g.add(bytes(k.Bytes), percent(k.Bytes, r.Bytes), moment(k.ExpiresAt), name)
			continue
		}
		g.add(bytes(k.Bytes), percent(k.Bytes, r.Bytes), k.Type, elements, moment(k.ExpiresAt), name)
	}
	g.print(t)
}

// maxShown is how much of a name a line shows.
const maxShown = 100

func showExpiry(t *table, r *keyspace.Report) {
	g := grid{{"EXPIRES IN", countHead(r), ">SIZE", ">SHARE", ""}}
	for _, x := range r.Expiry {
		if x.Keys > 0 {
			g.add(x.Left, humanize.Comma(x.Keys), bytes(x.Bytes), percent(x.Bytes, r.Bytes), bars(x.Bytes, r.Bytes))
		}
	}
	g.print(t)
}

func showSizes(t *table, r *keyspace.Report) {
	sizes := ">RECORDS OF"
	if ofItems(r) {
		sizes = ">ITEMS OF"
	}
	g := grid{{sizes, countHead(r), ">SIZE", ">SHARE", ""}}
	for _, x := range r.Sizes {
		if x.Keys == 0 {
			continue
		}
		g.add("under "+power(x.To), humanize.Comma(x.Keys), bytes(x.Bytes), percent(x.Bytes, r.Bytes), bars(x.Bytes, r.Bytes))
	}
	g.print(t)
}

func showDatabases(t *table, r *keyspace.Report, top int) {
	if len(r.Databases) < 2 {
		return
	}
	g := grid{{">DATABASE", ">KEYS", ">SIZE", ">SHARE", ""}}
	for _, x := range r.Databases[:min(top, len(r.Databases))] {
		g.add(strconv.FormatUint(x.Database, 10), humanize.Comma(x.Keys), bytes(x.Bytes), percent(x.Bytes, r.Bytes), bars(x.Bytes, r.Bytes))
	}
	g.print(t)
	if n := len(r.Databases) - top; n > 0 {
		t.line(fmt.Sprintf("… and %d more", n))
	}
}

// showSlots shows single slots only if they stand out.
func showSlots(t *table, r *keyspace.Report, top int) {
	s := r.Slots
	if s == nil || s.Used == 0 {
		return
	}
	t.line("")
	t.line(fmt.Sprintf("%s of 16,384 slots have keys. Bytes of a slot: median %s, 99%% under %s, most %s; keys: median %s, most %s.", humanize.Comma(int64(s.Used)),
		bytes(s.Bytes.Median), bytes(s.Bytes.P99), bytes(s.Bytes.Most), humanize.Comma(s.Keys.Median), humanize.Comma(s.Keys.Most)))
	g := grid{{">SLOT", ">KEYS", ">SIZE", ">SHARE", ""}}
	for _, x := range s.Heaviest[:min(top, len(s.Heaviest))] {
		if x.Bytes > 4*s.Bytes.Median {
			g.add(strconv.Itoa(x.Slot), humanize.Comma(x.Keys), bytes(x.Bytes), percent(x.Bytes, r.Bytes), bars(x.Bytes, r.Bytes))
		}
	}
	g.print(t)
}

// showTags shows the tags that gather too much. Others are as they should be.
func showTags(t *table, r *keyspace.Report, top int) {
	g := grid{{"HASH TAG", ">SLOT", ">KEYS", ">SIZE", ">SHARE", ""}}
	for i := range r.Tags.Heaviest {
		x := &r.Tags.Heaviest[i]
		if r.Heavy(x) && len(g) <= top {
			g.add("{"+shortened(x.Tag, maxShown)+"}", strconv.Itoa(x.Slot), humanize.Comma(x.Keys), bytes(x.Bytes), percent(x.Bytes, r.Bytes), bars(x.Bytes, r.Bytes))
		}
	}
	if len(g) > 1 {
		g.print(t)
		t.line("Each of these tags keeps its keys in one slot, which no cluster can divide.")
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// percent is a share for people.
func percent(n, of int64) string {
	if of <= 0 {
		return "-"
	}
	p := 100 * float64(n) / float64(of)
	if p > 0 && p < 0.1 {
		return "<0.1%"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + "%"
}

func bars(n, of int64) string {
	if of <= 0 || n <= 0 {
		return ""
	}
	return strings.Repeat("#", int(min(float64(n)/float64(of), 1)*barWidth+0.5))
}

func mean(c keyspace.Count) string {
	if c.Keys <= 0 {
		return "-"
	}
	return bytes(c.Bytes / c.Keys)
}

// power is a power of two for people.
func power(n int64) string { return strings.ReplaceAll(humanize.IBytes(uint64(max(n, 0))), ".0", "") }

// grid is a table whose columns are as wide as they must be. A head that begins with > makes its column stand to the right.
type grid [][]string

func (g *grid) add(cells ...string) { *g = append(*g, cells) }

// print writes the grid below an empty line, unless it has no row.
func (g grid) print(t *table) {
	if len(g) < 2 {
		return
	}
	widths := make([]int, len(g[0]))
	for _, row := range g {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(strings.TrimPrefix(cell, ">")))
		}
	}
	t.line("")
	for n, row := range g {
		var b strings.Builder
		for i, cell := range row {
			right := strings.HasPrefix(g[0][i], ">")
			if n == 0 {
				cell = strings.TrimPrefix(cell, ">")
			}
			pad := strings.Repeat(" ", max(widths[i]-utf8.RuneCountInString(cell), 0))
			if right {
				cell = pad + cell
			} else {
				cell += pad
			}
			b.WriteString(cell + "  ")
		}
		t.line(strings.TrimRight(b.String(), " "))
	}
}
