package e2e

import (
	"fmt"
	"slices"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"

	"golang.org/x/sys/unix"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/resource"
)

// group orders a replication group.
func (c *crashed) group(in elasticache.CreateReplicationGroupInput) func() error {
	in.ReplicationGroupDescription, in.CacheNodeType = aws.String("d"), aws.String("cache.t4g.small")
	return func() error {
		_, err := c.elasticache().CreateReplicationGroup(c.t.Context(), &in)
		return err
	}
}

// now is a cache of nodes as it is on record. The first primary is the first of its nodes.
func (c *crashed) now(name string) (*resource.Cache, []*resource.Node) {
	c.t.Helper()
	world, err := look(c.t.Context(), c.stores.DB)
	if err != nil {
		c.t.Fatal(err)
	}
	cache := world.caches[name]
	if cache == nil {
		c.t.Fatalf("there is no cache %s", name)
	}
	return cache, world.nodes[cache.ID]
}

// load fills a cache of nodes.
func (c *crashed) load(name string, seed uint64) dataset.Digest {
	c.t.Helper()
	cache, nodes := c.now(name)
	spec, at := dataset.Spec{Keys: 300, Seed: seed, Functions: true}, dataset.At(addressOf(nodes[0]))
	if cache.Layout.ClusterMode {
		spec.TTLShare = -1 // engines shift expiries by milliseconds when slots move
	}
	var err error
	if cache.Layout.ClusterMode {
		var cluster dataset.Cluster
		if cluster, err = dataset.ClusterAt(c.t.Context(), at); err == nil {
			_, err = cluster.Fill(c.t.Context(), spec)
		}
	} else {
		_, err = dataset.Fill(c.t.Context(), at, spec)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	if c.want.caches[name], err = contents(c.t.Context(), cache, nodes); err != nil {
		c.t.Fatal(err)
	}
	return c.want.caches[name]
}

// strike kills the engines of all, of the primaries or of the replicas of a cache.
func (c *crashed) strike(name string, which func(*resource.Node) bool) func() error {
	return func() error {
		c.t.Helper()
		_, nodes := c.now(name)
		running := c.engines(c.t)
		for _, n := range nodes {
			if !which(n) {
				continue
			}
			pids := slices.DeleteFunc(running[n.ID], func(pid int) bool { // a child that is just saving
				session, err := unix.Getsid(pid)
				return err != nil || session != pid
			})
			if len(pids) != 1 {
				return fmt.Errorf("node %s has the processes %v", n.Name, pids)
			}
			if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
				return err
			}
		}
		return nil
	}
}

func primaries(n *resource.Node) bool { return n.Primary }
func replicas(n *resource.Node) bool  { return !n.Primary }
func all(*resource.Node) bool         { return true }

// ask orders something of ElastiCache, and askMemoryDB something of MemoryDB. Every start of the server has an address of its own.
func (c *crashed) ask(call func(*elasticache.Client) (any, error)) func() error {
	return func() error {
		_, err := call(c.elasticache())
		return err
	}
}

func (c *crashed) askMemoryDB(call func(*memorydb.Client) (any, error)) func() error {
	return func() error {
		_, err := call(memorydb.NewFromConfig(c.config("us-east-1")))
		return err
	}
}

func (c *crashed) takeGroup(group, name string) func() error {
	return c.ask(func(e *elasticache.Client) (any, error) {
		return e.CreateSnapshot(c.t.Context(), &elasticache.CreateSnapshotInput{ReplicationGroupId: &group, SnapshotName: &name})
	})
}

func (c *crashed) reshard(group string, shards int32, remove ...string) func() error {
	return c.ask(func(e *elasticache.Client) (any, error) {
		return e.ModifyReplicationGroupShardConfiguration(c.t.Context(), &elasticache.ModifyReplicationGroupShardConfigurationInput{
			ReplicationGroupId: &group, NodeGroupCount: &shards, ApplyImmediately: aws.Bool(true), NodeGroupsToRemove: remove})
	})
}

func (c *crashed) deleteGroup(in elasticache.DeleteReplicationGroupInput) func() error {
	delete(c.want.caches, *in.ReplicationGroupId)
	return c.ask(func(e *elasticache.Client) (any, error) { return e.DeleteReplicationGroup(c.t.Context(), &in) })
}

