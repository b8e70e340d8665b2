package memorydb

import "github.com/keyframe/keyframe/internal/api/gateway"

// clusterRoutes serves clusters.
func (h handler) clusterRoutes(f *gateway.API) {}
