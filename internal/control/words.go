package control

import "github.com/keyframe/keyframe/internal/resource"

// noun is what messages call a cache of this kind.
func noun(k resource.Kind) string {
	switch k {
	case resource.Serverless:
		return "Serverless cache"
	case resource.CacheCluster:
		return "Cache cluster"
	case resource.ReplicationGroup:
		return "Replication group"
	}
	return "Cluster"
}

// serverlessSpace is the space of snapshots of serverless caches.
var serverlessSpace = resource.Serverless.SnapshotSpace()

// snapshotNoun is what messages call a snapshot of this space.
func snapshotNoun(space string) string {
	if space == serverlessSpace {
		return "Serverless cache snapshot"
	}
	return "Snapshot"
}

// snapshotType is the type under which errors speak of a snapshot of this space.
func snapshotType(space string) resource.Type {
	if space == serverlessSpace {
		return resource.TypeSnapshot
	}
	return resource.TypeNodeSnapshot
}

// noSnapshot gives a not-found error the text of the API; other errors pass.
func noSnapshot(err error, space, name string) error {
	if !is(err, resource.NotFound) {
		return err
	}
	return resource.Errorf(resource.NotFound, snapshotType(space), name, "%s %s not found.", snapshotNoun(space), clip(name))
}

// noCache gives a not-found error the text of the API; other errors pass.
func noCache(err error, kind resource.Kind, name string) error {
	if !is(err, resource.NotFound) {
		return err
	}
	return resource.Errorf(resource.NotFound, kind.ErrorType(), name, "%s %s not found.", noun(kind), clip(name))
}
