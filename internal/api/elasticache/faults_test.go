package elasticache

import (
	"errors"
	"fmt"
	"testing"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/resource"
)

// Every kind of error about every type of resource has a fault that clients know. AccessDenied is the gateway's.
func TestEveryErrorHasAFault(t *testing.T) {
	t.Parallel()
	for _, kind := range resource.ErrorKinds() {
		for _, typ := range resource.Types() {
			e := resource.Errorf(kind, typ, "x", "what is wrong")
			got := fault(ecapi.OpCreateServerlessCache.Operation, fmt.Errorf("wrapped: %w", e))
			if kind == resource.AccessDenied {
				if got != nil {
					t.Errorf("%v %s becomes %v", kind, typ, got)
				}
				continue
			}
			if got == nil || got.Fault.Status < 400 || got.Fault.Status > 499 || !got.Fault.Sender || got.Message != "wrapped: what is wrong" {
				t.Errorf("%v %s becomes %+v", kind, typ, got)
			}
		}
	}
	if got := fault(ecapi.OpCreateServerlessCache.Operation, errors.New("disk on fire")); got != nil {
		t.Errorf("a failure of ours becomes %v", got)
	}
	bad := fault(ecapi.OpCreateServerlessCache.Operation, &wire.ValidationError{Parameter: "P", Missing: true})
	if bad == nil || bad.Fault != ecapi.InvalidParameterValueException {
		t.Errorf("a missing parameter becomes %v", bad)
	}
}

// The faults by which clients tell cases apart, with the codes and statuses of the API's model.
func TestFaultsOfServerlessResources(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   resource.ErrorKind
		typ    resource.Type
		code   string
		status int
	}{
		{resource.NotFound, resource.TypeCache, "ServerlessCacheNotFoundFault", 404},
		{resource.NotFound, resource.TypeSnapshot, "ServerlessCacheSnapshotNotFoundFault", 404},
		{resource.NotFound, resource.TypeNodeSnapshot, "SnapshotNotFoundFault", 404},
		{resource.NotFound, resource.TypeCluster, "CacheClusterNotFound", 404},
		{resource.NotFound, resource.TypeReplicationGroup, "ReplicationGroupNotFoundFault", 404},
		{resource.NotFound, resource.TypeSubnetGroup, "CacheSubnetGroupNotFoundFault", 400},
		{resource.NotFound, resource.TypeUserGroup, "UserGroupNotFound", 404},
		{resource.AlreadyExists, resource.TypeCache, "ServerlessCacheAlreadyExistsFault", 400},
		{resource.AlreadyExists, resource.TypeSnapshot, "ServerlessCacheSnapshotAlreadyExistsFault", 400},
		{resource.InvalidState, resource.TypeCache, "InvalidServerlessCacheStateFault", 400},
		{resource.InvalidState, resource.TypeSnapshot, "InvalidServerlessCacheSnapshotStateFault", 400},
		{resource.QuotaExceeded, resource.TypeCache, "ServerlessCacheQuotaForCustomerExceededFault", 400},
		{resource.QuotaExceeded, resource.TypeSnapshot, "ServerlessCacheSnapshotQuotaExceededFault", 400},
		{resource.InvalidValue, resource.TypeParameter, "InvalidParameterValue", 400},
		{resource.InvalidCombination, resource.TypeParameter, "InvalidParameterCombination", 400},
		{resource.TagQuota, resource.TypeOther, "TagQuotaPerResourceExceeded", 400},
		{resource.TagNotFound, resource.TypeOther, "TagNotFound", 404},
		{resource.InvalidARN, resource.TypeOther, "InvalidARN", 400},
		{resource.InvalidKey, resource.TypeParameter, "InvalidParameterValue", 400},
	} {
		got := fault(nil, resource.Errorf(c.kind, c.typ, "x", "m"))
		if got == nil || got.Fault.Code != c.code || got.Fault.Status != c.status {
			t.Errorf("%v %s becomes %+v, want %s %d", c.kind, c.typ, got, c.code, c.status)
		}
	}
}