// lifeOfGroup is that of a replication group without cluster mode: its nodes come, go, fail over, restart and change their engine.
func lifeOfGroup(c *crashed) {
	ctx, name := c.t.Context(), aws.String("orders")
	c.through(c.ask(func(e *elasticache.Client) (any, error) {
		return e.CreateCacheParameterGroup(ctx, &elasticache.CreateCacheParameterGroupInput{CacheParameterGroupName: aws.String("params"),
			CacheParameterGroupFamily: aws.String("redis7"), Description: aws.String("d")})
	}))
	c.through(c.group(elasticache.CreateReplicationGroupInput{ReplicationGroupId: name, Engine: aws.String("redis"), NumCacheClusters: aws.Int32(2),
		AutomaticFailoverEnabled: aws.Bool(true), CacheParameterGroupName: aws.String("params")}), "create-cache.founded", "create-cache.started", "create-cache.replicated")
	c.load("orders", 11)
	c.verify()
	c.through(c.ask(func(e *elasticache.Client) (any, error) {
		return e.ModifyCacheParameterGroup(ctx, &elasticache.ModifyCacheParameterGroupInput{CacheParameterGroupName: aws.String("params"),
			ParameterNameValues: []ectypes.ParameterNameValue{{ParameterName: aws.String("maxmemory-policy"), ParameterValue: aws.String("allkeys-lru")}}})
	}), "configure-cache.applied")
	c.through(c.ask(func(e *elasticache.Client) (any, error) {
		return e.TestFailover(ctx, &elasticache.TestFailoverInput{ReplicationGroupId: name, NodeGroupId: aws.String("0001")})
	}), "failover.begun", "failover.switched", "failover.recorded")
	c.verify()
	_, nodes := c.now("orders")
	c.through(c.ask(func(e *elasticache.Client) (any, error) {
		return e.RebootCacheCluster(ctx, &elasticache.RebootCacheClusterInput{CacheClusterId: &nodes[0].Name, CacheNodeIdsToReboot: []string{"0001"}})
	}), "reboot-nodes.begun", "modify-cache.saved", "reboot-nodes.ready")
	c.verify()
	replicate := func(n int32) func() error {
		return c.ask(func(e *elasticache.Client) (any, error) {
			if n > 1 {
				return e.IncreaseReplicaCount(ctx, &elasticache.IncreaseReplicaCountInput{ReplicationGroupId: name, NewReplicaCount: &n, ApplyImmediately: aws.Bool(true)})
			}
			return e.DecreaseReplicaCount(ctx, &elasticache.DecreaseReplicaCountInput{ReplicationGroupId: name, NewReplicaCount: &n, ApplyImmediately: aws.Bool(true)})
		})
	}
	c.through(replicate(2), "reshape.placed", "reshape.followed", "reshape.settled")
	c.verify()
	c.through(replicate(1), "reshape.forgotten", "reshape.removed")
	c.verify()

	c.through(c.strike("orders", primaries), "heal.fenced", "heal.promoted", "heal.recorded")
	c.verify()
	c.through(c.strike("orders", replicas), "heal.led", "heal.joined")
	c.verify()
	c.through(c.ask(func(e *elasticache.Client) (any, error) {
		return e.ModifyReplicationGroup(ctx, &elasticache.ModifyReplicationGroupInput{ReplicationGroupId: name, Engine: aws.String("valkey"), EngineVersion: aws.String("8.0"),
			CacheParameterGroupName: aws.String("default.valkey8"), ApplyImmediately: aws.Bool(true)})
	}), "reshape.outfitted", "reshape.turned")
	c.verify()
	c.want.caches["orders"] = dataset.Digest{} // no node is left that has its data
	c.through(c.strike("orders", all), "heal.counted")
	c.verify()
	_, nodes = c.now("orders")
	last := c.load("orders", 12)
	c.through(c.deleteGroup(elasticache.DeleteReplicationGroupInput{ReplicationGroupId: name, RetainPrimaryCluster: aws.Bool(true)}), "reshape.forgotten", "reshape.removed")
	c.want.caches[nodes[0].Name] = last
	c.verify()
}

// slotted is a shard for each range of slots.
func slotted(replicas int32, ranges ...string) (groups []ectypes.NodeGroupConfiguration) {
	for _, r := range ranges {
		groups = append(groups, ectypes.NodeGroupConfiguration{Slots: &r, ReplicaCount: &replicas})
	}
	return groups
}

