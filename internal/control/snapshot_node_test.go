package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

var (
	nodeSpace   = resource.CacheCluster.SnapshotSpace()
	memorySpace = resource.MemoryDBCluster.SnapshotSpace()
)

// standing makes a cache of nodes that is available, with records such as its command would leave and its job would have filled.
func (p *plane) standing(kind resource.Kind, name string, shards, replicas int, change ...func(*resource.Cache)) *resource.Deployment {
	p.t.Helper()
	cache := &resource.Cache{ID: newID(), Kind: kind, Scope: home, Name: name, Status: resource.CacheAvailable, CreatedAt: noon.Add(-time.Hour),
		Engine: resource.Valkey, MajorEngineVersion: "8", Layout: &resource.Layout{NodeType: "cache.t4g.micro", EngineVersion: "8.0", Port: 6379,
			ClusterMode: shards > 1 || kind == resource.MemoryDBCluster, SnapshotWindow: "13:00-14:30"}}
	var nodes []*resource.Node
	for k := range shards {
		slots := []resource.SlotRange{{Start: 16384 * k / shards, End: 16384*(k+1)/shards - 1}}
		shard := resource.Shard{Name: fmt.Sprintf("%04d", k+1), Slots: slots, Replicas: replicas}
		cache.Layout.Shards = append(cache.Layout.Shards, shard)
		for n := range replicas + 1 {
			member := fmt.Sprintf("%s-%03d", name, n+1)
			if kind == resource.CacheCluster {
				member = name
			} else if cache.Layout.ClusterMode {
				member = fmt.Sprintf("%s-%s-%03d", name, shard.Name, n+1)
			}
			nodes = append(nodes, &resource.Node{ID: newID(), CacheID: cache.ID, Shard: shard.Name, Primary: n == 0, Name: member, Number: "0001",
				Zone: "us-east-1" + string(rune('a'+n)), Slots: slots, Status: resource.NodeAvailable, CreatedAt: noon.Add(-time.Hour)})
		}
	}
	for _, f := range change {
		f(cache)
	}
	p.must(p.db.Update(context.Background(), func(tx *metastore.Tx) error {
		if err := tx.InsertCache(cache); err != nil {
			return err
		}
		for _, n := range nodes {
			if err := tx.InsertNode(cache, n); err != nil {
				return err
			}
		}
		return nil
	}))
	return resource.NewDeployment(cache, nodes)
}

func (p *plane) statusOf(id string) (status resource.CacheStatus) {
	p.t.Helper()
	p.must(p.db.View(context.Background(), func(tx *metastore.Tx) error {
		cache, err := tx.CacheByID(id)
		if err == nil {
			status = cache.Status
		}
		return err
	}))
	return status
}

func daily(days int) func(*resource.Cache) {
	return func(c *resource.Cache) { c.SnapshotRetention = days }
}

