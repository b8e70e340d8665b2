package keyspace

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/rdb"
)

// exact counts prefixes and tags without bound, and in its own way.
type exact struct {
	prefixes, tags map[string]Count
	without        Count
}

func prefixesOf(key string) (list []string) {
	head := key[:min(len(key), maxPrefix)]
	set := strongSeparators
	if !strings.ContainsAny(head, set) {
		set = weakSeparators
	}
	for i := range len(head) {
		if strings.IndexByte(set, head[i]) >= 0 && len(list) < maxDepth {
			list = append(list, head[:i+1])
		}
	}
	return list
}

func (e *exact) add(r *rdb.Record) {
	key := string(r.Key[:min(len(r.Key), keptKey)])
	list := prefixesOf(key)
	if len(list) == 0 {
		e.without.one(r.Size)
	}
	for _, p := range list {
		n := e.prefixes[p]
		n.one(r.Size)
		e.prefixes[p] = n
	}
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" && len(tag) < maxPrefix {
			n := e.tags[tag]
			n.one(r.Size)
			e.tags[tag] = n
		}
	}
}

func exactly(records []rdb.Record) *exact {
	e := &exact{prefixes: map[string]Count{}, tags: map[string]Count{}}
	for i := range records {
		e.add(&records[i])
	}
	return e
}

// checkBounds wants every count of the report to be at most the truth, and the truth
// at most the count and what may lack.
func checkBounds(t testing.TB, r *Report, e *exact) {
	t.Helper()
	listed := map[string]bool{}
	check := func(what string, name Name, truth map[string]Count, got, lacks Count) {
		listed[what+string(name)] = true
		if want := truth[string(name)]; !got.within(want) || !want.within(got.plus(lacks)) {
			t.Fatalf("%s %q: counted %+v, may lack %+v; it is %+v", what, name, got, lacks, want)
		}
	}
	for _, p := range r.Prefixes.Heaviest {
		check("prefix", p.Prefix, e.prefixes, p.Count, p.Lacks)
		if r.Prefixes.Exact && p.Lacks != (Count{}) {
			t.Fatalf("exact, but %q lacks %+v", p.Prefix, p.Lacks)
		}
	}
	for _, p := range r.Tags.Heaviest {
		check("tag", p.Tag, e.tags, p.Count, p.Lacks)
		if want := rdb.KeySlot([]byte("{" + string(p.Tag) + "}")); p.Slot != want {
			t.Fatalf("tag %q is in slot %d, want %d", p.Tag, p.Slot, want)
		}
	}
	for name, n := range e.prefixes {
		if !listed["prefix"+name] && !n.within(r.Prefixes.Unlisted) {
			t.Fatalf("prefix %q is not listed and has %+v; at most %+v was promised", name, n, r.Prefixes.Unlisted)
		}
	}
	var tagged Count
	for name, n := range e.tags {
		tagged.add(n)
		if !listed["tag"+name] && !n.within(r.Tags.Unlisted) {
			t.Fatalf("tag %q is not listed and has %+v; at most %+v was promised", name, n, r.Tags.Unlisted)
		}
	}
	if r.Tags.Tagged != tagged {
		t.Fatalf("%+v are tagged, want %+v", r.Tags.Tagged, tagged)
	}
	if r.Prefixes.Exact && r.Prefixes.Without != e.without || !e.without.within(r.Prefixes.Without) {
		t.Fatalf("%+v without prefix (exact: %t), want %+v", r.Prefixes.Without, r.Prefixes.Exact, e.without)
	}
}

