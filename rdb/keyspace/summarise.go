package keyspace

import (
	"cmp"
	"slices"
	"time"

	"github.com/keyframe/keyframe/rdb"
)

// Report says what was counted. The summaries are those of the files, in any order;
// without them Engine, FileBytes and whatever else comes from files is the caller's
// to fill in. The Collector may go on counting.
func (c *Collector) Report(files ...*rdb.Summary) *Report {
	r := &Report{Format: reportFormat, At: moment(c.at), Files: c.files}
	modules := map[string]bool{}
	for _, f := range files {
		if r.RDBFamily == "" {
			r.Engine, r.EngineVersion, r.RDBFamily, r.RDBVersion = f.Aux.Engine, f.Aux.EngineVersion, f.Family, f.Version
		}
		r.FileBytes += f.Bytes
		r.UsedMemory += max(f.Aux.UsedMemory, 0)
		r.Functions = max(r.Functions, f.Functions) // every shard has all of them
		for _, m := range f.Modules {
			modules[m] = true
		}
	}
	for m := range modules {
		r.Modules = append(r.Modules, m)
	}
	slices.Sort(r.Modules)
	r.Modules = r.Modules[:min(len(r.Modules), listedModules)]
	c.listTypes(r)
	c.histograms(r)
	r.Expiring = r.Keys - c.expiry[never].Keys
	r.Databases = c.listDatabases()
	if c.slots != nil {
		r.Slots = spreadSlots(c.slots)
	}
	for _, l := range c.biggest.sorted() {
		k := Key{Name: l.name, NameBytes: l.length, Bytes: l.size, Elements: l.elements, Database: l.db, Slot: l.slot}
		if !l.plain {
			k.Type, k.Encoding = kind(r.RDBFamily, l.typ), encoding(r.RDBFamily, l.typ)
		}
		if l.expireAt != 0 {
			k.ExpiresAt = moment(l.expireAt)
		}
		r.Biggest = append(r.Biggest, k)
	}
	c.listPrefixes(r)
	c.listTags(r)
	return r
}

// moment is a time that JSON can hold; engines accept expiries that it cannot.
func moment(ms int64) time.Time {
	const first, last = -62135596800_000, 253402300799_999 // of the years 1 to 9999
	return time.UnixMilli(min(max(ms, first+1), last)).UTC()
}

// Types from 22 on depend on the family, and files of both may have been merged.
func other(family string) string {
	if family == rdb.FamilyValkey {
		return rdb.FamilyRedis
	}
	return rdb.FamilyValkey
}

func kind(family string, t byte) string {
	k := rdb.TypeKind(family, t)
	if k == rdb.KindUnknown {
		k = rdb.TypeKind(other(family), t)
	}
	return k.String()
}

func encoding(family string, t byte) string {
	if rdb.TypeKind(family, t) == rdb.KindUnknown {
		family = other(family)
	}
	return rdb.TypeName(family, t)
}

func (c *Collector) listTypes(r *Report) {
	r.Keys, r.Bytes = c.plain.Keys, c.plain.Bytes
	kinds := map[string]*TypeCount{}
	for t, n := range c.types {
		if n.Keys == 0 {
			continue
		}
		r.Keys += n.Keys
		r.Bytes += n.Bytes
		r.Encodings = append(r.Encodings, EncodingCount{encoding(r.RDBFamily, byte(t)), t, n.Count})
		k := kind(r.RDBFamily, byte(t))
		if kinds[k] == nil {
			kinds[k] = &TypeCount{Type: k}
		}
		kinds[k].add(n.Count)
		kinds[k].Elements += n.elements
		kinds[k].Counted += n.Keys - n.unknown
	}
	for _, k := range kinds {
		r.Types = append(r.Types, *k)
	}
	slices.SortFunc(r.Types, func(x, y TypeCount) int { return cmp.Or(heavier(x.Count, y.Count), cmp.Compare(x.Type, y.Type)) })
	slices.SortStableFunc(r.Encodings, func(x, y EncodingCount) int { return heavier(x.Count, y.Count) })
}

func heavier(x, y Count) int {
	return cmp.Or(-cmp.Compare(x.Bytes, y.Bytes), -cmp.Compare(x.Keys, y.Keys))
}