// The snapshot of a group freezes its layout and shards, and the group shows it.
func TestSnapshotOfAGroup(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	d := p.standing(resource.ReplicationGroup, "orders", 3, 1, func(c *resource.Cache) { c.Layout.AuthTokens = []string{"hash"} })
	p.must(p.db.Update(t.Context(), func(tx *metastore.Tx) error { return tx.SetTags(d.ARN(), []resource.Tag{{Key: "team", Value: "a"}}) }))
	s, err := p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: nodeSpace, Group: "Orders", Name: "Before"})
	p.must(err)
	if s.Name != "before" || s.Status != resource.SnapshotCreating || s.Type != resource.Manual || s.FromNode != "" || s.Kind != resource.ReplicationGroup ||
		!s.KMSDefault || s.ARN() != "arn:aws:elasticache:us-east-1:123456789012:snapshot:before" {
		t.Errorf("%+v", s)
	}
	if s.Source.Layout.AuthTokens != nil || d.Layout.AuthTokens == nil {
		t.Error("tokens belong to the cache, not to its snapshots")
	}
	if len(s.Shards) != 3 {
		t.Fatalf("%d shards", len(s.Shards))
	}
	for k, shard := range s.Shards {
		if shard.Node != fmt.Sprintf("orders-%04d-002", k+1) || shard.Zone != "us-east-1a" || !slices.Equal(shard.ReplicaZones, []string{"us-east-1b"}) ||
			shard.NodeCreatedAt.IsZero() || shard.Bytes != 0 || !shard.CreatedAt.IsZero() || len(shard.Shard.Slots) != 1 {
			t.Errorf("shard %d: %+v", k, shard)
		}
	}
	if got := p.statusOf(d.ID); got != resource.CacheSnapshotting {
		t.Errorf("the group is %s", got)
	}
	if jobs := p.jobs(resource.TaskCreateSnapshot); len(jobs) != 1 || jobs[0].Subject != s.ID {
		t.Errorf("%+v", jobs)
	}
	tags, err := p.Tags(t.Context(), home, "elasticache", s.ARN())
	if p.must(err); len(tags) != 1 {
		t.Errorf("tags %v", tags)
	}
	// Nothing else goes on meanwhile.
	_, err = p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: nodeSpace, Group: "orders", Name: "another"})
	wantError(t, err, resource.InvalidState, resource.TypeReplicationGroup, "Replication group orders is not in the available state; it is snapshotting.")
	_, err = p.DeleteSnapshot(t.Context(), home, nodeSpace, "before")
	wantError(t, err, resource.InvalidState, resource.TypeNodeSnapshot, "Snapshot before cannot be deleted now: it is creating.")
}

func wantError(t *testing.T, err error, kind resource.ErrorKind, typ resource.Type, message string) {
	t.Helper()
	wantKind(t, err, kind)
	if e, ok := err.(*resource.Error); ok && (e.Type != typ || message != "" && e.Message != message) {
		t.Errorf("%s %q, want %s %q", e.Type, e.Message, typ, message)
	}
}

// Without cluster mode a member can be named, alone or with its group.
func TestSnapshotOfAMember(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	d := p.standing(resource.ReplicationGroup, "orders", 1, 2)
	p.must(p.db.Update(t.Context(), func(tx *metastore.Tx) error {
		return tx.SetTags(memberARN(home, "orders-003"), []resource.Tag{{Key: "own"}})
	}))
	for name, in := range map[string]CreateSnapshot{"a": {Cluster: "orders-003"}, "b": {Cluster: "ORDERS-003", Group: "orders"}, "c": {Group: "orders"}} {
		in.Scope, in.Space, in.Name = home, nodeSpace, name
		s, err := p.CreateSnapshot(t.Context(), in)
		p.must(err)
		member, node := "orders-003", "orders-003"
		if in.Cluster == "" {
			member, node = "", "orders-002"
		}
		if s.Member() != member || s.Shards[0].Node != node || s.Source.Name != "orders" {
			t.Errorf("%s: of %q, from %q", name, s.Member(), s.Shards[0].Node)
		}
		if tags, err := p.Tags(t.Context(), home, "elasticache", s.ARN()); err != nil || (len(tags) == 1) != (member != "") {
			t.Errorf("%s inherits %v, %v", name, tags, err)
		}
		p.finish(resource.SnapshotAvailable)
		p.settle(d.ID)
	}
}

