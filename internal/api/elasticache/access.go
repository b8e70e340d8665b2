package elasticache

import "github.com/keyframe/keyframe/internal/api/gateway"

// accessRoutes serves users and user groups.
func (h handler) accessRoutes(f *gateway.API) {}
