package memorydb

import "github.com/keyframe/keyframe/internal/api/gateway"

// subnetGroupRoutes serves subnet groups.
func (h handler) subnetGroupRoutes(f *gateway.API) {}
