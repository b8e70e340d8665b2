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
)

// CreateCacheTask starts a cache that is in the state creating, empty or filled from one source.
type CreateCacheTask struct {
	CacheID    string
	SnapshotID string    `json:",omitempty"` // restore from this snapshot
	Object     *S3Object `json:",omitempty"` // or from this RDB file
}

// S3Object names an object in a bucket.
type S3Object struct{ Bucket, Key string }

// ModifyCacheTask brings the engine in line with the cache's record.
type ModifyCacheTask struct {
	CacheID string
	Engine  Engine `json:",omitempty"` // the new engine and version, empty when they stay
	Major   string `json:",omitempty"`
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
}