// What a snapshot of nodes is refused for, in the words of the service.
func TestRefusedSnapshotsOfNodes(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.standing(resource.ReplicationGroup, "plain", 1, 1)
	p.standing(resource.ReplicationGroup, "sharded", 2, 1)
	p.standing(resource.ReplicationGroup, "busy", 1, 1, func(c *resource.Cache) { c.Status = resource.CacheModifying })
	p.standing(resource.CacheCluster, "alone", 1, 0)
	p.standing(resource.CacheCluster, "mem", 1, 0, func(c *resource.Cache) { c.Engine = resource.Memcached })
	p.standing(resource.CacheCluster, "tiny", 1, 0, func(c *resource.Cache) { c.Layout.NodeType = "cache.t1.micro" })
	taken := CreateSnapshot{Scope: home, Space: nodeSpace, Name: "taken", Cluster: "alone"}
	_, err := p.CreateSnapshot(t.Context(), taken)
	p.must(err)
	for _, c := range []struct {
		in      CreateSnapshot
		kind    resource.ErrorKind
		typ     resource.Type
		message string
	}{
		{CreateSnapshot{Name: "1bad", Cluster: "alone"}, resource.InvalidValue, resource.TypeParameter, fmt.Sprintf(notIdentifier, "SnapshotName")},
		{CreateSnapshot{Name: "automatic.x", Cluster: "alone"}, resource.InvalidValue, resource.TypeParameter, fmt.Sprintf(notIdentifier, "SnapshotName")},
		{CreateSnapshot{}, resource.InvalidValue, resource.TypeParameter, "One of CacheClusterId or ReplicationGroupId must be provided."},
		{CreateSnapshot{Name: "taken", Cluster: "none"}, resource.AlreadyExists, resource.TypeNodeSnapshot, "Snapshot taken already exists."},
		{CreateSnapshot{Cluster: "none"}, resource.NotFound, resource.TypeCluster, "Cache cluster none not found."},
		{CreateSnapshot{Group: "none"}, resource.NotFound, resource.TypeReplicationGroup, "Replication group none not found."},
		{CreateSnapshot{Group: "alone"}, resource.NotFound, resource.TypeReplicationGroup, ""},
		{CreateSnapshot{Cluster: "sharded-0001-001"}, resource.InvalidValue, resource.TypeParameter, ""},
		{CreateSnapshot{Cluster: "sharded-0001-001", Group: "plain"}, resource.InvalidCombination, resource.TypeParameter,
			"Cache cluster sharded-0001-001 is not a member of replication group plain."},
		{CreateSnapshot{Cluster: "mem"}, resource.Unsupported, resource.TypeNodeSnapshot, ""},
		{CreateSnapshot{Cluster: "tiny"}, resource.Unsupported, resource.TypeNodeSnapshot, ""},
		{CreateSnapshot{Cluster: "busy-001"}, resource.InvalidState, resource.TypeCluster, "Cache cluster busy-001 is not in the available state; it is modifying."},
		{CreateSnapshot{Group: "busy"}, resource.InvalidState, resource.TypeReplicationGroup, ""},
		{CreateSnapshot{Cluster: "alone"}, resource.InvalidState, resource.TypeCluster, "Cache cluster alone is not in the available state; it is snapshotting."},
		{CreateSnapshot{Group: "plain", KMSKeyID: "alias/none"}, resource.InvalidKey, resource.TypeParameter, ""},
		{CreateSnapshot{Group: "plain", Tags: []resource.Tag{{Key: "aws:x"}}}, resource.InvalidValue, resource.TypeParameter, ""},
	} {
		c.in.Scope, c.in.Space = home, nodeSpace
		if c.in.Name == "" {
			c.in.Name = "new"
		}
		_, err := p.CreateSnapshot(t.Context(), c.in)
		t.Run(fmt.Sprintf("%s %s%s", c.in.Name, c.in.Cluster, c.in.Group), func(t *testing.T) { wantError(t, err, c.kind, c.typ, c.message) })
	}
	if got := p.list(); !slices.Equal(got, []string{"taken creating"}) {
		t.Errorf("there is %q", got)
	}
}

// Names are unique within a service, and a group and its member together are taken in cluster mode as the group.
func TestSnapshotsOfMemoryDB(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	group, cluster := p.standing(resource.ReplicationGroup, "orders", 2, 0), p.standing(resource.MemoryDBCluster, "orders", 2, 0)
	_, err := p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: nodeSpace, Group: "orders", Cluster: "orders-0002-001", Name: "same"})
	p.must(err)
	s, err := p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: memorySpace, Cache: "orders", Name: "same"})
	p.must(err)
	if s.ARN() != "arn:aws:memorydb:us-east-1:123456789012:snapshot/same" || p.statusOf(cluster.ID) != resource.CacheSnapshotting || s.KMSKeyID == "" {
		t.Errorf("%+v", s)
	}
	if p.statusOf(group.ID) != resource.CacheSnapshotting {
		t.Error("the group is not snapshotting")
	}
	_, err = p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: memorySpace, Cache: "none", Name: "new"})
	wantError(t, err, resource.NotFound, resource.TypeCluster, "Cluster none not found.")
	_, err = p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: memorySpace, Cache: "orders", Name: "same"})
	wantError(t, err, resource.AlreadyExists, resource.TypeNodeSnapshot, "Snapshot same already exists.")
}

