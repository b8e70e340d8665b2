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

// Schedule does what is due: the daily automated snapshots of caches that keep some, and the end of those whose days are
// over. It may be called at any time and as often as one likes; app calls it every minute.
func (c *Control) Schedule(ctx context.Context) error {
	if err := c.expireSnapshots(ctx); err != nil {
		return fmt.Errorf("expiring automated snapshots: %w", err)
	}
	var due []*resource.Cache
	err := c.db.View(ctx, func(tx *metastore.Tx) error {
		for cache, err := range tx.AllCaches() {
			if err != nil {
				return err
			}
			if cache.Kind == resource.Serverless && cache.SnapshotRetention > 0 && cache.Status == resource.CacheAvailable {
				due = append(due, cache)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	var failed []error // what is wrong with one cache does not keep the others waiting
	for _, cache := range due {
		if err := c.dailySnapshot(ctx, cache); err != nil {
			failed = append(failed, fmt.Errorf("daily snapshot of %s: %w", cache.Name, err))
		}
	}
	return errors.Join(failed...)
}

// lateBy is how long after its time a daily snapshot is still taken, when the server was down or the cache busy.
const lateBy = time.Hour

// dailySnapshot takes today's automated snapshot if its time has come and none was taken today. A cache whose key cannot be
// used gets a failed one, so that somebody sees it.
func (c *Control) dailySnapshot(ctx context.Context, cache *resource.Cache) error {
	now := c.now().UTC()
	at := lastOccurrence(now, cache.DailySnapshotTime)
	if now.Sub(at) > lateBy || at.Before(cache.CreatedAt) {
		return nil
	}
	prefix, clock := "automatic."+cache.Name+"-"+at.Format("2006-01-02"), at.Format("-15-04")
	s := &resource.Snapshot{ID: newID(), Kind: cache.Kind, Scope: cache.Scope, Type: resource.Automated, Status: resource.SnapshotCreating,
		Name: prefix + clock, RequestedAt: now}
	done := func(tx *metastore.Tx) (bool, error) {
		_, err := tx.SnapshotByName(cache.Scope, cache.Kind.SnapshotSpace(), s.Name)
		if err == nil || !is(err, resource.NotFound) {
			return true, err
		}
		earlier, err := tx.AutomatedSnapshotsOf(cache.ID)
		if err != nil || slices.ContainsFunc(earlier, func(e *resource.Snapshot) bool { return strings.HasPrefix(e.Name, prefix) }) {
			return true, err // its time of day was changed
		}
		current, err := tx.CacheByID(cache.ID)
		if err != nil || idle(tx, current) != nil {
			return true, ignoreNotFound(err)
		}
		s.Source = *current
		s.ExpiresAt = at.Add(time.Duration(current.SnapshotRetention) * 24 * time.Hour)
		return false, nil
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
		return tx.AppendEvent(s.Event(c.now(), fmt.Sprintf("Failed to create snapshot for cache %s. Snapshot %s creation failed because %v", cache.Name, s.Name, unusable)))
	})
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
