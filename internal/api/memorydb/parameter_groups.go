package memorydb

import "github.com/keyframe/keyframe/internal/api/gateway"

// parameterGroupRoutes serves parameter groups, engine versions and node types.
func (h handler) parameterGroupRoutes(f *gateway.API) {}