// Twenty a day of a node or cluster, in the service's words. Copies do not count, deleted ones do.
func TestQuotaOfNodeSnapshots(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind resource.Kind
		in   CreateSnapshot
		text string
	}{
		{resource.CacheCluster, CreateSnapshot{Space: nodeSpace, Cluster: "orders"},
			"The maximum number of manual snapshots for this node taken within 24 hours has been reached its quota of 20"},
		{resource.ReplicationGroup, CreateSnapshot{Space: nodeSpace, Group: "orders"},
			"The maximum number of manual snapshots for this cluster taken within 24 hours has been reached"},
		{resource.MemoryDBCluster, CreateSnapshot{Space: memorySpace, Cache: "orders"},
			"The maximum number of manual snapshots for this cluster taken within 24 hours has been reached"},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			p := newPlane(t)
			d := p.standing(c.kind, "orders", 1, 0)
			take := func(n int) error {
				c.in.Scope, c.in.Name = home, fmt.Sprintf("s%d", n)
				_, err := p.CreateSnapshot(t.Context(), c.in)
				if err == nil {
					p.finish(resource.SnapshotAvailable)
					p.settle(d.ID)
				}
				return err
			}
			for n := range 20 {
				p.must(take(n))
			}
			_, err := p.CopySnapshot(t.Context(), CopySnapshot{Scope: home, Space: c.in.Space, Source: "s0", Target: "copied"})
			p.must(err)
			_, err = p.DeleteSnapshot(t.Context(), home, c.in.Space, "s1")
			p.must(err)
			wantError(t, take(20), resource.QuotaExceeded, resource.TypeNodeSnapshot, c.text)
			f, err := p.newFinal(c.kind, home, "FinalSnapshotIdentifier", "last")
			p.must(err)
			err = p.db.View(t.Context(), func(tx *metastore.Tx) error { return f.check(tx, d.Cache) })
			if c.kind == resource.MemoryDBCluster {
				p.must(err) // whose delete has no fault for it
			} else {
				wantError(t, err, resource.QuotaExceeded, resource.TypeNodeSnapshot, c.text)
			}
			p.advance(24 * time.Hour)
			p.must(take(20))
		})
	}
}

// A copy has the shards of its source, and is manual.
func TestCopyOfANodeSnapshot(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.standing(resource.ReplicationGroup, "orders", 3, 0)
	_, err := p.CreateSnapshot(t.Context(), CreateSnapshot{Scope: home, Space: nodeSpace, Group: "orders", Name: "s"})
	p.must(err)
	_, err = p.CopySnapshot(t.Context(), CopySnapshot{Scope: home, Space: nodeSpace, Source: "s", Target: "early"})
	wantError(t, err, resource.InvalidState, resource.TypeNodeSnapshot, "Snapshot s is not in the available state; it is creating.")
	p.finish(resource.SnapshotAvailable)
	copied, err := p.CopySnapshot(t.Context(), CopySnapshot{Scope: home, Space: nodeSpace, Source: "S", Target: "Copied"})
	p.must(err)
	if copied.Name != "copied" || copied.Kind != resource.ReplicationGroup || len(copied.Shards) != 3 || copied.Status != resource.SnapshotCreating {
		t.Errorf("%+v", copied)
	}
	for err, want := range map[error]resource.ErrorKind{
		second(p.CopySnapshot(t.Context(), CopySnapshot{Scope: home, Space: nodeSpace, Source: "s", Target: "copied"})): resource.AlreadyExists,
		second(p.CopySnapshot(t.Context(), CopySnapshot{Scope: home, Space: nodeSpace, Source: "none", Target: "x"})):   resource.NotFound,
		second(p.CopySnapshot(t.Context(), CopySnapshot{Scope: home, Space: memorySpace, Source: "s", Target: "x"})):    resource.NotFound,
		second(p.CopySnapshot(t.Context(), CopySnapshot{Scope: home, Space: nodeSpace, Source: "s", Target: "s"})):      resource.InvalidCombination,
		second(p.CopySnapshot(t.Context(), CopySnapshot{Scope: home, Space: nodeSpace, Source: "s", Target: "not ok"})): resource.InvalidValue,
		second(p.DeleteSnapshot(t.Context(), home, nodeSpace, "s")):                                                     resource.InvalidState,
		second(p.DeleteSnapshot(t.Context(), home, nodeSpace, "none")):                                                  resource.NotFound,
	} {
		wantKind(t, err, want)
	}
}

