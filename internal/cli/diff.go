package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/keydiff"
)

const diffLong = `Compare the keys of two sides: what was added, removed and changed from A to B, by prefix of the keys, and the biggest changes.

A key is changed when its value, type or expiry is. How a value is stored, the order of what has none, and when it was last used do
not count, so that sides of different engines, versions and numbers of shards can be compared. Sizes are those in the file. A prefix
goes to the first of the characters : / | . in the key.

Memory does not grow with the sides; some 60 bytes for each key and its name go to a temporary file of the owner's, which is never
left behind. The exit code is 0 when nothing differs, 1 when something does, 2 for any trouble.`

type diffFlags struct {
	separators, dir string
	depth, limit    int
	keys            bool
}

func (s *session) diffCommand(cmd *cobra.Command, open opener) *cobra.Command {
	cmd.Args = cobra.ExactArgs(2)
	if cmd.Short == "" {
		cmd.Short, cmd.Long = "Compare the keys of two snapshots", diffLong
	}
	var o diffFlags
	f := cmd.Flags()
	f.StringVar(&o.separators, "separators", ":/|.", "characters that end a prefix")
	f.IntVar(&o.depth, "depth", 1, "separators that a prefix goes through")
	f.IntVar(&o.limit, "limit", 15, "prefixes that are shown; of the biggest changes at most ten are")
	f.BoolVar(&o.keys, "keys", false, "list every key that differs, in no order; with --output json one JSON object a line")
	f.StringVar(&o.dir, "temporary", "", "directory for the temporary file; the system's if empty")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if o.depth < 1 || o.limit < 1 || o.separators == "" {
			return usageError{fmt.Errorf("--depth and --limit are at least 1, and --separators at least one character")}
		}
		differ := false
		err := open(cmd.Context(), args, func(all []*records) (err error) {
			differ, err = s.diff(cmd.Context(), all[0], all[1], o)
			return err
		})
		switch {
		case err != nil && cmd.Context().Err() == nil:
			return exitError{err, 2}
		case err == nil && differ:
			return exitError{nil, 1}
		}
		return err
	}
	return cmd
}

func (s *session) diff(ctx context.Context, a, b *records, o diffFlags) (bool, error) {
	for _, r := range []*records{a, b} {
		if err := r.rdbOnly(); err != nil {
			return false, err
		}
	}
	d := keydiff.New(keydiff.Options{Dir: o.dir, Separators: o.separators, Depth: o.depth, Biggest: min(o.limit, 10), Workers: min(runtime.GOMAXPROCS(0), 4)})
	defer d.Close()
	m := s.meter("diff "+a.name+" "+b.name, a, b)
	g, scanning := errgroup.WithContext(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), 4))
	for side, r := range map[keydiff.Side]*records{keydiff.A: a, keydiff.B: b} {
		for _, st := range r.streams {
			g.Go(func() error {
				_, err := st.scan(scanning, m.step, d.Scan(side))
				return err
			})
		}
	}
	err := g.Wait()
	m.bar.end()
	if err != nil {
		return false, err
	}
	out := bufio.NewWriterSize(s.out, 64<<10)
	var each func(keydiff.Change) error
	if o.keys {
		each = s.listChanges(out)
	}
	report, err := d.Compare(ctx, each)
	if err != nil {
		return false, err
	}
	if o.keys {
		return report.Different(), out.Flush()
	}
	return report.Different(), s.print(describeDiff(a, b, report, o.limit), func(t *table) { showDiff(t, a, b, report, o.limit) })
}

// listChanges writes a line for every change.
func (s *session) listChanges(out *bufio.Writer) func(keydiff.Change) error {
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	if s.output == "json" {
		return func(c keydiff.Change) error { return lines.Encode(describeChange(c)) }
	}
	fmt.Fprintf(out, "%-8s %-7s %10s %10s  %-6s  %s\n", "CHANGE", "TYPE", "BEFORE", "AFTER", "WHAT", "KEY")
	return func(c keydiff.Change) error {
		typ, before, after, what := changeCells(c)
		_, err := fmt.Fprintf(out, "%-8s %-7s %10s %10s  %-6s  %s\n", c.Kind, typ, before, after, what, changedKey(c))
		return err
	}
}

// changedSide is what a side has under a key.
type changedSide struct {
	Type      string
	Size      int64
	ExpiresAt time.Time `json:",omitzero"`
}

// changedKeyJSON is a change with --output json.
type changedKeyJSON struct {
	Change keydiff.ChangeKind
	Key    jsonText
	Cut    bool         `json:",omitempty"` // the key is longer
	DB     uint64       `json:",omitempty"`
	Before *changedSide `json:",omitempty"`
	After  *changedSide `json:",omitempty"`
	Value  bool         // the value or type is another
	Expiry bool         // the expiry is another
}

func describeChange(c keydiff.Change) changedKeyJSON {
	side := func(v *keydiff.Value) *changedSide {
		if v == nil {
			return nil
		}
		return &changedSide{v.Type.String(), v.Size, expiry(v.ExpireAt)}
	}
	return changedKeyJSON{Change: c.Kind, Key: c.Key, DB: c.DB, Cut: c.KeySize > int64(len(c.Key)), Before: side(c.Before), After: side(c.After), Value: c.Value, Expiry: c.Expiry}
}

