package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// work lists the kinds of the jobs that wait for a cache, oldest first.
func (p *plane) work(cacheID string) (kinds []string) {
	p.t.Helper()
	p.must(p.db.View(context.Background(), func(tx *metastore.Tx) error {
		rows, err := tx.Query(`SELECT kind FROM jobs WHERE subject = ? ORDER BY id`, cacheID)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var kind string
			if err := rows.Scan(&kind); err != nil {
				return err
			}
			kinds = append(kinds, kind)
		}
		return rows.Err()
	}))
	return kinds
}

// modify is a request to change a cache.
func modify(kind resource.Kind, name string, f func(*ModifyDeployment)) ModifyDeployment {
	in := ModifyDeployment{Scope: home, Kind: kind, Name: name, Immediately: true}
	f(&in)
	return in
}

func TestModifiedDeployments(t *testing.T) {
	t.Parallel()
	replicated := func(in *CreateDeployment) { in.Replicas = ptr(1) }
	memcached := func(in *CreateDeployment) { in.Engine, in.Nodes = "memcached", ptr(2) }
	redis := func(in *CreateDeployment) { in.Engine, in.EngineVersion = "redis", "7.0" }
	for name, c := range map[string]struct {
		create CreateDeployment
		change func(*ModifyDeployment)
		jobs   string
		status resource.CacheStatus
		holds  func(d *resource.Deployment) bool
	}{
		"records alone": {group("x"), func(in *ModifyDeployment) {
			in.Description, in.MaintenanceWindow, in.SnapshotWindow, in.AutoMinorUpgrade = ptr("new"), ptr("MON:01:00-mon:02:00"), ptr("05:00-06:00"), ptr(false)
			in.Topic, in.SecurityGroups = ptr("arn:aws:sns:us-east-1:123456789012:news"), []string{"sg-1"}
		}, "create-cache", resource.CacheAvailable, func(d *resource.Deployment) bool {
			l := d.Layout
			return d.Description == "new" && l.MaintenanceWindow == "mon:01:00-mon:02:00" && l.SnapshotWindow == "05:00-06:00" && !l.AutoMinorUpgrade &&
				l.TopicStatus == "active" && d.SecurityGroupIDs[0] == "sg-1"
		}},
		"snapshots on": {group("x", replicated), func(in *ModifyDeployment) { in.SnapshotRetention, in.SnapshottingNode = ptr(3), ptr("X-001") },
			"create-cache", resource.CacheAvailable, func(d *resource.Deployment) bool {
				return d.SnapshotRetention == 3 && d.Layout.SnapshottingNode == "x-001"
			}},
		"failover on": {group("x", replicated), func(in *ModifyDeployment) { in.Failover, in.MultiZone = ptr(true), ptr(true) },
			"create-cache", resource.CacheAvailable, func(d *resource.Deployment) bool { return d.Layout.AutomaticFailover && d.Layout.MultiAZ }},
		"node type": {group("x"), func(in *ModifyDeployment) { in.NodeType = ptr("cache.r6g.large") },
			"create-cache modify-cache", resource.CacheModifying, func(d *resource.Deployment) bool { return d.Layout.NodeType == "cache.r6g.large" }},
		"node type, later": {group("x"), func(in *ModifyDeployment) { in.NodeType, in.Immediately = ptr("cache.r6g.large"), false },
			"create-cache", resource.CacheAvailable, func(d *resource.Deployment) bool {
				return d.Layout.NodeType == "cache.t3.micro" && d.Layout.Pending.NodeType == "cache.r6g.large"
			}},
		"engine": {cluster("x", redis), func(in *ModifyDeployment) { in.Engine, in.EngineVersion = ptr("valkey"), ptr("8.0") },
			"create-cache modify-cache", resource.CacheModifying, func(d *resource.Deployment) bool { return d.Layout.ParameterGroup == "default.valkey8" }},
		"parameter group to its other mode": {group("x"), func(in *ModifyDeployment) { in.ParameterGroup = ptr("default.valkey8") },
			"create-cache", resource.CacheAvailable, func(d *resource.Deployment) bool { return d.Layout.ParameterStatus == resource.ParametersInSync }},
		"token": {group("x", func(in *CreateDeployment) { in.TransitEncryption = ptr(true) }), func(in *ModifyDeployment) {
			in.AuthToken, in.AuthStrategy = ptr(resource.Secret("0123456789abcdef")), "SET"
		}, "create-cache configure-cache", resource.CacheAvailable, func(d *resource.Deployment) bool { return len(d.Layout.AuthTokens) == 1 }},
		"promotion": {group("x", replicated), func(in *ModifyDeployment) { in.Primary = ptr("x-002") },
			"create-cache failover", resource.CacheModifying, func(d *resource.Deployment) bool { return d.Nodes[0].Primary }},
		"memcached grows": {cluster("x", memcached), func(in *ModifyDeployment) { in.Nodes, in.NewZones = ptr(3), []string{"us-east-1b"} },
			"create-cache modify-cache", resource.CacheModifying, func(d *resource.Deployment) bool {
				return shape(d) == "x/0001 primary a ; x/0002 primary a ; x/0003 primary b " && d.Layout.MemcachedNodes == 3 && d.Layout.MultiAZ
			}},
		"memcached shrinks": {cluster("x", memcached), func(in *ModifyDeployment) { in.Nodes, in.RemoveNodes = ptr(1), []string{"0001"} },
			"create-cache modify-cache", resource.CacheModifying, func(d *resource.Deployment) bool {
				return d.Nodes[0].Status == resource.NodeDeleting && d.Nodes[1].Status == resource.NodeAvailable && d.Layout.MemcachedNodes == 1
			}},
		"memorydb grows": {memorydb("x", func(in *CreateDeployment) { in.Replicas = ptr(0) }), func(in *ModifyDeployment) { in.NumShards, in.Replicas = ptr(2), ptr(1) },
			"create-cache modify-cache", resource.CacheModifying, func(d *resource.Deployment) bool {
				return shape(d) == "x-0001-001/0001 primary a 0-16383; x-0001-002/0001 replica b 0-16383; x-0002-001/0001 primary b 8192-16383; x-0002-002/0001 replica c 8192-16383" &&
					resource.FormatSlots(d.Layout.Shards[0].Slots) == "0-8191" && d.Layout.MultiAZ
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlane(t, withMemcached)
			id := p.deployed(c.create).ID
			d, err := p.ModifyDeployment(context.Background(), modify(c.create.Kind, "X", c.change))
			p.must(err)
			p.must(p.db.View(context.Background(), func(tx *metastore.Tx) error {
				kept, err := deploymentNamed(tx, home, c.create.Kind, "x")
				if err == nil && (shape(kept) != shape(d) || kept.Status != d.Status) {
					t.Errorf("kept is %s, answered %s", shape(kept), shape(d))
				}
				d = kept
				return err
			}))
			if jobs := strings.Join(p.work(id), " "); jobs != c.jobs || d.Status != c.status || !c.holds(d) {
				t.Errorf("jobs %q, status %s, %s, %+v", jobs, d.Status, shape(d), d.Layout)
			}
		})
	}
}

