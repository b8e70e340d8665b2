package memorydb

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// Each phase of a snapshot shows what is known by then; the shards only if they are asked for.
func TestSnapshotShown(t *testing.T) {
	t.Parallel()
	scope := resource.Scope{Account: "123456789012", Region: "us-east-1"}
	s := &resource.Snapshot{Kind: resource.MemoryDBCluster, Scope: scope, Name: "my-cluster-snapshot", Type: resource.Manual, Status: resource.SnapshotCreating, KMSDefault: true, KMSKeyID: "arn:key",
		Source: resource.Cache{Kind: resource.MemoryDBCluster, Scope: scope, Name: "my-cluster", Engine: resource.Valkey, Layout: &resource.Layout{NodeType: "db.t4g.small", EngineVersion: "7.2.6", Port: 6379,
			ParameterGroup: "default.memorydb-valkey7", SubnetGroup: "my-sg", MaintenanceWindow: "wed:03:00-wed:04:00", SnapshotWindow: "05:00-06:00"}},
		Shards: []resource.ShardData{{Shard: resource.Shard{Name: "0001", Slots: resource.AllSlots, Replicas: 1}}}}
	want := func(phase string, shards bool, want string) {
		t.Helper()
		raw, err := wire.EncodeJSON(snapshotOut(s, shards))
		if err != nil {
			t.Fatal(err)
		}
		var got, expected any
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(want), &expected); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, expected) {
			t.Errorf("%s: %s", phase, raw)
		}
	}
	head := `"Name":"my-cluster","Description":"","NodeType":"db.t4g.small","Engine":"valkey","EngineVersion":"7.2","MaintenanceWindow":"wed:03:00-wed:04:00","Port":6379,
		"ParameterGroupName":"default.memorydb-valkey7","SubnetGroupName":"my-sg","VpcId":"` + control.VPC(scope) + `","SnapshotRetentionLimit":0,"SnapshotWindow":"05:00-06:00","NumShards":1`
	const arn = `"ARN":"arn:aws:memorydb:us-east-1:123456789012:snapshot/my-cluster-snapshot","DataTiering":"false"`
	want("creating", false, `{"Name":"my-cluster-snapshot","Status":"creating","Source":"manual",`+arn+`,"ClusterConfiguration":{`+head+`}}`)
	want("creating, in detail", true, `{"Name":"my-cluster-snapshot","Status":"creating","Source":"manual",`+arn+`,"ClusterConfiguration":{`+head+`,
		"Shards":[{"Name":"0001","Configuration":{"Slots":"0-16383","ReplicaCount":1},"Size":""}]}}`)
	s.Status, s.Type, s.KMSDefault, s.Source.Layout.Topic = resource.SnapshotAvailable, resource.Automated, false, "arn:topic"
	s.Shards[0].Bytes, s.Shards[0].CreatedAt = 11<<20-1, time.Unix(1700000000, 0)
	want("available", true, `{"Name":"my-cluster-snapshot","Status":"available","Source":"automated","KmsKeyId":"arn:key",`+arn+`,"ClusterConfiguration":{`+head+`,"TopicArn":"arn:topic",
		"Shards":[{"Name":"0001","Configuration":{"Slots":"0-16383","ReplicaCount":1},"Size":"11 MB","SnapshotCreationTime":1700000000}]}}`)
}

// Every kind of error about every type of resource has a fault that clients know. AccessDenied is the gateway's.
func TestEveryErrorHasAFault(t *testing.T) {
	t.Parallel()
	for _, op := range mdbapi.Service.Operations {
		for _, kind := range resource.ErrorKinds() {
			for _, typ := range resource.Types() {
				got := fault(op, resource.Errorf(kind, typ, "x", "what is wrong"))
				if kind == resource.AccessDenied {
					if got != nil {
						t.Errorf("%v %s becomes %v", kind, typ, got)
					}
				} else if got == nil || got.Message != "what is wrong" {
					t.Errorf("%s: %v %s becomes %+v", op.Name, kind, typ, got)
				}
			}
		}
	}
}

// What the control plane can answer to an operation on snapshots, tags and events is declared by it.
func TestFaultsAreDeclared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		op   *wire.Operation
		kind resource.ErrorKind
		typ  resource.Type
		code string
	}{
		{mdbapi.OpCreateSnapshot.Operation, resource.AlreadyExists, resource.TypeNodeSnapshot, "SnapshotAlreadyExistsFault"},
		{mdbapi.OpCreateSnapshot.Operation, resource.NotFound, resource.TypeCluster, "ClusterNotFoundFault"},
		{mdbapi.OpCreateSnapshot.Operation, resource.InvalidState, resource.TypeCluster, "InvalidClusterStateFault"},
		{mdbapi.OpCreateSnapshot.Operation, resource.QuotaExceeded, resource.TypeNodeSnapshot, "SnapshotQuotaExceededFault"},
		{mdbapi.OpCreateSnapshot.Operation, resource.InvalidKey, resource.TypeParameter, "InvalidParameterValueException"},
		{mdbapi.OpUpdateCluster.Operation, resource.InvalidKey, resource.TypeParameter, "InvalidKMSKeyFault"},
		{mdbapi.OpCopySnapshot.Operation, resource.NotFound, resource.TypeNodeSnapshot, "SnapshotNotFoundFault"},
		{mdbapi.OpCopySnapshot.Operation, resource.InvalidState, resource.TypeNodeSnapshot, "InvalidSnapshotStateFault"},
		{mdbapi.OpDescribeSnapshots.Operation, resource.NotFound, resource.TypeNodeSnapshot, "SnapshotNotFoundFault"},
		{mdbapi.OpDeleteSnapshot.Operation, resource.InvalidState, resource.TypeNodeSnapshot, "InvalidSnapshotStateFault"},
		{mdbapi.OpDeleteCluster.Operation, resource.AlreadyExists, resource.TypeNodeSnapshot, "SnapshotAlreadyExistsFault"},
		{mdbapi.OpTagResource.Operation, resource.TagQuota, resource.TypeOther, "TagQuotaPerResourceExceeded"},
		{mdbapi.OpTagResource.Operation, resource.NotFound, resource.TypeUserGroup, "ACLNotFoundFault"},
		{mdbapi.OpUntagResource.Operation, resource.TagNotFound, resource.TypeOther, "TagNotFoundFault"},
		{mdbapi.OpListTags.Operation, resource.InvalidARN, resource.TypeOther, "InvalidARNFault"},
		{mdbapi.OpDescribeEvents.Operation, resource.InvalidCombination, resource.TypeParameter, "InvalidParameterCombinationException"},
	} {
		f := fault(c.op, resource.Errorf(c.kind, c.typ, "x", "m"))
		if f == nil || f.Fault.Code != c.code || !c.op.Declares(f.Fault) {
			t.Errorf("%s answers %v %s with %+v, want %s", c.op.Name, c.kind, c.typ, f, c.code)
		}
	}
}
