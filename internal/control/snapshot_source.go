package control

import (
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// snapshotSource finds the cache that a snapshot is to be taken of, and the member if one was named, and refuses what is not ready for it.
func snapshotSource(tx *metastore.Tx, in CreateSnapshot) (cache *resource.Cache, member string, err error) {
	kind, name := resource.Serverless, in.Cache
	switch {
	case in.Space == resource.MemoryDBCluster.SnapshotSpace():
		kind = resource.MemoryDBCluster
	case in.Space == serverlessSpace:
	case in.Group != "":
		kind, name = resource.ReplicationGroup, in.Group
	case in.Cluster != "":
		kind, name = resource.CacheCluster, in.Cluster
	default:
		return nil, "", invalid("CacheClusterId", "One of CacheClusterId or ReplicationGroupId must be provided.")
	}
	cache, err = tx.CacheByName(in.Scope, kind, oldName(name))
	if is(err, resource.NotFound) && kind == resource.CacheCluster {
		cache, member, err = memberSource(tx, in.Scope, oldName(name))
	}
	if err != nil {
		return nil, "", noCache(err, kind, name)
	}
	if kind == resource.ReplicationGroup && in.Cluster != "" {
		if member, err = memberOf(tx, cache, oldName(in.Cluster)); err != nil {
			return nil, "", err
		}
	}
	if err := snapshottable(cache); err != nil {
		return nil, "", err
	}
	return cache, member, idleAs(tx, cache, kind, oldName(name))
}

// memberSource finds the replication group of a member.
func memberSource(tx *metastore.Tx, scope resource.Scope, name string) (*resource.Cache, string, error) {
	node, err := tx.NodeByName(scope, resource.ReplicationGroup.Service(), name)
	if err != nil {
		return nil, "", err
	}
	cache, err := tx.CacheByID(node.CacheID)
	if err != nil {
		return nil, "", err
	}
	if cache.Layout != nil && cache.Layout.ClusterMode {
		return nil, "", invalid("CacheClusterId",
			"Cache cluster %s belongs to replication group %s, which has cluster mode enabled: a snapshot is taken of the whole group, by its ReplicationGroupId.", name, cache.Name)
	}
	member, err := memberOf(tx, cache, name)
	return cache, member, err
}

// memberOf checks that a member can be captured. In cluster mode the whole group is, and none is chosen.
func memberOf(tx *metastore.Tx, group *resource.Cache, name string) (string, error) {
	d, err := tx.Deployment(group)
	if err != nil {
		return "", err
	}
	node := d.Member(name)
	switch {
	case node == nil:
		return "", conflicting("Cache cluster %s is not a member of replication group %s.", clip(name), group.Name)
	case group.Layout != nil && group.Layout.ClusterMode:
		return "", nil
	case node.Status != resource.NodeAvailable && group.Status == resource.CacheAvailable:
		return "", resource.Errorf(resource.InvalidState, resource.TypeCluster, name, "Cache cluster %s is not in the available state; it is %s.", name, node.Status)
	}
	return name, nil
}

// snapshottable refuses what has no snapshots.
func snapshottable(cache *resource.Cache) error {
	if cache.Kind == resource.Serverless {
		return nil
	}
	refuse := func(why string) error {
		return resource.Errorf(resource.Unsupported, resource.TypeNodeSnapshot, cache.Name, "%s %s cannot be snapshotted: %s", noun(cache.Kind), cache.Name, why)
	}
	if cache.Engine == resource.Memcached {
		return refuse("the engine memcached of cache clusters does not support it.")
	}
	if cache.Layout != nil && cache.Layout.NodeType == "cache.t1.micro" {
		return refuse("the node type cache.t1.micro does not support it.")
	}
	return nil
}

// freeze notes the cache as it is now in a snapshot that is to be taken of it, and for a cache of nodes its shards. Each shard names the
// node that its data shall come from: the member that was asked for, the primary for the last snapshot before the cache goes, else a
// replica. The worker may have to choose another.
func freeze(tx *metastore.Tx, s *resource.Snapshot, cache *resource.Cache, member string, last bool) error {
	s.Source, s.FromNode, s.Shards = *cache, member, nil
	if cache.Layout == nil {
		return nil
	}
	layout := *cache.Layout
	layout.AuthTokens = nil // a restored cache has its own, and a snapshot is no place for them
	s.Source.Layout = &layout
	d, err := tx.Deployment(cache)
	if err != nil {
		return err
	}
	for _, shard := range layout.Shards {
		data := resource.ShardData{Shard: shard}
		node := d.Reader(shard.Name)
		if last {
			node = d.Primary(shard.Name)
		}
		if member != "" {
			node = d.Member(member)
		}
		if node != nil {
			data.Node, data.NodeCreatedAt, data.NodeZone = node.Name, node.CreatedAt, node.Zone
		}
		for _, n := range d.Of(shard.Name) {
			if n.Primary {
				data.Zone = n.Zone
			} else {
				data.ReplicaZones = append(data.ReplicaZones, n.Zone)
			}
		}
		s.Shards = append(s.Shards, data)
	}
	return nil
}
