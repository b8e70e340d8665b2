package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// DeleteDeployment asks for the end of a cache of nodes, after a final snapshot if one is named.
type DeleteDeployment struct {
	Scope         resource.Scope
	Kind          resource.Kind
	Name          string // of a cache cluster also the name of a member: then its group loses that replica
	FinalSnapshot string // FinalSnapshotIdentifier, FinalSnapshotName
	RetainPrimary bool   // RetainPrimaryCluster: the group goes, its primary stays as a cache cluster
}

// DeleteDeployment accepts the command and returns the cache with its nodes as they are shown from now on: deleting. For a
// member of a group that is the group, in which the member is deleting.
func (c *Control) DeleteDeployment(ctx context.Context, in DeleteDeployment) (*resource.Deployment, error) {
	f, err := c.newFinal(in.Kind, in.Scope, named(in.Kind, "FinalSnapshotIdentifier", "FinalSnapshotName"), in.FinalSnapshot)
	if err != nil {
		return nil, err
	}
	if in.RetainPrimary && f.wanted() {
		return nil, conflicting("FinalSnapshotIdentifier and RetainPrimaryCluster cannot be given together: the primary keeps its data, and a snapshot can be taken of it.")
	}
	var d *resource.Deployment
	member := false
	check := func(tx *metastore.Tx) (err error) {
		if err := f.free(tx); err != nil {
			return err
		}
		if d, err = deploymentNamed(tx, in.Scope, in.Kind, in.Name); is(err, resource.NotFound) && in.Kind == resource.CacheCluster {
			member = true
			m, err := memberNamed(tx, in.Scope, in.Name)
			if err != nil {
				return err
			}
			d = m.Deployment
			return idleAs(tx, d.Cache, in.Kind, m.Name)
		}
		if err != nil {
			return err
		}
		if err := deletable(tx, d.Cache, f.wanted()); err != nil {
			return err
		}
		return f.check(tx, d.Cache)
	}
	if f.wanted() {
		if err := c.db.View(ctx, check); err != nil {
			return nil, err
		}
		if err := f.key(ctx, d.Cache); err != nil {
			return nil, err
		}
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		switch {
		case member && f.wanted():
			return conflicting("%s is a replica of the replication group %s: a final snapshot is taken of a whole group.", oldName(in.Name), d.Name)
		case member:
			return c.removeMember(tx, d, oldName(in.Name))
		case in.RetainPrimary:
			d, err = c.retainPrimary(tx, d)
			return err
		}
		task := resource.DeleteCacheTask{CacheID: d.ID}
		if task.FinalSnapshotID, err = f.record(tx, d.Cache); err != nil {
			return err
		}
		d.Status = resource.CacheDeleting
		if err := tx.UpdateCache(d.Cache); err != nil {
			return err
		}
		_, err := c.enqueue(tx, resource.TaskDeleteCache, d.ID, task)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// deletable refuses to delete what is busy. What never came to be can be deleted, but there is nothing in it to keep.
func deletable(tx *metastore.Tx, cache *resource.Cache, final bool) error {
	if (cache.Status == resource.CacheCreateFailed || cache.Status == resource.CacheRestoreFailed) && !final {
		return nil
	}
	return idle(tx, cache)
}

// removeMember takes one replica out of a group.
func (c *Control) removeMember(tx *metastore.Tx, d *resource.Deployment, name string) error {
	n := d.Member(name)
	switch {
	case len(d.Nodes) == 1:
		return resource.Errorf(resource.InvalidState, resource.TypeCluster, name,
			"Cache cluster %s is the only member of a replication group %s; delete the replication group instead.", name, d.Name)
	case n.Primary:
		return resource.Errorf(resource.InvalidState, resource.TypeCluster, name, "Cache cluster %s is serving as primary for replication group %s.", name, d.Name)
	}
	if err := c.takeOut(tx, d, n); err != nil {
		return err
	}
	if d.Layout.Shards[0].Replicas == 0 && (d.Layout.AutomaticFailover || d.Layout.MultiAZ) && !d.Layout.ClusterMode {
		return resource.Errorf(resource.InvalidState, resource.TypeCluster, name,
			"Cache cluster %s is the last replica of replication group %s, which has automatic failover; turn that off first.", name, d.Name)
	}
	return c.reshape(tx, d, resource.ModifyCacheTask{})
}
