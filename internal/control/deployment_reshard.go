package control

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// ReshardDeployment asks for another number of shards in a replication group: ModifyReplicationGroupShardConfiguration.
type ReshardDeployment struct {
	Scope       resource.Scope
	Name        string
	Immediately bool // must be true
	Count       int
	Shards      []ShardWanted // names and zones, of the new shards or of all
	Remove      []string      // shards that go, when there shall be fewer
	Retain      []string      // or those that stay
}

// ReshardDeployment accepts the command: the group is modifying until every slot is where it shall be.
func (c *Control) ReshardDeployment(ctx context.Context, in ReshardDeployment) (d *resource.Deployment, err error) {
	if !in.Immediately {
		return nil, invalid("ApplyImmediately", "ApplyImmediately=False is not supported: slots move at once.")
	}
	if in.Count < 1 || in.Count > mostShards {
		return nil, tooManyShards(resource.ReplicationGroup, in.Count)
	}
	for i := range in.Shards {
		s := &in.Shards[i]
		if s.Name != "" {
			s.Name = shardName(s.Name)
		}
		if err := checkZones(in.Scope, append(slices.Clone(s.ReplicaZones), s.PrimaryZone)...); err != nil {
			return nil, err
		}
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if d, err = modifiable(tx, in.Scope, resource.ReplicationGroup, in.Name); err != nil {
			return err
		}
		if !d.Layout.ClusterMode {
			return conflicting("Replication group %s has cluster mode disabled, and with it one node group.", d.Name)
		}
		if in.Count == len(d.Layout.Shards) {
			return invalid("NodeGroupCount", "Replication group %s has %d node groups already.", d.Name, in.Count)
		}
		fresh, err := c.setShards(tx, d, in)
		if err != nil {
			return err
		}
		return c.addNodes(tx, d, fresh...)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// setShards brings a cache to a number of shards: it returns the nodes of new ones, drops those of shards that go, and gives every
// shard an equal share of the slots, moving as few as that takes.
func (c *Control) setShards(tx *metastore.Tx, d *resource.Deployment, in ReshardDeployment) (fresh []*resource.Node, err error) {
	l := d.Layout
	before := l.Shards
	var wanted []ShardWanted
	switch {
	case in.Count < len(before):
		going, err := in.going(before)
		if err != nil {
			return nil, err
		}
		l.Shards = nil
		for _, s := range before {
			if !slices.Contains(going, s.Name) {
				l.Shards = append(l.Shards, s)
				continue
			}
			for _, n := range d.Of(s.Name) {
				if err := c.dropNode(tx, n); err != nil {
					return nil, err
				}
			}
		}
	case len(in.Remove) > 0 || len(in.Retain) > 0:
		return nil, conflicting("NodeGroupsToRemove and NodeGroupsToRetain are for fewer node groups than there are, %d.", len(before))
	default:
		if wanted, err = in.coming(before); err != nil {
			return nil, err
		}
		l.Shards = slices.Clone(before)
		for _, w := range wanted {
			l.Shards = append(l.Shards, resource.Shard{Name: w.Name, Replicas: before[0].Replicas})
		}
		slices.SortFunc(l.Shards, func(a, b resource.Shard) int { return strings.Compare(a.Name, b.Name) })
	}
	if err := moveShares(l.Shards, before); err != nil {
		return nil, err
	}
	return c.shardNodes(d, wanted), nil
}

// going are the names of the shards that go.
func (in *ReshardDeployment) going(have []resource.Shard) (names []string, err error) {
	excess := len(have) - in.Count
	named := func(param string, given []string, want int) ([]string, error) {
		var out []string
		for _, g := range given {
			g = shardName(g)
			if !slices.ContainsFunc(have, func(s resource.Shard) bool { return s.Name == g }) || slices.Contains(out, g) {
				return nil, invalid(param, "Node group %s not found, or it is given more than once.", clip(g))
			}
			out = append(out, g)
		}
		if len(out) != want {
			return nil, conflicting("NodeGroupCount is %d of %d node groups, so that %d are to be named in %s; %d were.", in.Count, len(have), want, param, len(out))
		}
		return out, nil
	}
	switch {
	case len(in.Remove) > 0 && len(in.Retain) > 0:
		return nil, conflicting("NodeGroupsToRemove and NodeGroupsToRetain cannot be given together.")
	case len(in.Remove) > 0:
		return named("NodeGroupsToRemove", in.Remove, excess)
	case len(in.Retain) > 0:
		stay, err := named("NodeGroupsToRetain", in.Retain, in.Count)
		for _, s := range have {
			if !slices.Contains(stay, s.Name) {
				names = append(names, s.Name)
			}
		}
		return names, err
	case in.Name != "":
		return nil, conflicting("For fewer node groups, NodeGroupsToRemove or NodeGroupsToRetain must be provided.")
	}
	for _, s := range have[in.Count:] {
		names = append(names, s.Name)
	}
	return names, nil
}

// coming are the shards that are new: those that are named and do not exist, then ones with the next free names.
func (in *ReshardDeployment) coming(have []resource.Shard) (wanted []ShardWanted, err error) {
	if len(in.Shards) > in.Count {
		return nil, conflicting("ReshardingConfiguration has %d node groups and NodeGroupCount is %d.", len(in.Shards), in.Count)
	}
	names := map[string]bool{}
	for _, s := range have {
		names[s.Name] = true
	}
	extra := in.Count - len(have)
	var nameless []ShardWanted
	for _, w := range in.Shards {
		switch {
		case w.Name == "":
			nameless = append(nameless, w)
		case !names[w.Name]:
			names[w.Name] = true
			wanted = append(wanted, w)
		}
	}
	if len(nameless) > extra { // one for every shard, in order
		nameless = nameless[len(nameless)-extra:]
	}
	for i := 1; len(wanted) < extra; i++ {
		name := fmt.Sprintf("%04d", i)
		if names[name] {
			continue
		}
		w := ShardWanted{}
		if len(nameless) > 0 {
			w, nameless = nameless[0], nameless[1:]
		}
		w.Name = name
		wanted = append(wanted, w)
	}
	if len(wanted) > extra {
		return nil, conflicting("ReshardingConfiguration names %d new node groups and NodeGroupCount makes room for %d.", len(wanted), extra)
	}
	return wanted, nil
}

// shardNodes are the nodes of new shards.
func (c *Control) shardNodes(d *resource.Deployment, wanted []ShardWanted) (fresh []*resource.Node) {
	for _, w := range wanted {
		i := slices.IndexFunc(d.Layout.Shards, func(s resource.Shard) bool { return s.Name == w.Name })
		s := d.Layout.Shards[i]
		for k := range s.Replicas + 1 {
			where := zone(d.Scope, i+k)
			if k == 0 && w.PrimaryZone != "" {
				where = w.PrimaryZone
			} else if k > 0 && k <= len(w.ReplicaZones) {
				where = w.ReplicaZones[k-1]
			}
			n := newNode(d.Cache, s, memberName(d.Cache, s.Name, k+1), where)
			n.Primary, n.CreatedAt = k == 0, c.now()
			fresh = append(fresh, n)
		}
	}
	return fresh
}

// moveShares gives every shard an equal share: what a shard has too much of goes, from its end, to those that have too little, and
// with it what the shards have that are not among them any more.
func moveShares(shards, before []resource.Shard) error {
	var loose []resource.SlotRange
	for _, old := range before {
		if !slices.ContainsFunc(shards, func(s resource.Shard) bool { return s.Name == old.Name }) {
			loose = append(loose, old.Slots...)
		}
	}
	share := func(i int) int { // the first shards get one more when the slots do not divide
		n := resource.SlotCount / len(shards)
		if i < resource.SlotCount%len(shards) {
			n++
		}
		return n
	}
	for i := range shards {
		s := &shards[i]
		kept, rest := cutSlots(resource.JoinSlots(s.Slots), share(i))
		s.Slots, loose = kept, append(loose, rest...)
	}
	loose = resource.JoinSlots(loose)
	for i := range shards {
		s := &shards[i]
		var got []resource.SlotRange
		got, loose = cutSlots(loose, share(i)-slotsIn(s.Slots))
		s.Slots = resource.JoinSlots(append(slices.Clone(s.Slots), got...))
	}
	var all []resource.SlotRange
	for _, s := range shards {
		all = append(all, s.Slots...)
	}
	if err := resource.CoverSlots(all); err != nil {
		return fmt.Errorf("new shares of slots: %w", err)
	}
	return nil
}

// cutSlots takes the first n slots of some ranges.
func cutSlots(ranges []resource.SlotRange, n int) (taken, rest []resource.SlotRange) {
	for _, r := range ranges {
		switch have := r.End - r.Start + 1; {
		case n >= have:
			taken, n = append(taken, r), n-have
		case n > 0:
			taken = append(taken, resource.SlotRange{Start: r.Start, End: r.Start + n - 1})
			rest, n = append(rest, resource.SlotRange{Start: r.Start + n, End: r.End}), 0
		default:
			rest = append(rest, r)
		}
	}
	return taken, rest
}

func slotsIn(ranges []resource.SlotRange) (n int) {
	for _, r := range ranges {
		n += r.End - r.Start + 1
	}
	return n
}