func TestRefusedModifications(t *testing.T) {
	t.Parallel()
	p := newPlane(t, withMemcached)
	p.deployed(group("one"))
	p.deployed(group("two", func(in *CreateDeployment) { in.Replicas, in.Failover = ptr(1), ptr(true) }))
	p.deployed(group("many", func(in *CreateDeployment) { in.NumShards = ptr(2) }))
	p.deployed(cluster("mem", func(in *CreateDeployment) { in.Engine, in.Nodes = "memcached", ptr(2) }))
	p.deployed(memorydb("mdb"))
	busy, err := p.CreateDeployment(context.Background(), group("busy"))
	p.must(err)
	const rg, cc, mdb = resource.ReplicationGroup, resource.CacheCluster, resource.MemoryDBCluster
	for _, c := range []struct {
		in   ModifyDeployment
		kind resource.ErrorKind
		want string
	}{
		{modify(rg, "one", func(in *ModifyDeployment) {}), resource.InvalidCombination, "No modifications were requested"},
		{modify(mdb, "mdb", func(in *ModifyDeployment) {}), resource.NoOperation, "No modifications were requested"},
		{modify(rg, "none", func(in *ModifyDeployment) {}), resource.NotFound, "Replication group none not found."},
		{modify(rg, busy.Name, func(in *ModifyDeployment) {}), resource.InvalidState, "is not in the available state; it is creating."},
		{modify(cc, "two-001", func(in *ModifyDeployment) {}), resource.InvalidCombination, "is a member of the replication group two"},
		{modify(rg, "one", func(in *ModifyDeployment) { in.SnapshotRetention = ptr(1) }), resource.InvalidCombination, "Must specify both SnapshotRetentionLimit and SnapshottingClusterId to turn on snapshots"},
		{modify(rg, "many", func(in *ModifyDeployment) { in.SnapshottingNode = ptr("many-0001-001") }), resource.InvalidCombination, "Cannot set snapshotting cluster for cluster mode enabled replication group"},
		{modify(rg, "one", func(in *ModifyDeployment) { in.SnapshottingNode = ptr("two-001") }), resource.NotFound, "two-001 not found in replication group one"},
		{modify(rg, "one", func(in *ModifyDeployment) { in.Failover = ptr(true) }), resource.InvalidCombination, "needs at least one replica"},
		{modify(rg, "many", func(in *ModifyDeployment) { in.Failover = ptr(false) }), resource.InvalidCombination, "cannot be turned off in cluster mode"},
		{modify(rg, "two", func(in *ModifyDeployment) { in.Failover, in.MultiZone = ptr(false), ptr(true) }), resource.InvalidCombination, "MultiAZEnabled needs AutomaticFailoverEnabled."},
		{modify(rg, "two", func(in *ModifyDeployment) { in.Primary = ptr("two-002") }), resource.InvalidCombination, "Automatic failover must be turned off"},
		{modify(rg, "two", func(in *ModifyDeployment) { in.EngineVersion = ptr("8.0") }), resource.InvalidCombination, "engine versions are never downgraded"},
		{modify(rg, "two", func(in *ModifyDeployment) { in.Engine = ptr("redis") }), resource.InvalidCombination, "cannot become redis"},
		{modify(rg, "two", func(in *ModifyDeployment) { in.ParameterGroup = ptr("default.valkey8.cluster.on") }), resource.InvalidCombination, "Cluster mode should be disabled in parameter group, but found it is enabled."},
		{modify(rg, "two", func(in *ModifyDeployment) { in.ClusterMode = ptr(true) }), resource.InvalidCombination, "cannot be changed in place"},
		{modify(rg, "two", func(in *ModifyDeployment) { in.NodeType = ptr("db.t4g.small") }), resource.InvalidValue, ""},
		{modify(rg, "two", func(in *ModifyDeployment) { in.AuthToken = ptr(resource.Secret("0123456789abcdef")) }), resource.InvalidCombination, "The AUTH token modification is only supported when encryption-in-transit is enabled."},
		{modify(rg, "two", func(in *ModifyDeployment) { in.UserGroupsAdd = []string{"none"} }), resource.NotFound, "none"},
		{modify(rg, "two", func(in *ModifyDeployment) { in.UserGroupsRemove = []string{"none"} }), resource.NotFound, "is not one of two"},
		{modify(rg, "two", func(in *ModifyDeployment) {
			in.SnapshotWindow, in.MaintenanceWindow = ptr("05:00-06:00"), ptr("sun:05:00-sun:06:00")
		}), resource.InvalidValue, "must not overlap"},
		{modify(rg, "two", func(in *ModifyDeployment) { in.Nodes = ptr(3) }), resource.InvalidValue, "NumCacheNodes should be 1"},
		{modify(cc, "mem", func(in *ModifyDeployment) { in.Nodes = ptr(1) }), resource.InvalidCombination, "1 CacheNodeIdsToRemove are needed; 0 were given"},
		{modify(cc, "mem", func(in *ModifyDeployment) { in.Nodes, in.RemoveNodes = ptr(1), []string{"0009"} }), resource.InvalidValue, `has no node "0009"`},
		{modify(cc, "mem", func(in *ModifyDeployment) { in.Nodes, in.NewZones = ptr(4), []string{"us-east-1a"} }), resource.InvalidCombination, "2 nodes are added and 1 NewAvailabilityZones were given."},
		{modify(cc, "mem", func(in *ModifyDeployment) { in.SnapshotRetention = ptr(2) }), resource.InvalidCombination, "Memcached clusters have no snapshots"},
		{modify(cc, "mem", func(in *ModifyDeployment) {
			in.Nodes, in.RemoveNodes, in.MultiZone = ptr(1), []string{"0001"}, ptr(true)
		}), resource.InvalidCombination, "AZMode cross-az needs at least two nodes."},
		{modify(mdb, "mdb", func(in *ModifyDeployment) { in.ACL = ptr("none") }), resource.NotFound, "ACL none not found."},
		{modify(mdb, "mdb", func(in *ModifyDeployment) { in.NumShards = ptr(0) }), resource.InvalidValue, "NumShards must be between 1 and 500"},
	} {
		if _, err := p.ModifyDeployment(context.Background(), c.in); !is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s %q", c.in.Name, err, c.kind, c.want)
		}
	}
}

