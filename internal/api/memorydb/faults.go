package memorydb

import (
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/resource"
)

// byType are the faults that depend on the resource they are about.
var byType = map[resource.ErrorKind]map[resource.Type]*wire.Fault{
	resource.NotFound: {
		resource.TypeCluster: mdbapi.ClusterNotFoundFault, resource.TypeNodeSnapshot: mdbapi.SnapshotNotFoundFault,
		resource.TypeParameterGroup: mdbapi.ParameterGroupNotFoundFault, resource.TypeSubnetGroup: mdbapi.SubnetGroupNotFoundFault,
		resource.TypeUser: mdbapi.UserNotFoundFault, resource.TypeUserGroup: mdbapi.ACLNotFoundFault, resource.TypeDefaultUser: mdbapi.DefaultUserRequired,
		resource.TypeReservedNode: mdbapi.ReservedNodeNotFoundFault, resource.TypeReservedOffering: mdbapi.ReservedNodesOfferingNotFoundFault,
		resource.TypeServiceUpdate: mdbapi.ServiceUpdateNotFoundFault, resource.TypeMultiRegion: mdbapi.MultiRegionClusterNotFoundFault,
		resource.TypeMultiRegionGroup: mdbapi.MultiRegionParameterGroupNotFoundFault,
		resource.TypeShard:            mdbapi.ShardNotFoundFault,
	},
	resource.AlreadyExists: {
		resource.TypeCluster: mdbapi.ClusterAlreadyExistsFault, resource.TypeNodeSnapshot: mdbapi.SnapshotAlreadyExistsFault,
		resource.TypeParameterGroup: mdbapi.ParameterGroupAlreadyExistsFault, resource.TypeSubnetGroup: mdbapi.SubnetGroupAlreadyExistsFault,
		resource.TypeUser: mdbapi.UserAlreadyExistsFault, resource.TypeUserGroup: mdbapi.ACLAlreadyExistsFault, resource.TypeUserName: mdbapi.DuplicateUserNameFault,
	},
	resource.InvalidState: {
		resource.TypeCluster: mdbapi.InvalidClusterStateFault, resource.TypeNodeSnapshot: mdbapi.InvalidSnapshotStateFault,
		resource.TypeParameterGroup: mdbapi.InvalidParameterGroupStateFault, resource.TypeSubnetGroup: mdbapi.SubnetGroupInUseFault,
		resource.TypeUser: mdbapi.InvalidUserStateFault, resource.TypeUserGroup: mdbapi.InvalidACLStateFault,
	},
	resource.Unsupported:  {resource.TypeShard: mdbapi.TestFailoverNotAvailableFault},
	resource.InvalidValue: {resource.TypeSubnet: mdbapi.InvalidSubnet},
	resource.QuotaExceeded: {
		resource.TypeSubnet: mdbapi.SubnetQuotaExceededFault,
		resource.TypeShard:  mdbapi.ShardsPerClusterQuotaExceededFault, resource.TypeNode: mdbapi.NodeQuotaForCustomerExceededFault,
		resource.TypeNodeOfCluster: mdbapi.NodeQuotaForClusterExceededFault,
		resource.TypeCluster:       mdbapi.ClusterQuotaForCustomerExceededFault, resource.TypeNodeSnapshot: mdbapi.SnapshotQuotaExceededFault,
		resource.TypeParameterGroup: mdbapi.ParameterGroupQuotaExceededFault, resource.TypeSubnetGroup: mdbapi.SubnetGroupQuotaExceededFault,
		resource.TypeUser: mdbapi.UserQuotaExceededFault, resource.TypeUserGroup: mdbapi.ACLQuotaExceededFault,
	},
}

// byKind are the faults that do not, and those that stand in where the API has none for the resource.
var byKind = map[resource.ErrorKind]*wire.Fault{
	resource.NotFound:           mdbapi.InvalidParameterValueException,
	resource.AlreadyExists:      mdbapi.InvalidParameterValueException,
	resource.InvalidState:       mdbapi.InvalidParameterCombinationException,
	resource.QuotaExceeded:      mdbapi.InvalidParameterCombinationException,
	resource.InvalidValue:       mdbapi.InvalidParameterValueException,
	resource.InvalidCombination: mdbapi.InvalidParameterCombinationException,
	resource.TagQuota:           mdbapi.TagQuotaPerResourceExceeded,
	resource.TagNotFound:        mdbapi.TagNotFoundFault,
	resource.InvalidARN:         mdbapi.InvalidARNFault,
	resource.InvalidKey:         mdbapi.InvalidKMSKeyFault,
	resource.Unsupported:        mdbapi.InvalidParameterValueException,
	resource.NoOperation:        mdbapi.NoOperationFault,
}

var faults = gateway.Faults{ByType: byType, ByKind: byKind, Invalid: mdbapi.InvalidParameterValueException}

// fault translates what the control plane and the codec return.
func fault(op *wire.Operation, err error) *wire.FaultError { return faults.Translate(op, err) }
