package metastore

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/resource"
	"pgregory.net/rapid"
)

func insertSnapshots(t testing.TB, db *DB, all ...*resource.Snapshot) {
	t.Helper()
	update(t, db, func(tx *Tx) error {
		for _, s := range all {
			if err := tx.InsertSnapshot(s); err != nil {
				return err
			}
		}
		return nil
	})
}

func names(all []*resource.Snapshot) string {
	var b strings.Builder
	for _, s := range all {
		fmt.Fprintf(&b, "%s ", s.Name)
	}
	return strings.TrimSpace(b.String())
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	db := open(t)
	cache, cluster, group, memory := cacheNamed("c"), cacheNamed("c"), cacheNamed("c"), cacheNamed("c")
	cluster.Kind, group.Kind, memory.Kind = resource.CacheCluster, resource.ReplicationGroup, resource.MemoryDBCluster
	s := snapshotNamed("s", cache)
	s.Keys, s.Bytes, s.ExpiresAt = 5, 1<<40, noon.Add(time.Hour)
	insertSnapshots(t, db, s, snapshotNamed("s", cluster), snapshotNamed("s", memory))
	for _, clash := range []*resource.Snapshot{snapshotNamed("s", cache), snapshotNamed("s", group)} {
		err := db.Update(context.Background(), func(tx *Tx) error { return tx.InsertSnapshot(clash) })
		wantKind(t, err, resource.AlreadyExists, clash.Kind.SnapshotErrorType())
	}
	view(t, db, func(tx *Tx) error {
		for name, find := range map[string]func() (*resource.Snapshot, error){
			"name": func() (*resource.Snapshot, error) { return tx.SnapshotByName(east, "serverless", "s") },
			"id":   func() (*resource.Snapshot, error) { return tx.SnapshotByID(s.ID) },
		} {
			if got, err := find(); err != nil || !reflect.DeepEqual(got, s) {
				t.Errorf("by %s: %+v, %v", name, got, err)
			}
		}
		_, err := tx.SnapshotByName(west, "serverless", "s")
		wantKind(t, err, resource.NotFound, resource.TypeSnapshot)
		_, err = tx.SnapshotByID("none")
		wantKind(t, err, resource.NotFound, resource.TypeSnapshot)
		return nil
	})
	s.Status, s.CaptureID = resource.SnapshotFailed, "cap"
	update(t, db, func(tx *Tx) error { return tx.UpdateSnapshot(s) })
	view(t, db, func(tx *Tx) error {
		if all, err := tx.AllSnapshots(); err != nil || len(all) != 3 || all[1].Kind != resource.MemoryDBCluster || !reflect.DeepEqual(all[2], s) {
			t.Errorf("all snapshots: %v, %v", all, err)
		}
		if got, err := tx.SnapshotByID(s.ID); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("after the update: %+v, %v", got, err)
		}
		return nil
	})
	unknown := snapshotNamed("u", cache)
	err := db.Update(context.Background(), func(tx *Tx) error { return tx.UpdateSnapshot(unknown) })
	wantKind(t, err, resource.NotFound, resource.TypeSnapshot)
	for range 2 {
		update(t, db, func(tx *Tx) error { return tx.DeleteSnapshot(s.ID) })
	}
	view(t, db, func(tx *Tx) error {
		_, err := tx.SnapshotByID(s.ID)
		wantKind(t, err, resource.NotFound, resource.TypeSnapshot)
		return nil
	})
	err = db.Update(context.Background(), func(tx *Tx) error { return tx.AddUse(s.ID, "job", resource.UseCopy) })
	wantKind(t, err, resource.NotFound, resource.TypeSnapshot)
}

