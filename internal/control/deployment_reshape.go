package control

import (
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// reshape writes a changed layout and enqueues the job that brings the nodes in line with it. The cache is modifying until then.
func (c *Control) reshape(tx *metastore.Tx, d *resource.Deployment, task resource.ModifyCacheTask) error {
	d.Status = resource.CacheModifying
	if d.Layout.SnapshottingNode == "" || d.Member(d.Layout.SnapshottingNode) == nil || d.Member(d.Layout.SnapshottingNode).Status == resource.NodeDeleting {
		d.Layout.SnapshottingNode = snapshottingNode(d)
	}
	if err := tx.UpdateCache(d.Cache); err != nil {
		return err
	}
	task.CacheID = d.ID
	_, err := c.enqueue(tx, resource.TaskModifyCache, d.ID, task)
	return err
}

// addNodes records new members of a cache whose layout has them already, and reshapes it. Members of a group get its tags.
func (c *Control) addNodes(tx *metastore.Tx, d *resource.Deployment, fresh ...*resource.Node) error {
	return c.addNodesWith(tx, d, resource.ModifyCacheTask{}, fresh)
}

func (c *Control) addNodesWith(tx *metastore.Tx, d *resource.Deployment, task resource.ModifyCacheTask, fresh []*resource.Node) error {
	*d = *resource.NewDeployment(d.Cache, append(d.Nodes, fresh...))
	if err := c.checkNodeQuota(tx, d.Cache, d.Nodes, len(fresh)); err != nil {
		return err
	}
	tags, err := tx.Tags(d.ARN())
	if err != nil {
		return err
	}
	for _, n := range fresh {
		if err := tx.InsertNode(d.Cache, n); err != nil {
			return err
		}
		if d.Kind != resource.ReplicationGroup {
			continue
		}
		if err := tx.ReplaceTags(memberARN(d.Scope, n.Name), tags); err != nil {
			return err
		}
	}
	return c.reshape(tx, d, task)
}

// dropNode marks a member that the job of reshaping shall remove.
func (c *Control) dropNode(tx *metastore.Tx, n *resource.Node) error {
	n.Status = resource.NodeDeleting
	return tx.UpdateNode(n)
}

// takeOut drops a replica and counts its shard down.
func (c *Control) takeOut(tx *metastore.Tx, d *resource.Deployment, n *resource.Node) error {
	for i := range d.Layout.Shards {
		if s := &d.Layout.Shards[i]; s.Name == n.Shard {
			s.Replicas--
		}
	}
	return c.dropNode(tx, n)
}
