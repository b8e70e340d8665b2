package memorydb

import "github.com/keyframe/keyframe/internal/api/gateway"

// snapshotRoutes serves snapshots.
func (h handler) snapshotRoutes(f *gateway.API) {}
