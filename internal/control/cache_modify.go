package control

import (
	"context"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// ModifyCache asks for a change of one field of a serverless cache. Nil fields were not given.
type ModifyCache struct {
	Scope              resource.Scope
	Name               string
	Description        *string
	Limits             *resource.Limits
	RemoveUserGroup    bool
	UserGroupID        *string
	SecurityGroupIDs   []string
	SnapshotRetention  *int
	DailySnapshotTime  *string
	Engine             *string
	MajorEngineVersion *string
}

// ModifyCache accepts the command: the cache is in the state modifying until the engine has followed.
func (c *Control) ModifyCache(ctx context.Context, in ModifyCache) (*resource.Cache, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	var cache *resource.Cache
	err := c.db.Update(ctx, func(tx *metastore.Tx) (err error) {
		if cache, err = tx.CacheByName(in.Scope, resource.Serverless, oldName(in.Name)); err != nil {
			return notFound(err, resource.TypeCache, in.Name)
		}
		if err := idle(tx, cache); err != nil {
			return err
		}
		if in.UserGroupID != nil {
			if err := checkUserGroups(tx, cache.Scope, "elasticache", []string{*in.UserGroupID}, cache.Engine); err != nil {
				return err
			}
		}
		task := resource.ModifyCacheTask{CacheID: cache.ID}
		changed := in.apply(cache)
		if in.Engine != nil || in.MajorEngineVersion != nil {
			if task.Engine, task.Major, err = c.newEngine(cache, in); err != nil {
				return err
			}
			if task.Engine != "" {
				changed = append(changed, "Engine")
			}
		}
		if len(changed) > 1 {
			return conflicting("Serverless Cache modifications only support modifying one field per request")
		}
		if len(changed) == 0 {
			return nil
		}
		if slices.Contains(changed, "SnapshotRetentionLimit") {
			if err := keepFor(tx, cache); err != nil {
				return err
			}
		}
		cache.Status = resource.CacheModifying
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
		if slices.Contains(changed, "UserGroupId") { // the cache is available again when its clients' accounts are those of the group
			if _, err := c.spread(tx, []*resource.Cache{cache}); err != nil {
				return err
			}
		}
		_, err = c.enqueue(tx, resource.TaskModifyCache, cache.ID, task)
		return err
	})
	return cache, err
}

// check refuses values that can never be right.
func (in *ModifyCache) check() error {
	given := in.Description != nil || in.Limits != nil || in.RemoveUserGroup || in.UserGroupID != nil || in.SecurityGroupIDs != nil ||
		in.SnapshotRetention != nil || in.DailySnapshotTime != nil || in.Engine != nil || in.MajorEngineVersion != nil
	if !given {
		return conflicting("No modifications were requested")
	}
	if in.RemoveUserGroup && in.UserGroupID != nil {
		return conflicting("UserGroupId and RemoveUserGroup cannot be given together.")
	}
	if in.Description != nil {
		if err := checkDescription(*in.Description); err != nil {
			return err
		}
	}
	if in.Limits != nil {
		if err := checkLimits(lifted(*in.Limits)); err != nil {
			return err
		}
	}
	if err := checkNetwork(in.SecurityGroupIDs, nil, ""); err != nil {
		return err
	}
	retention, daily := 0, ""
	if in.SnapshotRetention != nil {
		retention = *in.SnapshotRetention
	}
	if in.DailySnapshotTime != nil {
		daily = *in.DailySnapshotTime
	}
	return checkSchedule(retention, daily)
}

// apply sets the fields that were given and returns the names of those that differ from what was.
func (in *ModifyCache) apply(cache *resource.Cache) (changed []string) {
	note := func(field string, differs bool) {
		if differs {
			changed = append(changed, field)
		}
	}
	if in.Description != nil {
		note("Description", cache.Description != *in.Description)
		cache.Description = *in.Description
	}
	if in.Limits != nil {
		merged := mergeLimits(cache.Limits, *in.Limits)
		note("CacheUsageLimits", !merged.Equal(cache.Limits))
		cache.Limits = merged
	}
	if in.RemoveUserGroup || in.UserGroupID != nil {
		group := ""
		if in.UserGroupID != nil {
			group = oldName(*in.UserGroupID)
		}
		note("UserGroupId", cache.UserGroupID != group)
		cache.UserGroupID = group
	}
	if in.SecurityGroupIDs != nil {
		note("SecurityGroupIds", !slices.Equal(cache.SecurityGroupIDs, in.SecurityGroupIDs))
		cache.SecurityGroupIDs = in.SecurityGroupIDs
	}
	if in.SnapshotRetention != nil {
		note("SnapshotRetentionLimit", cache.SnapshotRetention != *in.SnapshotRetention)
		cache.SnapshotRetention = *in.SnapshotRetention
		if cache.SnapshotRetention > 0 && cache.DailySnapshotTime == "" {
			cache.DailySnapshotTime = pickDailyTime(cache.ID)
		}
	}
	if in.DailySnapshotTime != nil {
		note("DailySnapshotTime", cache.DailySnapshotTime != *in.DailySnapshotTime)
		cache.DailySnapshotTime = *in.DailySnapshotTime
	}
	return changed
}

// mergeLimits replaces the dimensions that a request names, with nothing if it names zero, and keeps the others.
func mergeLimits(old, in resource.Limits) resource.Limits {
	if in.MinGB != nil || in.MaxGB != nil {
		old.MinGB, old.MaxGB = in.MinGB, in.MaxGB
	}
	if in.MinECPU != nil || in.MaxECPU != nil {
		old.MinECPU, old.MaxECPU = in.MinECPU, in.MaxECPU
	}
	return lifted(old)
}

// newEngine resolves a change of engine or version. It returns nothing when both stay.
func (c *Control) newEngine(cache *resource.Cache, in ModifyCache) (resource.Engine, string, error) {
	family, major := cache.Engine, ""
	if in.Engine != nil {
		family = resource.Engine(strings.ToLower(*in.Engine))
	}
	if in.MajorEngineVersion != nil {
		major = *in.MajorEngineVersion
	}
	if err := checkEngine(family); err != nil {
		return "", "", err
	}
	if family == cache.Engine && (major == "" || major == cache.MajorEngineVersion) {
		return "", "", nil
	}
	binary, err := c.serverlessVersion(family, major)
	if err != nil {
		return "", "", err
	}
	if err := upgradeable("a cache of", cache.Engine, cache.MajorEngineVersion, family, binary.Major); err != nil {
		return "", "", err
	}
	return family, binary.Major, nil
}
