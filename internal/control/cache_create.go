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
	if source.snapshot != nil {
		if err := c.usableKey(ctx, source.snapshot); err != nil {
			return nil, err
		}
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
		task := resource.CreateCacheTask{CacheID: cache.ID, Objects: source.objects}
		if source.snapshot != nil {
			task.SnapshotID = source.snapshot.ID
		}
		id, err := c.enqueue(tx, resource.TaskCreateCache, cache.ID, task)
		if err != nil || source.snapshot == nil {
			return err
		}
		return tx.AddUse(source.snapshot.ID, id, resource.UseRestore)
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
		UserGroupID: strings.ToLower(in.UserGroupID), NetworkType: "ipv4",
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
	if cache.UserGroupID != "" {
		return noUserGroup(cache.UserGroupID)
	}
	if err := source.find(tx, cache); err != nil {
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
	case resource.Valkey, resource.Redis:
		return nil
	case resource.Memcached:
		return invalid("Engine", "Keyframe does not run serverless memcached yet; the engines valkey and redis are served.")
	}
	return invalid("Engine", "%q is not an engine of a serverless cache; the engines valkey and redis are served.", clip(string(e)))
}

// noUserGroup is the answer to every user group: none can be created yet.
func noUserGroup(id string) error {
	return resource.Errorf(resource.NotFound, resource.TypeUserGroup, id, "User group %s not found.", clip(id))
}

// source is what a new cache is filled from.
type source struct {
	name     string // of a snapshot
	snapshot *resource.Snapshot
	objects  []resource.S3Object
}

// parseSource reads SnapshotArnsToRestore: nothing, one serverless snapshot, or one S3 object.
func parseSource(scope resource.Scope, arns []string) (*source, error) {
	const param = "SnapshotArnsToRestore"
	switch len(arns) {
	case 0:
		return &source{}, nil
	case 1:
	default:
		return nil, invalid(param, "A serverless cache has one shard and is restored from one snapshot or one RDB file; %d ARNs were given.", len(arns))
	}
	a, ok := resource.ParseARN(arns[0])
	if !ok {
		return nil, invalid(param, "%q is not an ARN of a snapshot or an S3 object.", clip(arns[0]))
	}
	switch {
	case a.Service == "s3":
		bucket, key, ok := strings.Cut(a.Name, "/")
		if !ok || bucket == "" || key == "" || strings.Contains(key, ",") || a.Region != "" || a.Account != "" || a.Partition != resource.Partition(scope.Region) {
			return nil, invalid(param, "%q does not name an S3 object: arn:aws:s3:::bucket/key is expected, and the key may not contain commas.", clip(arns[0]))
		}
		if !bucketName.MatchString(bucket) || len(key) > longestObjectKey {
			return nil, invalid(param, "%q does not name an S3 object: that is no name of a bucket, or its key is longer than %d bytes.", clip(arns[0]), longestObjectKey)
		}
		return &source{objects: []resource.S3Object{{Bucket: bucket, Key: key}}}, nil
	case a.Service == "elasticache" && a.Type == "serverlesscachesnapshot":
		if a.Account != scope.Account || a.Region != scope.Region || a.Partition != resource.Partition(scope.Region) {
			return nil, invalid(param, "Snapshot %s belongs to another account or region; export it to S3 and restore the file.", clip(arns[0]))
		}
		return &source{name: a.Name}, nil
	}
	return nil, invalid(param, "%q cannot be restored into a serverless cache: a serverless cache snapshot or an S3 object is expected.", clip(arns[0]))
}

// find looks the snapshot up and refuses one that is not ready or that the engine cannot read.
func (s *source) find(tx *metastore.Tx, cache *resource.Cache) error {
	if s.name == "" {
		return nil
	}
	found, err := readySnapshot(tx, cache.Scope, s.name)
	switch {
	case is(err, resource.NotFound):
		return invalid("SnapshotArnsToRestore", "Serverless cache snapshot %s not found.", clip(s.name))
	case is(err, resource.InvalidState):
		return invalid("SnapshotArnsToRestore", "%v", err)
	case err != nil:
		return err
	}
	s.snapshot = found
	return upgradeable("a snapshot of", found.Source.Engine, found.Source.MajorEngineVersion, cache.Engine, cache.MajorEngineVersion)
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
