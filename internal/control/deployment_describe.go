package control

import (
	"context"
	"slices"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// DescribeDeployments says which caches of nodes are asked for.
type DescribeDeployments struct {
	Scope resource.Scope
	Kind  resource.Kind
	Name  string // empty for all
	Page  Page   // ElastiCache: MaxRecords of 20 to 100; MemoryDB: MaxResults of 1 to 100
}

// DescribeDeployments lists the caches of a kind with their nodes by name, or the one that is named. Next is the token of the
// page that follows, empty after the last.
func (c *Control) DescribeDeployments(ctx context.Context, in DescribeDeployments) (all []*resource.Deployment, next string, err error) {
	after, most, err := in.Page.bounds(in.Kind)
	if err != nil {
		return nil, "", err
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		var caches []*resource.Cache
		if in.Name != "" {
			cache, err := tx.CacheByName(in.Scope, in.Kind, oldName(in.Name))
			if err != nil {
				return noCache(err, in.Kind, in.Name)
			}
			caches = append(caches, cache)
		} else if caches, err = tx.Caches(in.Scope, in.Kind, after, most+1); err != nil {
			return err
		}
		if len(caches) > most {
			caches, next = caches[:most], token(caches[most-1].Name)
		}
		for _, cache := range caches {
			d, err := tx.Deployment(cache)
			if err != nil {
				return err
			}
			all = append(all, d)
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return all, next, nil
}

// Member is a cache cluster as ElastiCache shows it: one that stands alone, with all its nodes, or one node of a replication group.
type Member struct {
	*resource.Deployment
	Name  string
	Nodes []*resource.Node // those of the member
}

// MemberOf is the member of that name; nil if the deployment has none.
func MemberOf(d *resource.Deployment, name string) *Member {
	m := &Member{Deployment: d, Name: name}
	for _, n := range d.Nodes {
		if n.Name == name {
			m.Nodes = append(m.Nodes, n)
		}
	}
	if len(m.Nodes) == 0 && (d.Kind != resource.CacheCluster || d.Name != name) {
		return nil
	}
	return m
}

// DescribeMembers says which cache clusters are asked for.
type DescribeMembers struct {
	Scope resource.Scope
	Name  string
	Alone bool // only those that are in no replication group
	Page  Page // MaxRecords of 20 to 100
}

// DescribeMembers lists cache clusters by name: those that stand alone and the nodes of replication groups.
func (c *Control) DescribeMembers(ctx context.Context, in DescribeMembers) (all []*Member, next string, err error) {
	after, most, err := in.Page.bounds(resource.CacheCluster)
	if err != nil {
		return nil, "", err
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		if in.Name != "" {
			m, err := memberNamed(tx, in.Scope, in.Name)
			if err != nil {
				return err
			}
			if !in.Alone || m.Kind == resource.CacheCluster {
				all = append(all, m)
			}
			return nil
		}
		all, err = membersAfter(tx, in, after, most+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(all) > most {
		all, next = all[:most], token(all[most-1].Name)
	}
	return all, next, nil
}

// membersAfter reads members in order of name, a page of nodes at a time.
func membersAfter(tx *metastore.Tx, in DescribeMembers, after string, most int) (all []*Member, err error) {
	const page = 256
	deployments := map[string]*resource.Deployment{}
	for len(all) < most {
		nodes, err := tx.NodesAfter(in.Scope, "elasticache", after, page)
		if err != nil {
			return nil, err
		}
		more := len(nodes) == page
		if more {
			// The last name's nodes may go on behind the page; a memcached cluster has fewer of them than a page.
			last := nodes[page-1].Name
			if first := slices.IndexFunc(nodes, func(n *resource.Node) bool { return n.Name == last }); first > 0 {
				nodes = nodes[:first]
			}
		}
		for _, n := range nodes {
			if n.Name == after {
				continue
			}
			after = n.Name
			d := deployments[n.CacheID]
			if d == nil {
				cache, err := tx.CacheByID(n.CacheID)
				if err != nil {
					return nil, err
				}
				if d, err = tx.Deployment(cache); err != nil {
					return nil, err
				}
				deployments[n.CacheID] = d
			}
			if d.Layout != nil && (!in.Alone || d.Kind == resource.CacheCluster) {
				all = append(all, MemberOf(d, n.Name))
			}
		}
		if !more {
			break
		}
	}
	return all, nil
}

// memberNamed finds a cache cluster, alone or in a group.
func memberNamed(tx *metastore.Tx, scope resource.Scope, name string) (*Member, error) {
	cache, err := tx.CacheByName(scope, resource.CacheCluster, oldName(name))
	if is(err, resource.NotFound) {
		var n *resource.Node
		if n, err = tx.NodeByName(scope, "elasticache", oldName(name)); err == nil {
			cache, err = tx.CacheByID(n.CacheID)
		}
	}
	if err != nil {
		return nil, noCache(err, resource.CacheCluster, name)
	}
	d, err := tx.Deployment(cache)
	if err != nil {
		return nil, err
	}
	return MemberOf(d, oldName(name)), nil
}

// deploymentNamed finds a cache of nodes with its nodes.
func deploymentNamed(tx *metastore.Tx, scope resource.Scope, kind resource.Kind, name string) (*resource.Deployment, error) {
	cache, err := tx.CacheByName(scope, kind, oldName(name))
	if err != nil {
		return nil, noCache(err, kind, name)
	}
	return tx.Deployment(cache)
}

// bounds are start's under the names and the limits that a kind's API has.
func (p Page) bounds(kind resource.Kind) (after string, most int, err error) {
	if kind == resource.MemoryDBCluster {
		return p.start(mostCaches)
	}
	most = 100
	if p.Most != nil {
		most = *p.Most
	}
	if most < 20 || most > 100 {
		return "", 0, invalid("MaxRecords", "MaxRecords must be between 20 and 100; %d was given.", most)
	}
	after, _, err = Page{Token: p.Token}.start(100)
	if err != nil {
		return "", 0, invalid("Marker", "The Marker is not one that this service gave out.")
	}
	return after, most, nil
}
