package control

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

func (p *plane) tagsOf(arn string) (text string) {
	p.t.Helper()
	p.must(p.db.View(context.Background(), func(tx *metastore.Tx) error {
		tags, err := tx.Tags(arn)
		for _, t := range tags {
			text += t.Key + "=" + t.Value + " "
		}
		return err
	}))
	return text
}

func members(t *testing.T, p *plane, in DescribeMembers) string {
	t.Helper()
	in.Scope = home
	var names []string
	for {
		all, next, err := p.DescribeMembers(context.Background(), in)
		p.must(err)
		for _, m := range all {
			names = append(names, fmt.Sprintf("%s:%d", m.Name, len(m.Nodes)))
		}
		if in.Page.Token = next; next == "" {
			return strings.Join(names, " ")
		}
		names = append(names, "|")
	}
}

func TestMembersAreListed(t *testing.T) {
	t.Parallel()
	p := newPlane(t, withMemcached)
	p.running("serverless")
	p.deployed(group("g", func(in *CreateDeployment) { in.Replicas = ptr(1) }))
	p.deployed(cluster("a"))
	p.deployed(cluster("z", func(in *CreateDeployment) { in.Engine, in.Nodes = "memcached", ptr(3) }))
	p.deployed(memorydb("other"))
	if got := members(t, p, DescribeMembers{}); got != "a:1 g-001:1 g-002:1 z:3" {
		t.Error(got)
	}
	if got := members(t, p, DescribeMembers{Alone: true}); got != "a:1 z:3" {
		t.Error(got)
	}
	for name, want := range map[string]string{"Z": "z:3", "g-002": "g-002:1"} {
		if got := members(t, p, DescribeMembers{Name: name}); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, name := range []string{"g", "other-0001-001", "serverless", "nobody"} {
		if _, _, err := p.DescribeMembers(context.Background(), DescribeMembers{Scope: home, Name: name}); !is(err, resource.NotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := p.DescribeMembers(context.Background(), DescribeMembers{Scope: home, Page: Page{Most: ptr(19)}}); !is(err, resource.InvalidValue) {
		t.Error(err)
	}
}

// Pages of members hold whole clusters, however many nodes these have.
func TestMembersArePaged(t *testing.T) {
	t.Parallel()
	p := newPlane(t, withMemcached)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("m%d", i)
		p.deployed(cluster(name, func(in *CreateDeployment) { in.Engine, in.Nodes = "memcached", ptr(39) }))
		want = append(want, name+":39")
	}
	p.deployed(group("n", func(in *CreateDeployment) { in.NumShards = ptr(25) }))
	for i := range 25 {
		if len(want) == 20 {
			want = append(want, "|")
		}
		want = append(want, fmt.Sprintf("n-%04d-001:1", i+1))
	}
	if got := members(t, p, DescribeMembers{Page: Page{Most: ptr(20)}}); got != strings.Join(want, " ") {
		t.Errorf("%s\nwant %s", got, strings.Join(want, " "))
	}
}

func TestDeletedDeployments(t *testing.T) {
	t.Parallel()
	p := newPlane(t, withMemcached)
	p.deployed(group("g", func(in *CreateDeployment) { in.Replicas = ptr(2) }))
	p.deployed(cluster("mem", func(in *CreateDeployment) { in.Engine = "memcached" }))
	p.deployed(memorydb("m"))
	const rg, cc, mdb = resource.ReplicationGroup, resource.CacheCluster, resource.MemoryDBCluster
	for _, c := range []struct {
		in   DeleteDeployment
		kind resource.ErrorKind
		want string // the nodes that are going, or what is refused
	}{
		{DeleteDeployment{Kind: rg, Name: "none"}, resource.NotFound, "Replication group none not found."},
		{DeleteDeployment{Kind: rg, Name: "g", FinalSnapshot: "a--b"}, resource.InvalidValue, "FinalSnapshotIdentifier is not a valid identifier"},
		{DeleteDeployment{Kind: rg, Name: "g", FinalSnapshot: "s", RetainPrimary: true}, resource.InvalidCombination, "cannot be given together"},
		{DeleteDeployment{Kind: cc, Name: "mem", FinalSnapshot: "s"}, resource.Unsupported, ""},
		{DeleteDeployment{Kind: cc, Name: "g-001"}, resource.InvalidState, "is serving as primary for replication group g"},
		{DeleteDeployment{Kind: cc, Name: "g-002", FinalSnapshot: "s"}, resource.InvalidCombination, "is a replica of the replication group g"},
		{DeleteDeployment{Kind: cc, Name: "G-003"}, 0, "g modifying: g-003"},
		{DeleteDeployment{Kind: rg, Name: "g"}, resource.InvalidState, "it is modifying"},
		{DeleteDeployment{Kind: mdb, Name: "m", FinalSnapshot: "Last"}, 0, "m deleting: "},
		{DeleteDeployment{Kind: mdb, Name: "m"}, resource.InvalidState, "it is deleting"},
		{DeleteDeployment{Kind: cc, Name: "mem"}, 0, "mem deleting: "},
	} {
		c.in.Scope = home
		d, err := p.DeleteDeployment(context.Background(), c.in)
		if err != nil {
			if !is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: %v, want %s %q", c.in, err, c.kind, c.want)
			}
			continue
		}
		got := d.Name + " " + string(d.Status) + ": "
		for _, n := range d.Nodes {
			if n.Status == resource.NodeDeleting {
				got += n.Name
			}
		}
		if got != c.want {
			t.Errorf("%+v: %s, want %q", c.in, got, c.want)
		}
	}
	p.must(p.db.View(context.Background(), func(tx *metastore.Tx) error {
		s, err := tx.SnapshotByName(home, mdb.SnapshotSpace(), "last")
		if err == nil && (s.Source.Layout == nil || len(s.Shards) != 1) {
			t.Errorf("the final snapshot is %+v", s)
		}
		return err
	}))
}

// The only member of a group is not taken from it.
func TestOnlyMemberStays(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.deployed(group("g"))
	_, err := p.DeleteDeployment(context.Background(), DeleteDeployment{Scope: home, Kind: resource.CacheCluster, Name: "g-001"})
	if !is(err, resource.InvalidState) || !strings.Contains(err.Error(), "only member of a replication group") {
		t.Error(err)
	}
}

// A cache cluster becomes a group's primary, gets a replica by name, and is left when the group goes: always the same cache.
func TestClusterBecomesGroupAndBack(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	id := p.deployed(cluster("solo", func(in *CreateDeployment) { in.Tags = []resource.Tag{{Key: "k", Value: "v"}} })).ID
	_, err := p.CreateDeployment(context.Background(), CreateDeployment{Scope: home, Kind: resource.ReplicationGroup, Name: "g", Description: "d",
		PrimaryCluster: "SOLO", Replicas: ptr(1), Failover: ptr(true)})
	p.must(err)
	d := p.reshaped(id)
	if got := shape(d); got != "g-002/0001 replica b 0-16383; solo/0001 primary a 0-16383" || d.Kind != resource.ReplicationGroup || !d.Layout.AutomaticFailover {
		t.Errorf("group is %s %+v", got, d.Layout)
	}
	if _, err := p.CreateDeployment(context.Background(), cluster("solo")); !is(err, resource.AlreadyExists) {
		t.Error(err)
	}
	_, err = p.CreateDeployment(context.Background(), CreateDeployment{Scope: home, Kind: resource.CacheCluster, Name: "extra", JoinGroup: "g", Zones: []string{"us-east-1f"}})
	p.must(err)
	if d = p.reshaped(id); shape(d) != "extra/0001 replica f 0-16383; g-002/0001 replica b 0-16383; solo/0001 primary a 0-16383" || d.Layout.Shards[0].Replicas != 2 {
		t.Errorf("with a replica more it is %s", shape(d))
	}
	for _, arn := range []string{d.ARN(), memberARN(home, "solo"), memberARN(home, "g-002"), memberARN(home, "extra")} {
		if got := p.tagsOf(arn); got != "k=v " {
			t.Errorf("%s has the tags %q", arn, got)
		}
	}
	gone, err := p.DeleteDeployment(context.Background(), DeleteDeployment{Scope: home, Kind: resource.ReplicationGroup, Name: "g", RetainPrimary: true})
	p.must(err)
	if gone.Name != "g" || gone.Kind != resource.ReplicationGroup || gone.Status != resource.CacheDeleting {
		t.Errorf("answered %+v", gone.Cache)
	}
	d = p.reshaped(id)
	if shape(d) != "solo/0001 primary a 0-16383" || d.Kind != resource.CacheCluster || d.Name != "solo" || d.Layout.Shards[0].Replicas != 0 || p.tagsOf(gone.ARN())+p.tagsOf(memberARN(home, "extra")) != "" {
		t.Errorf("left is %s %s %+v", d.Name, shape(d), d.Layout)
	}
}

// What a request does not say comes from the snapshot, and what does not fit the data is refused before anything begins.
func TestRestoredDeployments(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.deployed(group("src", func(in *CreateDeployment) {
		in.NumShards, in.Replicas, in.Port, in.NodeType, in.MaintenanceWindow, in.SnapshotWindow = ptr(2), ptr(1), ptr(7001), "cache.r6g.large", "tue:01:00-tue:02:00", "05:00-06:00"
		in.SnapshotRetention, in.Topic, in.Engine, in.EngineVersion = ptr(4), "arn:aws:sns:us-east-1:123456789012:news", "redis", "7.0"
	}))
	p.deployed(cluster("lone", func(in *CreateDeployment) { in.Tags = []resource.Tag{{Key: "k", Value: "v"}} }))
	for cache, name := range map[string]string{"src": "shards", "lone": "plain"} {
		in := CreateSnapshot{Scope: home, Name: name, Space: resource.ReplicationGroup.SnapshotSpace(), Group: cache}
		if cache == "lone" {
			in.Group, in.Cluster = "", cache
		}
		_, err := p.CreateSnapshot(context.Background(), in)
		p.must(err)
	}
	bare := func(kind resource.Kind, name, snapshot string, change ...func(*CreateDeployment)) CreateDeployment {
		in := CreateDeployment{Scope: home, Kind: kind, Name: name, SnapshotName: snapshot}
		for _, f := range change {
			f(&in)
		}
		return in
	}
	const rg, cc = resource.ReplicationGroup, resource.CacheCluster
	if _, err := p.CreateDeployment(context.Background(), bare(rg, "early", "shards")); !is(err, resource.InvalidValue) || !strings.Contains(err.Error(), "it is creating") {
		t.Errorf("a snapshot that is not ready: %v", err)
	}
	p.finish(resource.SnapshotAvailable)
	d, err := p.CreateDeployment(context.Background(), bare(rg, "same", "shards"))
	p.must(err)
	l := d.Layout
	if shape(d) != "same-0001-001/0001 primary a 0-8191; same-0001-002/0001 replica b 0-8191; same-0002-001/0001 primary b 8192-16383; same-0002-002/0001 replica c 8192-16383" ||
		d.Engine != "redis" || l.EngineVersion != "7.0" || l.Port != 7001 || l.NodeType != "cache.r6g.large" || l.MaintenanceWindow != "tue:01:00-tue:02:00" ||
		l.SnapshotWindow != "05:00-06:00" || d.SnapshotRetention != 4 || l.Topic == "" || l.ParameterGroup != "default.redis7.cluster.on" || !l.AutomaticFailover {
		t.Errorf("restored as %s %+v", shape(d), l)
	}
	d, err = p.CreateDeployment(context.Background(), bare(rg, "more", "shards", func(in *CreateDeployment) { in.NumShards, in.Replicas, in.Engine = ptr(3), ptr(0), "valkey" }))
	p.must(err)
	if shape(d) != "more-0001-001/0001 primary a 0-5460; more-0002-001/0001 primary b 5461-10922; more-0003-001/0001 primary c 10923-16383" || d.Layout.ParameterGroup != "default.valkey8.cluster.on" {
		t.Errorf("restored as %s %+v", shape(d), d.Layout)
	}
	d, err = p.CreateDeployment(context.Background(), bare(rg, "on", "plain", func(in *CreateDeployment) { in.NumShards = ptr(2) }))
	p.must(err)
	if !d.Layout.ClusterMode || len(d.Nodes) != 2 {
		t.Errorf("restored as %s %+v", shape(d), d.Layout)
	}
	d, err = p.CreateDeployment(context.Background(), bare(cc, "again", "plain"))
	p.must(err)
	if shape(d) != "again/0001 primary a 0-16383" || p.tagsOf(d.ARN()) != "k=v " || p.tagsOf(memberARN(home, "on-0001-001")) != "" {
		t.Errorf("restored as %s with the tags %q", shape(d), p.tagsOf(d.ARN()))
	}
	for _, c := range []struct {
		in   CreateDeployment
		want string
	}{
		{bare(cc, "x", "shards"), "was taken with cluster mode enabled and cannot be restored into a cluster mode disabled cache"},
		{bare(rg, "x", "shards", func(in *CreateDeployment) { in.ParameterGroup = "default.redis7" }), "was taken with cluster mode enabled"},
		{bare(rg, "x", "shards", func(in *CreateDeployment) { in.ClusterMode = ptr(false) }), "was taken with cluster mode enabled"},
		{bare(rg, "x", "plain", func(in *CreateDeployment) { in.Engine = "redis" }), "cannot become redis"},
		{bare(rg, "x", "plain", func(in *CreateDeployment) { in.EngineVersion = "8.0" }), "engine versions are never downgraded"},
		{bare(rg, "x", "plain", func(in *CreateDeployment) { in.SnapshotArns = []string{"arn:aws:s3:::box/k"} }), "Only one of"},
		{bare(rg, "x", "", func(in *CreateDeployment) { in.ServerlessSnapshotName = "none" }), "not found"},
	} {
		if _, err := p.CreateDeployment(context.Background(), c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.in, err, c.want)
		}
	}
}