func TestUsesDecideTheStatusShown(t *testing.T) {
	t.Parallel()
	db := open(t)
	s := snapshotNamed("s", cacheNamed("c"))
	insertSnapshots(t, db, s)
	add := func(job string, use resource.Use) func(*Tx) error {
		return func(tx *Tx) error { return tx.AddUse(s.ID, job, use) }
	}
	remove := func(job string) func(*Tx) error { return func(tx *Tx) error { return tx.RemoveUse(job) } }
	become := func(status resource.SnapshotStatus) func(*Tx) error {
		return func(tx *Tx) error {
			got, err := tx.SnapshotByID(s.ID)
			if err != nil {
				return err
			}
			if status != "" {
				got.Status = status
			}
			got.Keys++
			return tx.UpdateSnapshot(got)
		}
	}
	for i, step := range []struct {
		do   func(*Tx) error
		want resource.SnapshotStatus
		uses string
	}{
		{add("j1", resource.UseExport), resource.SnapshotCopying, "j1:export"},
		{add("j2", resource.UseRestore), resource.SnapshotRestoring, "j1:export j2:restore"},
		{add("j2", resource.UseRestore), resource.SnapshotRestoring, "j1:export j2:restore"},
		{become(""), resource.SnapshotRestoring, "j1:export j2:restore"}, // written back as it was read
		{remove("j2"), resource.SnapshotCopying, "j1:export"},
		{add("j3", resource.UseCopy), resource.SnapshotCopying, "j1:export j3:copy"},
		{remove("j1"), resource.SnapshotCopying, "j3:copy"},
		{remove("j3"), resource.SnapshotAvailable, ""},
		{remove("j3"), resource.SnapshotAvailable, ""},
		{become(resource.SnapshotDeleting), resource.SnapshotDeleting, ""},
		{add("j4", resource.UseRestore), resource.SnapshotDeleting, "j4:restore"},
		{remove("j4"), resource.SnapshotDeleting, ""},
		{become(resource.SnapshotAvailable), resource.SnapshotAvailable, ""},
	} {
		update(t, db, step.do)
		view(t, db, func(tx *Tx) error {
			got, err := tx.SnapshotByID(s.ID)
			if err != nil {
				return err
			}
			listed, err := tx.Snapshots(SnapshotFilter{Scope: east, Space: "serverless"})
			if err != nil {
				return err
			}
			uses, err := tx.Uses(s.ID)
			text := make([]string, len(uses))
			for i, u := range uses {
				text[i] = u.JobID + ":" + string(u.Use)
			}
			if got.Status != step.want || listed[0].Status != step.want || strings.Join(text, " ") != step.uses {
				t.Errorf("step %d shows %s (listed %s) with uses %v, want %s", i, got.Status, listed[0].Status, text, step.want)
			}
			return err
		})
	}
}

