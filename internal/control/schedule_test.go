package control

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

func keeps(days int, daily string) func(*CreateCache) {
	return func(in *CreateCache) { in.SnapshotRetention, in.DailySnapshotTime = &days, daily }
}

func (p *plane) schedule(want ...string) {
	p.t.Helper()
	p.must(p.Schedule(context.Background()))
	if got := p.list(); !slices.Equal(got, want) {
		p.t.Errorf("at %v there is %q, want %q", p.now(), got, want)
	}
}

// A cache that keeps two days, over three of them.
func TestDailySnapshots(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.running("orders", keeps(2, "13:30"))
	p.running("plain")
	p.schedule()
	p.advance(89 * time.Minute)
	p.schedule() // 13:29
	p.advance(time.Minute)
	const first, second, third = "automatic.orders-2026-03-28-13-30 ", "automatic.orders-2026-03-29-13-30 ", "automatic.orders-2026-03-30-13-30 "
	p.schedule(first + "creating")
	p.schedule(first + "creating")
	p.finish(resource.SnapshotAvailable)
	p.advance(30 * time.Minute)
	p.schedule(first + "available") // one a day
	p.advance(23*time.Hour + 30*time.Minute)
	p.schedule(first+"available", second+"creating")
	p.finish(resource.SnapshotAvailable)
	p.advance(24*time.Hour - time.Minute)
	p.schedule(first+"available", second+"available")
	p.advance(time.Minute)
	p.schedule(first+"deleting", second+"available", third+"creating")
	if jobs := p.jobs(resource.TaskDeleteSnapshot); len(jobs) != 1 {
		t.Errorf("%d jobs delete snapshots", len(jobs))
	}
	if n := len(p.jobs(resource.TaskCreateSnapshot)); n != 3 {
		t.Errorf("%d jobs take snapshots", n)
	}
	// They do not count for the quota of manual ones.
	p.must(p.db.View(t.Context(), func(tx *metastore.Tx) error {
		cache, err := tx.CacheByName(home, resource.Serverless, "orders")
		if err != nil {
			return err
		}
		if n, err := tx.CountTaken(cache.ID, time.Time{}); n != 0 || err != nil {
			t.Errorf("%d in the ledger, %v", n, err)
		}
		return nil
	}))
}

// Late is better than never, up to an hour; a busy cache has its snapshot when it is free.
func TestLateSnapshots(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.running("slept", keeps(1, "12:30"))
	busy := p.running("slow", keeps(1, "13:00"))
	_, err := p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: serverlessSpace, Cache: busy.Name, Name: "manual"})
	p.must(err)
	p.advance(91 * time.Minute) // 13:31
	p.schedule("manual creating")
	p.finish(resource.SnapshotAvailable)
	p.schedule("automatic.slow-2026-03-28-13-00 creating", "manual available")
}

// A cache does not get a snapshot for a time of day before it was made, nor a second one when the time is moved.
func TestOneSnapshotADay(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	cache := p.running("orders", keeps(1, "11:59"))
	p.schedule()
	move := func(daily string) {
		t.Helper()
		_, err := p.ModifyCache(t.Context(), ModifyCache{Scope: home, Name: "orders", DailySnapshotTime: &daily})
		p.must(err)
		p.settle(cache.ID)
	}
	move("12:10")
	p.advance(15 * time.Minute)
	p.schedule("automatic.orders-2026-03-28-12-10 creating")
	p.finish(resource.SnapshotAvailable)
	move("12:20")
	p.advance(10 * time.Minute)
	p.schedule("automatic.orders-2026-03-28-12-10 available")
}

// A new retention holds for the snapshots that are there; none at all lets them have their day.
func TestRetentionChanges(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	cache := p.running("orders", keeps(10, "12:00"))
	change := func(days int) {
		t.Helper()
		_, err := p.ModifyCache(t.Context(), ModifyCache{Scope: home, Name: "orders", SnapshotRetention: &days})
		p.must(err)
		p.settle(cache.ID)
	}
	var all []string
	for day := range 4 {
		all = append(all, "automatic.orders-"+p.now().Format("2006-01-02-15-04")+" ")
		p.must(p.Schedule(t.Context()))
		p.finish(resource.SnapshotAvailable)
		if day < 3 {
			p.advance(24 * time.Hour)
		}
	}
	p.taken("orders", "manual")
	p.advance(time.Hour)
	p.schedule(all[0]+"available", all[1]+"available", all[2]+"available", all[3]+"available", "manual available")
	change(2)
	p.schedule(all[0]+"deleting", all[1]+"deleting", all[2]+"available", all[3]+"available", "manual available")
	change(0)
	p.advance(25 * time.Hour) // past tomorrow's time: nothing new
	p.schedule(all[0]+"deleting", all[1]+"deleting", all[2]+"deleting", all[3]+"available", "manual available")
}

// A key that cannot be used fails the snapshot of its cache where one can see it, once a day, and no other cache's.
func TestDailySnapshotsWithoutTheirKey(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	_, err := p.ring.Create(home, "alias/lost", "")
	p.must(err)
	p.running("a", keeps(1, "12:30"), func(in *CreateCache) { in.KMSKeyID = "alias/lost" })
	p.running("b", keeps(1, "12:30"))
	_, err = p.ring.Disable(home, "alias/lost")
	p.must(err)
	p.advance(31 * time.Minute)
	p.schedule("automatic.a-2026-03-28-12-30 failed", "automatic.b-2026-03-28-12-30 creating")
	p.advance(time.Minute)
	p.schedule("automatic.a-2026-03-28-12-30 failed", "automatic.b-2026-03-28-12-30 creating")
	events, _, err := p.DescribeEvents(t.Context(), DescribeEvents{Scope: home, Service: "elasticache", Type: "serverless-cache-snapshot", Source: "automatic.a-2026-03-28-12-30"})
	if err != nil || len(events) != 1 {
		t.Errorf("events: %v, %v", events, err)
	}
	// The service's own key stands behind caches without a key, and works as before.
	if _, err := p.ring.Resolve(t.Context(), home, "elasticache", kms.DefaultAlias("elasticache")); err != nil {
		t.Error(err)
	}
}

func TestLastOccurrence(t *testing.T) {
	t.Parallel()
	for now, want := range map[string]string{
		"2026-03-28T12:00:00Z": "2026-03-28T12:00:00Z", "2026-03-28T11:59:59Z": "2026-03-27T12:00:00Z", "2026-01-01T00:00:00Z": "2025-12-31T12:00:00Z",
		"2026-03-28T23:59:59Z": "2026-03-28T12:00:00Z",
	} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := lastOccurrence(at, "12:00").Format(time.RFC3339); got != want {
			t.Errorf("the noon before %s is %s, want %s", now, got, want)
		}
	}
	for range 200 {
		if daily := pickDailyTime(newID()); !dayTime.MatchString(daily) || daily >= "08:00" {
			t.Errorf("picked %q", daily)
		}
	}
}
