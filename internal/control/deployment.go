package control

import "github.com/keyframe/keyframe/internal/resource"

// CreateDeployment asks for a cache of nodes: a cache cluster, a replication group or a MemoryDB cluster. The faces translate
// their requests into it. Nil and empty fields were not given: they come from the snapshot that is restored, or else from AWS's defaults.
type CreateDeployment struct {
	Scope       resource.Scope
	Kind        resource.Kind
	Name        string
	Description string

	Engine         string
	EngineVersion  string
	NodeType       string
	Port           *int
	ParameterGroup string
	SubnetGroup    string
	SecurityGroups []string
	NetworkType    string

	NumShards   *int          // NumNodeGroups, NumShards
	Replicas    *int          // per shard: NumCacheClusters-1, ReplicasPerNodeGroup, NumReplicasPerShard
	Shards      []ShardWanted // NodeGroupConfiguration
	Nodes       *int          // NumCacheNodes of a cache cluster
	Zones       []string      // preferred availability zones, in order of nodes
	MultiZone   *bool         // MultiAZEnabled; AZMode cross-az
	ClusterMode *bool         // nil: as parameter group, shards and snapshot say
	Failover    *bool         // AutomaticFailoverEnabled

	SnapshotName           string   // in the space of the kind
	ServerlessSnapshotName string   // ServerlessCacheSnapshotName
	SnapshotArns           []string // RDB files in S3, or snapshots where the API allows it

	PrimaryCluster string // PrimaryClusterId: this cache cluster becomes the primary of the group
	JoinGroup      string // CreateCacheCluster's ReplicationGroupId: the node becomes a replica of that group

	MaintenanceWindow string
	SnapshotWindow    string
	SnapshotRetention *int
	AutoMinorUpgrade  *bool
	Topic             string // SNS topic ARN

	TransitEncryption *bool
	AtRestEncryption  *bool
	KMSKeyID          string
	AuthToken         resource.Secret
	UserGroups        []string // user groups; the ACL of a MemoryDB cluster

	Tags []resource.Tag
}

// ShardWanted is one shard as a client wants it.
type ShardWanted struct {
	Name         string               // NodeGroupId; empty: numbered
	Slots        []resource.SlotRange // nil: equal shares
	Replicas     *int
	PrimaryZone  string
	ReplicaZones []string
}

// named is the parameter of a request under the name that the kind's API gives it.
func named(kind resource.Kind, elasticache, memorydb string) string {
	if kind == resource.MemoryDBCluster {
		return memorydb
	}
	return elasticache
}

// Deployment bounds, as AWS documents them.
const (
	mostReplicas        = 5   // per shard
	mostShards          = 500 // of engines that run here: Redis from 5.0.6 on, Valkey
	mostMemcachedNodes  = 40
	mostNodesOfCluster  = 500 // nodes of one cache
	mostNodesOfCustomer = 300 // nodes of a service in a region
	lowestPort          = 1150
	longestClusterName  = 50
	longestTopic        = 1024
)

// nameParam is the parameter that names a cache of a kind, and its greatest length.
func nameParam(kind resource.Kind) (param string, longest int) {
	switch kind {
	case resource.CacheCluster:
		return "CacheClusterId", longestClusterName
	case resource.ReplicationGroup:
		return "ReplicationGroupId", longestCacheName
	}
	return "ClusterName", longestCacheName
}

// ModifyDeployment asks for changes of a cache of nodes. Nil and empty fields were not given: what they name stays as it is.
type ModifyDeployment struct {
	Scope resource.Scope
	Kind  resource.Kind
	Name  string

	// Immediately makes changes that interrupt service at once; else those of ElastiCache's caches (engine, node type, number of
	// nodes) wait for the maintenance window. MemoryDB always is immediate.
	Immediately bool

	Description       *string
	Engine            *string
	EngineVersion     *string
	NodeType          *string
	ParameterGroup    *string
	SecurityGroups    []string
	MaintenanceWindow *string
	SnapshotWindow    *string
	SnapshotRetention *int
	SnapshottingNode  *string
	AutoMinorUpgrade  *bool
	Topic             *string
	TopicStatus       *string // active or inactive, in any case
	Failover          *bool
	MultiZone         *bool
	Primary           *string // PrimaryClusterId: this member becomes the primary
	ClusterMode       *bool

	AuthToken        *resource.Secret
	AuthStrategy     string // SET, ROTATE, DELETE; empty is ROTATE
	UserGroupsAdd    []string
	UserGroupsRemove []string
	RemoveUserGroups bool
	ACL              *string // MemoryDB

	Nodes       *int     // NumCacheNodes of a memcached cluster
	RemoveNodes []string // CacheNodeIdsToRemove
	NewZones    []string // NewAvailabilityZones

	NumShards *int // ShardConfiguration of MemoryDB; ElastiCache has ReshardDeployment
	Replicas  *int // ReplicaConfiguration of MemoryDB; ElastiCache has ChangeReplicas
}
