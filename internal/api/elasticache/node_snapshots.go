package elasticache

import "github.com/keyframe/keyframe/internal/api/gateway"

// nodeSnapshotRoutes serves snapshots of node-based caches.
func (h handler) nodeSnapshotRoutes(f *gateway.API) {}
