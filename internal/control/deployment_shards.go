package control

import (
	"cmp"
	"fmt"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// chooseShards settles how many shards there are, their slots and their replicas.
func (p *plan) chooseShards(*metastore.Tx, *Control) (err error) {
	l := p.cache.Layout
	if p.Kind == resource.CacheCluster {
		return p.chooseClusterNodes()
	}
	if !l.ClusterMode {
		l.Shards, err = p.oneShard()
		return err
	}
	n := p.shardsAsked()
	if n == 0 {
		n = max(len(p.layout.Shards), 1)
	}
	same := len(p.Shards) == 0 && n == len(p.layout.Shards) && p.layout.ClusterMode // the snapshot's own layout
	slots, err := p.slots(n, same)
	if err != nil {
		return err
	}
	for i := range n {
		s := resource.Shard{Name: fmt.Sprintf("%04d", i+1), Slots: slots[i], Replicas: p.replicas()}
		if same {
			s.Name = p.layout.Shards[i].Name
			if p.Replicas == nil {
				s.Replicas = p.layout.Shards[i].Replicas
			}
		}
		if i < len(p.Shards) {
			w := p.Shards[i]
			s.Name = cmp.Or(w.Name, s.Name)
			if w.Replicas != nil {
				s.Replicas = *w.Replicas
			} else if len(w.ReplicaZones) > 0 {
				s.Replicas = len(w.ReplicaZones)
			}
			if s.Replicas > mostReplicas {
				return checkReplicas(p.Kind, &s.Replicas)
			}
		}
		l.Shards = append(l.Shards, s)
	}
	return nil
}

// replicas is the number of replicas of a shard of which nothing else is said.
func (p *plan) replicas() int {
	switch {
	case p.Replicas != nil:
		return *p.Replicas
	case len(p.layout.Shards) > 0:
		return p.layout.Shards[0].Replicas
	case p.Kind == resource.MemoryDBCluster:
		return 1
	}
	return 0
}

// slots are the slots of n shards: as they are given, or as the snapshot has them, or equal shares.
func (p *plan) slots(n int, same bool) ([][]resource.SlotRange, error) {
	given := make([][]resource.SlotRange, n)
	var all []resource.SlotRange
	some := 0
	for i, s := range p.Shards {
		if s.Slots != nil {
			given[i], all = s.Slots, append(all, s.Slots...)
			some++
		}
	}
	switch {
	case some == n:
		if err := resource.CoverSlots(all); err != nil {
			return nil, invalid("NodeGroupConfiguration", "The slots of the node groups must cover 0-16383 exactly once: %v.", err)
		}
		return given, nil
	case p.restoresFiles() && p.Kind == resource.ReplicationGroup:
		return nil, conflicting("Slots must be provided when restoring from snapshot ARNs with cluster mode enabled")
	case some > 0:
		return nil, conflicting("Slots must be given for all node groups or for none.")
	}
	for i, r := range resource.EqualSlots(n) {
		given[i] = []resource.SlotRange{r}
		if same {
			given[i] = p.layout.Shards[i].Slots
		}
	}
	return given, nil
}

// oneShard is the shard of a group without cluster mode.
func (p *plan) oneShard() ([]resource.Shard, error) {
	s := resource.Shard{Name: "0001", Slots: resource.AllSlots, Replicas: p.replicas()}
	if len(p.Shards) == 1 {
		w := p.Shards[0]
		if w.Slots != nil && resource.CoverSlots(w.Slots) != nil {
			return nil, invalid("NodeGroupConfiguration", "The one node group of a group without cluster mode has all slots, 0-16383.")
		}
		if w.Replicas != nil {
			s.Replicas = *w.Replicas
		} else if len(w.ReplicaZones) > 0 {
			s.Replicas = len(w.ReplicaZones)
		}
	}
	if err := checkReplicas(p.Kind, &s.Replicas); err != nil {
		return nil, err
	}
	if len(p.Zones) > 0 && len(p.Zones) != s.Replicas+1 {
		return nil, conflicting("%d PreferredCacheClusterAZs are given for %d nodes.", len(p.Zones), s.Replicas+1)
	}
	return []resource.Shard{s}, nil
}

// chooseClusterNodes settles the nodes of a cache cluster that stands alone: one, or those of memcached.
func (p *plan) chooseClusterNodes() error {
	l, n := p.cache.Layout, 1
	if p.Nodes != nil {
		n = *p.Nodes
	}
	if p.cache.Engine != resource.Memcached {
		if n != 1 {
			return invalid("NumCacheNodes", "NumCacheNodes should be 1 if engine is %s; %d was given.", p.cache.Engine, n)
		}
		l.Shards = []resource.Shard{{Name: "0001", Slots: resource.AllSlots}}
		return nil
	}
	if n < 1 || n > mostMemcachedNodes {
		return invalid("NumCacheNodes", "NumCacheNodes must be between 1 and %d; %d was given.", mostMemcachedNodes, n)
	}
	l.MemcachedNodes, l.Shards = n, []resource.Shard{{Name: "0001"}}
	return nil
}

// members are the nodes of a new cache, primaries first.
func (p *plan) members() (nodes []*resource.Node) {
	l := p.cache.Layout
	if l.MemcachedNodes > 0 {
		for i := range l.MemcachedNodes {
			n := newNode(p.cache, l.Shards[0], p.Name, p.nodeZone(i))
			n.Number, n.Primary = fmt.Sprintf("%04d", i+1), true
			nodes = append(nodes, n)
		}
		return nodes
	}
	for i, s := range l.Shards {
		for k := range s.Replicas + 1 {
			where := zone(p.Scope, i+k)
			switch {
			case p.Kind == resource.CacheCluster:
				where = p.nodeZone(0)
			case !l.ClusterMode && len(p.Zones) > 0:
				where = p.Zones[k]
			case i < len(p.Shards) && k == 0:
				where = cmp.Or(p.Shards[i].PrimaryZone, where)
			case i < len(p.Shards) && k <= len(p.Shards[i].ReplicaZones):
				where = p.Shards[i].ReplicaZones[k-1]
			}
			n := newNode(p.cache, s, memberName(p.cache, s.Name, k+1), where)
			n.Primary = k == 0
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// nodeZone is the zone of the i-th node of a cache cluster.
func (p *plan) nodeZone(i int) string {
	switch {
	case i < len(p.Zones):
		return p.Zones[i]
	case len(p.Zones) > 0:
		return p.Zones[0]
	case p.cache.Layout.MultiAZ:
		return zone(p.Scope, i)
	}
	return zone(p.Scope, 0)
}

// newNode is a member that does not run yet.
func newNode(cache *resource.Cache, s resource.Shard, name, zone string) *resource.Node {
	return &resource.Node{ID: newID(), CacheID: cache.ID, Shard: s.Name, Port: cache.Layout.Port, Slots: s.Slots,
		Name: name, Number: "0001", Zone: zone, Status: resource.NodeCreating, CreatedAt: cache.CreatedAt}
}

// memberName is the name of the k-th node, counted from 1, of a shard.
func memberName(cache *resource.Cache, shard string, k int) string {
	switch {
	case cache.Kind == resource.CacheCluster:
		return cache.Name
	case cache.Layout.ClusterMode:
		return fmt.Sprintf("%s-%s-%03d", cache.Name, shard, k)
	}
	return fmt.Sprintf("%s-%03d", cache.Name, k)
}
