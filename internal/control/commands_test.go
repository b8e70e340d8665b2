package control

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

func TestNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"a": "a", "Orders-1": "orders-1", "A1-b2-C3": "a1-b2-c3", strings.Repeat("A", 40): strings.Repeat("a", 40)} {
		if got, err := newName("P", name, 40); got != want || err != nil {
			t.Errorf("%q is stored as %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"", "1a", "-a", "a-", "a--b", "a.b", "a/b", "../a", "a\\b", "a b", " a", "a\n", "a\x00", "ä", "ａ", "automatic.a", strings.Repeat("a", 41)} {
		got, err := newName("P", name, 40)
		var e *resource.Error
		if !errors.As(err, &e) || e.Kind != resource.InvalidValue || e.ID != "P" || !strings.Contains(e.Message, "The parameter P ") {
			t.Errorf("%q gives %q, %v", name, got, err)
		}
	}
}

// A name that passes can be neither a path nor anything else but itself.
func TestNamesThatPass(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringN(0, 50, 300).Draw(rt, "name")
		got, err := newName("P", name, 255)
		if err != nil {
			return
		}
		if strings.Trim(got, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || !strings.EqualFold(got, name) || oldName(name) != got || oldName(got) != got {
			rt.Fatalf("%q passes as %q and is looked up as %q", name, got, oldName(name))
		}
	})
}

