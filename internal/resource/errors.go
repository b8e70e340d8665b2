package resource

import "fmt"

// ErrorKind says what is wrong, in terms that every face can translate into its own faults.
type ErrorKind int

const (
	NotFound ErrorKind = iota + 1
	AlreadyExists
	InvalidState
	QuotaExceeded
	InvalidValue       // a parameter's value
	InvalidCombination // parameters that do not go together
	TagQuota
	TagNotFound
	InvalidARN
	InvalidKey   // a KMS key that is unknown, disabled or not usable
	Unsupported  // a feature that this engine, version or build does not have
	AccessDenied // the principal may not do this
	NoOperation  // everything is as it was asked to become
)

var errorKinds = [...]string{"", "NotFound", "AlreadyExists", "InvalidState", "QuotaExceeded", "InvalidValue", "InvalidCombination",
	"TagQuota", "TagNotFound", "InvalidARN", "InvalidKey", "Unsupported", "AccessDenied", "NoOperation"}

func (k ErrorKind) String() string { return errorKinds[k] }

// ErrorKinds lists every kind, for tests that walk them.
func ErrorKinds() []ErrorKind {
	all := make([]ErrorKind, 0, len(errorKinds)-1)
	for k := NotFound; int(k) < len(errorKinds); k++ {
		all = append(all, k)
	}
	return all
}

// Type names the sort of resource that an error is about.
type Type string

const (
	TypeCache            Type = "cache"    // a serverless cache
	TypeSnapshot         Type = "snapshot" // a serverless cache snapshot
	TypeCluster          Type = "cluster"
	TypeReplicationGroup Type = "replicationgroup"
	TypeNodeSnapshot     Type = "nodesnapshot" // a snapshot of a cluster or replication group
	TypeParameterGroup   Type = "parametergroup"
	TypeSubnetGroup      Type = "subnetgroup"
	TypeSubnet           Type = "subnet"
	TypeSecurityGroup    Type = "securitygroup"
	TypeUser             Type = "user"
	TypeUserGroup        Type = "usergroup"
	TypeUserName         Type = "username"    // the name with which a user logs in, within a group
	TypeDefaultUser      Type = "defaultuser" // the user of a group that is named default
	TypeReservedNode     Type = "reservednode"
	TypeReservedOffering Type = "reservedoffering"
	TypeServiceUpdate    Type = "serviceupdate"
	TypeGlobalGroup      Type = "globalreplicationgroup"
	TypeMultiRegion      Type = "multiregioncluster"
	TypeMultiRegionGroup Type = "multiregionparametergroup"
	TypeShard            Type = "shard"
	TypeNode             Type = "node"          // QuotaExceeded: nodes of a customer
	TypeNodeOfCluster    Type = "nodeofcluster" // QuotaExceeded: nodes of one cache
	TypeParameter        Type = "parameter"     // a request parameter; ID is its name
	TypeOther            Type = "other"
)

// Types lists every type, for tests that walk them.
func Types() []Type {
	return []Type{TypeCache, TypeSnapshot, TypeCluster, TypeReplicationGroup, TypeNodeSnapshot, TypeParameterGroup, TypeSubnetGroup,
		TypeSecurityGroup, TypeUser, TypeUserGroup, TypeUserName, TypeDefaultUser, TypeReservedNode, TypeReservedOffering, TypeServiceUpdate, TypeGlobalGroup,
		TypeMultiRegion, TypeMultiRegionGroup, TypeSubnet, TypeShard, TypeNode, TypeNodeOfCluster, TypeParameter, TypeOther}
}

// ErrorType is the type under which errors speak of caches of this kind.
func (k Kind) ErrorType() Type {
	switch k {
	case Serverless:
		return TypeCache
	case ReplicationGroup:
		return TypeReplicationGroup
	}
	return TypeCluster
}

// SnapshotErrorType is the type under which errors speak of snapshots of such caches.
func (k Kind) SnapshotErrorType() Type {
	if k == Serverless {
		return TypeSnapshot
	}
	return TypeNodeSnapshot
}

// Error is what floors 1 to 3 return when a command cannot be carried out. Each face maps (Kind, Type) to its own fault.
type Error struct {
	Kind    ErrorKind
	Type    Type
	ID      string // name of the resource or parameter
	Message string // for the user
}

func (e *Error) Error() string {
	if e.Message != "" {
		return e.Message
	}
	return fmt.Sprintf("%s %s: %s", e.Type, e.ID, e.Kind)
}

// Errorf makes an Error with a formatted message.
func Errorf(kind ErrorKind, typ Type, id, format string, args ...any) *Error {
	return &Error{Kind: kind, Type: typ, ID: id, Message: fmt.Sprintf(format, args...)}
}