func TestFailoverAndReboot(t *testing.T) {
	t.Parallel()
	p := newPlane(t, withMemcached)
	id := p.deployed(group("g", func(in *CreateDeployment) { in.NumShards, in.Replicas = ptr(2), ptr(1) })).ID
	p.deployed(group("bare", func(in *CreateDeployment) { in.NumShards = ptr(2) }))
	p.deployed(group("off", func(in *CreateDeployment) { in.Replicas = ptr(1) }))
	mem := p.deployed(cluster("mem", func(in *CreateDeployment) { in.Engine, in.Nodes = "memcached", ptr(2) })).ID
	for _, c := range []struct {
		name, shard string
		kind        resource.ErrorKind
	}{{"g", "0003", resource.NotFound}, {"none", "0001", resource.NotFound}, {"bare", "0001", resource.Unsupported}, {"off", "0001", resource.InvalidCombination}} {
		if _, err := p.FailoverShard(context.Background(), FailoverShard{Scope: home, Kind: resource.ReplicationGroup, Name: c.name, Shard: c.shard}); !is(err, c.kind) {
			t.Errorf("%s %s: %v", c.name, c.shard, err)
		}
	}
	d, err := p.FailoverShard(context.Background(), FailoverShard{Scope: home, Kind: resource.ReplicationGroup, Name: "g", Shard: "2"})
	p.must(err)
	if got := strings.Join(p.work(id), " "); d.Status != resource.CacheModifying || got != "create-cache failover" {
		t.Errorf("%s with %s", d.Status, got)
	}
	for _, in := range []RebootMember{{Name: "none", Numbers: []string{"0001"}}, {Name: "mem"}, {Name: "mem", Numbers: []string{"0003"}}, {Name: "bare-0001-001", Numbers: []string{"0001"}}} {
		in.Scope = home
		if _, err := p.RebootMember(context.Background(), in); !is(err, resource.InvalidState) && !is(err, resource.NotFound) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	m, err := p.RebootMember(context.Background(), RebootMember{Scope: home, Name: "MEM", Numbers: []string{"0002", "0002"}})
	p.must(err)
	if m.Status != resource.CacheRebooting || m.Nodes[0].Status != resource.NodeAvailable || m.Nodes[1].Status != resource.NodeRebooting || strings.Join(p.work(mem), " ") != "create-cache reboot-nodes" {
		t.Errorf("%+v %+v", m.Cache, m.Nodes)
	}
}
