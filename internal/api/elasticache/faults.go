package elasticache

import (
	"errors"

	"github.com/keyframe/keyframe/internal/api/ecapi"
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
		resource.TypeUser: ecapi.UserNotFoundFault, resource.TypeUserGroup: ecapi.UserGroupNotFoundFault,
		resource.TypeReservedNode: ecapi.ReservedCacheNodeNotFoundFault,
		resource.TypeShard:        ecapi.NodeGroupNotFoundFault,
	},
	resource.AlreadyExists: {
		resource.TypeCache: ecapi.ServerlessCacheAlreadyExistsFault, resource.TypeSnapshot: ecapi.ServerlessCacheSnapshotAlreadyExistsFault,
		resource.TypeCluster: ecapi.CacheClusterAlreadyExistsFault, resource.TypeReplicationGroup: ecapi.ReplicationGroupAlreadyExistsFault,
	},
	resource.InvalidState: {
		resource.TypeCache: ecapi.InvalidServerlessCacheStateFault, resource.TypeSnapshot: ecapi.InvalidServerlessCacheSnapshotStateFault,
		resource.TypeUserGroup: ecapi.InvalidUserGroupStateFault,
		resource.TypeCluster:   ecapi.InvalidCacheClusterStateFault, resource.TypeReplicationGroup: ecapi.InvalidReplicationGroupStateFault,
	},
	resource.Unsupported: {resource.TypeShard: ecapi.TestFailoverNotAvailableFault},
	resource.QuotaExceeded: {
		resource.TypeShard: ecapi.NodeGroupsPerReplicationGroupQuotaExceededFault, resource.TypeNode: ecapi.NodeQuotaForCustomerExceededFault,
		resource.TypeNodeOfCluster: ecapi.NodeQuotaForClusterExceededFault,
		resource.TypeCache:         ecapi.ServerlessCacheQuotaForCustomerExceededFault, resource.TypeSnapshot: ecapi.ServerlessCacheSnapshotQuotaExceededFault,
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

// fault translates what the control plane and the codec return. AccessDenied is the gateway's own.
func fault(_ *wire.Operation, err error) *wire.FaultError {
	var bad *wire.ValidationError
	if errors.As(err, &bad) {
		return ecapi.InvalidParameterValueException.New(bad.Error())
	}
	var e *resource.Error
	if !errors.As(err, &e) {
		return nil
	}
	f := byType[e.Kind][e.Type]
	if f == nil {
		f = byKind[e.Kind]
	}
	if f == nil {
		return nil
	}
	return f.New(err.Error())
}
