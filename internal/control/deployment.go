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

// ModifyDeployment asks for changes of a cache of nodes. Nil fields stay as they are.
type ModifyDeployment struct {
	Scope resource.Scope
	Kind  resource.Kind
	Name  string

	Immediately bool // ElastiCache: else what interrupts service waits for the maintenance window; MemoryDB always is

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
	TopicStatus       *string
	Failover          *bool
	MultiZone         *bool
	Primary           *string // PrimaryClusterId: this member becomes the primary
	ClusterMode       *bool

	AuthToken        *resource.Secret
	AuthStrategy     string // SET, ROTATE, DELETE
	UserGroupsAdd    []string
	UserGroupsRemove []string
	RemoveUserGroups bool
	ACL              *string // MemoryDB

	Nodes         *int     // NumCacheNodes, memcached
	RemoveNodes   []string // CacheNodeIdsToRemove
	NewZones      []string
	NumShards     *int           // ShardConfiguration of MemoryDB, NodeGroupCount
	Shards        []ShardWanted  // ReshardingConfiguration
	RemoveShards  []string       // NodeGroupsToRemove
	RetainShards  []string       // NodeGroupsToRetain
	Replicas      *int           // per shard, for all shards
	ShardReplicas map[string]int // for some shards
	RemoveMembers []string       // ReplicasToRemove
}
