package metastore

import "github.com/keyframe/keyframe/internal/resource"

func noNode(name string) error {
	return resource.Errorf(resource.NotFound, resource.TypeCluster, name, "Node %s not found.", name)
}

// InsertNode adds a node to a cache.
func (tx *Tx) InsertNode(c *resource.Cache, n *resource.Node) error {
	doc, err := encode(n)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO nodes (id, cache_id, host, account, region, service, name, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		n.ID, c.ID, n.Host, c.Account, c.Region, c.Kind.Service(), n.Name, doc)
	return err
}

// UpdateNode replaces what is kept of the node n.ID; its name never changes. An unknown node is a resource.Error NotFound.
func (tx *Tx) UpdateNode(n *resource.Node) error {
	doc, err := encode(n)
	if err != nil {
		return err
	}
	rows, err := tx.Exec(`UPDATE nodes SET cache_id = ?, host = ?, document = ? WHERE id = ?`, n.CacheID, n.Host, doc, n.ID)
	if err == nil && rows == 0 {
		return noNode(n.ID)
	}
	return err
}

// NodesOf lists a cache's nodes in order of ID, which is the order of their creation.
func (tx *Tx) NodesOf(cacheID string) ([]*resource.Node, error) {
	return documents[resource.Node](tx, `SELECT document FROM nodes WHERE cache_id = ? ORDER BY id`, cacheID)
}

// Deployment is a cache with its nodes.
func (tx *Tx) Deployment(c *resource.Cache) (*resource.Deployment, error) {
	nodes, err := tx.NodesOf(c.ID)
	if err != nil {
		return nil, err
	}
	return resource.NewDeployment(c, nodes), nil
}

// NodeByName finds a member of a service's caches by its name, the first by number if there are several, or returns a resource.Error NotFound.
func (tx *Tx) NodeByName(s resource.Scope, service, name string) (*resource.Node, error) {
	return document[resource.Node](tx, noNode(name), `SELECT document FROM nodes WHERE account = ? AND region = ? AND service = ? AND name = ? AND name <> '' ORDER BY id LIMIT 1`,
		s.Account, s.Region, service, name)
}

// NodesAfter lists the members of a service's caches in a scope by name, from the first after afterName. A limit of 0 means all.
// Nodes that share a name, as those of a memcached cluster do, are all listed, and the limit counts them.
func (tx *Tx) NodesAfter(s resource.Scope, service, afterName string, limit int) ([]*resource.Node, error) {
	query := `SELECT document FROM nodes WHERE account = ? AND region = ? AND service = ? AND name > ? ORDER BY name, id`
	args := []any{s.Account, s.Region, service, afterName}
	if limit > 0 {
		query, args = query+` LIMIT ?`, append(args, limit)
	}
	return documents[resource.Node](tx, query, args...)
}

// CountNodes counts the members of a service's caches in a scope.
func (tx *Tx) CountNodes(s resource.Scope, service string) (int, error) {
	return tx.count(`SELECT COUNT(*) FROM nodes WHERE account = ? AND region = ? AND service = ? AND name <> ''`, s.Account, s.Region, service)
}

// Nodes lists the nodes that a host runs in order of ID.
func (tx *Tx) Nodes(host string) ([]*resource.Node, error) {
	return documents[resource.Node](tx, `SELECT document FROM nodes WHERE host = ? ORDER BY id`, host)
}

// DeleteNode forgets a node; an unknown one is fine.
func (tx *Tx) DeleteNode(id string) error {
	_, err := tx.Exec(`DELETE FROM nodes WHERE id = ?`, id)
	return err
}

// DeleteNodes forgets all nodes of a cache.
func (tx *Tx) DeleteNodes(cacheID string) error {
	_, err := tx.Exec(`DELETE FROM nodes WHERE cache_id = ?`, cacheID)
	return err
}