// A change that interrupts service is made in the maintenance window, once.
func TestChangesWaitForTheWindow(t *testing.T) {
	t.Parallel()
	p := newPlane(t, withMemcached) // Saturday noon
	id := p.deployed(cluster("x", func(in *CreateDeployment) {
		in.Engine, in.Nodes, in.MaintenanceWindow = "memcached", ptr(2), "sat:23:30-sun:00:30"
	})).ID
	later := func(f func(*ModifyDeployment)) {
		t.Helper()
		_, err := p.ModifyDeployment(context.Background(), modify(resource.CacheCluster, "x", func(in *ModifyDeployment) { in.Immediately = false; f(in) }))
		p.must(err)
	}
	later(func(in *ModifyDeployment) { in.NodeType = ptr("cache.r6g.large") })
	later(func(in *ModifyDeployment) { in.Nodes, in.RemoveNodes = ptr(1), []string{"0001"} })
	for _, step := range []struct {
		ahead time.Duration
		jobs  int
	}{{0, 1}, {11*time.Hour + 29*time.Minute, 1}, {time.Minute, 2}, {time.Minute, 2}} {
		p.advance(step.ahead)
		p.must(p.Schedule(context.Background()))
		if jobs := p.work(id); len(jobs) != step.jobs {
			t.Fatalf("at %s there are the jobs %q", p.now(), jobs)
		}
	}
	d := p.reshaped(id)
	if shape(d) != "x/0002 primary a " || d.Layout.NodeType != "cache.r6g.large" || d.Layout.Pending != nil || d.Layout.MemcachedNodes != 1 {
		t.Errorf("became %s %+v", shape(d), d.Layout)
	}
}

