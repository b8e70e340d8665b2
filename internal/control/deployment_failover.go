package control

import (
	"context"
	"slices"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// FailoverShard asks for a replica of a shard to become its primary: TestFailover, FailoverShard.
type FailoverShard struct {
	Scope resource.Scope
	Kind  resource.Kind
	Name  string
	Shard string
}

// FailoverShard accepts the command: the cache is modifying until the shard has its new primary.
func (c *Control) FailoverShard(ctx context.Context, in FailoverShard) (d *resource.Deployment, err error) {
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if d, err = modifiable(tx, in.Scope, in.Kind, in.Name); err != nil {
			return err
		}
		name := shardName(in.Shard)
		what := named(in.Kind, "Node group", "Shard")
		i := slices.IndexFunc(d.Layout.Shards, func(s resource.Shard) bool { return s.Name == name })
		switch {
		case i < 0:
			return resource.Errorf(resource.NotFound, resource.TypeShard, name, "%s %s not found in %s.", what, clip(in.Shard), d.Name)
		case !d.Layout.AutomaticFailover:
			return conflicting("%s %s has automatic failover disabled.", noun(in.Kind), d.Name)
		case d.Layout.Shards[i].Replicas == 0:
			return resource.Errorf(resource.Unsupported, resource.TypeShard, name, "%s %s of %s has no replica that could take over.", what, name, d.Name)
		}
		d.Status = resource.CacheModifying
		if err := tx.UpdateCache(d.Cache); err != nil {
			return err
		}
		_, err := c.enqueue(tx, resource.TaskFailover, d.ID, resource.FailoverTask{CacheID: d.ID, Shard: name})
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// RebootMember asks for a restart of nodes of a cache cluster, alone or in a group.
type RebootMember struct {
	Scope   resource.Scope
	Name    string
	Numbers []string // CacheNodeIdsToReboot: "0001"
}

// RebootMember accepts the command: the cluster is rebooting until the nodes serve again. Memcached's come back empty.
func (c *Control) RebootMember(ctx context.Context, in RebootMember) (m *Member, err error) {
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if m, err = memberNamed(tx, in.Scope, in.Name); err != nil {
			return err
		}
		if err := idleAs(tx, m.Cache, resource.CacheCluster, m.Name); err != nil {
			return err
		}
		refuse := func(format string, args ...any) error {
			return resource.Errorf(resource.InvalidState, resource.TypeCluster, m.Name, format, args...)
		}
		if m.Layout.ClusterMode {
			return refuse("Cache cluster %s has cluster mode enabled, and is not rebooted; use TestFailover.", m.Name)
		}
		if len(in.Numbers) == 0 {
			return refuse("No cache node of %s was named.", m.Name)
		}
		var ids []string
		for _, number := range in.Numbers {
			i := slices.IndexFunc(m.Nodes, func(n *resource.Node) bool { return n.Number == number })
			if i < 0 {
				return refuse("Cache cluster %s has no cache node %s.", m.Name, clip(number))
			}
			n := m.Nodes[i]
			if slices.Contains(ids, n.ID) {
				continue
			}
			ids = append(ids, n.ID)
			n.Status = resource.NodeRebooting
			if err := tx.UpdateNode(n); err != nil {
				return err
			}
		}
		m.Status = resource.CacheRebooting
		if err := tx.UpdateCache(m.Cache); err != nil {
			return err
		}
		_, err := c.enqueue(tx, resource.TaskRebootNodes, m.ID, resource.RebootNodesTask{CacheID: m.ID, NodeIDs: ids})
		return err
	})
	if err != nil {
		return nil, err
	}
	return m, nil
}
