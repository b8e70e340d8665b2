package metastore

import "github.com/keyframe/keyframe/internal/resource"

// InsertNode adds a node.
func (tx *Tx) InsertNode(n *resource.Node) error {
	doc, err := encode(n)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`INSERT INTO nodes (id, cache_id, host, document) VALUES (?, ?, ?, ?)`, n.ID, n.CacheID, n.Host, doc)
	return err
}

// UpdateNode replaces what is kept of the node n.ID. An unknown node is a resource.Error NotFound.
func (tx *Tx) UpdateNode(n *resource.Node) error {
	doc, err := encode(n)
	if err != nil {
		return err
	}
	rows, err := tx.Exec(`UPDATE nodes SET cache_id = ?, host = ?, document = ? WHERE id = ?`, n.CacheID, n.Host, doc, n.ID)
	if err == nil && rows == 0 {
		return resource.Errorf(resource.NotFound, resource.TypeOther, n.ID, "Node %s not found.", n.ID)
	}
	return err
}

// NodesOf lists a cache's nodes in order of ID, which is the order of their creation.
func (tx *Tx) NodesOf(cacheID string) ([]*resource.Node, error) {
	return documents[resource.Node](tx, `SELECT document FROM nodes WHERE cache_id = ? ORDER BY id`, cacheID)
}

// Nodes lists the nodes that a host runs in order of ID.
func (tx *Tx) Nodes(host string) ([]*resource.Node, error) {
	return documents[resource.Node](tx, `SELECT document FROM nodes WHERE host = ? ORDER BY id`, host)
}

// DeleteNodes forgets all nodes of a cache.
func (tx *Tx) DeleteNodes(cacheID string) error {
	_, err := tx.Exec(`DELETE FROM nodes WHERE cache_id = ?`, cacheID)
	return err
}