// universe makes records of one of several kinds of key space.
func universe(rng *rand.Rand, n int) []rdb.Record {
	names := slices.Sorted(maps.Keys(shapes))
	mix := make([]func(int) string, 1+rng.IntN(3))
	for i := range mix {
		mix[i] = shapes[names[rng.IntN(len(names))]]
	}
	spread := 1 + rng.IntN(2*n)
	records := make([]rdb.Record, n)
	for i := range records {
		r := &records[i]
		size := int64(3 + rng.IntN(400))
		switch rng.IntN(50) {
		case 0:
			size *= 1000
		case 1:
			size = int64(3 + rng.ExpFloat64()*10_000)
		}
		key := mix[rng.IntN(len(mix))](rng.IntN(spread))
		if rng.IntN(20) == 0 {
			key = "hot:" + fmt.Sprint(rng.IntN(3)) + ":" + key
		}
		*r = rdb.Record{Size: size, Key: []byte(key), DB: uint64(rng.IntN(3) / 2), Type: []byte{0, 4, 5, 14, 18, 20, 21}[rng.IntN(7)],
			ExpireAt: int64(rng.IntN(3)) * (1_700_000_000_000 + int64(rng.IntN(40*86_400_000))), Elements: int64(rng.IntN(100) - 1)}
		r.Slot = rdb.KeySlot(r.Key)
	}
	return records
}

func collect(records []rdb.Record, o Options) *Collector {
	c := NewCollector(o)
	for i := range records {
		c.Add(&records[i]) //nolint:errcheck // always nil
	}
	return c
}

// Whatever the keys are, the bounds hold; and so they do after a merge.
func TestBoundsHold(t *testing.T) {
	t.Parallel()
	lossy := 0
	for seed := range uint64(24) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := 3000
		if seed%3 == 0 {
			n = 20_000
		}
		records := universe(rng, n)
		e := exactly(records)
		report := collect(records, Options{Slots: true}).Report()
		checkBounds(t, report, e)
		if !report.Prefixes.Exact {
			lossy++
			// What is promised must be worth something.
			if limit := (Count{int64(n) / 50, report.Bytes / 50}); !report.Prefixes.Unlisted.within(limit) {
				t.Errorf("seed %d: up to %+v may be unlisted of %d keys, %d bytes", seed, report.Prefixes.Unlisted, n, report.Bytes)
			}
		}
		merged := NewCollector(Options{Slots: true})
		for _, part := range split(records, 1+rng.IntN(5)) {
			merged.Merge(collect(part, Options{Slots: true}))
		}
		checkBounds(t, merged.Report(), e)
	}
	if lossy < 4 {
		t.Errorf("only %d key spaces were too large for the sketch: the test tests less than it seems", lossy)
	}
}

// Prefixes of the first level are exact if they are few, whatever is below them.
func TestFirstLevelIsExact(t *testing.T) {
	t.Parallel()
	c := NewCollector(Options{})
	for i := range 40_000 {
		c.Add(&rdb.Record{Size: 10, Key: fmt.Appendf(nil, "user:%d:x", i), Slot: -1})       //nolint:errcheck // always nil
		c.Add(&rdb.Record{Size: 10, Key: fmt.Appendf(nil, "p%d:%d:x", i%200, i), Slot: -1}) //nolint:errcheck // always nil
	}
	r := c.Report()
	if r.Prefixes.Exact || len(r.Prefixes.Heaviest) < 200 {
		t.Fatalf("%+v", r.Prefixes)
	}
	for _, p := range r.Prefixes.Heaviest {
		want := Count{40_000, 400_000}
		if string(p.Prefix) != "user:" {
			want = Count{200, 2000}
		}
		if p.Depth == 1 && (p.Count != want || p.Lacks != (Count{})) {
			t.Errorf("%q: %+v, want %+v", p.Prefix, p.Count, want)
		}
	}
}

// split deals records out by slot, as shards have them.
func split(records []rdb.Record, n int) [][]rdb.Record {
	parts := make([][]rdb.Record, n)
	for _, r := range records {
		i := r.Slot % n
		parts[i] = append(parts[i], r)
	}
	return parts
}

// Merging is the same as counting together, in everything that is exact.
func TestMergeIsCountingTogether(t *testing.T) {
	t.Parallel()
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 2))
		records := universe(rng, 1500)
		at := Options{Slots: true, At: moment(1_700_000_000_000)}
		want := collect(records, at).Report()
		merged := NewCollector(at)
		parts := split(records, 1+rng.IntN(4))
		for _, part := range parts {
			merged.Merge(collect(part, at))
		}
		got := merged.Report()
		if got.Files != len(parts)+1 {
			t.Errorf("%d files", got.Files)
		}
		got.Files = want.Files
		if g, w := asJSON(t, got), asJSON(t, want); g != w {
			t.Fatalf("seed %d: merged\n%s\ntogether\n%s", seed, g, w)
		}
	}
}

