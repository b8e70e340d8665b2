package control

import (
	"context"
	"slices"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// ChangeReplicas asks for more or fewer replicas in a replication group: IncreaseReplicaCount, DecreaseReplicaCount.
type ChangeReplicas struct {
	Scope       resource.Scope
	Name        string
	Increase    bool
	Immediately bool            // must be true
	Count       *int            // of all shards
	Shards      []ShardReplicas // of some shards
	Remove      []string        // members that go
}

// ShardReplicas is the number of replicas that a shard shall have. Zones are those of all its nodes, the primary first, then its replicas.
type ShardReplicas struct {
	Name  string
	Count int
	Zones []string
}

// ChangeReplicas accepts the command: the group is modifying until its nodes are there, or gone.
func (c *Control) ChangeReplicas(ctx context.Context, in ChangeReplicas) (d *resource.Deployment, err error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if d, err = modifiable(tx, in.Scope, resource.ReplicationGroup, in.Name); err != nil {
			return err
		}
		fresh, changed, err := c.changeReplicas(tx, d, in)
		if err != nil {
			return err
		}
		if !changed {
			return resource.Errorf(resource.NoOperation, resource.TypeReplicationGroup, d.Name, "Replication group %s has as many replicas as were asked for.", d.Name)
		}
		if err := failoverLeft(d); err != nil {
			return err
		}
		return c.addNodes(tx, d, fresh...)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// failoverLeft refuses to take the replicas away that automatic failover needs.
func failoverLeft(d *resource.Deployment) error {
	l := d.Layout
	for _, s := range l.Shards {
		if s.Replicas == 0 && (!l.ClusterMode && l.AutomaticFailover || l.MultiAZ) {
			return conflicting("Node group %s must keep a replica while automatic failover without cluster mode, or Multi-AZ, is enabled.", s.Name)
		}
	}
	return nil
}

func (in *ChangeReplicas) check() error {
	if !in.Immediately {
		return invalid("ApplyImmediately", "ApplyImmediately=False is not supported: replicas are added and removed at once.")
	}
	ways := 0
	for _, given := range []bool{in.Count != nil, len(in.Shards) > 0, len(in.Remove) > 0} {
		if given {
			ways++
		}
	}
	switch {
	case ways == 0 && in.Increase:
		return conflicting("One of NewReplicaCount or ReplicaConfiguration must be provided.")
	case ways == 0:
		return conflicting("One of NewReplicaCount, ReplicaConfiguration or ReplicasToRemove must be provided.")
	case ways > 1 && !(in.Count != nil && len(in.Remove) > 0 && ways == 2):
		return conflicting("Only one of NewReplicaCount and ReplicaConfiguration can be provided.")
	}
	if err := checkReplicas(resource.ReplicationGroup, in.Count); err != nil {
		return err
	}
	for i := range in.Shards {
		s := &in.Shards[i]
		s.Name = shardName(s.Name)
		if slices.ContainsFunc(in.Shards[:i], func(o ShardReplicas) bool { return o.Name == s.Name }) {
			return invalid("ReplicaConfiguration", "NodeGroupId %s is given more than once.", s.Name)
		}
		if err := checkReplicas(resource.ReplicationGroup, &s.Count); err != nil {
			return err
		}
		if err := checkZones(in.Scope, s.Zones...); err != nil {
			return err
		}
		if len(s.Zones) > 0 && len(s.Zones) != s.Count+1 {
			return conflicting("Node group %s shall have %d nodes and %d PreferredAvailabilityZones were given.", s.Name, s.Count+1, len(s.Zones))
		}
	}
	return nil
}

// changeReplicas brings each shard's replicas to the number that is asked for.
func (c *Control) changeReplicas(tx *metastore.Tx, d *resource.Deployment, in ChangeReplicas) (fresh []*resource.Node, changed bool, err error) {
	for _, name := range in.Remove {
		n := d.Member(oldName(name))
		switch {
		case n == nil:
			return nil, false, invalid("ReplicasToRemove", "Cache cluster %s not found in replication group %s.", clip(oldName(name)), d.Name)
		case n.Primary:
			return nil, false, invalid("ReplicasToRemove", "Cache cluster %s is serving as primary for replication group %s.", n.Name, d.Name)
		case n.Status == resource.NodeDeleting:
			return nil, false, invalid("ReplicasToRemove", "Cache cluster %s is given more than once.", n.Name)
		}
		if err := c.takeOut(tx, d, n); err != nil {
			return nil, false, err
		}
		changed = true
	}
	wanted := in.Shards
	if in.Count != nil {
		wanted = nil
		for _, s := range d.Layout.Shards {
			wanted = append(wanted, ShardReplicas{Name: s.Name, Count: *in.Count})
		}
	}
	for _, w := range wanted {
		i := slices.IndexFunc(d.Layout.Shards, func(s resource.Shard) bool { return s.Name == w.Name })
		if i < 0 {
			return nil, false, invalid("ReplicaConfiguration", "Node group %s not found in replication group %s.", clip(w.Name), d.Name)
		}
		s := &d.Layout.Shards[i]
		switch {
		case w.Count == s.Replicas:
			continue
		case in.Increase && w.Count < s.Replicas:
			return nil, false, invalid("NewReplicaCount", "Node group %s has %d replicas; IncreaseReplicaCount cannot make them %d.", s.Name, s.Replicas, w.Count)
		case !in.Increase && w.Count > s.Replicas:
			return nil, false, invalid("NewReplicaCount", "Node group %s has %d replicas; DecreaseReplicaCount cannot make them %d.", s.Name, s.Replicas, w.Count)
		}
		more, err := c.setReplicas(tx, d, s, w.Count, w.Zones)
		if err != nil {
			return nil, false, err
		}
		fresh, changed = append(fresh, more...), true
	}
	return fresh, changed, nil
}

// setReplicas brings a shard to a number of replicas: it returns new nodes, and drops those with the last names.
func (c *Control) setReplicas(tx *metastore.Tx, d *resource.Deployment, s *resource.Shard, count int, zones []string) (fresh []*resource.Node, err error) {
	var replicas []*resource.Node
	names := map[string]bool{}
	for _, n := range d.Of(s.Name) {
		names[n.Name] = true
		if !n.Primary && n.Status != resource.NodeDeleting {
			replicas = append(replicas, n)
		}
	}
	s.Replicas = count
	for len(replicas) > count {
		last := replicas[len(replicas)-1]
		replicas = replicas[:len(replicas)-1]
		if err := c.dropNode(tx, last); err != nil {
			return nil, err
		}
	}
	shard := slices.IndexFunc(d.Layout.Shards, func(o resource.Shard) bool { return o.Name == s.Name })
	for k := 1; len(replicas)+len(fresh) < count; k++ {
		name := memberName(d.Cache, s.Name, k)
		if names[name] {
			continue
		}
		if d.Kind == resource.ReplicationGroup {
			if free, err := freeMember(tx, d.Scope, name); err != nil {
				return nil, err
			} else if !free {
				continue
			}
		}
		where := zone(d.Scope, shard+k-1)
		if i := len(replicas) + len(fresh) + 1; i < len(zones) {
			where = zones[i]
		}
		n := newNode(d.Cache, *s, name, where)
		n.CreatedAt = c.now()
		fresh = append(fresh, n)
	}
	return fresh, nil
}