func TestTagRules(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	many := make([]resource.Tag, 51)
	for i := range many {
		many[i].Key = fmt.Sprint(i)
	}
	for name, c := range map[string]struct {
		tags []resource.Tag
		kind resource.ErrorKind
	}{
		"none": {nil, 0}, "empty value": {[]resource.Tag{{Key: "k"}}, 0}, "case": {[]resource.Tag{{Key: "k"}, {Key: "K"}}, 0}, "50": {many[:50], 0},
		"128 runes": {[]resource.Tag{{Key: strings.Repeat("ü", 128), Value: strings.Repeat("😀", 256)}}, 0}, "aws": {[]resource.Tag{{Key: "aws"}}, 0},
		"129 runes": {[]resource.Tag{{Key: strings.Repeat("ü", 129)}}, resource.InvalidValue}, "257 runes": {[]resource.Tag{{Key: "k", Value: strings.Repeat("ü", 257)}}, resource.InvalidValue},
		"no key": {[]resource.Tag{{Value: "v"}}, resource.InvalidValue}, "twice": {[]resource.Tag{{Key: "k"}, {Key: "k", Value: "2"}}, resource.InvalidValue},
		"reserved": {[]resource.Tag{{Key: "aws:x"}}, resource.InvalidValue}, "Reserved": {[]resource.Tag{{Key: "AwS:x"}}, resource.InvalidValue},
		"bytes": {[]resource.Tag{{Key: "k\xff"}}, resource.InvalidValue}, "51": {many, resource.TagQuota},
	} {
		err := p.checkTags(c.tags)
		var e *resource.Error
		if got := errors.As(err, &e); got != (c.kind != 0) || got && e.Kind != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The quota looks back 24 hours: deleted snapshots count, failed ones and copies do not, and a new cache of an old name is another.
func TestSnapshotQuota(t *testing.T) {
	t.Parallel()
	p := newPlane(t, func(o *Options) { o.Quota.ServerlessSnapshots = 2 })
	ctx := t.Context()
	cache := p.running("orders")
	create := func(name string) error {
		_, err := p.CreateSnapshot(ctx, CreateSnapshot{Scope: home, Space: serverlessSpace, Cache: "orders", Name: name})
		return err
	}
	p.must(create("lost"))
	p.finish(resource.SnapshotFailed)
	p.taken("orders", "one")
	_, err := p.CopySnapshot(ctx, CopySnapshot{Scope: home, Space: serverlessSpace, Source: "one", Target: "copy"})
	p.must(err)
	p.advance(time.Hour)
	p.taken("orders", "two")
	wantKind(t, create("three"), resource.QuotaExceeded)
	p.must(p.db.Update(ctx, func(tx *metastore.Tx) error {
		s, err := tx.SnapshotByName(home, "serverless", "two")
		if err != nil {
			return err
		}
		return tx.DeleteSnapshot(s.ID)
	}))
	wantKind(t, create("three"), resource.QuotaExceeded)
	p.advance(23*time.Hour - time.Millisecond)
	wantKind(t, create("three"), resource.QuotaExceeded)
	p.advance(time.Millisecond)
	p.must(create("three"))
	p.finish(resource.SnapshotAvailable)
	wantKind(t, create("four"), resource.QuotaExceeded)
	p.must(p.db.Update(ctx, func(tx *metastore.Tx) error { return tx.DeleteCache(cache.ID) }))
	p.running("orders")
	p.must(create("four"))
}

// Two of one name are asked for at the same time: one is made.
func TestRacingCommands(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	caches := make([]*resource.Cache, 8)
	for i := range caches {
		caches[i] = p.running(fmt.Sprintf("cache-%d", i))
	}
	results := make(chan error)
	for i := range caches {
		go func() {
			_, err := p.CreateSnapshot(context.Background(), CreateSnapshot{Scope: home, Space: serverlessSpace, Cache: caches[i].Name, Name: "same"})
			results <- err
		}()
	}
	made := 0
	for range caches {
		if err := <-results; err == nil {
			made++
		} else {
			wantKind(t, err, resource.AlreadyExists)
		}
	}
	if jobs := p.jobs(resource.TaskCreateSnapshot); made != 1 || len(jobs) != 1 {
		t.Errorf("%d were made, with %d jobs", made, len(jobs))
	}
}

// A command that is refused leaves nothing: no record, no job, no tag.
func TestRefusedCommandsLeaveNothing(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	p.running("orders")
	s := p.taken("orders", "one")
	before := [3]int{len(p.jobs(resource.TaskCreateSnapshot)), len(p.jobs(resource.TaskCopySnapshot)), len(p.jobs(resource.TaskExportSnapshot))}
	bad := []resource.Tag{{Key: "aws:x"}}
	_, err := p.CreateSnapshot(ctx, CreateSnapshot{Scope: home, Space: serverlessSpace, Cache: "orders", Name: "two", Tags: bad})
	wantKind(t, err, resource.InvalidValue)
	_, err = p.CreateSnapshot(ctx, CreateSnapshot{Scope: home, Space: serverlessSpace, Cache: "orders", Name: "two", KMSKeyID: "alias/none"})
	wantKind(t, err, resource.InvalidKey)
	_, err = p.CopySnapshot(ctx, CopySnapshot{Scope: home, Space: serverlessSpace, Source: "one", Target: "two", KMSKeyID: "alias/none"})
	wantKind(t, err, resource.InvalidKey)
	_, err = p.ExportSnapshot(ctx, ExportSnapshot{Scope: home, Space: serverlessSpace, Name: "one", Bucket: "nowhere"})
	wantKind(t, err, resource.InvalidValue)
	_, err = p.CreateCache(ctx, CreateCache{Scope: home, Name: "restored", Engine: "redis", SnapshotArns: []string{s.ARN()}})
	wantKind(t, err, resource.InvalidCombination)
	_, err = p.AddTags(ctx, home, "elasticache", s.ARN(), append([]resource.Tag{{Key: "good"}}, bad...))
	wantKind(t, err, resource.InvalidValue)
	_, err = p.RemoveTags(ctx, home, "elasticache", s.ARN(), []string{"none"})
	wantKind(t, err, resource.TagNotFound)
	if got := p.list(); !slices.Equal(got, []string{"one available"}) {
		t.Errorf("there is %q", got)
	}
	if after := [3]int{len(p.jobs(resource.TaskCreateSnapshot)), len(p.jobs(resource.TaskCopySnapshot)), len(p.jobs(resource.TaskExportSnapshot))}; after != before {
		t.Errorf("jobs before %v, after %v", before, after)
	}
	if tags, err := p.Tags(ctx, home, "elasticache", s.ARN()); len(tags) != 0 || err != nil {
		t.Errorf("tags: %v, %v", tags, err)
	}
}

func TestEngineUpgrades(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, fromMajor, to, toMajor string
		ok                           bool
	}{
		{"valkey", "8", "valkey", "8", true}, {"valkey", "7", "valkey", "8", true}, {"valkey", "8", "valkey", "7", false}, {"redis", "7", "valkey", "7", true},
		{"redis", "7", "valkey", "8", true}, {"valkey", "7", "redis", "7", false}, {"redis", "6", "redis", "7", true}, {"redis", "7.1", "redis", "7.0", false},
		{"redis", "7", "memcached", "1.6", false}, {"memcached", "1.6", "valkey", "8", false}, {"valkey", "9", "valkey", "10", true},
	} {
		err := upgradeable("x", resource.Engine(c.from), c.fromMajor, resource.Engine(c.to), c.toMajor)
		if (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// Whatever the size of the pages, and whatever is made and removed meanwhile, they meet what was there all the time once, in order.
func TestPagesOfSnapshots(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := context.Background()
	cache := p.running("orders")
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		scope := resource.Scope{Account: fmt.Sprintf("%012d", run), Region: "us-east-1"}
		insert := func(name string) {
			err := p.db.Update(ctx, func(tx *metastore.Tx) error {
				return tx.InsertSnapshot(&resource.Snapshot{ID: newID(), Kind: resource.Serverless, Scope: scope, Name: name, Type: resource.Manual,
					Status: resource.SnapshotAvailable, Source: *cache, RequestedAt: noon})
			})
			if err != nil && !is(err, resource.AlreadyExists) {
				rt.Fatal(err)
			}
		}
		there := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-y][a-z0-9]{0,5}`), 0, 30, rapid.ID).Draw(rt, "there")
		for _, n := range there {
			insert(n)
		}
		slices.Sort(there)
		var met []string
		most := rapid.IntRange(1, 9).Draw(rt, "most")
		for token := ""; ; {
			page, next, err := p.DescribeSnapshots(ctx, DescribeSnapshots{Scope: scope, Space: serverlessSpace, Page: Page{Most: &most, Token: token}})
			if err != nil || len(page) > most || next != "" && len(page) < most || next == token && token != "" {
				rt.Fatalf("a page of %d, next %q, %v", len(page), next, err)
			}
			for _, s := range page {
				if slices.Contains(there, s.Name) {
					met = append(met, s.Name)
				}
			}
			if token = next; token == "" {
				break
			}
			insert("0" + rapid.StringMatching(`[a-z]{3}`).Draw(rt, "early")) // before all pages
			insert("z" + rapid.StringMatching(`[a-z]{3}`).Draw(rt, "late"))
		}
		if !slices.Equal(met, there) {
			rt.Fatalf("met %q, there was %q", met, there)
		}
	})
}

func TestEventPeriods(t *testing.T) {
	t.Parallel()
	at := func(h float64) *time.Time { v := noon.Add(time.Duration(h * float64(time.Hour))); return &v }
	minutes := func(n int) *int { return &n }
	for name, c := range map[string]struct {
		in       DescribeEvents
		from, to float64 // hours from noon
		kind     resource.ErrorKind
	}{
		"nothing":           {DescribeEvents{}, -1, 0, 0},
		"length":            {DescribeEvents{Minutes: minutes(180)}, -3, 0, 0},
		"from":              {DescribeEvents{From: at(-30)}, -30, 0, 0},
		"from with length":  {DescribeEvents{From: at(-30), Minutes: minutes(60)}, -30, -29, 0},
		"to":                {DescribeEvents{To: at(-5)}, -6, -5, 0},
		"to with length":    {DescribeEvents{To: at(-5), Minutes: minutes(120)}, -7, -5, 0},
		"both":              {DescribeEvents{From: at(-5), To: at(-4)}, -5, -4, 0},
		"a moment":          {DescribeEvents{From: at(-5), To: at(-5)}, -5, -5, 0},
		"all three":         {DescribeEvents{From: at(-5), To: at(-4), Minutes: minutes(60)}, 0, 0, resource.InvalidCombination},
		"backwards":         {DescribeEvents{From: at(-4), To: at(-5)}, 0, 0, resource.InvalidCombination},
		"from the future":   {DescribeEvents{From: at(1)}, 0, 0, resource.InvalidCombination},
		"no length":         {DescribeEvents{Minutes: minutes(0)}, 0, 0, resource.InvalidValue},
		"two weeks":         {DescribeEvents{Minutes: minutes(20160)}, -336, 0, 0},
		"more than 14 days": {DescribeEvents{Minutes: minutes(20161)}, 0, 0, resource.InvalidValue},
	} {
		from, to, err := c.in.period(noon)
		if c.kind != 0 {
			if !is(err, c.kind) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || !from.Equal(*at(c.from)) || !to.Equal(*at(c.to)) {
			t.Errorf("%s: %v to %v, %v", name, from, to, err)
		}
	}
}

// A snapshot is wrapped under the key that the request names, else under the cache's own, else under the service's.
func TestSnapshotsTakeTheirCachesKey(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	own, err := p.ring.Create(home, "alias/own", "")
	p.must(err)
	other, err := p.ring.Create(home, "alias/other", "")
	p.must(err)
	p.running("kept", func(in *CreateCache) { in.KMSKeyID = "alias/own" })
	p.running("plain")
	for _, c := range []struct {
		cache, name, ref, want string
		shown                  bool
	}{{"kept", "a", "", own.ARN(), true}, {"kept", "b", "alias/other", other.ARN(), true}, {"plain", "c", "", "", false}} {
		s, err := p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: serverlessSpace, Cache: c.cache, Name: c.name, KMSKeyID: c.ref})
		p.must(err)
		if c.want != "" && s.KMSKeyID != c.want || s.KMSDefault == c.shown {
			t.Errorf("%s of %s: key %s, default %t", c.name, c.cache, s.KMSKeyID, s.KMSDefault)
		}
		p.finish(resource.SnapshotAvailable)
	}
}
