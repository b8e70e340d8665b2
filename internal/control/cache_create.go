package control

import (
	"context"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// CreateCache asks for a serverless cache.
type CreateCache struct {
	Scope              resource.Scope
	Name               string
	Description        string
	Engine             string
	MajorEngineVersion string // empty for the newest that runs here
	Limits             resource.Limits
	KMSKeyID           string
	SecurityGroupIDs   []string
	SubnetIDs          []string
	UserGroupID        string
	SnapshotArns       []string // restore from these
	Tags               []resource.Tag
	SnapshotRetention  *int
	DailySnapshotTime  string
	NetworkType        string
}

// CreateCache accepts the command: the cache is in the state creating when it returns.
func (c *Control) CreateCache(ctx context.Context, in CreateCache) (*resource.Cache, error) {
	cache, err := c.newCache(in)
	if err != nil {
		return nil, err
	}
	source, err := parseSource(in.Scope, in.SnapshotArns)
	if err != nil {
		return nil, err
	}
	check := func(tx *metastore.Tx) error { return c.checkNewCache(tx, cache, source) }
	if err := c.db.View(ctx, check); err != nil {
		return nil, err
	}
	if err := c.checkTags(in.Tags); err != nil {
		return nil, err
	}
	if in.KMSKeyID != "" {
		if cache.KMSKeyID, err = c.keys.Resolve(ctx, in.Scope, "elasticache", in.KMSKeyID); err != nil {
			return nil, err
		}
	}
	if err := source.usable(ctx, c); err != nil {
		return nil, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		if err := tx.InsertCache(cache); err != nil {
			return err
		}
		if err := tx.SetTags(cache.ARN(), in.Tags); err != nil {
			return err
		}
		return source.begin(tx, c, cache)
	})
	return cache, err
}

// newCache checks everything about a request that can be checked without looking anything up.
func (c *Control) newCache(in CreateCache) (*resource.Cache, error) {
	name, err := newName("ServerlessCacheName", in.Name, longestCacheName)
	if err != nil {
		return nil, err
	}
	family := resource.Engine(strings.ToLower(in.Engine))
	if err := checkEngine(family); err != nil {
		return nil, err
	}
	binary, err := c.serverlessVersion(family, in.MajorEngineVersion)
	if err != nil {
		return nil, err
	}
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	if err := checkKeyRef(in.KMSKeyID); err != nil {
		return nil, err
	}
	if err := checkLimits(in.Limits); err != nil {
		return nil, err
	}
	if err := checkNetwork(in.SecurityGroupIDs, in.SubnetIDs, in.NetworkType); err != nil {
		return nil, err
	}
	retention := 0
	if in.SnapshotRetention != nil {
		retention = *in.SnapshotRetention
	}
	if err := checkSchedule(retention, in.DailySnapshotTime); err != nil {
		return nil, err
	}
	id, daily := newID(), in.DailySnapshotTime
	if daily == "" && retention > 0 {
		daily = pickDailyTime(id)
	}
	return &resource.Cache{
		ID: id, Kind: resource.Serverless, Scope: in.Scope, Name: name, Status: resource.CacheCreating,
		Description: in.Description, CreatedAt: c.now(),
		Engine: family, MajorEngineVersion: binary.Major, FullEngineVersion: binary.FullVersion,
		Limits: in.Limits, SecurityGroupIDs: in.SecurityGroupIDs, SubnetIDs: in.SubnetIDs,
		UserGroupID: oldName(in.UserGroupID), NetworkType: "ipv4",
		SnapshotRetention: retention, DailySnapshotTime: daily, RestoreFrom: in.SnapshotArns,
	}, nil
}

// checkNewCache checks a new cache against what exists.
func (c *Control) checkNewCache(tx *metastore.Tx, cache *resource.Cache, source *source) error {
	_, err := tx.CacheByName(cache.Scope, cache.Kind, cache.Name)
	if err == nil {
		return resource.Errorf(resource.AlreadyExists, resource.TypeCache, cache.Name, "Serverless cache %s already exists.", cache.Name)
	}
	if !is(err, resource.NotFound) {
		return err
	}
	if err := checkUserGroups(tx, cache.Scope, "elasticache", cache.UserGroups(), cache.Engine); err != nil {
		return err
	}
	if err := source.find(tx, cache.Scope); err != nil {
		return err
	}
	if err := source.fits(cache); err != nil {
		return err
	}
	n, err := tx.CountCaches(cache.Scope, cache.Kind)
	if err != nil {
		return err
	}
	if n >= c.quota.ServerlessCaches {
		return resource.Errorf(resource.QuotaExceeded, resource.TypeCache, cache.Name,
			"You have already reached your quota of %d serverless caches in this region.", c.quota.ServerlessCaches)
	}
	return nil
}

func checkEngine(e resource.Engine) error {
	switch e {
	case resource.Valkey, resource.Redis, resource.Memcached:
		return nil
	}
	return invalid("Engine", "%q is not an engine of a serverless cache; the engines valkey, redis and memcached are served.", clip(string(e)))
}

// upgradeable refuses what AWS refuses: from valkey to redis, to memcached or from it, and to an older major version.
func upgradeable(what string, from resource.Engine, fromMajor string, to resource.Engine, toMajor string) error {
	if from == to {
		if older(toMajor, fromMajor) {
			return conflicting("%s %s %s cannot become %s %s: engine versions are never downgraded.", what, from, fromMajor, to, toMajor)
		}
		return nil
	}
	if from == resource.Redis && to == resource.Valkey {
		return nil
	}
	return conflicting("%s %s cannot become %s; only redis can become another engine, valkey.", what, from, to)
}

func checkNetwork(groups, subnets []string, networkType string) error {
	if networkType != "" && networkType != "ipv4" {
		return invalid("NetworkType", "%s is not available: Keyframe's nodes listen on IPv4 addresses.", clip(networkType))
	}
	for _, list := range []struct {
		param, prefix string
		ids           []string
	}{{"SecurityGroupIds", "sg-", groups}, {"SubnetIds", "subnet-", subnets}} {
		if len(list.ids) > 20 {
			return invalid(list.param, "At most 20 may be given; %d were.", len(list.ids))
		}
		for i, id := range list.ids {
			if !strings.HasPrefix(id, list.prefix) || !identifier.MatchString(id) || len(id) > 64 {
				return invalid(list.param, "%q is not an identifier that begins with %s.", clip(id), list.prefix)
			}
			if slices.Contains(list.ids[:i], id) {
				return invalid(list.param, "%q is given more than once.", clip(id))
			}
		}
	}
	return nil
}
