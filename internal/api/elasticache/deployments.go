package elasticache

import "github.com/keyframe/keyframe/internal/api/gateway"

// deploymentRoutes serves cache clusters and replication groups.
func (h handler) deploymentRoutes(f *gateway.API) {}
