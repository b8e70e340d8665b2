package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// NodeTypesFor names the cache of nodes whose other node types are asked for: exactly one of the fields.
type NodeTypesFor struct {
	Scope   resource.Scope
	Cluster string // cache cluster, or member of a replication group
	Group   string // replication group
	MemDB   string // MemoryDB cluster
}

// NodeTypesFor lists the node types with at least as much memory and those with less that the nodes of a cache can change to.
func (c *Control) NodeTypesFor(ctx context.Context, in NodeTypesFor) (up, down []string, err error) {
	if in.Cluster != "" && in.Group != "" {
		return nil, nil, conflicting("Only one of CacheClusterId or ReplicationGroupId can be provided.")
	}
	if in.Cluster == "" && in.Group == "" && in.MemDB == "" {
		return nil, nil, conflicting("One of CacheClusterId or ReplicationGroupId must be provided.")
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		cache, err := cacheOf(tx, in)
		if err != nil {
			return err
		}
		if cache.Engine == resource.Memcached {
			return conflicting("Nodes of memcached keep their node type: items do not move to other nodes.")
		}
		t, err := engine.NodeTypeOf(cache.Kind.Service(), cache.Layout.NodeType)
		if err != nil {
			return err
		}
		up, down = t.Rescale(cache.Kind.Service(), cache.Engine, 0)
		return nil
	})
	return up, down, err
}

func cacheOf(tx *metastore.Tx, in NodeTypesFor) (*resource.Cache, error) {
	kind, name := resource.MemoryDBCluster, in.MemDB
	switch {
	case in.Group != "":
		kind, name = resource.ReplicationGroup, in.Group
	case in.Cluster != "":
		node, err := tx.NodeByName(in.Scope, resource.CacheCluster.Service(), oldName(in.Cluster))
		if err != nil {
			return nil, noCache(err, resource.CacheCluster, in.Cluster)
		}
		return tx.CacheByID(node.CacheID)
	}
	cache, err := tx.CacheByName(in.Scope, kind, oldName(name))
	return cache, noCache(err, kind, name)
}
