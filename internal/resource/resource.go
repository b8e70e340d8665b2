// Package resource is the vocabulary of Keyframe: caches, shards, nodes, snapshots, tags, events, ARNs, states and errors.
// It does no I/O. Every other package talks in these words.
package resource

import (
	"cmp"
	"fmt"
	"time"
)

// Scope is the pair that keeps resources apart: one endpoint serves many accounts and regions.
type Scope struct {
	Account string // twelve digits
	Region  string // such as us-east-1
}

// Kind says what sort of deployment a cache, or the source of a snapshot, is.
type Kind string

const (
	Serverless       Kind = "serverless"        // ElastiCache serverless cache
	CacheCluster     Kind = "cache-cluster"     // ElastiCache cache cluster
	ReplicationGroup Kind = "replication-group" // ElastiCache replication group
	MemoryDBCluster  Kind = "memorydb-cluster"  // MemoryDB cluster
)

// Service is the AWS signing name of the API that owns resources of this kind.
func (k Kind) Service() string {
	if k == MemoryDBCluster {
		return "memorydb"
	}
	return "elasticache"
}

// SnapshotSpace names the space in which snapshot names are unique within a scope: serverless snapshots, node-based
// ElastiCache snapshots and MemoryDB snapshots do not collide with each other.
func (k Kind) SnapshotSpace() string {
	switch k {
	case Serverless:
		return "serverless"
	case MemoryDBCluster:
		return "memorydb"
	}
	return "elasticache"
}

// Engine names an engine family.
type Engine string

const (
	Valkey    Engine = "valkey"
	Redis     Engine = "redis"
	Memcached Engine = "memcached"
)

// CacheStatus is the status of a cache as the APIs show it.
type CacheStatus string

const (
	CacheCreating     CacheStatus = "creating"
	CacheAvailable    CacheStatus = "available"
	CacheModifying    CacheStatus = "modifying"
	CacheDeleting     CacheStatus = "deleting"
	CacheCreateFailed CacheStatus = "create-failed"

	// Of node-based caches only.
	CacheSnapshotting  CacheStatus = "snapshotting"
	CacheRebooting     CacheStatus = "rebooting cluster nodes"
	CacheRestoreFailed CacheStatus = "restore-failed"
)

// Limits are the usage limits of a serverless cache. Nil means that no limit was given.
type Limits struct {
	MinGB, MaxGB     *int64 `json:",omitempty"` // GB of data
	MinECPU, MaxECPU *int64 `json:",omitempty"` // ECPU per second; kept and shown, not enforced
}

// Equal reports whether both set the same limits.
func (l Limits) Equal(o Limits) bool {
	same := func(a, b *int64) bool { return a == b || a != nil && b != nil && *a == *b }
	return same(l.MinGB, o.MinGB) && same(l.MaxGB, o.MaxGB) && same(l.MinECPU, o.MinECPU) && same(l.MaxECPU, o.MaxECPU)
}

// Endpoint is where clients connect.
type Endpoint struct {
	Address string
	Port    int
}

// Cache is one deployment of an engine.
type Cache struct {
	ID   string // ULID: identity that outlives the name
	Kind Kind
	Scope
	Name         string // lower case
	Status       CacheStatus
	StatusReason string // why a create failed; empty otherwise
	Description  string
	CreatedAt    time.Time

	Engine             Engine
	MajorEngineVersion string // as asked for, "8"
	FullEngineVersion  string // the binary that runs, "8.0.1"

	Limits            Limits
	KMSKeyID          string // ARN, empty when none was given
	SecurityGroupIDs  []string
	SubnetIDs         []string
	UserGroupID       string
	NetworkType       string // ipv4
	SnapshotRetention int    // days; 0 turns automatic snapshots off
	DailySnapshotTime string // "hh:mm" UTC; empty when none was given
	Endpoint          Endpoint
	TLS               bool
	Restarts          int // times its engine came back empty: a snapshot asked for before does not show what is there after

	// RestoreFrom are the ARNs that the cache was created from: one snapshot, or S3 objects.
	RestoreFrom []string `json:",omitempty"`

	Layout *Layout `json:",omitempty"` // of a cache of nodes; nil for a serverless one
}

// ARN is the cache's Amazon Resource Name.
func (c *Cache) ARN() string { return CacheARN(c.Kind, c.Scope, c.Name) }

// Node is one engine process: a primary or a replica of a shard.
type Node struct {
	ID      string // ULID
	CacheID string
	Shard   string // "0001"
	Primary bool
	Host    string // the Keyframe host that runs it; empty until it is placed
	Address string // IP; empty until it is placed
	Port    int
	Slots   []SlotRange // of the shard

	// Of node-based caches only.
	Name      string     `json:",omitempty"` // of the member: "orders-0001-002", "orders-002", or the cache cluster's own name
	Number    string     `json:",omitempty"` // among the nodes of its cache cluster: "0001" everywhere but in memcached clusters
	Zone      string     `json:",omitempty"` // availability zone, kept and shown
	Status    NodeStatus `json:",omitempty"`
	CreatedAt time.Time  `json:",omitzero"`
}

