package e2e

import (
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/keyframe/keyframe/internal/dataset"
)

func storage(least, most *int32) *types.CacheUsageLimits {
	return &types.CacheUsageLimits{DataStorage: &types.DataStorage{Minimum: least, Maximum: most, Unit: types.DataStorageUnitGb}}
}

func TestCaches(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.as("default", "us-east-1")
	made := ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("Limited", func(in *elasticache.CreateServerlessCacheInput) {
		in.Description, in.CacheUsageLimits = aws.String("with a limit"), storage(nil, aws.Int32(3))
		in.SecurityGroupIds, in.SubnetIds = []string{"sg-1"}, []string{"subnet-1", "subnet-2"}
		in.SnapshotRetentionLimit = aws.Int32(3)
	})).ServerlessCache
	if *made.ServerlessCacheName != "limited" || *made.Status != "creating" || made.Endpoint != nil || made.CreateTime == nil || *made.Engine != "valkey" ||
		*made.ARN != "arn:aws:elasticache:us-east-1:123456789012:serverlesscache:limited" || *made.CacheUsageLimits.DataStorage.Maximum != 3 ||
		*made.SnapshotRetentionLimit != 3 || len(*made.DailySnapshotTime) != 5 || len(made.SubnetIds) != 2 {
		t.Errorf("a cache in the making shows %+v", *made)
	}
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("old", func(in *elasticache.CreateServerlessCacheInput) {
		in.Engine, in.MajorEngineVersion = aws.String("redis"), aws.String("7")
	}))
	c.status(t, "limited", "available")
	c.status(t, "old", "available")

	t.Run("refused", func(t *testing.T) { refusedCaches(t, c) })
	t.Run("modify", func(t *testing.T) { modifiedCaches(t, c) })
	t.Run("upgrade", func(t *testing.T) { upgradedCaches(t, c) })
}

