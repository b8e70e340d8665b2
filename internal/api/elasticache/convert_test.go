package elasticache

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/api/coverage"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/resource"
)

var noon = time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)

func TestTagsAndLimitsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		tags := rapid.SliceOf(rapid.Custom(func(rt *rapid.T) resource.Tag {
			return resource.Tag{Key: rapid.String().Draw(rt, "key"), Value: rapid.String().Draw(rt, "value")}
		})).Draw(rt, "tags")
		if got := tagsIn(tagsOut(tags)); len(got) != len(tags) || len(tags) > 0 && !reflect.DeepEqual(got, tags) {
			rt.Fatalf("%v came back as %v", tags, got)
		}
		bound := rapid.Ptr(rapid.Int64Range(0, 15_000_000), true)
		l := resource.Limits{MinGB: bound.Draw(rt, "a"), MaxGB: bound.Draw(rt, "b"), MinECPU: bound.Draw(rt, "c"), MaxECPU: bound.Draw(rt, "d")}
		if got := limitsIn(limitsOut(l)); !got.Equal(l) {
			rt.Fatalf("%v came back as %v", l, got)
		}
	})
}

// A cache shows its endpoint when clients can use it, and nothing that was not set.
func TestCacheShown(t *testing.T) {
	t.Parallel()
	c := &resource.Cache{Kind: resource.Serverless, Scope: resource.Scope{Account: "123456789012", Region: "us-east-1"}, Name: "orders", Status: resource.CacheCreating,
		CreatedAt: noon, Engine: "valkey", MajorEngineVersion: "8", Endpoint: resource.Endpoint{Address: "127.42.0.1", Port: 6379}, NetworkType: "ipv4"}
	out := cacheOut(c)
	if out.Endpoint != nil || out.ReaderEndpoint != nil || out.KmsKeyId != nil || out.UserGroupId != nil || out.DailySnapshotTime != nil || out.CacheUsageLimits != nil ||
		out.FullEngineVersion != nil || *out.SnapshotRetentionLimit != 0 || *out.Status != "creating" || !out.CreateTime.Equal(noon) ||
		*out.ARN != "arn:aws:elasticache:us-east-1:123456789012:serverlesscache:orders" {
		t.Errorf("shown as %+v", out)
	}
	for _, status := range []resource.CacheStatus{resource.CacheAvailable, resource.CacheModifying, resource.CacheDeleting} {
		c.Status = status
		if out = cacheOut(c); out.Endpoint == nil || *out.Endpoint.Address != "127.42.0.1" || *out.Endpoint.Port != 6379 || *out.ReaderEndpoint != *out.Endpoint {
			t.Errorf("%s is shown as %+v", status, out)
		}
	}
	gb := int64(5)
	c.Limits.MaxGB = &gb
	if u := cacheOut(c).CacheUsageLimits; u.ECPUPerSecond != nil || u.DataStorage.Minimum != nil || *u.DataStorage.Maximum != 5 || *u.DataStorage.Unit != ecapi.DataStorageUnitGB {
		t.Errorf("limits shown as %+v", u)
	}
}

// Each phase of a snapshot shows what is known by then.
func TestSnapshotShown(t *testing.T) {
	t.Parallel()
	s := &resource.Snapshot{Kind: resource.Serverless, Scope: resource.Scope{Account: "123456789012", Region: "cn-north-1"}, Name: "s", Type: resource.Manual,
		Status: resource.SnapshotCreating, RequestedAt: noon, KMSKeyID: "arn:default", KMSDefault: true,
		Source: resource.Cache{Name: "orders", Engine: "redis", MajorEngineVersion: "7"}}
	out := snapshotOut(s)
	if out.CreateTime != nil || out.ExpiryTime != nil || out.BytesUsedForCache != nil || out.KmsKeyId != nil ||
		*out.ARN != "arn:aws-cn:elasticache:cn-north-1:123456789012:serverlesscachesnapshot:s" || *out.SnapshotType != "manual" {
		t.Errorf("creating is shown as %+v", out)
	}
	s.Status, s.CreatedAt, s.Type, s.ExpiresAt, s.KMSDefault = resource.SnapshotAvailable, noon, resource.Automated, noon.Add(time.Hour), false
	out = snapshotOut(s)
	if !out.CreateTime.Equal(noon) || !out.ExpiryTime.Equal(noon.Add(time.Hour)) || *out.BytesUsedForCache != "0" || *out.KmsKeyId != "arn:default" ||
		*out.ServerlessCacheConfiguration.ServerlessCacheName != "orders" || *out.ServerlessCacheConfiguration.Engine != "redis" {
		t.Errorf("available is shown as %+v", out)
	}
}

// Every operation of the API is either routed or refused with a reason.
func TestEveryOperationIsDecided(t *testing.T) {
	t.Parallel()
	served := 0
	for _, d := range Decisions() {
		if d.Name == "" || d.Reason == "" && d.Status != coverage.Served {
			t.Errorf("%+v says no reason", d)
		}
		if d.Status == coverage.Served || d.Status == coverage.Empty {
			served++
		}
	}
	if routes := New(nil).Routes(); served != len(routes) || served < 14 {
		t.Errorf("%d are said to be served, routes are %q", served, routes)
	}
}
