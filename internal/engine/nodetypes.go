package engine

import "github.com/keyframe/keyframe/internal/resource"

// NodeType is a node type as AWS publishes it, in what matters on one's own machines.
type NodeType struct {
	Name      string // "cache.r7g.large"
	Service   string // elasticache or memorydb
	MaxMemory int64  // bytes: maxmemory as AWS documents it
	Threads   int    // of memcached: num_threads
}

// NodeTypeOf finds a node type of a service. The error is a *resource.Error for the client.
func NodeTypeOf(service, name string) (NodeType, error) {
	return NodeType{}, resource.Errorf(resource.InvalidValue, resource.TypeParameter, "NodeType", "Invalid node type: %s", name)
}
