package control

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// Schedule does what is due: the daily automated snapshots of caches that keep some, the end of those whose days are
// over, and changes that waited for a maintenance window. It may be called at any time and as often as one likes; app calls it every minute.
func (c *Control) Schedule(ctx context.Context) error {
	if err := c.expireSnapshots(ctx); err != nil {
		return fmt.Errorf("expiring automated snapshots: %w", err)
	}
	var failed []error // what is wrong with one cache does not keep the others waiting
	if err := c.maintain(ctx); err != nil {
		failed = append(failed, err)
	}
	var due []*resource.Cache
	err := c.db.View(ctx, func(tx *metastore.Tx) error {
		for cache, err := range tx.AllCaches() {
			if err != nil {
				return err
			}
			if cache.SnapshotRetention > 0 && cache.Status == resource.CacheAvailable && snapshottable(cache) == nil {
				due = append(due, cache)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, cache := range due {
		if err := c.dailySnapshot(ctx, cache); err != nil {
			failed = append(failed, fmt.Errorf("daily snapshot of %s: %w", cache.Name, err))
		}
	}
	return errors.Join(failed...)
}

// lateBy is how long after its time a daily snapshot is still taken, when the server was down or the cache busy. A snapshot window may last longer.
const lateBy = time.Hour

// dailySnapshot takes today's automated snapshot if its time has come and none was taken today. A cache whose key cannot be
// used gets a failed one, so that somebody sees it.
func (c *Control) dailySnapshot(ctx context.Context, cache *resource.Cache) error {
	now := c.now().UTC()
	at := lastOccurrence(now, snapshotTime(cache))
	if now.Sub(at) > max(lateBy, windowLength(cache)) || at.Before(cache.CreatedAt) {
		return nil
	}
	s := &resource.Snapshot{ID: newID(), Kind: cache.Kind, Scope: cache.Scope, Type: resource.Automated, Status: resource.SnapshotCreating, RequestedAt: now}
	done := func(tx *metastore.Tx) (bool, error) {
		current, err := tx.CacheByID(cache.ID)
		if err != nil || idle(tx, current) != nil {
			return true, ignoreNotFound(err)
		}
		earlier, err := tx.AutomatedSnapshotsOf(cache.ID)
		if err != nil || slices.ContainsFunc(earlier, func(e *resource.Snapshot) bool { return dayOf(e.Name) == at.Format(dayMark) }) {
			return true, err // perhaps at another time of day, or from another member, which was changed since
		}
		named, member, err := dailySource(tx, current)
		if err != nil {
			return true, err
		}
		s.Name = "automatic." + named + at.Format(dayMark+timeMark)
		if _, err := tx.SnapshotByName(cache.Scope, cache.Kind.SnapshotSpace(), s.Name); err == nil || !is(err, resource.NotFound) {
			return true, err // of another cache of that name, which is no more
		}
		s.ExpiresAt = at.Add(time.Duration(current.SnapshotRetention) * 24 * time.Hour)
		return false, freeze(tx, s, current, member, false)
	}
	var skip bool
	err := c.db.View(ctx, func(tx *metastore.Tx) (err error) { skip, err = done(tx); return err })
	if err != nil || skip {
		return err
	}
	unusable := c.resolveKey(ctx, s, cache.KMSKeyID)
	if unusable != nil && !is(unusable, resource.InvalidKey) {
		return unusable
	}
	s.KMSDefault = cache.KMSKeyID == ""
	return c.db.Update(ctx, func(tx *metastore.Tx) error {
		if skip, err := done(tx); err != nil || skip {
			return err
		}
		if unusable == nil {
			return c.insertSnapshot(tx, s, nil)
		}
		s.Status, s.StatusReason = resource.SnapshotFailed, unusable.Error()
		if err := c.recordSnapshot(tx, s, nil); err != nil {
			return err
		}
		return tx.AppendEvent(s.Event(c.now(), notTaken(s, unusable)))
	})
}

// notTaken is the event of a snapshot that could not be begun.
func notTaken(s *resource.Snapshot, why error) string {
	if s.Kind == resource.Serverless {
		return fmt.Sprintf("Failed to create snapshot for cache %s. Snapshot %s creation failed because %v", s.Source.Name, s.Name, why)
	}
	return fmt.Sprintf("Snapshot failed for snapshot with ID '%s' of %s with ID '%s': %v", s.Name, strings.ToLower(noun(s.Kind)), s.Source.Name, why)
}

// The end of an automated snapshot's name.
const (
	dayMark  = "-2006-01-02"
	timeMark = "-15-04"
)

// dayOf is the part of an automated snapshot's name that says its day.
func dayOf(name string) string {
	from := len(name) - len(dayMark) - len(timeMark)
	if from < 0 {
		return ""
	}
	return name[from : from+len(dayMark)]
}

// snapshotTime is the time of day at which a cache's daily snapshot is due: of a cache of nodes, the beginning of its window.
func snapshotTime(cache *resource.Cache) string {
	if cache.Layout == nil {
		return cache.DailySnapshotTime
	}
	begin, _, _ := strings.Cut(cache.Layout.SnapshotWindow, "-")
	return begin
}

// windowLength is how long the snapshot window of a cache of nodes lasts; zero without one.
func windowLength(cache *resource.Cache) time.Duration {
	if cache.Layout == nil {
		return 0
	}
	from, to, ok := strings.Cut(cache.Layout.SnapshotWindow, "-")
	begin, err := time.Parse("15:04", from)
	end, err2 := time.Parse("15:04", to)
	if !ok || err != nil || err2 != nil {
		return 0
	}
	return (end.Sub(begin) + 24*time.Hour) % (24 * time.Hour) // it may go past midnight
}

// dailySource is the name that a cache's daily snapshot is called after, and the member that it is taken from. In ElastiCache a group
// without cluster mode has a member of its choice for that, or else of ours, as long as it lives; others are taken as a whole.
func dailySource(tx *metastore.Tx, cache *resource.Cache) (named, member string, err error) {
	if cache.Kind != resource.ReplicationGroup || cache.Layout == nil || cache.Layout.ClusterMode || len(cache.Layout.Shards) == 0 {
		return cache.Name, "", nil
	}
	d, err := tx.Deployment(cache)
	if err != nil {
		return "", "", err
	}
	node := d.Member(cache.Layout.SnapshottingNode)
	if node == nil || node.Status != resource.NodeAvailable {
		node = d.Reader(cache.Layout.Shards[0].Name)
	}
	if node == nil {
		return cache.Name, "", nil
	}
	return node.Name, node.Name, nil
}

// keepFor makes the automated snapshots of a cache expire as its new retention has it. At 0 none is taken any more, and those
// that are there keep their day.
func keepFor(tx *metastore.Tx, cache *resource.Cache) error {
	if cache.SnapshotRetention == 0 {
		return nil
	}
	all, err := tx.AutomatedSnapshotsOf(cache.ID)
	if err != nil {
		return err
	}
	for _, s := range all {
		s.ExpiresAt = s.RequestedAt.AddDate(0, 0, cache.SnapshotRetention)
		if err := tx.UpdateSnapshot(s); err != nil {
			return err
		}
	}
	return nil
}

// lastOccurrence is the last time before now that the clock showed hh:mm, in UTC.
func lastOccurrence(now time.Time, hhmm string) time.Time {
	var h, m int
	fmt.Sscanf(hhmm, "%d:%d", &h, &m) //nolint:errcheck // checked when it was set
	at := time.Date(now.Year(), now.Month(), now.Day(), h, m, 0, 0, time.UTC)
	if at.After(now) {
		at = at.AddDate(0, 0, -1)
	}
	return at
}

// pickDailyTime chooses a time of day for a cache that keeps automated snapshots and named none: spread over the night by
// identity, so that not all caches are captured at once.
func pickDailyTime(cacheID string) string {
	h := fnv.New32a()
	h.Write([]byte(cacheID))
	minute := h.Sum32() % (8 * 60)
	return fmt.Sprintf("%02d:%02d", minute/60, minute%60)
}

// expireSnapshots deletes the automated snapshots whose retention is over.
func (c *Control) expireSnapshots(ctx context.Context) error {
	return c.db.Update(ctx, func(tx *metastore.Tx) error {
		expired, err := tx.ExpiredSnapshots(c.now(), 100)
		if err != nil {
			return err
		}
		for _, s := range expired {
			if err := c.deleteSnapshot(tx, s); err != nil {
				return err
			}
		}
		return nil
	})
}

func ignoreNotFound(err error) error {
	if is(err, resource.NotFound) {
		return nil
	}
	return err
}
