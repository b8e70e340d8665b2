package keyspace

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Keys without a type are counted as records are, but for what only records have; also by Collectors that merge.
func TestPlainKeys(t *testing.T) {
	t.Parallel()
	o := Options{At: time.UnixMilli(1_700_000_000_000)}
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 2))
		records := universe(rng, 2000+30_000*int(seed%2))
		for i := range records {
			records[i].DB, records[i].Slot, records[i].Elements = 0, -1, -1
		}
		want := collect(records, o).Report()
		for i := range want.Biggest {
			want.Biggest[i].Type, want.Biggest[i].Encoding = "", ""
		}
		want.Types, want.Encodings, want.Databases, want.Tags = nil, nil, nil, Tags{Exact: true}
		c, half := NewCollector(o), NewCollector(o)
		for i := range records {
			r := &records[i]
			c.AddPlain(r.Key, r.Size, r.ExpireAt)
			if i%2 == 0 {
				half.AddPlain(r.Key, r.Size, r.ExpireAt)
			}
		}
		got := c.Report()
		if g, w := asJSON(t, got), asJSON(t, want); g != w {
			t.Fatalf("seed %d: counted\n%.3000s\nas records\n%.3000s", seed, g, w)
		}
		if got.Keys != int64(len(records)) || len(got.Biggest) != biggestKeys {
			t.Errorf("seed %d: %d keys", seed, got.Keys)
		}
		rest := NewCollector(o)
		for i := 1; i < len(records); i += 2 {
			rest.AddPlain(records[i].Key, records[i].Size, records[i].ExpireAt)
		}
		rest.Merge(half)
		merged := rest.Report()
		if merged.Files != 2 {
			t.Errorf("%d files", merged.Files)
		}
		checkBounds(t, &Report{Prefixes: merged.Prefixes, Tags: Tags{Exact: true}}, &exact{prefixes: exactly(records).prefixes, without: exactly(records).without})
		merged.Files, merged.Prefixes, got.Prefixes = 1, Prefixes{}, Prefixes{}
		if g, w := asJSON(t, merged), asJSON(t, got); g != w {
			t.Errorf("seed %d: merged\n%.3000s\nat once\n%.3000s", seed, g, w)
		}
	}
}
