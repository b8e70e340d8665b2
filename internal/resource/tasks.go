package resource

// Task kinds: the jobs that follow from commands. Their arguments are the structs below, as JSON.
const (
	TaskCreateCache    = "create-cache"
	TaskModifyCache    = "modify-cache"
	TaskDeleteCache    = "delete-cache"
	TaskRecoverNode    = "recover-node"
	TaskCreateSnapshot = "create-snapshot"
	TaskCopySnapshot   = "copy-snapshot"
	TaskExportSnapshot = "export-snapshot"
	TaskDeleteSnapshot = "delete-snapshot"
	TaskConfigureCache = "configure-cache"
	TaskFailover       = "failover"
	TaskRebootNodes    = "reboot-nodes"
)

// CreateCacheTask starts a cache that is in the state creating, empty or filled from one source.
type CreateCacheTask struct {
	CacheID    string
	SnapshotID string     `json:",omitempty"` // restore from this snapshot
	Objects    []S3Object `json:",omitempty"` // or from these RDB files
}

// S3Object names an object in a bucket.
type S3Object struct{ Bucket, Key string }

// ModifyCacheTask brings the engines in line with the cache's record. For a cache of nodes that is its layout: nodes that are
// recorded and do not exist are made, slots move to the shards that shall have them, nodes that are being deleted go.
type ModifyCacheTask struct {
	CacheID string
	Engine  Engine `json:",omitempty"` // the new engine and version, empty when they stay
	Major   string `json:",omitempty"` // of a cache of nodes: the new Layout.EngineVersion
	Accept  bool   `json:",omitempty"` // bring the record in line with the engines instead: a change of the cache's nodes was given up
}

// ConfigureCacheTask brings users, parameters and memory limits of running nodes in line with the records.
type ConfigureCacheTask struct{ CacheID string }

// FailoverTask makes a replica of a shard its primary.
type FailoverTask struct {
	CacheID string
	Shard   string
	NodeID  string `json:",omitempty"` // of the replica that is wanted; empty for the one with the newest data
}

// RebootNodesTask restarts nodes one after the other.
type RebootNodesTask struct {
	CacheID string
	NodeIDs []string
}

// DeleteCacheTask takes the final snapshot, if one is named, and then removes the cache.
type DeleteCacheTask struct {
	CacheID         string
	FinalSnapshotID string `json:",omitempty"`
}

// RecoverNodeTask restarts a node whose process died.
type RecoverNodeTask struct{ CacheID, NodeID string }

// SnapshotTask is the argument of create-snapshot and delete-snapshot.
type SnapshotTask struct{ SnapshotID string }

// CopySnapshotTask makes the snapshot TargetID, which is in the state creating, a copy of SourceID.
type CopySnapshotTask struct{ SourceID, TargetID string }

// ExportSnapshotTask writes the snapshot's RDB files into a bucket.
type ExportSnapshotTask struct {
	SnapshotID string
	Bucket     string
	Name       string `json:",omitempty"` // that the files begin with: TargetSnapshotName; empty for the snapshot's own
}