func TestReplicasComeAndGo(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	id := p.deployed(group("g", func(in *CreateDeployment) { in.Replicas, in.Tags = ptr(1), []resource.Tag{{Key: "k", Value: "v"}} })).ID
	p.deployed(cluster("g-003"))
	for _, c := range []struct {
		in   ChangeReplicas
		want string // the members afterwards, or what is refused
	}{
		{ChangeReplicas{Increase: true, Count: ptr(3)}, "ApplyImmediately=False is not supported"},
		{ChangeReplicas{Increase: true, Immediately: true}, "One of NewReplicaCount or ReplicaConfiguration must be provided."},
		{ChangeReplicas{Increase: true, Immediately: true, Count: ptr(1)}, "has as many replicas as were asked for"},
		{ChangeReplicas{Increase: true, Immediately: true, Count: ptr(0)}, "IncreaseReplicaCount cannot make them 0"},
		{ChangeReplicas{Increase: true, Immediately: true, Count: ptr(6)}, "A shard has 0 to 5 replicas"},
		{ChangeReplicas{Increase: true, Immediately: true, Shards: []ShardReplicas{{Name: "2", Count: 3}}}, "Node group 0002 not found"},
		{ChangeReplicas{Increase: true, Immediately: true, Shards: []ShardReplicas{{Name: "1", Count: 3, Zones: []string{"us-east-1a", "us-east-1b", "us-east-1d", "us-east-1e"}}}},
			"g-001 primary a; g-002 replica b; g-004 replica d; g-005 replica e"},
		{ChangeReplicas{Immediately: true, Remove: []string{"g-001"}}, "is serving as primary"},
		{ChangeReplicas{Immediately: true, Remove: []string{"g-003"}}, "g-003 not found in replication group g"},
		{ChangeReplicas{Immediately: true, Remove: []string{"g-002"}}, "g-001 primary a; g-004 replica d; g-005 replica e"},
		{ChangeReplicas{Immediately: true, Count: ptr(1)}, "g-001 primary a; g-004 replica d"},
		{ChangeReplicas{Immediately: true, Count: ptr(0)}, "g-001 primary a"},
	} {
		c.in.Scope, c.in.Name = home, "G"
		_, err := p.ChangeReplicas(context.Background(), c.in)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %q", c.in, err, c.want)
			}
			continue
		}
		d := p.reshaped(id)
		got := strings.NewReplacer("/0001", "", " 0-16383", "").Replace(shape(d))
		for _, n := range d.Nodes {
			if p.tagsOf(memberARN(home, n.Name)) != "k=v " {
				t.Errorf("%s has the tags %q", n.Name, p.tagsOf(memberARN(home, n.Name)))
			}
		}
		if got != c.want || d.Layout.Shards[0].Replicas != len(d.Nodes)-1 || d.Member(d.Layout.SnapshottingNode) == nil {
			t.Errorf("%+v: %s (%+v), want %q", c.in, got, d.Layout, c.want)
		}
	}
}

