package elasticache

import "github.com/keyframe/keyframe/internal/api/gateway"

// subnetGroupRoutes serves cache subnet groups.
func (h handler) subnetGroupRoutes(f *gateway.API) {}