func TestSnapshotQueries(t *testing.T) {
	t.Parallel()
	db := open(t)
	a, b := cacheNamed("a"), cacheNamed("b")
	make := func(name string, of *resource.Cache, change func(*resource.Snapshot)) *resource.Snapshot {
		s := snapshotNamed(name, of)
		change(s)
		return s
	}
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	insertSnapshots(t, db,
		make("m1", a, func(s *resource.Snapshot) { s.CaptureID = "x" }),
		make("m2", a, func(s *resource.Snapshot) {
			s.CaptureID = "x"
			s.CopiedFrom = "m1"
			s.Status = resource.SnapshotCreating
		}),
		make("m3", b, func(s *resource.Snapshot) { s.CaptureID = "y" }),
		make("auto1", a, func(s *resource.Snapshot) {
			s.Type = resource.Automated
			s.RequestedAt = hour(1)
			s.ExpiresAt = hour(3)
		}),
		make("auto2", a, func(s *resource.Snapshot) {
			s.Type = resource.Automated
			s.RequestedAt = hour(3)
			s.ExpiresAt = hour(2)
		}),
		make("auto3", a, func(s *resource.Snapshot) {
			s.Type = resource.Automated
			s.RequestedAt, s.ExpiresAt, s.Status = hour(2), hour(1), resource.SnapshotDeleting
		}),
		make("auto4", b, func(s *resource.Snapshot) { s.Type = resource.Automated; s.ExpiresAt = hour(9) }),
	)
	view(t, db, func(tx *Tx) error {
		list := func(want string, change func(*SnapshotFilter)) {
			t.Helper()
			f := SnapshotFilter{Scope: east, Space: "serverless"}
			change(&f)
			if got, err := tx.Snapshots(f); err != nil || names(got) != want {
				t.Errorf("%+v lists %q, %v; want %q", f, names(got), err, want)
			}
		}
		list("auto1 auto2 auto3 auto4 m1 m2 m3", func(f *SnapshotFilter) {})
		list("auto4 m1", func(f *SnapshotFilter) { f.AfterName, f.Limit = "auto3", 2 })
		list("auto1 auto2 auto3 m1 m2", func(f *SnapshotFilter) { f.CacheName = "a" })
		list("m1 m2 m3", func(f *SnapshotFilter) { f.Type = resource.Manual })
		list("auto2 auto3", func(f *SnapshotFilter) { f.CacheName, f.Type, f.AfterName = "a", resource.Automated, "auto1" })
		list("", func(f *SnapshotFilter) { f.Scope = west })
		list("", func(f *SnapshotFilter) { f.Space = "memorydb" })

		for _, c := range []struct {
			capture, except string
			want            int
		}{{"x", "none", 2}, {"y", "none", 1}, {"", "none", 0}, {"z", "none", 0}} {
			if n, err := tx.CountOthersOfCapture(c.capture, c.except); n != c.want || err != nil {
				t.Errorf("%+v: %d, %v", c, n, err)
			}
		}
		m1, err := tx.SnapshotByName(east, "serverless", "m1")
		if err != nil {
			return err
		}
		if n, err := tx.CountOthersOfCapture("x", m1.ID); n != 1 || err != nil {
			t.Errorf("others of x: %d, %v", n, err)
		}
		if got, err := tx.ExpiredSnapshots(hour(3), 10); err != nil || names(got) != "auto2 auto1" {
			t.Errorf("expired: %q, %v", names(got), err)
		}
		if got, err := tx.ExpiredSnapshots(hour(3), 1); err != nil || names(got) != "auto2" {
			t.Errorf("one expired: %q, %v", names(got), err)
		}
		if got, err := tx.AutomatedSnapshotsOf(a.ID); err != nil || names(got) != "auto2 auto3 auto1" {
			t.Errorf("automated: %q, %v", names(got), err)
		}
		if got, err := tx.SnapshotInProgress(a.ID); got != "" || err != nil {
			t.Errorf("in progress: %q, %v", got, err)
		}
		return nil
	})
	insertSnapshots(t, db, make("m4", a, func(s *resource.Snapshot) { s.Status = resource.SnapshotCreating }))
	view(t, db, func(tx *Tx) error {
		if got, err := tx.SnapshotInProgress(a.ID); got != "m4" || err != nil {
			t.Errorf("in progress: %q, %v", got, err)
		}
		return nil
	})
}

// A snapshot is found by what was named when it was asked for: a group, a member of it, a cache cluster that stands alone.
func TestSnapshotsByMember(t *testing.T) {
	t.Parallel()
	db := open(t)
	for name, s := range map[string]resource.Snapshot{
		"whole": {Kind: resource.ReplicationGroup}, "part": {Kind: resource.ReplicationGroup, FromNode: "orders-002"}, "alone": {Kind: resource.CacheCluster},
	} {
		s.ID, s.Name, s.Scope, s.Source.Name = name, name, east, "orders"
		insertSnapshots(t, db, &s)
	}
	for want, f := range map[string]SnapshotFilter{
		"part whole": {Kind: resource.ReplicationGroup, CacheName: "orders"}, "alone": {Member: "orders"}, "part": {Member: "orders-002"},
		"alone part whole": {}, "": {Member: "other"},
	} {
		f.Scope, f.Space = east, "elasticache"
		view(t, db, func(tx *Tx) error {
			all, err := tx.Snapshots(f)
			if got := names(all); got != want {
				t.Errorf("%+v finds %q, want %q", f, got, want)
			}
			return err
		})
	}
}

