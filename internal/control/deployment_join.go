package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// joinGroup adds a replica with a name of its own to a replication group: CreateCacheCluster with a ReplicationGroupId.
func (c *Control) joinGroup(ctx context.Context, in CreateDeployment) (d *resource.Deployment, err error) {
	if err := in.onlyReplica(); err != nil {
		return nil, err
	}
	if err := c.checkTags(in.Tags); err != nil {
		return nil, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if free, err := freeMember(tx, in.Scope, in.Name); err != nil {
			return err
		} else if !free {
			return resource.Errorf(resource.AlreadyExists, resource.TypeCluster, in.Name, "Cache cluster %s already exists.", in.Name)
		}
		if d, err = deploymentNamed(tx, in.Scope, resource.ReplicationGroup, in.JoinGroup); err != nil {
			return err
		}
		if d.Layout.ClusterMode {
			return conflicting("Replication group %s has cluster mode enabled; replicas are added to it by IncreaseReplicaCount.", d.Name)
		}
		if err := idle(tx, d.Cache); err != nil {
			return err
		}
		s := &d.Layout.Shards[0]
		if s.Replicas >= mostReplicas {
			return invalid("ReplicationGroupId", "Replication group %s has %d replicas, and a group has at most that many.", d.Name, s.Replicas)
		}
		where := zone(in.Scope, len(d.Nodes))
		if len(in.Zones) > 0 {
			where = in.Zones[0]
		}
		n := newNode(d.Cache, *s, in.Name, where)
		n.CreatedAt = c.now()
		s.Replicas++
		if err := c.addNodes(tx, d, n); err != nil || len(in.Tags) == 0 {
			return err
		}
		return tx.ReplaceTags(memberARN(d.Scope, n.Name), in.Tags)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// onlyReplica refuses what a replica has from its group.
func (in *CreateDeployment) onlyReplica() error {
	if in.Nodes != nil && *in.Nodes != 1 {
		return invalid("NumCacheNodes", "A replica is one node; %d were asked for.", *in.Nodes)
	}
	if len(in.Zones) > 1 {
		return invalid("PreferredAvailabilityZones", "A replica is in one availability zone; %d were given.", len(in.Zones))
	}
	for param, given := range map[string]bool{
		"AuthToken": in.AuthToken != "", "SnapshotRetentionLimit": in.SnapshotRetention != nil && *in.SnapshotRetention > 0,
		"SnapshotWindow": in.SnapshotWindow != "", "EngineVersion": in.EngineVersion != "", "CacheNodeType": in.NodeType != "",
		"CacheParameterGroupName": in.ParameterGroup != "", "CacheSubnetGroupName": in.SubnetGroup != "", "Port": in.Port != nil,
	} {
		if given {
			return conflicting("%s cannot be given together with ReplicationGroupId: a replica has it from its group.", param)
		}
	}
	return nil
}

// adoptPrimary makes a cache cluster that stands alone the primary of a new replication group: the cache keeps its identity
// and its data, and changes its kind.
func (c *Control) adoptPrimary(ctx context.Context, in CreateDeployment) (*resource.Deployment, error) {
	if err := in.onlyGroup(); err != nil {
		return nil, err
	}
	if err := c.checkTags(in.Tags); err != nil {
		return nil, err
	}
	var d *resource.Deployment
	err := c.db.Update(ctx, func(tx *metastore.Tx) error {
		cluster, err := deploymentNamed(tx, in.Scope, resource.CacheCluster, in.PrimaryCluster)
		if err != nil {
			return err
		}
		if cluster.Engine == resource.Memcached {
			return invalid("PrimaryClusterId", "Cache cluster %s is of the engine memcached, which has no replication.", cluster.Name)
		}
		if err := idle(tx, cluster.Cache); err != nil {
			return err
		}
		group := *cluster.Cache
		group.Kind, group.Name, group.Description, group.Status = resource.ReplicationGroup, in.Name, in.Description, resource.CacheModifying
		l := group.Layout
		l.Shards[0].Replicas = 0
		if in.Replicas != nil {
			l.Shards[0].Replicas = *in.Replicas
		}
		l.AutomaticFailover, l.MultiAZ = in.Failover != nil && *in.Failover, in.MultiZone != nil && *in.MultiZone
		if err := checkFailover(l); err != nil {
			return err
		}
		d = resource.NewDeployment(&group, cluster.Nodes)
		var fresh []*resource.Node
		for k := range l.Shards[0].Replicas {
			where := zone(in.Scope, k+1)
			if k+1 < len(in.Zones) {
				where = in.Zones[k+1]
			}
			n := newNode(&group, l.Shards[0], memberName(&group, "0001", k+2), where)
			n.CreatedAt = c.now()
			fresh = append(fresh, n)
		}
		if err := freeName(tx, &group, fresh); err != nil {
			return err
		}
		if err := tx.DeleteCache(group.ID); err != nil {
			return err
		}
		if err := tx.InsertCache(&group); err != nil {
			return err
		}
		tags := in.Tags
		if len(tags) == 0 {
			if tags, err = tx.Tags(memberARN(in.Scope, cluster.Name)); err != nil {
				return err
			}
		}
		if err := setTags(tx, &group, fresh, tags); err != nil {
			return err
		}
		if len(fresh) == 0 {
			return c.reshape(tx, d, resource.ModifyCacheTask{})
		}
		return c.addNodes(tx, d, fresh...)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// onlyGroup refuses what a group has from its primary.
func (in *CreateDeployment) onlyGroup() error {
	if in.NumShards != nil && *in.NumShards > 1 || len(in.Shards) > 1 || in.ClusterMode != nil && *in.ClusterMode {
		return conflicting("PrimaryClusterId makes a group without cluster mode, of one node group.")
	}
	for param, given := range map[string]bool{
		"AuthToken": in.AuthToken != "", "EngineVersion": in.EngineVersion != "", "CacheNodeType": in.NodeType != "", "Engine": in.Engine != "",
		"CacheParameterGroupName": in.ParameterGroup != "", "CacheSubnetGroupName": in.SubnetGroup != "", "Port": in.Port != nil,
		"UserGroupIds": len(in.UserGroups) > 0, "KmsKeyId": in.KMSKeyID != "",
		"TransitEncryptionEnabled": in.TransitEncryption != nil && *in.TransitEncryption,
		"AtRestEncryptionEnabled":  in.AtRestEncryption != nil && *in.AtRestEncryption,
	} {
		if given {
			return conflicting("%s cannot be given together with PrimaryClusterId: a group has it from its primary.", param)
		}
	}
	return nil
}

// retainPrimary ends a group and keeps its primary as a cache cluster of its own: the cache keeps its identity and its data,
// and changes its kind. It returns the group as it goes.
func (c *Control) retainPrimary(tx *metastore.Tx, d *resource.Deployment) (*resource.Deployment, error) {
	if d.Layout.ClusterMode {
		return nil, conflicting("RetainPrimaryCluster is not available in cluster mode: a group of several primaries does not become one cache cluster.")
	}
	if err := idle(tx, d.Cache); err != nil {
		return nil, err
	}
	primary := d.Primary(d.Layout.Shards[0].Name)
	if primary == nil {
		return nil, resource.Errorf(resource.InvalidState, resource.TypeReplicationGroup, d.Name, "Replication group %s has no primary now.", d.Name)
	}
	if err := tx.DeleteTags(d.ARN()); err != nil {
		return nil, err
	}
	if err := tx.DeleteCache(d.ID); err != nil {
		return nil, err
	}
	cluster, l := *d.Cache, *d.Layout
	cluster.Kind, cluster.Name, cluster.Layout, cluster.Status = resource.CacheCluster, primary.Name, &l, resource.CacheModifying
	l.Shards = []resource.Shard{{Name: "0001", Slots: resource.AllSlots}}
	l.AutomaticFailover, l.MultiAZ, l.SnapshottingNode = false, false, primary.Name
	if err := tx.InsertCache(&cluster); err != nil {
		return nil, err
	}
	alone := resource.NewDeployment(&cluster, d.Nodes)
	for _, n := range d.Nodes {
		if n != primary {
			if err := c.dropNode(tx, n); err != nil {
				return nil, err
			}
			if err := tx.DeleteTags(memberARN(d.Scope, n.Name)); err != nil {
				return nil, err
			}
		}
	}
	gone := *d.Cache
	gone.Status = resource.CacheDeleting
	return resource.NewDeployment(&gone, d.Nodes), c.reshape(tx, alone, resource.ModifyCacheTask{})
}
