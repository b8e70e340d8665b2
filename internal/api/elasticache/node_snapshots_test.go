package elasticache

import (
	"encoding/json"
	"maps"
	"reflect"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// fields are what an answer shows, with instants as seconds.
func fields(t *testing.T, v any) (m map[string]any) {
	t.Helper()
	raw, err := wire.EncodeJSON(v)
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func wantFields(t *testing.T, what string, got, want map[string]any) {
	t.Helper()
	for key := range maps.Keys(got) {
		if !reflect.DeepEqual(got[key], want[key]) {
			t.Errorf("%s: %s is %v, want %v", what, key, got[key], want[key])
		}
	}
	for key := range maps.Keys(want) {
		if got[key] == nil {
			t.Errorf("%s: %s is missing", what, key)
		}
	}
}

var (
	east    = resource.Scope{Account: "123456789012", Region: "us-east-1"}
	created = time.Date(2016, 12, 21, 22, 24, 4, 0, time.UTC)
	cut     = time.Date(2016, 12, 28, 7, 0, 52, 0, time.UTC)
)

// sample is the snapshot of AWS's example of CopySnapshot: a copy, just begun, of a cache cluster's snapshot.
func sample() *resource.Snapshot {
	return &resource.Snapshot{Kind: resource.CacheCluster, Scope: east, Name: "my-snapshot-copy", Type: resource.Manual, Status: resource.SnapshotCreating, KMSDefault: true, KMSKeyID: "arn:key",
		Source: resource.Cache{Kind: resource.CacheCluster, Scope: east, Name: "my-redis4", CreatedAt: created, Engine: resource.Redis, SnapshotRetention: 7, Layout: &resource.Layout{
			NodeType: "cache.m3.large", EngineVersion: "3.2.4", Port: 6379, ParameterGroup: "default.redis3.2", SubnetGroup: "default", AutoMinorUpgrade: true,
			MaintenanceWindow: "tue:09:30-tue:10:30", SnapshotWindow: "07:00-08:00", Shards: []resource.Shard{{Name: "0001"}}}},
		Shards: []resource.ShardData{{Shard: resource.Shard{Name: "0001"}, Node: "my-redis4", NodeCreatedAt: created, NodeZone: "us-east-1c", Zone: "us-east-1c", Bytes: 3 << 20, CreatedAt: cut}}}
}

// A snapshot of a cache cluster shows what AWS's example shows, and what is newer than that.
func TestSnapshotOfAClusterShown(t *testing.T) {
	t.Parallel()
	node := map[string]any{"CacheNodeCreateTime": float64(created.Unix()), "CacheNodeId": "0001", "CacheSize": "3 MB", "SnapshotCreateTime": float64(cut.Unix())}
	want := map[string]any{
		"AutoMinorVersionUpgrade": true, "CacheClusterCreateTime": float64(created.Unix()), "CacheClusterId": "my-redis4", "CacheNodeType": "cache.m3.large",
		"CacheParameterGroupName": "default.redis3.2", "CacheSubnetGroupName": "default", "Engine": "redis", "EngineVersion": "3.2.4", "NodeSnapshots": []any{node},
		"NumCacheNodes": 1.0, "Port": 6379.0, "PreferredAvailabilityZone": "us-east-1c", "PreferredMaintenanceWindow": "tue:09:30-tue:10:30",
		"SnapshotName": "my-snapshot-copy", "SnapshotRetentionLimit": 7.0, "SnapshotSource": "manual", "SnapshotStatus": "creating", "SnapshotWindow": "07:00-08:00",
		"VpcId": control.VPC(east), "ARN": "arn:aws:elasticache:us-east-1:123456789012:snapshot:my-snapshot-copy", "DataTiering": "disabled",
	}
	wantFields(t, "copy", fields(t, nodeSnapshotOut(sample(), false)), want)

	s := sample() // of one that is being taken
	s.Shards[0].Bytes, s.Shards[0].CreatedAt, s.Source.Layout.Topic, s.KMSDefault = 0, time.Time{}, "arn:topic", false
	node["CacheSize"] = ""
	delete(node, "SnapshotCreateTime")
	want["TopicArn"], want["KmsKeyId"] = "arn:topic", "arn:key"
	wantFields(t, "creating", fields(t, nodeSnapshotOut(s, false)), want)
	node["NodeGroupConfiguration"] = map[string]any{"NodeGroupId": "0001", "Slots": "0-16383", "ReplicaCount": 0.0, "PrimaryAvailabilityZone": "us-east-1c"}
	wantFields(t, "with its layout", fields(t, nodeSnapshotOut(s, true)), want)
}

// A snapshot of a group shows its shards, and one of a member that was named shows that.
func TestSnapshotOfAGroupShown(t *testing.T) {
	t.Parallel()
	s := sample()
	s.Kind, s.Source.Kind, s.Source.Description, s.Type, s.Status = resource.ReplicationGroup, resource.ReplicationGroup, "d", resource.Automated, resource.SnapshotAvailable
	s.Source.Layout.AutomaticFailover, s.Source.Layout.EngineVersion = true, "7.1"
	s.Shards = nil
	for i, name := range []string{"0001", "0002"} {
		s.Shards = append(s.Shards, resource.ShardData{Shard: resource.Shard{Name: name, Slots: []resource.SlotRange{{Start: 8192 * i, End: 8192*i + 8191}}, Replicas: 1},
			Node: "my-redis4-" + name + "-002", NodeCreatedAt: created, NodeZone: "us-east-1b", Zone: "us-east-1a", ReplicaZones: []string{"us-east-1b"}, Bytes: 1 + int64(i)<<20, CreatedAt: cut})
	}
	got := fields(t, nodeSnapshotOut(s, true))
	for key, want := range map[string]any{"ReplicationGroupId": "my-redis4", "ReplicationGroupDescription": "d", "AutomaticFailover": "enabled", "NumNodeGroups": 2.0,
		"SnapshotSource": "automated", "SnapshotStatus": "available", "EngineVersion": "7.1.0", "CacheClusterId": nil, "NumCacheNodes": nil, "CacheClusterCreateTime": nil, "PreferredAvailabilityZone": nil} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	shards, _ := got["NodeSnapshots"].([]any)
	if len(shards) != 2 {
		t.Fatalf("%d shards", len(shards))
	}
	wantFields(t, "second shard", shards[1].(map[string]any), map[string]any{"CacheClusterId": "my-redis4-0002-002", "NodeGroupId": "0002", "CacheNodeId": "0001", "CacheSize": "2 MB",
		"CacheNodeCreateTime": float64(created.Unix()), "SnapshotCreateTime": float64(cut.Unix()), "NodeGroupConfiguration": map[string]any{"NodeGroupId": "0002", "Slots": "8192-16383",
			"ReplicaCount": 1.0, "PrimaryAvailabilityZone": "us-east-1a", "ReplicaAvailabilityZones": []any{"us-east-1b"}}})

	s.FromNode, s.Shards = "my-redis4-002", s.Shards[:1]
	got = fields(t, nodeSnapshotOut(s, false))
	for key, want := range map[string]any{"CacheClusterId": "my-redis4-002", "NumCacheNodes": 1.0, "CacheClusterCreateTime": float64(created.Unix()), "PreferredAvailabilityZone": "us-east-1b",
		"NumNodeGroups": nil, "ReplicationGroupId": "my-redis4"} {
		if got[key] != want {
			t.Errorf("member: %s is %v, want %v", key, got[key], want)
		}
	}
}

// What the control plane can answer to an operation on snapshots of nodes is declared by it.
func TestFaultsOfNodeSnapshots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op   *wire.Operation
		kind resource.ErrorKind
		typ  resource.Type
		code string
	}{
		{ecapi.OpCreateSnapshot.Operation, resource.AlreadyExists, resource.TypeNodeSnapshot, "SnapshotAlreadyExistsFault"},
		{ecapi.OpCreateSnapshot.Operation, resource.NotFound, resource.TypeCluster, "CacheClusterNotFound"},
		{ecapi.OpCreateSnapshot.Operation, resource.NotFound, resource.TypeReplicationGroup, "ReplicationGroupNotFoundFault"},
		{ecapi.OpCreateSnapshot.Operation, resource.InvalidState, resource.TypeCluster, "InvalidCacheClusterState"},
		{ecapi.OpCreateSnapshot.Operation, resource.InvalidState, resource.TypeReplicationGroup, "InvalidReplicationGroupState"},
		{ecapi.OpCreateSnapshot.Operation, resource.QuotaExceeded, resource.TypeNodeSnapshot, "SnapshotQuotaExceededFault"},
		{ecapi.OpCreateSnapshot.Operation, resource.Unsupported, resource.TypeNodeSnapshot, "SnapshotFeatureNotSupportedFault"},
		{ecapi.OpCreateSnapshot.Operation, resource.InvalidKey, resource.TypeParameter, "InvalidParameterValue"},
		{ecapi.OpCreateSnapshot.Operation, resource.TagQuota, resource.TypeOther, "TagQuotaPerResourceExceeded"},
		{ecapi.OpCopySnapshot.Operation, resource.NotFound, resource.TypeNodeSnapshot, "SnapshotNotFoundFault"},
		{ecapi.OpCopySnapshot.Operation, resource.InvalidState, resource.TypeNodeSnapshot, "InvalidSnapshotState"},
		{ecapi.OpDescribeSnapshots.Operation, resource.NotFound, resource.TypeCluster, "CacheClusterNotFound"},
		{ecapi.OpDeleteSnapshot.Operation, resource.InvalidState, resource.TypeNodeSnapshot, "InvalidSnapshotState"},
		{ecapi.OpDeleteReplicationGroup.Operation, resource.Unsupported, resource.TypeNodeSnapshot, "SnapshotFeatureNotSupportedFault"},
		{ecapi.OpDeleteCacheCluster.Operation, resource.AlreadyExists, resource.TypeNodeSnapshot, "SnapshotAlreadyExistsFault"},
		{ecapi.OpCreateReplicationGroup.Operation, resource.NotFound, resource.TypeNodeSnapshot, "InvalidParameterValue"}, // it declares no other
		{ecapi.OpExportServerlessCacheSnapshot.Operation, resource.InvalidCombination, resource.TypeParameter, "InvalidParameterValue"},
	} {
		f := fault(c.op, resource.Errorf(c.kind, c.typ, "x", "m"))
		if f == nil || f.Fault.Code != c.code || !c.op.Declares(f.Fault) {
			t.Errorf("%s answers %v %s with %+v, want %s", c.op.Name, c.kind, c.typ, f, c.code)
		}
	}
}