// The report's exact parts are those of a count that is done here.
func TestExactParts(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(3, 3))
	records := universe(rng, 5000)
	r := collect(records, Options{Slots: true, At: moment(1_700_000_000_000)}).Report()
	var all Count
	perDB, perSlot, perType := map[uint64]Count{}, map[int]Count{}, map[int]Count{}
	expiring := int64(0)
	for _, rec := range records {
		all.one(rec.Size)
		bump(perDB, rec.DB, rec.Size)
		bump(perSlot, rec.Slot, rec.Size)
		bump(perType, int(rec.Type), rec.Size)
		if rec.ExpireAt != 0 {
			expiring++
		}
	}
	if r.Keys != all.Keys || r.Bytes != all.Bytes || r.Expiring != expiring {
		t.Errorf("%d keys, %d bytes, %d expiring; want %+v and %d", r.Keys, r.Bytes, r.Expiring, all, expiring)
	}
	for _, d := range r.Databases {
		if d.Count != perDB[d.Database] {
			t.Errorf("database %d: %+v, want %+v", d.Database, d.Count, perDB[d.Database])
		}
	}
	for _, s := range r.Slots.Heaviest {
		if s.Count != perSlot[s.Slot] {
			t.Errorf("slot %d: %+v, want %+v", s.Slot, s.Count, perSlot[s.Slot])
		}
	}
	for i, s := range r.Slots.Each {
		if n := perSlot[int(s[0])]; n != (Count{s[1], s[2]}) || i > 0 && s[0] <= r.Slots.Each[i-1][0] {
			t.Errorf("slot %v, want %v", s, n)
		}
	}
	if r.Slots.Used != len(perSlot) || len(r.Slots.Each) != len(perSlot) || len(r.Databases) != len(perDB) {
		t.Errorf("%d slots, %d databases; want %d, %d", r.Slots.Used, len(r.Databases), len(perSlot), len(perDB))
	}
	var types, encodings, expiry, sizes Count
	for _, x := range r.Types {
		types.add(x.Count)
	}
	for _, x := range r.Encodings {
		encodings.add(x.Count)
		if x.Count != perType[x.RDBType] {
			t.Errorf("type %d: %+v, want %+v", x.RDBType, x.Count, perType[x.RDBType])
		}
	}
	for _, x := range r.Expiry {
		expiry.add(x.Count)
	}
	for i, x := range r.Sizes {
		sizes.add(x.Count)
		if x.Keys > 0 && (x.Bytes < x.From*x.Keys || x.Bytes >= x.To*x.Keys) || i > 0 && x.From != r.Sizes[i-1].To {
			t.Errorf("sizes %d to %d have %d bytes in %d keys", x.From, x.To, x.Bytes, x.Keys)
		}
	}
	for name, sum := range map[string]Count{"types": types, "encodings": encodings, "expiry": expiry, "sizes": sizes} {
		if sum != all {
			t.Errorf("%s add up to %+v, want %+v", name, sum, all)
		}
	}
	// The biggest, with ties in a fixed order.
	slices.SortStableFunc(records, func(x, y rdb.Record) int {
		return cmp.Or(-cmp.Compare(x.Size, y.Size), cmp.Compare(x.DB, y.DB), bytes.Compare(x.Key, y.Key))
	})
	if len(r.Biggest) != biggestKeys {
		t.Fatalf("%d biggest", len(r.Biggest))
	}
	for i, k := range r.Biggest {
		if want := records[i]; k.Bytes != want.Size || k.Database != want.DB || string(k.Name) != string(want.Key) || k.Slot != want.Slot {
			t.Fatalf("biggest %d is %+v, want %+v", i, k, want)
		}
	}
}

func bump[K comparable](m map[K]Count, k K, size int64) {
	n := m[k]
	n.one(size)
	m[k] = n
}