// TestPagesAreIndexed looks at SQLite's plans: each combination of filters must be one search of one index, in the order of the page.
func TestPagesAreIndexed(t *testing.T) {
	t.Parallel()
	db := openAt(t, t.TempDir()+"/meta.db")
	plan := func(query string, args ...any) string {
		t.Helper()
		rows, err := db.read.Query("EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		var all []string
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			all = append(all, detail)
		}
		return strings.Join(all, "; ")
	}
	for index, f := range map[string]SnapshotFilter{
		"snapshots_name (account=? AND region=? AND space=? AND name>?)":                                   {},
		"snapshots_cache (account=? AND region=? AND space=? AND cache_name=? AND name>?)":                 {CacheName: "c"},
		"snapshots_type (account=? AND region=? AND space=? AND type=? AND name>?)":                        {Type: "manual"},
		"snapshots_cache_type (account=? AND region=? AND space=? AND cache_name=? AND type=? AND name>?)": {CacheName: "c", Type: "manual"},
		"snapshots_member (account=? AND region=? AND space=? AND member=? AND name>?)":                    {Member: "m", Kind: resource.ReplicationGroup},
	} {
		f.Limit = 50
		query, args := f.query()
		if got, want := plan(query, args...), "SEARCH snapshots USING INDEX "+index; got != want {
			t.Errorf("plan is %q, want %q", got, want)
		}
	}
	for index, query := range map[string]string{
		"snapshots_expiry":   `SELECT document, status FROM snapshots WHERE expires_at > 0 AND expires_at <= 5 AND status IN ('available', 'failed') ORDER BY expires_at, id LIMIT 5`,
		"snapshots_of_cache": `SELECT document, status FROM snapshots WHERE cache_id = 'c' AND type = 'automated' ORDER BY requested_at DESC, id DESC`,
		"snapshots_capture":  `SELECT COUNT(*) FROM snapshots WHERE capture_id = 'x' AND capture_id <> '' AND id <> 's'`,
		"snapshots_creating": `SELECT name FROM snapshots WHERE cache_id = 'c' AND base = 'creating' AND copied_from = '' LIMIT 1`,
	} {
		if got := plan(query); !strings.Contains(got, "INDEX "+index+" ") || strings.Contains(got, "TEMP") || strings.Contains(got, "SCAN") {
			t.Errorf("plan is %q, want %s", got, index)
		}
	}
}

// TestSnapshotPagesMeetEverythingOnce pages through names while others are inserted behind the cursor: the pages together are what was there, each once.
func TestSnapshotPagesMeetEverythingOnce(t *testing.T) {
	t.Parallel()
	db := open(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		scope := resource.Scope{Account: fmt.Sprintf("%012d", run), Region: "us-east-1"}
		name := rapid.StringMatching(`[a-z]([a-z0-9-]{0,6})`)
		there := rapid.SliceOfNDistinct(name, 0, 40, rapid.ID).Draw(rt, "there")
		cache := cacheNamed(rapid.SampledFrom([]string{"", "c"}).Draw(rt, "filter"))
		insert := func(n string) {
			s := snapshotNamed(n, cacheNamed("c"))
			s.Scope = scope
			err := db.Update(context.Background(), func(tx *Tx) error { return tx.InsertSnapshot(s) })
			if err != nil && !strings.Contains(err.Error(), "already exists") {
				rt.Fatal(err)
			}
		}
		for _, n := range there {
			insert(n)
		}
		slices.Sort(there)
		f := SnapshotFilter{Scope: scope, Space: "serverless", CacheName: cache.Name, Limit: rapid.IntRange(1, 9).Draw(rt, "limit")}
		got := []string{}
		for {
			var page []*resource.Snapshot
			if err := db.View(context.Background(), func(tx *Tx) (err error) {
				page, err = tx.Snapshots(f)
				return err
			}); err != nil {
				rt.Fatal(err)
			}
			for _, s := range page {
				got = append(got, s.Name)
			}
			if len(page) < f.Limit {
				break
			}
			f.AfterName = page[len(page)-1].Name
			if late := name.Draw(rt, "late"); late <= f.AfterName {
				insert(late)
			}
		}
		if !slices.Equal(got, append([]string{}, there...)) {
			rt.Fatalf("pages gave %v of %v", got, there)
		}
	})
}
