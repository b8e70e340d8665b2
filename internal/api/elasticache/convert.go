package elasticache

import (
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

// text is a string that was given, or nothing.
func text[S ~string](p *S) string {
	if p == nil {
		return ""
	}
	return string(*p)
}

// shown is the pointer to a string that an answer shows, nil when it is empty.
func shown(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// number widens a number that was given.
func number(p *int32) *int {
	if p == nil {
		return nil
	}
	n := int(*p)
	return &n
}

func long(p *int32) *int64 {
	if p == nil {
		return nil
	}
	n := int64(*p)
	return &n
}

func short(p *int64) *int32 {
	if p == nil {
		return nil
	}
	n := int32(*p)
	return &n
}

// instant is a time that an answer shows, nil when there is none yet.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func tagsIn(in []ecapi.Tag) []resource.Tag {
	out := make([]resource.Tag, len(in))
	for i, t := range in {
		out[i] = resource.Tag{Key: text(t.Key), Value: text(t.Value)}
	}
	return out
}

func tagsOut(in []resource.Tag) []ecapi.Tag {
	out := make([]ecapi.Tag, len(in))
	for i := range in {
		out[i] = ecapi.Tag{Key: &in[i].Key, Value: &in[i].Value}
	}
	return out
}

func limitsIn(in *ecapi.CacheUsageLimits) (l resource.Limits) {
	if in == nil {
		return l
	}
	if in.DataStorage != nil {
		l.MinGB, l.MaxGB = long(in.DataStorage.Minimum), long(in.DataStorage.Maximum)
	}
	if in.ECPUPerSecond != nil {
		l.MinECPU, l.MaxECPU = long(in.ECPUPerSecond.Minimum), long(in.ECPUPerSecond.Maximum)
	}
	return l
}

func limitsOut(l resource.Limits) *ecapi.CacheUsageLimits {
	if l == (resource.Limits{}) {
		return nil
	}
	out := &ecapi.CacheUsageLimits{}
	if l.MinGB != nil || l.MaxGB != nil {
		unit := ecapi.DataStorageUnitGB
		out.DataStorage = &ecapi.DataStorage{Minimum: short(l.MinGB), Maximum: short(l.MaxGB), Unit: &unit}
	}
	if l.MinECPU != nil || l.MaxECPU != nil {
		out.ECPUPerSecond = &ecapi.ECPUPerSecond{Minimum: short(l.MinECPU), Maximum: short(l.MaxECPU)}
	}
	return out
}

func cacheOut(c *resource.Cache) *ecapi.ServerlessCache {
	status, family, arn, retention := string(c.Status), string(c.Engine), c.ARN(), int32(c.SnapshotRetention)
	network := ecapi.NetworkType(c.NetworkType)
	out := &ecapi.ServerlessCache{
		ServerlessCacheName: &c.Name, Description: &c.Description, CreateTime: instant(c.CreatedAt), Status: &status,
		Engine: &family, MajorEngineVersion: &c.MajorEngineVersion, FullEngineVersion: shown(c.FullEngineVersion),
		CacheUsageLimits: limitsOut(c.Limits), KmsKeyId: shown(c.KMSKeyID), SecurityGroupIds: c.SecurityGroupIDs,
		ARN: &arn, UserGroupId: shown(c.UserGroupID), SubnetIds: c.SubnetIDs,
		SnapshotRetentionLimit: &retention, DailySnapshotTime: shown(c.DailySnapshotTime), NetworkType: &network,
		ConnectionType: ptr(ecapi.ConnectionTypeVpc), StorageEncryptionType: ptr(ecapi.StorageEncryptionTypeSseElasticache),
	}
	if c.KMSKeyID != "" {
		out.StorageEncryptionType = ptr(ecapi.StorageEncryptionTypeSseKms)
	}
	if c.Endpoint.Port != 0 && c.Status != resource.CacheCreating {
		// One node serves reads and writes; on AWS the reader endpoint differs by its port.
		port := int32(c.Endpoint.Port)
		out.Endpoint = &ecapi.Endpoint{Address: &c.Endpoint.Address, Port: &port}
		out.ReaderEndpoint = out.Endpoint
	}
	return out
}

func snapshotOut(s *resource.Snapshot) *ecapi.ServerlessCacheSnapshot {
	arn, kind, status, family := s.ARN(), string(s.Type), string(s.Status), string(s.Source.Engine)
	out := &ecapi.ServerlessCacheSnapshot{
		ServerlessCacheSnapshotName: &s.Name, ARN: &arn, SnapshotType: &kind, Status: &status,
		CreateTime: instant(s.CreatedAt), ExpiryTime: instant(s.ExpiresAt),
		ServerlessCacheConfiguration: &ecapi.ServerlessCacheConfiguration{
			ServerlessCacheName: &s.Source.Name, Engine: &family, MajorEngineVersion: &s.Source.MajorEngineVersion,
		},
	}
	if !s.KMSDefault {
		out.KmsKeyId = shown(s.KMSKeyID)
	}
	if !s.CreatedAt.IsZero() {
		size := strconv.FormatInt(s.Bytes, 10)
		out.BytesUsedForCache = &size
	}
	return out
}

func eventOut(e resource.Event) ecapi.Event {
	kind := ecapi.SourceType(e.SourceType)
	return ecapi.Event{SourceIdentifier: &e.SourceID, SourceType: &kind, Message: &e.Message, Date: instant(e.At)}
}

func versionOut(o engine.Offer) ecapi.CacheEngineVersion {
	family := string(o.Engine)
	return ecapi.CacheEngineVersion{Engine: &family, EngineVersion: &o.Version, CacheParameterGroupFamily: &o.Family,
		CacheEngineDescription: &o.Description, CacheEngineVersionDescription: &o.VersionDescription}
}