func TestLastReplicasOfFailoverStay(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.deployed(group("g", func(in *CreateDeployment) { in.Replicas, in.Failover = ptr(1), ptr(true) }))
	if _, err := p.ChangeReplicas(context.Background(), ChangeReplicas{Scope: home, Name: "g", Immediately: true, Count: ptr(0)}); !is(err, resource.InvalidCombination) {
		t.Error(err)
	}
	if _, err := p.DeleteDeployment(context.Background(), DeleteDeployment{Scope: home, Kind: resource.CacheCluster, Name: "g-002"}); !is(err, resource.InvalidState) {
		t.Error(err)
	}
}

func TestShardsComeAndGo(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	id := p.deployed(group("g", func(in *CreateDeployment) { in.NumShards, in.Replicas = ptr(2), ptr(1) })).ID
	for _, c := range []struct {
		in   ReshardDeployment
		want string // shards and their slots afterwards, or what is refused
	}{
		{ReshardDeployment{Count: 3}, "ApplyImmediately=False is not supported"},
		{ReshardDeployment{Count: 2, Immediately: true}, "has 2 node groups already"},
		{ReshardDeployment{Count: 3, Immediately: true, Remove: []string{"0001"}}, "are for fewer node groups"},
		{ReshardDeployment{Count: 1, Immediately: true}, "NodeGroupsToRemove or NodeGroupsToRetain must be provided"},
		{ReshardDeployment{Count: 3, Immediately: true, Shards: []ShardWanted{{Name: "5"}, {Name: "6"}}}, "names 2 new node groups"},
		{ReshardDeployment{Count: 3, Immediately: true}, "0001 0-5461; 0002 8192-13652; 0003 5462-8191,13653-16383"},
		{ReshardDeployment{Count: 1, Immediately: true, Remove: []string{"0001"}}, "so that 2 are to be named in NodeGroupsToRemove; 1 were"},
		{ReshardDeployment{Count: 2, Immediately: true, Retain: []string{"3", "1"}}, "0001 0-5461,8192-10921; 0003 5462-8191,10922-16383"},
		{ReshardDeployment{Count: 3, Immediately: true, Shards: []ShardWanted{{}, {PrimaryZone: "us-east-1e"}, {PrimaryZone: "us-east-1f"}}},
			"0001 0-5461; 0002 8192-10921,13653-16383; 0003 5462-8191,10922-13652"},
	} {
		c.in.Scope, c.in.Name = home, "g"
		before, _, err := p.DescribeDeployments(context.Background(), DescribeDeployments{Scope: home, Kind: resource.ReplicationGroup, Name: "g"})
		p.must(err)
		d, err := p.ReshardDeployment(context.Background(), c.in)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %q", c.in, err, c.want)
			}
			continue
		}
		var got []string
		for _, s := range d.Layout.Shards {
			got = append(got, s.Name+" "+resource.FormatSlots(s.Slots))
			if n := d.Of(s.Name); len(n) != 2 || d.Primary(s.Name) == nil {
				t.Errorf("shard %s has the nodes %s", s.Name, shape(d))
			}
		}
		if text := strings.Join(got, "; "); !sameShares(d, before[0]) || text != c.want {
			t.Errorf("%+v: %s, want %q", c.in, text, c.want)
		}
		d = p.reshaped(id)
		if len(d.Nodes) != 2*c.in.Count {
			t.Errorf("%+v leaves %s", c.in, shape(d))
		}
	}
}

