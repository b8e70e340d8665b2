package control

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

func ptr[T any](v T) *T { return &v }

// withMemcached adds memcached to what is installed.
func withMemcached(o *Options) {
	o.Engines = &engine.Catalog{Installed: append(o.Engines.Installed, engine.Installed{Engine: "memcached", Version: engine.Version{Major: 1, Minor: 6, Patch: 18}, Path: "/usr/bin/memcached"})}
}

// group is a request for a replication group of one node.
func group(name string, change ...func(*CreateDeployment)) CreateDeployment {
	in := CreateDeployment{Scope: home, Kind: resource.ReplicationGroup, Name: name, Description: "d", Engine: "valkey", NodeType: "cache.t3.micro"}
	for _, f := range change {
		f(&in)
	}
	return in
}

func cluster(name string, change ...func(*CreateDeployment)) CreateDeployment {
	return group(name, append([]func(*CreateDeployment){func(in *CreateDeployment) { in.Kind, in.Description = resource.CacheCluster, "" }}, change...)...)
}

func memorydb(name string, change ...func(*CreateDeployment)) CreateDeployment {
	return group(name, append([]func(*CreateDeployment){func(in *CreateDeployment) {
		in.Kind, in.NodeType, in.UserGroups = resource.MemoryDBCluster, "db.t4g.small", []string{"open-access"}
	}}, change...)...)
}

// deployed makes a cache of nodes that is available, as if its job had run.
func (p *plane) deployed(in CreateDeployment) *resource.Deployment {
	p.t.Helper()
	d, err := p.CreateDeployment(context.Background(), in)
	p.must(err)
	return p.reshaped(d.ID)
}

// reshaped does what the jobs of a cache would: it becomes available with the nodes that it shall have.
func (p *plane) reshaped(cacheID string) (d *resource.Deployment) {
	p.t.Helper()
	p.must(p.db.Update(context.Background(), func(tx *metastore.Tx) error {
		cache, err := tx.CacheByID(cacheID)
		if err != nil {
			return err
		}
		nodes, err := tx.NodesOf(cacheID)
		if err != nil {
			return err
		}
		cache.Status = resource.CacheAvailable
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
		for i, n := range nodes {
			if n.Status == resource.NodeDeleting {
				if err := tx.DeleteNode(n.ID); err != nil {
					return err
				}
				continue
			}
			n.Status, n.Host, n.Address = resource.NodeAvailable, "here", fmt.Sprintf("127.42.0.%d", i+1)
			if err := tx.UpdateNode(n); err != nil {
				return err
			}
		}
		d, err = tx.Deployment(cache)
		return err
	}))
	return d
}

// shape writes a deployment in a line: each node with its shard, role, status and zone.
func shape(d *resource.Deployment) string {
	var text []string
	for _, n := range d.Nodes {
		role := "replica"
		if n.Primary {
			role = "primary"
		}
		text = append(text, fmt.Sprintf("%s/%s %s %s %s", n.Name, n.Number, role, n.Zone[len(n.Zone)-1:], resource.FormatSlots(n.Slots)))
	}
	return strings.Join(text, "; ")
}

