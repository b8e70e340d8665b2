package elasticache

import (
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/resource"
)

// byType are the faults that depend on the resource they are about.
var byType = map[resource.ErrorKind]map[resource.Type]*wire.Fault{
	resource.NotFound: {
		resource.TypeCache: ecapi.ServerlessCacheNotFoundFault, resource.TypeSnapshot: ecapi.ServerlessCacheSnapshotNotFoundFault,
		resource.TypeCluster: ecapi.CacheClusterNotFoundFault, resource.TypeReplicationGroup: ecapi.ReplicationGroupNotFoundFault,
		resource.TypeNodeSnapshot: ecapi.SnapshotNotFoundFault, resource.TypeParameterGroup: ecapi.CacheParameterGroupNotFoundFault,
		resource.TypeSubnetGroup: ecapi.CacheSubnetGroupNotFoundFault, resource.TypeSecurityGroup: ecapi.CacheSecurityGroupNotFoundFault,
		resource.TypeUser: ecapi.UserNotFoundFault, resource.TypeUserGroup: ecapi.UserGroupNotFoundFault, resource.TypeDefaultUser: ecapi.DefaultUserRequired,
		resource.TypeReservedNode: ecapi.ReservedCacheNodeNotFoundFault, resource.TypeReservedOffering: ecapi.ReservedCacheNodesOfferingNotFoundFault,
		resource.TypeServiceUpdate: ecapi.ServiceUpdateNotFoundFault, resource.TypeGlobalGroup: ecapi.GlobalReplicationGroupNotFoundFault,
		resource.TypeShard: ecapi.NodeGroupNotFoundFault,
	},
	resource.InvalidValue: {resource.TypeSubnet: ecapi.InvalidSubnet},
	resource.AlreadyExists: {
		resource.TypeUser: ecapi.UserAlreadyExistsFault, resource.TypeUserGroup: ecapi.UserGroupAlreadyExistsFault, resource.TypeUserName: ecapi.DuplicateUserNameFault,
		resource.TypeParameterGroup: ecapi.CacheParameterGroupAlreadyExistsFault, resource.TypeSubnetGroup: ecapi.CacheSubnetGroupAlreadyExistsFault,
		resource.TypeCache: ecapi.ServerlessCacheAlreadyExistsFault, resource.TypeSnapshot: ecapi.ServerlessCacheSnapshotAlreadyExistsFault,
		resource.TypeCluster: ecapi.CacheClusterAlreadyExistsFault, resource.TypeReplicationGroup: ecapi.ReplicationGroupAlreadyExistsFault,
		resource.TypeNodeSnapshot: ecapi.SnapshotAlreadyExistsFault,
	},
	resource.InvalidState: {
		resource.TypeParameterGroup: ecapi.InvalidCacheParameterGroupStateFault, resource.TypeSubnetGroup: ecapi.CacheSubnetGroupInUse,
		resource.TypeCache: ecapi.InvalidServerlessCacheStateFault, resource.TypeSnapshot: ecapi.InvalidServerlessCacheSnapshotStateFault,
		resource.TypeUser: ecapi.InvalidUserStateFault, resource.TypeUserGroup: ecapi.InvalidUserGroupStateFault, resource.TypeDefaultUser: ecapi.DefaultUserAssociatedToUserGroupFault,
		resource.TypeCluster: ecapi.InvalidCacheClusterStateFault, resource.TypeReplicationGroup: ecapi.InvalidReplicationGroupStateFault,
		resource.TypeNodeSnapshot: ecapi.InvalidSnapshotStateFault,
	},
	resource.Unsupported: {resource.TypeShard: ecapi.TestFailoverNotAvailableFault, resource.TypeNodeSnapshot: ecapi.SnapshotFeatureNotSupportedFault},
	resource.QuotaExceeded: {
		resource.TypeUser: ecapi.UserQuotaExceededFault, resource.TypeUserGroup: ecapi.UserGroupQuotaExceededFault,
		resource.TypeParameterGroup: ecapi.CacheParameterGroupQuotaExceededFault, resource.TypeSubnetGroup: ecapi.CacheSubnetGroupQuotaExceededFault,
		resource.TypeSubnet: ecapi.CacheSubnetQuotaExceededFault,
		resource.TypeShard:  ecapi.NodeGroupsPerReplicationGroupQuotaExceededFault, resource.TypeNode: ecapi.NodeQuotaForCustomerExceededFault,
		resource.TypeNodeOfCluster: ecapi.NodeQuotaForClusterExceededFault,
		resource.TypeCache:         ecapi.ServerlessCacheQuotaForCustomerExceededFault, resource.TypeSnapshot: ecapi.ServerlessCacheSnapshotQuotaExceededFault,
		resource.TypeNodeSnapshot: ecapi.SnapshotQuotaExceededFault,
	},
}

// byKind are the faults that do not, and those that stand in where the API has none for the resource.
var byKind = map[resource.ErrorKind]*wire.Fault{
	resource.NotFound:           ecapi.InvalidParameterValueException,
	resource.AlreadyExists:      ecapi.InvalidParameterValueException,
	resource.InvalidState:       ecapi.InvalidParameterCombinationException,
	resource.QuotaExceeded:      ecapi.InvalidParameterCombinationException,
	resource.InvalidValue:       ecapi.InvalidParameterValueException,
	resource.InvalidCombination: ecapi.InvalidParameterCombinationException,
	resource.TagQuota:           ecapi.TagQuotaPerResourceExceeded,
	resource.TagNotFound:        ecapi.TagNotFoundFault,
	resource.InvalidARN:         ecapi.InvalidARNFault,
	resource.InvalidKey:         ecapi.InvalidParameterValueException, // no serverless operation declares InvalidKMSKeyFault
	resource.Unsupported:        ecapi.InvalidParameterValueException,
	resource.NoOperation:        ecapi.NoOperationFault,
}

var faults = gateway.Faults{ByType: byType, ByKind: byKind, Invalid: ecapi.InvalidParameterValueException}

// fault translates what the control plane and the codec return.
func fault(op *wire.Operation, err error) *wire.FaultError { return faults.Translate(op, err) }