// lifeOfShards is that of groups in cluster mode: they are cut, restored into other shapes, and their slots move.
func lifeOfShards(c *crashed) {
	clustered := func(name string, shards int32) elasticache.CreateReplicationGroupInput {
		return elasticache.CreateReplicationGroupInput{ReplicationGroupId: &name, Engine: aws.String("valkey"), NumNodeGroups: &shards,
			ReplicasPerNodeGroup: aws.Int32(0), AutomaticFailoverEnabled: aws.Bool(true)}
	}
	c.through(c.group(clustered("ledger", 2)), "create-cache.placed", "create-cache.founded", "create-cache.ready")
	data := c.load("ledger", 13)
	c.through(c.takeGroup("ledger", "s1"), "create-snapshot.cut", "create-snapshot.captured", "create-snapshot.manifest")
	c.bucket("exports")
	c.want.objects["exports/x1-0001.rdb"], c.want.objects["exports/x1-0002.rdb"] = true, true
	c.through(c.ask(func(e *elasticache.Client) (any, error) {
		return e.CopySnapshot(c.t.Context(), &elasticache.CopySnapshotInput{SourceSnapshotName: aws.String("s1"), TargetSnapshotName: aws.String("x1"), TargetBucket: aws.String("exports")})
	}), "export-snapshot.written", "export-snapshot.finished", "export-snapshot.committed")
	c.verify()

	from := clustered("restored", 3)
	from.SnapshotName, from.ReplicasPerNodeGroup, from.NodeGroupConfiguration = aws.String("s1"), nil, slotted(0, "0-8099", "8100-16199", "16200-16383")
	c.want.caches["restored"] = data
	c.through(c.group(from), "create-cache.piped", "create-cache.fed", "create-cache.admitted")
	c.verify()
	c.through(c.deleteGroup(elasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("ledger")}), "delete-cache.begun", "delete-cache.removed")
	from = clustered("from-files", 2)
	from.SnapshotArns = []string{"arn:aws:s3:::exports/x1-0001.rdb", "arn:aws:s3:::exports/x1-0002.rdb"}
	from.ReplicasPerNodeGroup, from.NodeGroupConfiguration = nil, slotted(1, "0-16319", "16320-16383")
	c.want.caches["from-files"] = data
	c.through(c.group(from), "create-cache.inspected", "create-cache.unlinked", "create-cache.replicated")
	c.verify()

	c.through(c.reshard("restored", 2, "0003"), "reshape.migrating", "reshape.emptied", "reshape.taken")
	c.verify()
	c.through(c.reshard("restored", 3), "reshape.started", "reshape.joined", "reshape.importing")
	c.verify()
	c.through(c.reshard("from-files", 1, "0002"), "reshape.given", "reshape.forgotten", "reshape.removed")
	c.verify()
	if soak { // engines with replicas wait for them at every step of every slot
		c.through(c.reshard("from-files", 2), "reshape.started", "reshape.followed", "reshape.migrating")
		c.verify()
	}
	c.through(c.strike("from-files", primaries), "heal.promoted", "heal.joined")
	c.verify()
	c.through(c.deleteGroup(elasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String("restored"), FinalSnapshotIdentifier: aws.String("final")}),
		"create-snapshot.held", "delete-cache.final-snapshot", "delete-cache.removed")
	c.verify()
}

// lifeOfMemoryDB is that of a cluster whose nodes have append-only files.
func lifeOfMemoryDB(c *crashed) {
	ctx, name := c.t.Context(), aws.String("ledger")
	create := func(in memorydb.CreateClusterInput) func() error {
		in.NodeType, in.ACLName, in.TLSEnabled, in.Engine = aws.String("db.t4g.small"), aws.String("open-access"), aws.Bool(false), aws.String("valkey")
		in.NumShards, in.NumReplicasPerShard = aws.Int32(1), aws.Int32(1)
		return c.askMemoryDB(func(m *memorydb.Client) (any, error) { return m.CreateCluster(ctx, &in) })
	}
	c.through(create(memorydb.CreateClusterInput{ClusterName: aws.String("source")}), "create-cache.started")
	data := c.load("source", 14)
	c.through(c.askMemoryDB(func(m *memorydb.Client) (any, error) {
		return m.DeleteCluster(ctx, &memorydb.DeleteClusterInput{ClusterName: aws.String("source"), FinalSnapshotName: aws.String("s1")})
	}), "create-snapshot.begun", "create-snapshot.captured", "delete-cache.final-snapshot")
	delete(c.want.caches, "source")
	c.verify()
	c.want.caches["ledger"] = data
	c.through(create(memorydb.CreateClusterInput{ClusterName: name, SnapshotName: aws.String("s1")}), "create-cache.streaming", "create-cache.logged", "create-cache.unlinked")
	c.verify()
	c.through(c.strike("ledger", all), "heal.counted", "heal.led")
	c.verify()
	c.through(c.askMemoryDB(func(m *memorydb.Client) (any, error) {
		return m.FailoverShard(ctx, &memorydb.FailoverShardInput{ClusterName: name, ShardName: aws.String("0001")})
	}), "failover.begun", "failover.switched", "failover.recorded")
	c.verify()
	c.through(c.askMemoryDB(func(m *memorydb.Client) (any, error) {
		return m.CopySnapshot(ctx, &memorydb.CopySnapshotInput{SourceSnapshotName: aws.String("s1"), TargetSnapshotName: aws.String("c1")})
	}), "copy-snapshot.begun", "copy-snapshot.manifest")
	c.through(c.askMemoryDB(func(m *memorydb.Client) (any, error) {
		return m.DeleteSnapshot(ctx, &memorydb.DeleteSnapshotInput{SnapshotName: aws.String("s1")})
	}), "delete-snapshot.begun", "delete-snapshot.manifest")
	c.verify()
}