func (c *Collector) histograms(r *Report) {
	for class, n := range c.expiry {
		r.Expiry = append(r.Expiry, ExpiryCount{expiryNames[class], n})
	}
	first, last := -1, -1
	for i, n := range c.sizes {
		if n.Keys > 0 {
			last = i
			if first < 0 {
				first = i
			}
		}
	}
	for i := first; i >= 0 && i <= last; i++ {
		s := SizeCount{To: 1 << min(i, 62), Count: c.sizes[i]}
		if i > 0 {
			s.From = 1 << (i - 1)
		}
		r.Sizes = append(r.Sizes, s)
	}
}

func (c *Collector) listDatabases() (list []DatabaseCount) {
	for db, n := range c.databases {
		list = append(list, DatabaseCount{db, *n})
	}
	if len(list) > listedDatabases {
		slices.SortFunc(list, func(x, y DatabaseCount) int {
			return cmp.Or(heavier(x.Count, y.Count), cmp.Compare(x.Database, y.Database))
		})
		list = list[:listedDatabases]
	}
	slices.SortFunc(list, func(x, y DatabaseCount) int { return cmp.Compare(x.Database, y.Database) })
	return list
}

func spreadSlots(all *[rdb.Slots]Count) *Slots {
	s := new(Slots)
	var keys, bytes []int64
	for slot, n := range all {
		if n.Keys > 0 {
			s.Heaviest = append(s.Heaviest, SlotCount{slot, n})
			s.Each = append(s.Each, SlotRow{int64(slot), n.Keys, n.Bytes})
			keys, bytes = append(keys, n.Keys), append(bytes, n.Bytes)
		}
	}
	s.Used, s.Keys, s.Bytes = len(keys), spread(keys), spread(bytes)
	slices.SortStableFunc(s.Heaviest, func(x, y SlotCount) int { return heavier(x.Count, y.Count) })
	s.Heaviest = slices.Clone(s.Heaviest[:min(len(s.Heaviest), listedSlots)])
	return s
}

func spread(of []int64) Spread {
	if len(of) == 0 {
		return Spread{}
	}
	slices.Sort(of)
	at := func(percent int) int64 { return of[(len(of)-1)*percent/100] }
	return Spread{at(0), at(10), at(50), at(90), at(99), at(100)}
}

func (c *Collector) listPrefixes(r *Report) {
	all, missing := c.prefixes.all()
	all, unlisted := heaviest(all, listedPrefixes)
	p := &r.Prefixes
	p.Unlisted, p.Without, p.Exact = missing.max(unlisted), c.prefixes.nodes[0].own, c.prefixes.cells == nil
	for _, h := range all {
		p.Heaviest = append(p.Heaviest, Prefix{h.prefix, h.depth, h.weight, h.lacks})
	}
}

func (c *Collector) listTags(r *Report) {
	r.Tags.Tagged, r.Tags.Exact = c.tagged, true
	if c.tags == nil {
		return
	}
	all, missing := c.tags.all()
	all, unlisted := heaviest(all, listedTags)
	r.Tags.Unlisted, r.Tags.Exact = missing.max(unlisted), c.tags.cells == nil
	for _, h := range all {
		tagged := append(append([]byte{'{'}, h.prefix...), '}')
		r.Tags.Heaviest = append(r.Tags.Heaviest, Tag{h.prefix, rdb.KeySlot(tagged), h.weight, h.lacks})
	}
}

// heaviest chooses n of a list, three quarters of them by bytes and the rest by
// keys, and returns them by bytes with the most that any other may weigh.
func heaviest(all []held, n int) (list []held, unlisted Count) {
	byName := func(x, y held) int { return cmp.Or(cmp.Compare(x.depth, y.depth), slices.Compare(x.prefix, y.prefix)) }
	byBytes := func(x, y held) int { return cmp.Or(heavier(x.weight, y.weight), byName(x, y)) }
	slices.SortFunc(all, byBytes)
	if len(all) <= n {
		return all, Count{}
	}
	rest := all[n*3/4:]
	slices.SortFunc(rest, func(x, y held) int {
		return cmp.Or(-cmp.Compare(x.weight.Keys, y.weight.Keys), -cmp.Compare(x.weight.Bytes, y.weight.Bytes), byName(x, y))
	})
	for _, h := range all[n:] {
		unlisted = unlisted.max(h.weight.plus(h.lacks))
	}
	list = all[:n]
	slices.SortFunc(list, byBytes)
	return list, unlisted
}