func TestNewDeployments(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		in            CreateDeployment
		shape, layout string
	}{
		"one node": {group("G"), "g-001/0001 primary a 0-16383", "valkey 8.1 6379 default.valkey8 default cluster=false failover=false multi=false snap=g-001"},
		"with replicas": {group("g", func(in *CreateDeployment) { in.Replicas, in.Failover, in.MultiZone = ptr(2), ptr(true), ptr(true) }),
			"g-001/0001 primary a 0-16383; g-002/0001 replica b 0-16383; g-003/0001 replica c 0-16383",
			"valkey 8.1 6379 default.valkey8 default cluster=false failover=true multi=true snap=g-002"},
		"cluster mode": {group("g", func(in *CreateDeployment) {
			in.NumShards, in.Replicas, in.Engine, in.Port = ptr(2), ptr(1), "redis", ptr(7000)
		}),
			"g-0001-001/0001 primary a 0-8191; g-0001-002/0001 replica b 0-8191; g-0002-001/0001 primary b 8192-16383; g-0002-002/0001 replica c 8192-16383",
			"redis 7.1 7000 default.redis7.cluster.on default cluster=true failover=true multi=false snap="},
		"cluster mode by its group": {group("g", func(in *CreateDeployment) { in.ParameterGroup = "Default.valkey8.cluster.on" }),
			"g-0001-001/0001 primary a 0-16383", "valkey 8.1 6379 default.valkey8.cluster.on default cluster=true failover=true multi=false snap="},
		"given shards": {group("g", func(in *CreateDeployment) {
			in.Shards = []ShardWanted{{Name: "7", Slots: []resource.SlotRange{{Start: 0, End: 99}}, Replicas: ptr(0), PrimaryZone: "us-east-1f"},
				{Name: "3", Slots: []resource.SlotRange{{Start: 100, End: 16383}}, ReplicaZones: []string{"us-east-1e"}}}
		}), "g-0003-001/0001 primary a 100-16383; g-0003-002/0001 replica e 100-16383; g-0007-001/0001 primary f 0-99",
			"valkey 8.1 6379 default.valkey8.cluster.on default cluster=true failover=true multi=false snap="},
		"cache cluster": {cluster("c", func(in *CreateDeployment) { in.Zones = []string{"us-east-1d"} }), "c/0001 primary d 0-16383",
			"valkey 8.1 6379 default.valkey8 default cluster=false failover=false multi=false snap=c"},
		"memcached": {cluster("c", func(in *CreateDeployment) { in.Engine, in.Nodes, in.MultiZone = "memcached", ptr(2), ptr(true) }),
			"c/0001 primary a ; c/0002 primary b ", "memcached 1.6.22 11211 default.memcached1.6 default cluster=false failover=false multi=true snap="},
		"memorydb": {memorydb("m", func(in *CreateDeployment) { in.NumShards = ptr(1) }), "m-0001-001/0001 primary a 0-16383; m-0001-002/0001 replica b 0-16383",
			"valkey 8.1 6379 default.memorydb-valkey8 default cluster=true failover=true multi=true snap="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlane(t, withMemcached)
			d, err := p.CreateDeployment(context.Background(), c.in)
			p.must(err)
			l := d.Layout
			layout := fmt.Sprintf("%s %s %d %s %s cluster=%v failover=%v multi=%v snap=%s", d.Engine, l.EngineVersion, l.Port, l.ParameterGroup, l.SubnetGroup,
				l.ClusterMode, l.AutomaticFailover, l.MultiAZ, l.SnapshottingNode)
			if got := shape(d); got != c.shape || layout != c.layout {
				t.Errorf("got  %s\n     %s\nwant %s\n     %s", got, layout, c.shape, c.layout)
			}
			found, _, err := p.DescribeDeployments(context.Background(), DescribeDeployments{Scope: home, Kind: c.in.Kind, Name: strings.ToUpper(c.in.Name)})
			p.must(err)
			if len(found) != 1 || shape(found[0]) != c.shape || found[0].Status != resource.CacheCreating || found[0].Nodes[0].Status != resource.NodeCreating {
				t.Errorf("described as %+v", found)
			}
		})
	}
}