// What the control plane can answer to an operation is declared by it, so that SDKs have a type for it.
func TestFaultsAreDeclared(t *testing.T) {
	t.Parallel()
	type about struct {
		kind resource.ErrorKind
		typ  resource.Type
	}
	value, combination := about{resource.InvalidValue, resource.TypeParameter}, about{resource.InvalidCombination, resource.TypeParameter}
	key, noCache, noSnapshot := about{resource.InvalidKey, resource.TypeParameter}, about{resource.NotFound, resource.TypeCache}, about{resource.NotFound, resource.TypeSnapshot}
	cacheState, snapshotState := about{resource.InvalidState, resource.TypeCache}, about{resource.InvalidState, resource.TypeSnapshot}
	snapshotExists, tags := about{resource.AlreadyExists, resource.TypeSnapshot}, about{resource.TagQuota, resource.TypeOther}
	noCluster, clusterState := about{resource.NotFound, resource.TypeCluster}, about{resource.InvalidState, resource.TypeCluster}
	noGroup, groupState := about{resource.NotFound, resource.TypeReplicationGroup}, about{resource.InvalidState, resource.TypeReplicationGroup}
	noUsers, usersState := about{resource.NotFound, resource.TypeUserGroup}, about{resource.InvalidState, resource.TypeUserGroup}
	noParameters, noSubnets := about{resource.NotFound, resource.TypeParameterGroup}, about{resource.NotFound, resource.TypeSubnetGroup}
	nodes, clusterNodes, shards := about{resource.QuotaExceeded, resource.TypeNode}, about{resource.QuotaExceeded, resource.TypeNodeOfCluster}, about{resource.QuotaExceeded, resource.TypeShard}
	finalExists, finalQuota := about{resource.AlreadyExists, resource.TypeNodeSnapshot}, about{resource.QuotaExceeded, resource.TypeNodeSnapshot}
	for _, c := range []struct {
		op  *wire.Operation
		can []about
	}{
		{ecapi.OpCreateServerlessCache.Operation, []about{value, combination, key, tags, {resource.AlreadyExists, resource.TypeCache}, {resource.QuotaExceeded, resource.TypeCache}, {resource.NotFound, resource.TypeUserGroup}}},
		{ecapi.OpDescribeServerlessCaches.Operation, []about{value, noCache}},
		{ecapi.OpModifyServerlessCache.Operation, []about{value, combination, noCache, cacheState, {resource.NotFound, resource.TypeUserGroup}}},
		{ecapi.OpDeleteServerlessCache.Operation, []about{value, noCache, cacheState, snapshotExists, key}},
		{ecapi.OpCreateServerlessCacheSnapshot.Operation, []about{value, noCache, cacheState, snapshotExists, tags, key, {resource.QuotaExceeded, resource.TypeSnapshot}}},
		{ecapi.OpCopyServerlessCacheSnapshot.Operation, []about{value, noSnapshot, snapshotState, snapshotExists, tags, key}},
		{ecapi.OpDescribeServerlessCacheSnapshots.Operation, []about{value, noCache, noSnapshot}},
		{ecapi.OpDeleteServerlessCacheSnapshot.Operation, []about{value, noSnapshot, snapshotState}},
		{ecapi.OpExportServerlessCacheSnapshot.Operation, []about{value, noSnapshot, snapshotState, key}},
		{ecapi.OpAddTagsToResource.Operation, []about{value, noCache, noSnapshot, tags, {resource.InvalidARN, resource.TypeOther}}},
		{ecapi.OpRemoveTagsFromResource.Operation, []about{value, noCache, noSnapshot, {resource.TagNotFound, resource.TypeOther}, {resource.InvalidARN, resource.TypeOther}}},
		{ecapi.OpListTagsForResource.Operation, []about{noCache, noSnapshot, {resource.InvalidARN, resource.TypeOther}}},
		{ecapi.OpDescribeEvents.Operation, []about{value, combination}},
		{ecapi.OpCreateReplicationGroup.Operation, []about{value, combination, key, tags, noCluster, clusterState, noParameters, noSubnets, noUsers, usersState, nodes, shards, clusterNodes,
			{resource.AlreadyExists, resource.TypeReplicationGroup}}},
		{ecapi.OpDescribeReplicationGroups.Operation, []about{value, noGroup}},
		{ecapi.OpModifyReplicationGroup.Operation, []about{value, combination, noGroup, groupState, noCluster, noParameters, noUsers, usersState, nodes, clusterNodes}},
		{ecapi.OpModifyReplicationGroupShardConfiguration.Operation, []about{value, combination, noGroup, groupState, nodes, shards, clusterNodes}},
		{ecapi.OpIncreaseReplicaCount.Operation, []about{value, combination, noGroup, groupState, nodes, clusterNodes, {resource.NoOperation, resource.TypeReplicationGroup}}},
		{ecapi.OpDecreaseReplicaCount.Operation, []about{value, combination, noGroup, groupState, {resource.NoOperation, resource.TypeReplicationGroup}}},
		{ecapi.OpTestFailover.Operation, []about{value, combination, noGroup, groupState, {resource.NotFound, resource.TypeShard}, {resource.Unsupported, resource.TypeShard}}},
		{ecapi.OpDeleteReplicationGroup.Operation, []about{value, combination, key, noGroup, groupState, finalExists, finalQuota}},
		{ecapi.OpCreateCacheCluster.Operation, []about{value, combination, key, tags, noGroup, groupState, noParameters, noSubnets, nodes, clusterNodes, {resource.AlreadyExists, resource.TypeCluster}}},
		{ecapi.OpDescribeCacheClusters.Operation, []about{value, noCluster}},
		{ecapi.OpModifyCacheCluster.Operation, []about{value, combination, noCluster, clusterState, noParameters, nodes, clusterNodes}},
		{ecapi.OpRebootCacheCluster.Operation, []about{noCluster, clusterState}},
		{ecapi.OpDeleteCacheCluster.Operation, []about{value, combination, key, noCluster, clusterState, finalExists, finalQuota, {resource.Unsupported, resource.TypeNodeSnapshot}}},
	} {
		for _, a := range c.can {
			if f := fault(c.op, resource.Errorf(a.kind, a.typ, "x", "m")); f == nil || !c.op.Declares(f.Fault) {
				t.Errorf("%s answers %v %s with %v, which it does not declare", c.op.Name, a.kind, a.typ, f)
			}
		}
	}
}
