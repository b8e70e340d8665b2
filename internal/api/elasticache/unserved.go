package elasticache

import (
	"strings"

	"github.com/keyframe/keyframe/internal/api/wire"
)

// unserved says why an operation is not served: those that have no meaning on one's own machines never will be.
func unserved(op *wire.Operation) string {
	for part, why := range map[string]string{
		"GlobalReplicationGroup": "a global datastore spans regions, and this server is one place",
		"ReservedCacheNode":      "there is nothing to reserve on one's own machines",
		"CacheSecurityGroup":     "cache security groups belong to EC2-Classic, which is no more",
		"Migration":              "restore an exported RDB file instead",
	} {
		if strings.Contains(op.Name, part) {
			return why
		}
	}
	return "this version serves serverless caches and their snapshots"
}
