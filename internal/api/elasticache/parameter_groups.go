package elasticache

import "github.com/keyframe/keyframe/internal/api/gateway"

// parameterGroupRoutes serves cache parameter groups, engine defaults and node types.
func (h handler) parameterGroupRoutes(f *gateway.API) {}
