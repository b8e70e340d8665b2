package memorydb

import "github.com/keyframe/keyframe/internal/api/gateway"

// aroundRoutes serves tags and events.
func (h handler) aroundRoutes(f *gateway.API) {}
