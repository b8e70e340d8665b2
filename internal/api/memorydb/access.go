package memorydb

import "github.com/keyframe/keyframe/internal/api/gateway"

// accessRoutes serves users and ACLs.
func (h handler) accessRoutes(f *gateway.API) {}
