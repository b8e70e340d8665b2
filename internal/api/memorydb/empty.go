package memorydb

import "github.com/keyframe/keyframe/internal/api/gateway"

// emptyRoutes serves what is empty by nature: service updates and reserved nodes.
func (h handler) emptyRoutes(f *gateway.API) {}