func refusedCaches(t *testing.T, c *client) {
	type input = elasticache.CreateServerlessCacheInput
	for name, bad := range map[string]struct {
		change func(*input)
		part   string
	}{
		"unknown":      {func(in *input) { in.Engine = aws.String("dragonfly") }, `"dragonfly" is not an engine`},
		"no-engine":    {func(in *input) { in.Engine = aws.String("") }, "The parameter Engine must be provided and must not be blank."},
		"version":      {func(in *input) { in.MajorEngineVersion = aws.String("99") }, "99"},
		"minor":        {func(in *input) { in.MajorEngineVersion = aws.String("8.0") }, "8.0 is not a major version; 8 is"},
		"odd-version":  {func(in *input) { in.MajorEngineVersion = aws.String("latest") }, `"latest" is not a major version`},
		"big":          {func(in *input) { in.CacheUsageLimits = storage(nil, aws.Int32(5001)) }, "between 1 and 5000"},
		"none":         {func(in *input) { in.CacheUsageLimits = storage(nil, aws.Int32(0)) }, "between 1 and 5000"},
		"crossed":      {func(in *input) { in.CacheUsageLimits = storage(aws.Int32(5), aws.Int32(4)) }, "above the maximum"},
		"retention":    {func(in *input) { in.SnapshotRetentionLimit = aws.Int32(36) }, "SnapshotRetentionLimit"},
		"negative":     {func(in *input) { in.SnapshotRetentionLimit = aws.Int32(-1) }, "SnapshotRetentionLimit"},
		"time":         {func(in *input) { in.DailySnapshotTime = aws.String("24:00") }, "DailySnapshotTime"},
		"group":        {func(in *input) { in.SecurityGroupIds = []string{"default"} }, "sg-"},
		"subnets":      {func(in *input) { in.SubnetIds = []string{"subnet-1", "subnet-1"} }, "more than once"},
		"six":          {func(in *input) { in.NetworkType = types.NetworkTypeIpv6 }, "ipv6"},
		"key":          {func(in *input) { in.KmsKeyId = aws.String("alias/none") }, "alias/none"},
		"two-sources":  {from("arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:a", "arn:aws:s3:::backups/l"), "one snapshot, or from RDB files"},
		"file-twice":   {from("arn:aws:s3:::backups/k", "arn:aws:s3:::backups/k"), "more than once"},
		"not-an-arn":   {from("orders-1"), "is not an ARN"},
		"bucket-only":  {from("arn:aws:s3:::b"), "arn:aws:s3:::bucket/key"},
		"comma":        {from("arn:aws:s3:::b/a,b"), "commas"},
		"no-snapshot":  {from("arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:none"), "none not found"},
		"their-region": {from("arn:aws:elasticache:eu-west-1:123456789012:serverlesscachesnapshot:none"), "another account or region"},
		"a-cache":      {from("arn:aws:elasticache:us-east-1:123456789012:serverlesscache:limited"), "cannot be restored"},
		"a-queue":      {from("arn:aws:sqs:us-east-1:123456789012:a:b"), "cannot be restored"},
	} {
		_, err := c.newCache(name, bad.change)
		wantFault[invalidValue](t, err, 400, bad.part)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	_, err := c.newCache("their-account", from("arn:aws:elasticache:us-east-1:999999999999:serverlesscachesnapshot:none"))
	wantCode(t, err, 403, "AccessDenied", "not authorized to perform", "999999999999")
	_, err = c.newCache("users", func(in *input) { in.UserGroupId = aws.String("nobody") })
	wantFault[*types.UserGroupNotFoundFault](t, err, 404, "nobody")
	_, err = c.newCache("tagged", func(in *input) { in.Tags = tags(51) })
	wantFault[tagQuota](t, err, 400)
	out := ok[*elasticache.DescribeServerlessCachesOutput](t)(c.DescribeServerlessCaches(context.Background(), &elasticache.DescribeServerlessCachesInput{}))
	if len(out.ServerlessCaches) != 2 {
		t.Errorf("refused commands left %d caches", len(out.ServerlessCaches))
	}
}

func (c *client) modify(name string, change func(*elasticache.ModifyServerlessCacheInput)) (*types.ServerlessCache, error) {
	in := &elasticache.ModifyServerlessCacheInput{ServerlessCacheName: &name}
	change(in)
	out, err := c.ModifyServerlessCache(context.Background(), in)
	if err != nil {
		return nil, err
	}
	return out.ServerlessCache, nil
}

func modifiedCaches(t *testing.T, c *client) {
	type input = elasticache.ModifyServerlessCacheInput
	if got := maxMemory(t, address(c.status(t, "limited", "available"))); got != 3<<30 {
		t.Errorf("maxmemory is %d", got)
	}
	if got := maxMemory(t, address(c.status(t, "old", "available"))); got != 1<<30 {
		t.Errorf("maxmemory without a limit is %d", got)
	}
	_, err := c.modify("limited", func(in *input) {})
	wantFault[invalidCombination](t, err, 400, "No modifications were requested")
	_, err = c.modify("limited", func(in *input) {
		in.Description, in.SnapshotRetentionLimit = aws.String("new"), aws.Int32(1)
	})
	wantFault[invalidCombination](t, err, 400, "Serverless Cache modifications only support modifying one field per request")
	if got := c.status(t, "limited", "available"); *got.Description != "with a limit" || *got.SnapshotRetentionLimit != 3 {
		t.Errorf("a refused change left %+v", got)
	}
	_, err = c.modify("limited", func(in *input) { in.CacheUsageLimits = storage(nil, aws.Int32(5001)) })
	wantFault[invalidValue](t, err, 400, "5000")
	_, err = c.modify("limited", func(in *input) { in.DailySnapshotTime = aws.String("5:00") })
	wantFault[invalidValue](t, err, 400, "DailySnapshotTime")
	_, err = c.modify("limited", func(in *input) { in.UserGroupId = aws.String("nobody") })
	wantFault[*types.UserGroupNotFoundFault](t, err, 404)
	_, err = c.modify("limited", func(in *input) { in.UserGroupId, in.RemoveUserGroup = aws.String("nobody"), aws.Bool(true) })
	wantFault[invalidCombination](t, err, 400)
	_, err = c.modify("limited", func(in *input) { in.Engine = aws.String("redis") })
	wantFault[invalidCombination](t, err, 400, "valkey", "redis")
	_, err = c.modify("limited", func(in *input) { in.MajorEngineVersion = aws.String("7") })
	wantFault[invalidCombination](t, err, 400, "never downgraded")

	// Fields that stay as they are do not count as modified.
	changed := ok[*types.ServerlessCache](t)(c.modify("limited", func(in *input) {
		in.CacheUsageLimits, in.Description = storage(nil, aws.Int32(2)), aws.String("with a limit")
	}))
	if *changed.Status != "modifying" || changed.Endpoint == nil {
		t.Errorf("the answer shows %+v", *changed)
	}
	_, err = c.newSnapshot("limited", "x")
	if err != nil { // the change may be over already
		wantFault[cacheState](t, err, 400, "modifying")
	}
	now := c.status(t, "limited", "available")
	if got := maxMemory(t, address(now)); got != 2<<30 || *now.CacheUsageLimits.DataStorage.Maximum != 2 {
		t.Errorf("maxmemory after the change is %d", got)
	}
	wantEvent(t, c.events(t, "serverless-cache", "limited"), "Cache limited is updated.")
	for _, change := range []func(*input){
		func(in *input) { in.Description = aws.String("") },
		func(in *input) { in.SnapshotRetentionLimit = aws.Int32(0) },
		func(in *input) { in.DailySnapshotTime = aws.String("05:00") },
		func(in *input) { in.SecurityGroupIds = []string{"sg-2", "sg-3"} },
		func(in *input) { in.RemoveUserGroup = aws.Bool(true) }, // none is there
	} {
		until(t, "a modification", func() (bool, error) { // the snapshot from above may still be in the way
			_, err := c.modify("limited", change)
			if err != nil && strings.Contains(err.Error(), "is being created") {
				return false, nil
			}
			return err == nil, err
		})
		c.status(t, "limited", "available")
	}
	if got := c.status(t, "limited", "available"); *got.Description != "" || *got.SnapshotRetentionLimit != 0 || *got.DailySnapshotTime != "05:00" || len(got.SecurityGroupIds) != 2 {
		t.Errorf("after the changes: %+v", got)
	}
}

// An upgrade from Redis to Valkey keeps data, endpoint and limit; a snapshot of Redis restores into Valkey, and not back.
func upgradedCaches(t *testing.T, c *client) {
	old := c.status(t, "old", "available")
	if *old.Engine != "redis" || *old.MajorEngineVersion != "7" {
		t.Fatalf("it is %s %s", *old.Engine, *old.MajorEngineVersion)
	}
	if _, err := dataset.Fill(t.Context(), dataset.At(address(old)), dataset.Spec{Keys: 500, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	want := digest(t, address(old))
	taken := c.take(t, "old", "of-redis")
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("other", from(*taken.ARN)))
	ok[*types.ServerlessCache](t)(c.modify("old", func(in *elasticache.ModifyServerlessCacheInput) {
		in.Engine, in.MajorEngineVersion = aws.String("valkey"), aws.String("8")
	}))
	now := c.status(t, "old", "available")
	if *now.Engine != "valkey" || *now.MajorEngineVersion != "8" || address(now) != address(old) || *now.FullEngineVersion == *old.FullEngineVersion {
		t.Errorf("after the upgrade: %s %s (%s) at %s; before at %s: %q", *now.Engine, *now.MajorEngineVersion, *now.FullEngineVersion, address(now), address(old),
			c.events(t, "serverless-cache", "old"))
	}
	if got := digest(t, address(now)); got != want {
		t.Errorf("after the upgrade %v, before %v", got, want)
	}
	if got := maxMemory(t, address(now)); got != 1<<30 {
		t.Errorf("maxmemory after the upgrade is %d", got)
	}
	restored := c.status(t, "other", "available", "create-failed")
	if got := digest(t, address(restored)); got != want {
		t.Errorf("a snapshot of redis restored into valkey holds %v, want %v", got, want)
	}
	newer := c.take(t, "old", "of-valkey")
	if *newer.ServerlessCacheConfiguration.Engine != "valkey" || *c.snapshotIn(t, "of-redis", "available").ServerlessCacheConfiguration.Engine != "redis" {
		t.Error("snapshots do not remember the engine that they were taken from")
	}
	_, err := c.newCache("back", from(*newer.ARN), func(in *elasticache.CreateServerlessCacheInput) { in.Engine = aws.String("redis") })
	wantFault[invalidCombination](t, err, 400, "valkey", "redis")
	_, err = c.newCache("down", from(*newer.ARN), func(in *elasticache.CreateServerlessCacheInput) { in.MajorEngineVersion = aws.String("7") })
	wantFault[invalidCombination](t, err, 400, "downgraded")
}