func TestRefusedDeployments(t *testing.T) {
	t.Parallel()
	p := newPlane(t, withMemcached)
	p.deployed(group("taken", func(in *CreateDeployment) { in.Replicas = ptr(1) }))
	p.deployed(cluster("lone"))
	p.deployed(cluster("later-001"))
	slots := func(a, b int) []resource.SlotRange { return []resource.SlotRange{{Start: a, End: b}} }
	for _, c := range []struct {
		in   CreateDeployment
		kind resource.ErrorKind
		want string
	}{
		{group("a--b"), resource.InvalidValue, "The parameter ReplicationGroupId is not a valid identifier."},
		{group("taken"), resource.AlreadyExists, "Replication group taken already exists."},
		{cluster("taken-002"), resource.AlreadyExists, "Cache cluster taken-002 already exists."},
		{cluster("LONE"), resource.AlreadyExists, "Cache cluster lone already exists."},
		{group("later"), resource.InvalidValue, "needs the name later-001 for a member"},
		{group("g", func(in *CreateDeployment) { in.NodeType = "" }), resource.InvalidValue, "The parameter CacheNodeType must be provided"},
		{group("g", func(in *CreateDeployment) { in.NodeType = "db.r6g.large" }), resource.InvalidValue, ""},
		{group("g", func(in *CreateDeployment) { in.Engine = "memcached" }), resource.InvalidValue, "memcached is not an engine"},
		{group("g", func(in *CreateDeployment) { in.Engine = "oracle" }), resource.InvalidValue, "Invalid cache engine: oracle"},
		{group("g", func(in *CreateDeployment) { in.EngineVersion = "4.0" }), resource.InvalidValue, ""},
		{group("g", func(in *CreateDeployment) { in.Port = ptr(80) }), resource.InvalidValue, "Port must be between 1150 and 65535"},
		{group("g", func(in *CreateDeployment) { in.Replicas = ptr(6) }), resource.InvalidValue, "A shard has 0 to 5 replicas"},
		{group("g", func(in *CreateDeployment) { in.NumShards = ptr(501) }), resource.QuotaExceeded, ""},
		{group("g", func(in *CreateDeployment) { in.NumShards = ptr(0) }), resource.InvalidValue, ""},
		{group("g", func(in *CreateDeployment) { in.NumShards = ptr(301) }), resource.QuotaExceeded, "Customer node quota exceeded. You can have at most 300 nodes in this region"},
		{group("g", func(in *CreateDeployment) { in.NumShards, in.Replicas = ptr(251), ptr(1) }), resource.QuotaExceeded, "Cluster node quota exceeded. Each cluster can have at most 500 nodes in this region."},
		{group("g", func(in *CreateDeployment) { in.NumShards, in.Failover = ptr(2), ptr(false) }), resource.InvalidCombination, "Redis with cluster mode enabled cannot be created with auto failover turned off."},
		{group("g", func(in *CreateDeployment) { in.Failover = ptr(true) }), resource.InvalidCombination, "Automatic failover needs at least one replica"},
		{group("g", func(in *CreateDeployment) { in.MultiZone, in.Replicas = ptr(true), ptr(1) }), resource.InvalidCombination, "MultiAZEnabled needs AutomaticFailoverEnabled."},
		{group("g", func(in *CreateDeployment) { in.MultiZone, in.NumShards = ptr(true), ptr(2) }), resource.InvalidCombination, "MultiAZEnabled needs at least one replica"},
		{group("g", func(in *CreateDeployment) { in.NumShards, in.ParameterGroup = ptr(2), "default.valkey8" }), resource.InvalidCombination, "Several node groups need cluster mode"},
		{group("g", func(in *CreateDeployment) { in.ClusterMode, in.ParameterGroup = ptr(true), "default.valkey8" }), resource.InvalidCombination, "ClusterMode and the parameter group"},
		{group("g", func(in *CreateDeployment) { in.ParameterGroup = "default.redis7" }), resource.InvalidCombination, "family"},
		{group("g", func(in *CreateDeployment) { in.ParameterGroup = "mine" }), resource.NotFound, "mine"},
		{group("g", func(in *CreateDeployment) { in.SubnetGroup = "mine" }), resource.NotFound, "CacheSubnetGroup mine not found."},
		{group("g", func(in *CreateDeployment) { in.UserGroups, in.TransitEncryption = []string{"mine"}, ptr(true) }), resource.NotFound, "mine"},
		{group("g", func(in *CreateDeployment) { in.Zones = []string{"eu-west-1a"} }), resource.InvalidValue, "is not an availability zone"},
		{group("g", func(in *CreateDeployment) { in.Zones = []string{"us-east-1a", "us-east-1b"} }), resource.InvalidCombination, "2 PreferredCacheClusterAZs are given for 1 nodes."},
		{group("g", func(in *CreateDeployment) { in.AuthToken = "0123456789abcdef" }), resource.InvalidCombination, "AuthToken can only be given when TransitEncryptionEnabled is true."},
		{group("g", func(in *CreateDeployment) { in.AuthToken, in.TransitEncryption = "short", ptr(true) }), resource.InvalidValue, "The AUTH token must have 16 to 128 characters."},
		{group("g", func(in *CreateDeployment) { in.SnapshotWindow = "03:00-03:30" }), resource.InvalidValue, "Snapshot window must be at least 60 minutes."},
		{group("g", func(in *CreateDeployment) { in.Topic = "mailto:me" }), resource.InvalidValue, "is not the ARN of an SNS topic"},
		{group("g", func(in *CreateDeployment) { in.SnapshotRetention = ptr(36) }), resource.InvalidValue, ""},
		{group("g", func(in *CreateDeployment) { in.NumShards, in.Shards = ptr(3), []ShardWanted{{}, {}} }), resource.InvalidCombination, "NumNodeGroups is 3 and NodeGroupConfiguration has 2 node groups."},
		{group("g", func(in *CreateDeployment) { in.Shards = []ShardWanted{{Name: "1"}, {Name: "0001"}} }), resource.InvalidValue, "NodeGroupId 0001 is given more than once."},
		{group("g", func(in *CreateDeployment) { in.Shards = []ShardWanted{{Slots: slots(0, 9)}, {Slots: slots(11, 16383)}} }), resource.InvalidValue, "slot 10 is given to no shard"},
		{group("g", func(in *CreateDeployment) { in.Shards = []ShardWanted{{Slots: slots(0, 9)}, {Slots: slots(9, 16383)}} }), resource.InvalidValue, "slot 9 is given to more than one shard"},
		{group("g", func(in *CreateDeployment) { in.Shards = []ShardWanted{{Slots: slots(0, 9)}, {}} }), resource.InvalidCombination, "Slots must be given for all node groups or for none."},
		{group("g", func(in *CreateDeployment) { in.NumShards, in.SnapshotArns = ptr(2), []string{"arn:aws:s3:::box/a.rdb"} }), resource.InvalidCombination, "Slots must be provided when restoring from snapshot ARNs with cluster mode enabled"},
		{group("g", func(in *CreateDeployment) { in.SnapshotName = "none" }), resource.InvalidValue, "Snapshot none not found."},
		{cluster("c", func(in *CreateDeployment) { in.ParameterGroup = "default.valkey8.cluster.on" }), resource.InvalidCombination, "Cluster mode should be disabled in parameter group, but found it is enabled."},
		{cluster("c", func(in *CreateDeployment) { in.Nodes = ptr(2) }), resource.InvalidValue, "NumCacheNodes should be 1 if engine is valkey"},
		{cluster("c", func(in *CreateDeployment) { in.Engine = "" }), resource.InvalidValue, "The parameter Engine must be provided"},
		{cluster("c", func(in *CreateDeployment) { in.Engine, in.Nodes = "memcached", ptr(41) }), resource.InvalidValue, "NumCacheNodes must be between 1 and 40"},
		{cluster("c", func(in *CreateDeployment) { in.Engine, in.MultiZone = "memcached", ptr(true) }), resource.InvalidCombination, "AZMode cross-az needs at least two nodes."},
		{cluster("c", func(in *CreateDeployment) { in.Engine, in.SnapshotRetention = "memcached", ptr(1) }), resource.InvalidCombination, "Memcached clusters have no snapshots"},
		{cluster("c", func(in *CreateDeployment) {
			in.Engine, in.EngineVersion, in.TransitEncryption = "memcached", "1.6.6", ptr(true)
		}), resource.InvalidCombination, "In-transit encryption is not supported for memcached 1.6.6."},
		{cluster("c", func(in *CreateDeployment) {
			in.Engine, in.AuthToken, in.TransitEncryption = "memcached", "0123456789abcdef", ptr(true)
		}), resource.InvalidCombination, "AuthToken is not available for memcached"},
		{cluster("c", func(in *CreateDeployment) { in.JoinGroup, in.NodeType = "none", "" }), resource.NotFound, "Replication group none not found."},
		{cluster("lone", func(in *CreateDeployment) { in.JoinGroup, in.NodeType = "taken", "" }), resource.AlreadyExists, "Cache cluster lone already exists."},
		{cluster("c", func(in *CreateDeployment) { in.JoinGroup = "taken" }), resource.InvalidCombination, "cannot be given together with ReplicationGroupId"},
		{memorydb("m", func(in *CreateDeployment) { in.UserGroups = []string{"strangers"} }), resource.NotFound, "ACL strangers not found."},
		{memorydb("m", func(in *CreateDeployment) { in.NodeType = "" }), resource.InvalidValue, "The parameter NodeType must be provided"},
	} {
		d, err := p.CreateDeployment(context.Background(), c.in)
		if err == nil {
			t.Errorf("%+v was accepted: %s", c.in, shape(d))
		} else if !is(err, c.kind) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %s %q", err, c.kind, c.want)
		}
	}
}