// sameShares tells whether all shards have equal shares and no more slots moved than had to.
func sameShares(after, before *resource.Deployment) bool {
	moved, must, n := 0, 0, len(after.Layout.Shards)
	for _, s := range after.Layout.Shards {
		size := slotsIn(s.Slots)
		if size < resource.SlotCount/n || size > resource.SlotCount/n+1 {
			return false
		}
		had := 0
		for _, old := range before.Layout.Shards {
			if old.Name == s.Name {
				had = slotsIn(old.Slots)
				moved += size - common(old.Slots, s.Slots)
			}
		}
		if had == 0 {
			moved += size
		}
		must += max(size-had, 0)
	}
	return moved == must
}

func common(a, b []resource.SlotRange) (n int) {
	for _, x := range a {
		for _, y := range b {
			n += max(min(x.End, y.End)-max(x.Start, y.Start)+1, 0)
		}
	}
	return n
}

// However shards come and go, every slot stays in exactly one of them, in equal shares, and no more move than must.
func TestSharesOfSlots(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(rt, "before")
		shards := make([]resource.Shard, n)
		for i, r := range resource.EqualSlots(n) {
			shards[i] = resource.Shard{Name: fmt.Sprintf("%04d", i+1), Slots: []resource.SlotRange{r}}
		}
		for range rapid.IntRange(1, 4).Draw(rt, "times") {
			before := slices.Clone(shards)
			if rapid.Bool().Draw(rt, "grow") || len(shards) == 1 {
				for range rapid.IntRange(1, 10).Draw(rt, "by") {
					n++
					shards = append(shards, resource.Shard{Name: fmt.Sprintf("%04d", n)})
				}
			} else {
				keep := rapid.IntRange(1, len(shards)-1).Draw(rt, "keep")
				shards = rapid.Permutation(shards).Draw(rt, "order")[:keep:keep]
				slices.SortFunc(shards, func(a, b resource.Shard) int { return strings.Compare(a.Name, b.Name) })
			}
			if err := moveShares(shards, before); err != nil {
				rt.Fatal(err)
			}
			at := func(s []resource.Shard) *resource.Deployment {
				return resource.NewDeployment(&resource.Cache{Layout: &resource.Layout{Shards: s}}, nil)
			}
			if !sameShares(at(shards), at(before)) {
				rt.Fatalf("%v became %v", before, shards)
			}
		}
	})
}