func second[T any](_ T, err error) error { return err }

// An export is refused for what is wrong with the bucket, and for each of the files that it would write.
func TestExportOfANodeSnapshot(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	p.standing(resource.ReplicationGroup, "orders", 3, 0)
	_, err := p.CreateSnapshot(ctx, CreateSnapshot{Scope: home, Space: nodeSpace, Group: "orders", Name: "s"})
	p.must(err)
	p.finish(resource.SnapshotAvailable)
	p.must(second(p.box.CreateBucket(ctx, "exports", home.Account, home.Region)))
	export := func(change func(*ExportSnapshot)) error {
		in := ExportSnapshot{Scope: home, Space: nodeSpace, Name: "s", Bucket: "exports", Prefix: "2026/March backup"}
		change(&in)
		_, err := p.ExportSnapshot(ctx, in)
		return err
	}
	for _, c := range []struct {
		change  func(*ExportSnapshot)
		kind    resource.ErrorKind
		message string
	}{
		{func(in *ExportSnapshot) { in.Name = "none" }, resource.NotFound, "Snapshot none not found."},
		{func(in *ExportSnapshot) { in.Bucket = "absent" }, resource.InvalidValue, "The S3 bucket absent does not exist."},
		{func(in *ExportSnapshot) { in.Bucket = "no/bucket" }, resource.InvalidValue, "The S3 bucket no/bucket does not exist."},
		{func(in *ExportSnapshot) { in.KMSKeyID = "alias/x" }, resource.InvalidCombination, ""},
		{func(in *ExportSnapshot) { in.Tags = []resource.Tag{{Key: "a"}} }, resource.InvalidCombination, ""},
		{func(in *ExportSnapshot) { in.Prefix = strings.Repeat("x", 1001) }, resource.InvalidValue, ""},
		{func(in *ExportSnapshot) { in.Prefix = strings.Repeat("ü", 600) }, resource.InvalidValue, ""},
		{func(in *ExportSnapshot) { in.Prefix = "a\x00b" }, resource.InvalidValue, ""},
	} {
		wantKind(t, export(c.change), c.kind)
		if err := export(c.change); c.message != "" && err.Error() != c.message {
			t.Errorf("%q, want %q", err, c.message)
		}
	}
	w, err := p.targets.Create(ctx, home.Account, "exports", "taken-0003.rdb", "")
	p.must(err)
	p.must(w.Commit())
	err = export(func(in *ExportSnapshot) { in.Prefix = "taken" })
	wantError(t, err, resource.InvalidValue, resource.TypeParameter, "The S3 bucket exports already contains an object with key taken-0003.rdb.")
	p.must(export(func(*ExportSnapshot) {}))
	all, _, err := p.DescribeSnapshots(ctx, DescribeSnapshots{Scope: home, Space: nodeSpace, Name: "s"})
	if p.must(err); len(all) != 1 || all[0].Status != resource.SnapshotCopying {
		t.Errorf("%+v", all)
	}
}