// changeCells are a change in the columns of a table.
func changeCells(c keydiff.Change) (typ, before, after, what string) {
	before, after, what = "-", "-", ""
	if c.Before != nil {
		typ, before = c.Before.Type.String(), bytes(c.Before.Size)
	}
	if c.After != nil {
		if typ != "" && typ != c.After.Type.String() {
			what = "was " + typ
		}
		typ, after = c.After.Type.String(), bytes(c.After.Size)
	}
	switch {
	case what != "":
	case c.Value && c.Expiry:
		what = "both"
	case c.Value:
		what = "value"
	case c.Expiry:
		what = "expiry"
	}
	return typ, before, after, what
}

func changedKey(c keydiff.Change) string {
	name := escaped(c.Key)
	if c.KeySize > int64(len(c.Key)) {
		name += fmt.Sprintf("… (%s)", bytes(c.KeySize))
	}
	if c.DB != 0 {
		name += fmt.Sprintf("  (database %d)", c.DB)
	}
	return name
}

// diffJSON is a comparison with --output json.
type diffJSON struct {
	A, B     diffSide
	Changes  keydiff.Changes
	Growth   int64
	Prefixes []diffPrefix
	Rest     keydiff.Changes // of all other prefixes
	Biggest  []changedKeyJSON
}

type diffSide struct {
	Name string
	keydiff.Count
	Duplicates int64 `json:",omitempty"` // keys that are in it more than once
}

type diffPrefix struct {
	keydiff.Prefix
	Growth int64
}

func describeDiff(a, b *records, r *keydiff.Report, limit int) diffJSON {
	d := diffJSON{A: diffSide{a.name, r.A, r.DuplicatesA}, B: diffSide{b.name, r.B, r.DuplicatesB}, Changes: r.Changes, Growth: r.B.Bytes - r.A.Bytes, Rest: restOf(r, limit),
		Prefixes: []diffPrefix{}, Biggest: []changedKeyJSON{}}
	for _, p := range r.Prefixes[:min(limit, len(r.Prefixes))] {
		d.Prefixes = append(d.Prefixes, diffPrefix{p, p.Growth()})
	}
	for _, c := range r.Biggest {
		d.Biggest = append(d.Biggest, describeChange(c))
	}
	return d
}

// restOf adds up what the table does not show.
func restOf(r *keydiff.Report, limit int) keydiff.Changes {
	rest := r.Rest
	for _, p := range r.Prefixes[min(limit, len(r.Prefixes)):] {
		rest.Merge(p.Changes)
	}
	return rest
}

func showDiff(t *table, a, b *records, r *keydiff.Report, limit int) {
	t.line(fmt.Sprintf("From %s to %s", a.name, b.name))
	total := grid{{"", ">KEYS", ">SIZE", ">GROWTH"}}
	total.add("before", humanize.Comma(r.A.Keys), bytes(r.A.Bytes), "")
	total.add("after", humanize.Comma(r.B.Keys), bytes(r.B.Bytes), signed(r.B.Bytes-r.A.Bytes))
	total.add("added", humanize.Comma(r.Added.Keys), bytes(r.Added.Bytes), signed(r.Added.Bytes))
	total.add("removed", humanize.Comma(r.Removed.Keys), bytes(r.Removed.Bytes), signed(-r.Removed.Bytes))
	total.add("changed", humanize.Comma(r.Changed.Keys), bytes(r.Changed.Bytes), signed(r.Changed.Bytes-r.ChangedWas))
	if r.ExpiryOnly > 0 {
		total.add("  only the expiry", humanize.Comma(r.ExpiryOnly), "", "")
	}
	total.add("the same", humanize.Comma(r.Same.Keys), bytes(r.Same.Bytes), "")
	total.print(t)
	for i, n := range []int64{r.DuplicatesA, r.DuplicatesB} {
		if n > 0 {
			t.line(fmt.Sprintf("%s keys are in %s more than once: its files are not the shards of one cache", humanize.Comma(n), [2]*records{a, b}[i].name))
		}
	}
	if !r.Different() {
		return
	}
	prefixes := grid{{"PREFIX", ">GROWTH", ">ADDED", ">REMOVED", ">CHANGED", ">THE SAME"}}
	cells := func(name string, c keydiff.Changes) {
		prefixes.add(name, signed(c.Growth()), humanize.Comma(c.Added.Keys), humanize.Comma(c.Removed.Keys), humanize.Comma(c.Changed.Keys), humanize.Comma(c.Same.Keys))
	}
	for _, p := range r.Prefixes[:min(limit, len(r.Prefixes))] {
		name := escaped([]byte(p.Prefix)) + "*"
		if name == "*" {
			name = "keys without prefix"
		}
		cells(name, p.Changes)
	}
	if rest := restOf(r, limit); rest.Different() {
		cells("all other keys", rest)
	}
	prefixes.print(t)
	biggest := grid{{">GROWTH", ">BEFORE", ">AFTER", "CHANGE", "TYPE", "KEY"}}
	for _, c := range r.Biggest {
		typ, before, after, what := changeCells(c)
		kind := string(c.Kind)
		if what != "" {
			kind += " (" + what + ")"
		}
		biggest.add(signed(c.Growth()), before, after, kind, typ, shortened(c.Key, 80))
	}
	biggest.print(t)
}

// signed is a difference of sizes for people.
func signed(n int64) string {
	if n < 0 {
		return "-" + bytes(-n)
	}
	return "+" + bytes(n)
}
