package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// CreateDeployment accepts the command: the cache is in the state creating, with all its nodes recorded, when it returns.
// A cache cluster that joins a group returns the deployment of the group, and one that becomes a group's primary the group.
func (c *Control) CreateDeployment(ctx context.Context, in CreateDeployment) (*resource.Deployment, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	from, err := deploymentSource(&in)
	if err != nil {
		return nil, err
	}
	switch {
	case in.JoinGroup != "":
		return c.joinGroup(ctx, in)
	case in.PrimaryCluster != "":
		return c.adoptPrimary(ctx, in)
	}
	p := &plan{CreateDeployment: in, source: from}
	look := func(tx *metastore.Tx) error {
		if err := p.settle(tx, c); err != nil {
			return err
		}
		return c.checkNewDeployment(tx, p)
	}
	if err := c.db.View(ctx, look); err != nil {
		return nil, err
	}
	if err := c.checkTags(in.Tags); err != nil {
		return nil, err
	}
	key := ""
	if in.KMSKeyID != "" {
		if key, err = c.keys.Resolve(ctx, in.Scope, in.Kind.Service(), in.KMSKeyID); err != nil {
			return nil, err
		}
	}
	if err := from.usable(ctx, c); err != nil {
		return nil, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if err := look(tx); err != nil {
			return err
		}
		p.cache.KMSKeyID = key
		if err := tx.InsertCache(p.cache); err != nil {
			return err
		}
		for _, n := range p.nodes {
			if err := tx.InsertNode(p.cache, n); err != nil {
				return err
			}
		}
		tags, err := from.tags(tx, p.cache, in.Tags)
		if err != nil {
			return err
		}
		if err := setTags(tx, p.cache, p.nodes, tags); err != nil {
			return err
		}
		return from.begin(tx, c, p.cache)
	})
	if err != nil {
		return nil, err
	}
	return resource.NewDeployment(p.cache, p.nodes), nil
}

// setTags gives tags to a new cache and, when it is a group, to its members.
func setTags(tx *metastore.Tx, cache *resource.Cache, nodes []*resource.Node, tags []resource.Tag) error {
	if err := tx.ReplaceTags(cache.ARN(), tags); err != nil {
		return err
	}
	if cache.Kind != resource.ReplicationGroup {
		return nil
	}
	for _, n := range nodes {
		if err := tx.ReplaceTags(memberARN(cache.Scope, n.Name), tags); err != nil {
			return err
		}
	}
	return nil
}

// memberARN is the ARN of a cache cluster, alone or in a group.
func memberARN(scope resource.Scope, name string) string {
	return resource.CacheARN(resource.CacheCluster, scope, name)
}

// checkNewDeployment checks a new cache against what exists.
func (c *Control) checkNewDeployment(tx *metastore.Tx, p *plan) error {
	if err := freeName(tx, p.cache, p.nodes); err != nil {
		return err
	}
	if err := p.source.fits(p.cache); err != nil {
		return err
	}
	return c.checkNodeQuota(tx, p.cache, p.nodes, len(p.nodes))
}

// freeName refuses names that are taken: that of the cache, and those of its members. A member of a group is a cache cluster.
func freeName(tx *metastore.Tx, cache *resource.Cache, nodes []*resource.Node) error {
	_, err := tx.CacheByName(cache.Scope, cache.Kind, cache.Name)
	if err == nil {
		return resource.Errorf(resource.AlreadyExists, cache.Kind.ErrorType(), cache.Name, "%s %s already exists.", noun(cache.Kind), cache.Name)
	}
	if !is(err, resource.NotFound) || cache.Kind == resource.MemoryDBCluster {
		return ignoreNotFound(err)
	}
	before := ""
	for _, n := range nodes {
		if n.Name == before {
			continue
		}
		before = n.Name
		free, err := freeMember(tx, cache.Scope, n.Name)
		if err != nil {
			return err
		}
		if !free && cache.Kind == resource.CacheCluster {
			return resource.Errorf(resource.AlreadyExists, resource.TypeCluster, n.Name, "Cache cluster %s already exists.", n.Name)
		}
		if !free {
			return invalid("ReplicationGroupId", "The replication group %s needs the name %s for a member, and that cache cluster already exists.", cache.Name, n.Name)
		}
	}
	return nil
}

// freeMember tells whether no cache cluster has a name.
func freeMember(tx *metastore.Tx, scope resource.Scope, name string) (bool, error) {
	_, err := tx.CacheByName(scope, resource.CacheCluster, name)
	if is(err, resource.NotFound) {
		_, err = tx.NodeByName(scope, "elasticache", name)
	}
	if is(err, resource.NotFound) {
		return true, nil
	}
	return false, err
}

// checkNodeQuota refuses more nodes than AWS allows: in one cache, which then has those in nodes, and in a region, which gets added more.
func (c *Control) checkNodeQuota(tx *metastore.Tx, cache *resource.Cache, nodes []*resource.Node, added int) error {
	if len(nodes) > mostNodesOfCluster {
		return resource.Errorf(resource.QuotaExceeded, resource.TypeNodeOfCluster, cache.Name,
			"Cluster node quota exceeded. Each cluster can have at most %d nodes in this region.", mostNodesOfCluster)
	}
	n, err := tx.CountNodes(cache.Scope, cache.Kind.Service())
	if err != nil {
		return err
	}
	if n+added > mostNodesOfCustomer {
		return resource.Errorf(resource.QuotaExceeded, resource.TypeNode, cache.Name,
			"Customer node quota exceeded. You can have at most %d nodes in this region", mostNodesOfCustomer)
	}
	return nil
}