// What filters find, also of sources that are gone.
func TestFiltersOfNodeSnapshots(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	for name, in := range map[string]CreateSnapshot{"whole": {Group: "plain"}, "part": {Cluster: "plain-002"}, "sharded": {Group: "sharded"}, "alone": {Cluster: "plain"}} {
		d := map[string]func() *resource.Deployment{
			"plain":   func() *resource.Deployment { return p.standing(resource.ReplicationGroup, "plain", 1, 1) },
			"sharded": func() *resource.Deployment { return p.standing(resource.ReplicationGroup, "sharded", 2, 1) },
			"": func() *resource.Deployment {
				if in.Cluster == "plain" {
					return p.standing(resource.CacheCluster, "plain", 1, 0)
				}
				return p.standing(resource.ReplicationGroup, "plain", 1, 1)
			},
		}[in.Group]()
		in.Scope, in.Space, in.Name = home, nodeSpace, name
		_, err := p.CreateSnapshot(t.Context(), in)
		p.must(err)
		p.must(p.db.Update(t.Context(), func(tx *metastore.Tx) error {
			if err := tx.DeleteNodes(d.ID); err != nil {
				return err
			}
			return tx.DeleteCache(d.ID)
		}))
	}
	p.standing(resource.CacheCluster, "fresh", 1, 0)
	twenty := 20
	for want, in := range map[string]DescribeSnapshots{
		"alone part sharded whole": {Page: Page{Most: &twenty}},
		"part whole":               {Group: "PLAIN"},
		"alone":                    {Cluster: "plain"},
		"part":                     {Cluster: "plain-002"},
		"part ":                    {Cluster: "plain-002", Group: "plain", Type: "user"},
		"":                         {Group: "never"},
		" ":                        {Cluster: "fresh"},
		"  ":                       {Cluster: "plain-002", Type: "system"},
		"   ":                      {Name: "whole", Group: "sharded"},
		"    ":                     {Name: "whole", Cluster: "plain"},
		"whole":                    {Name: "Whole", Group: "plain", Type: "manual"},
	} {
		in.Scope, in.Space = home, nodeSpace
		all, next, err := p.DescribeSnapshots(t.Context(), in)
		p.must(err)
		var names []string
		for _, s := range all {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != strings.TrimSpace(want) || next != "" {
			t.Errorf("%+v finds %q, want %q", in, got, want)
		}
	}
	nineteen := 19
	for _, c := range []struct {
		in   DescribeSnapshots
		kind resource.ErrorKind
	}{
		{DescribeSnapshots{Space: nodeSpace, Cluster: "never"}, resource.NotFound},
		{DescribeSnapshots{Space: nodeSpace, Name: "never"}, resource.NotFound},
		{DescribeSnapshots{Space: memorySpace, Name: "whole"}, resource.NotFound},
		{DescribeSnapshots{Space: nodeSpace, Type: "odd"}, resource.InvalidValue},
		{DescribeSnapshots{Space: nodeSpace, Page: Page{Most: &nineteen}}, resource.InvalidValue},
		{DescribeSnapshots{Space: nodeSpace, Page: Page{Token: "guess"}}, resource.InvalidValue},
	} {
		c.in.Scope = home
		_, _, err := p.DescribeSnapshots(t.Context(), c.in)
		wantKind(t, err, c.kind)
	}
	all, _, err := p.DescribeSnapshots(t.Context(), DescribeSnapshots{Scope: home, Space: memorySpace, Cache: "never"})
	if p.must(err); len(all) != 0 {
		t.Errorf("%d of a cluster that never was", len(all))
	}
}

// A final snapshot is taken from the primaries, and freezes what the delete found.
func TestFinalSnapshotOfNodes(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	d := p.standing(resource.ReplicationGroup, "orders", 2, 1)
	f, err := p.newFinal(d.Kind, home, "FinalSnapshotIdentifier", "Last")
	p.must(err)
	p.must(p.db.View(t.Context(), func(tx *metastore.Tx) error {
		if err := f.free(tx); err != nil {
			return err
		}
		return f.check(tx, d.Cache)
	}))
	p.must(f.key(t.Context(), d.Cache))
	p.must(p.db.Update(t.Context(), func(tx *metastore.Tx) error {
		id, err := f.record(tx, d.Cache)
		if id != f.snapshot.ID || id == "" {
			t.Errorf("the task gets %q", id)
		}
		return err
	}))
	if s := f.snapshot; s.Shards[0].Node != "orders-0001-001" || s.Shards[1].Node != "orders-0002-001" || s.KMSKeyID == "" || !s.KMSDefault {
		t.Errorf("%+v", s)
	}
	if p.statusOf(d.ID) == resource.CacheSnapshotting {
		t.Error("a delete shows deleting")
	}
	if n := len(p.jobs(resource.TaskCreateSnapshot)); n != 0 {
		t.Errorf("%d jobs besides the one that deletes", n)
	}
	p.must(p.db.View(t.Context(), func(tx *metastore.Tx) error {
		wantError(t, f.free(tx), resource.AlreadyExists, resource.TypeNodeSnapshot, "Snapshot last already exists.")
		memcached := *d.Cache
		memcached.Engine = resource.Memcached
		wantError(t, f.check(tx, &memcached), resource.Unsupported, resource.TypeNodeSnapshot, "")
		return nil
	}))
	_, err = p.newFinal(d.Kind, home, "FinalSnapshotIdentifier", "no name")
	wantError(t, err, resource.InvalidValue, resource.TypeParameter, fmt.Sprintf(notIdentifier, "FinalSnapshotIdentifier"))
	var none final
	if none.wanted() || none.key(t.Context(), d.Cache) != nil {
		t.Error("nothing was wanted")
	}
}

// Daily snapshots of nodes: within the window, under the name of the member without cluster mode, else of the cache.
func TestDailySnapshotsOfNodes(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	plain := p.standing(resource.ReplicationGroup, "plain", 1, 2, daily(2), func(c *resource.Cache) { c.Layout.SnapshottingNode = "plain-003" })
	p.standing(resource.ReplicationGroup, "chosen", 1, 1, daily(1), func(c *resource.Cache) { c.Layout.SnapshottingNode = "chosen-009" }) // which is gone
	p.standing(resource.ReplicationGroup, "sharded", 2, 1, daily(1))
	p.standing(resource.CacheCluster, "alone", 1, 0, daily(1))
	p.standing(resource.MemoryDBCluster, "memory", 1, 1, daily(1))
	p.standing(resource.CacheCluster, "mem", 1, 0, daily(1), func(c *resource.Cache) { c.Engine = resource.Memcached })
	p.standing(resource.CacheCluster, "never", 1, 0)
	busy := p.standing(resource.CacheCluster, "busy", 1, 0, daily(1), func(c *resource.Cache) { c.Status = resource.CacheModifying })
	p.standing(resource.CacheCluster, "midnight", 1, 0, daily(1), func(c *resource.Cache) { c.Layout.SnapshotWindow = "23:30-01:30" })
	p.advance(59 * time.Minute)
	p.schedule() // 12:59
	p.advance(time.Minute)
	const at = "-2026-03-28-13-00 "
	all := func(status string) []string {
		return []string{"automatic.alone" + at + status, "automatic.chosen-002" + at + status, "automatic.memory" + at + status,
			"automatic.plain-003" + at + status, "automatic.sharded" + at + status}
	}
	p.schedule(all("creating")...)
	if got := p.statusOf(plain.ID); got != resource.CacheSnapshotting {
		t.Errorf("the group is %s", got)
	}
	p.finish(resource.SnapshotAvailable)
	p.settle(plain.ID)
	p.advance(85 * time.Minute)
	p.settle(busy.ID)
	// 14:25, still in the window; the group's other member, chosen since, does not take a second one.
	p.must(p.db.Update(t.Context(), func(tx *metastore.Tx) error {
		cache, err := tx.CacheByID(plain.ID)
		if err != nil {
			return err
		}
		cache.Layout.SnapshottingNode = "plain-002"
		return tx.UpdateCache(cache)
	}))
	late := append(all("available"), "automatic.busy"+at+"creating")
	slices.Sort(late)
	p.schedule(late...)
	p.finish(resource.SnapshotAvailable)
	p.advance(11*time.Hour - 10*time.Minute) // 01:15, in the window of the day before
	late = append(all("available"), "automatic.busy"+at+"available", "automatic.midnight-2026-03-28-23-30 creating")
	slices.Sort(late)
	p.schedule(late...)
}