// NodeStatus is the status of a node as the APIs show it.
type NodeStatus string

const (
	NodeCreating  NodeStatus = "creating"
	NodeAvailable NodeStatus = "available"
	NodeRebooting NodeStatus = "rebooting"
	NodeDeleting  NodeStatus = "deleting" // the job that reshapes its cache removes it
)

// Endpoint is where the node's clients connect; zero until it is placed.
func (n *Node) Endpoint() Endpoint { return Endpoint{n.Address, n.Port} }

// SlotRange is an inclusive range of hash slots, 0 to 16383.
type SlotRange struct{ Start, End int }

// AllSlots is the range that a single shard owns.
var AllSlots = []SlotRange{{0, 16383}}

// SnapshotStatus is the status of a snapshot as the APIs show it.
type SnapshotStatus string

const (
	SnapshotCreating  SnapshotStatus = "creating"
	SnapshotAvailable SnapshotStatus = "available"
	SnapshotRestoring SnapshotStatus = "restoring"
	SnapshotCopying   SnapshotStatus = "copying" // during a copy or an export
	SnapshotDeleting  SnapshotStatus = "deleting"
	SnapshotFailed    SnapshotStatus = "failed"
)

// SnapshotType tells who asked for a snapshot.
type SnapshotType string

const (
	Manual    SnapshotType = "manual"
	Automated SnapshotType = "automated"
)

// Snapshot is the data of all shards of a cache at one instant, plus the frozen configuration.
type Snapshot struct {
	ID   string // ULID; names the manifest in the store
	Kind Kind   // of the cache that it was taken from
	Scope
	Name         string // lower case
	Type         SnapshotType
	Status       SnapshotStatus
	StatusReason string // why it failed; empty otherwise

	Source      Cache     // the cache as it was when the snapshot was asked for
	RequestedAt time.Time // when the command was accepted
	CreatedAt   time.Time // the instant of the data; zero until then
	ExpiresAt   time.Time // automated snapshots only

	KMSKeyID   string // ARN of the key that wraps the data key
	KMSDefault bool   // the service's default key was taken: APIs show no key then
	CaptureID  string // the capture that holds the bytes; empty until available
	Bytes      int64  // of RDB, all shards
	Keys       int64  // all shards
	Databases  int    `json:",omitempty"` // one more than the highest number of a database with keys; 0 when it is not known
	CopiedFrom string // ID of the snapshot that this is a copy of

	FromNode string      `json:",omitempty"` // name of the member that was asked for as source; empty: any
	Shards   []ShardData `json:",omitempty"` // of node-based caches, in order of name
}

// Member is the cache cluster that the snapshot is of: one that stands alone, or the member of a replication group that was named. It is
// empty when a whole group or a cache of another kind was meant.
func (s *Snapshot) Member() string {
	if s.Kind == CacheCluster {
		return s.Source.Name
	}
	return s.FromNode
}

// ShardData is one shard of a snapshot.
type ShardData struct {
	Shard         Shard
	Node          string    // name of the member that it is taken from
	NodeCreatedAt time.Time // of that member
	NodeZone      string    // of that member
	Zone          string    // of the primary
	ReplicaZones  []string  `json:",omitempty"`
	Bytes         int64     // of RDB; 0 until available
	CreatedAt     time.Time // the instant; zero until available
}

// ARN is the snapshot's Amazon Resource Name.
func (s *Snapshot) ARN() string { return SnapshotARN(s.Kind, s.Scope, s.Name) }

// Use is a purpose for which a job holds a snapshot; it decides the status that is shown meanwhile.
type Use string

const (
	UseRestore Use = "restore"
	UseCopy    Use = "copy"
	UseExport  Use = "export"
)

// Event is one line of the story that DescribeEvents tells.
type Event struct {
	Scope
	Service    string // elasticache or memorydb
	SourceType string // serverless-cache, serverless-cache-snapshot, ...
	SourceID   string // name of the source
	Message    string
	At         time.Time
}

// Tag is a key with a value, which may be empty.
type Tag struct{ Key, Value string }

// ExportKey is the object key of shard k, counted from 1, of a snapshot of Valkey or Redis in the bucket that it is exported to.
func ExportKey(snapshot string, k int) string { return fmt.Sprintf("%s-%04d.rdb", snapshot, k) }

// ExportKey is the object key of shard k, counted from 1, in the bucket that the snapshot is exported to: an RDB file, or the items of
// memcached. An empty prefix stands for the snapshot's name.
func (s *Snapshot) ExportKey(prefix string, k int) string {
	prefix = cmp.Or(prefix, s.Name)
	if s.Source.Engine == Memcached {
		return fmt.Sprintf("%s-%04d.items", prefix, k)
	}
	return ExportKey(prefix, k)
}
