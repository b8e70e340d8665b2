package worker

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// fleet is a cache of nodes that its job made, in a hall that hears when an engine dies.
type fleet struct {
	*hall
	t  *testing.T
	id string
}

// wish says what a fleet is to be.
type wish struct {
	kind             resource.Kind
	engine           resource.Engine
	cluster          bool
	shards, replicas int
	nodes            int // of memcached
	change           func(*resource.Cache)
	task             resource.CreateCacheTask
}

func newFleet(t *testing.T, want wish) *fleet {
	t.Helper()
	f := &fleet{t: t, hall: listening(t)}
	f.create(want)
	if c := f.now().Cache; c.Status != resource.CacheAvailable {
		t.Fatalf("the cache is %s: %s", c.Status, c.StatusReason)
	}
	return f
}

// listening is a hall whose worker learns of deaths, as a server does.
func listening(t *testing.T) (h *hall) {
	h = newHall(t, func(o *Options) {
		o.Engines = kftest.Supervisor(t, supervisor.Options{OnDeath: func(d supervisor.Death) { h.Died(d) }})
	})
	h.hung = patience + time.Second // one look that stalls is not enough
	return h
}

// create records a cache and runs the job that makes it.
func (f *fleet) create(want wish) {
	f.t.Helper()
	j, err := job.Wait(kftest.Context(f.t), f.DB, f.record(want))
	f.must(err)
	f.t.Logf("create: %s %s", j.State, j.LastError)
	for _, n := range f.now().Nodes {
		kftest.Guard(f.t, f.Engines.PID(n.ID))
	}
}

// record records a cache and its members, as the control plane does, and orders the job.
func (f *fleet) record(want wish) (jobID string) {
	f.t.Helper()
	choice, err := f.Catalog.Resolve(want.engine, "")
	f.must(err)
	service, nodeType, family := want.kind.Service(), "cache.t4g.small", choice.Family
	if want.kind == resource.MemoryDBCluster {
		nodeType, family = "db.t4g.small", engine.FamilyOf(service, choice.Offer)
	}
	f.id = metastore.NewID(time.Now())
	c := &resource.Cache{ID: f.id, Kind: want.kind, Scope: home, Name: "fleet", Status: resource.CacheCreating, CreatedAt: time.Now(),
		Engine: want.engine, MajorEngineVersion: choice.Major, FullEngineVersion: choice.FullVersion,
		Layout: &resource.Layout{NodeType: nodeType, EngineVersion: choice.Version, Port: engine.DefaultPort(want.engine), ClusterMode: want.cluster,
			AutomaticFailover: want.replicas > 0, DurableLog: want.kind == resource.MemoryDBCluster, ParameterGroup: engine.DefaultGroup(family, want.cluster && want.kind != resource.MemoryDBCluster)}}
	for i := range max(want.shards, 1) {
		s := resource.Shard{Name: fmt.Sprintf("%04d", i+1), Replicas: want.replicas}
		if want.engine != engine.Memcached {
			s.Slots = []resource.SlotRange{{Start: i * 16384 / want.shards, End: (i+1)*16384/want.shards - 1}}
		}
		c.Layout.Shards = append(c.Layout.Shards, s)
	}
	if want.change != nil {
		want.change(c)
	}
	want.task.CacheID = f.id
	f.must(f.DB.Update(f.t.Context(), func(tx *metastore.Tx) error {
		if err := tx.InsertCache(c); err != nil {
			return err
		}
		for _, s := range c.Layout.Shards {
			for k := range max(s.Replicas+1, want.nodes) {
				n := &resource.Node{ID: metastore.NewID(time.Now()), CacheID: f.id, Shard: s.Name, Slots: s.Slots, Primary: k == 0 || want.nodes > 0, Number: "0001",
					Name: fmt.Sprintf("fleet-%s-%03d", s.Name, k+1), Zone: "us-east-1a", Status: resource.NodeCreating, CreatedAt: time.Now()}
				if want.nodes > 0 {
					n.Name, n.Number = "fleet", fmt.Sprintf("%04d", k+1)
				}
				if err := tx.InsertNode(c, n); err != nil {
					return err
				}
			}
		}
		jobID, err = f.Queue.Enqueue(tx, job.NewSpec(resource.TaskCreateCache, f.id, want.task))
		return err
	}))
	return jobID
}

func (f *fleet) now() (d *resource.Deployment) {
	f.t.Helper()
	f.must(f.DB.View(f.t.Context(), func(tx *metastore.Tx) error {
		c, err := tx.CacheByID(f.id)
		if err == nil {
			d, err = tx.Deployment(c)
		}
		return err
	}))
	return d
}

// client is a client of the cache as its users have one: it finds its way by what the engines say.
func (f *fleet) client() redis.UniversalClient {
	f.t.Helper()
	d := f.now()
	cfg, err := f.Engines.ClientTLS(d.Nodes[0].ID)
	f.must(err)
	var c redis.UniversalClient
	if d.Layout.ClusterMode {
		var seeds []string
		for _, n := range d.Nodes {
			seeds = append(seeds, n.Address+":"+strconv.Itoa(n.Port))
		}
		c = redis.NewClusterClient(&redis.ClusterOptions{Addrs: seeds, TLSConfig: cfg})
	} else {
		p := d.Primary("0001")
		c = redis.NewClient(&redis.Options{Addr: p.Address + ":" + strconv.Itoa(p.Port), TLSConfig: cfg})
	}
	f.t.Cleanup(func() { c.Close() })
	return c
}

func (f *fleet) fill(keys int) {
	f.t.Helper()
	c := f.client()
	for i := range keys {
		f.must(c.Set(f.t.Context(), "key:"+strconv.Itoa(i), i, 0).Err())
	}
	f.level()
}

// level waits until every replica has what its primary has.
func (f *fleet) level() {
	f.t.Helper()
	kftest.Eventually(f.t, "replicas in step", func() error {
		d := f.now()
		sights := f.lookAround(f.t.Context(), d)
		for _, n := range d.Nodes {
			p := d.Primary(n.Shard)
			if s := sights[n.ID]; !n.Primary && (!s.linked || s.offset != sights[p.ID].offset) {
				return fmt.Errorf("%s has %d of %d, %+v", n.Name, s.offset, sights[p.ID].offset, s)
			}
		}
		return nil
	})
}

// holds wants keys to be there, for clients and on replicas.
func (f *fleet) holds(keys int) {
	f.t.Helper()
	kftest.Eventually(f.t, "a cache that serves", func() error {
		c := f.client()
		for i := range keys {
			if got, err := c.Get(f.t.Context(), "key:"+strconv.Itoa(i)).Result(); err != nil || got != strconv.Itoa(i) {
				return fmt.Errorf("key %d is %q, %w", i, got, err)
			}
		}
		return nil
	})
	f.level()
	d, onPrimaries := f.now(), 0
	for _, n := range d.Nodes {
		size := f.size(n)
		if n.Primary {
			onPrimaries += size
		} else if p := f.size(d.Primary(n.Shard)); p != size {
			f.t.Errorf("replica %s has %d keys, its primary %d", n.Name, size, p)
		}
	}
	if onPrimaries != keys {
		f.t.Errorf("the primaries have %d keys of %d", onPrimaries, keys)
	}
}

func (f *fleet) size(n *resource.Node) int {
	f.t.Helper()
	c, err := f.Engines.Admin(f.t.Context(), n.ID)
	f.must(err)
	defer c.Close()
	v, err := c.Do(f.t.Context(), "DBSIZE")
	f.must(err)
	return int(v.Int)
}

func (f *fleet) signal(n *resource.Node, sig syscall.Signal) {
	f.t.Helper()
	pid := f.Engines.PID(n.ID)
	if pid == 0 {
		f.t.Fatalf("node %s does not run", n.Name)
	}
	f.must(syscall.Kill(pid, sig))
}

// well waits until everybody runs in the role that is on record, and nobody has anything left to do.
func (f *fleet) well(what string) *resource.Deployment {
	f.t.Helper()
	kftest.Eventually(f.t, what, func() error {
		var jobs []job.Job
		f.must(f.DB.View(f.t.Context(), func(tx *metastore.Tx) (err error) { jobs, err = job.List(tx, job.Filter{Subject: f.id}); return err }))
		for _, j := range jobs {
			if !j.State.Finished() {
				return fmt.Errorf("%s goes on: %s", j.Kind, j.LastError)
			}
		}
		d := f.now()
		sights := f.lookAround(f.t.Context(), d)
		for _, n := range d.Nodes {
			if s := sights[n.ID]; n.Status != resource.NodeAvailable || !s.answers || s.leads != n.Primary || !n.Primary && !s.linked {
				return fmt.Errorf("%s is %s, primary %t: %+v", n.Name, n.Status, n.Primary, s)
			}
		}
		return nil
	})
	for _, n := range f.now().Nodes {
		kftest.Guard(f.t, f.Engines.PID(n.ID))
	}
	return f.now()
}

// story is what was told, the oldest first.
func (f *fleet) story() (lines []string) {
	f.t.Helper()
	f.must(f.DB.View(f.t.Context(), func(tx *metastore.Tx) error {
		events, _, err := tx.Events(metastore.EventFilter{Scope: home, Service: f.now().Kind.Service()})
		for _, e := range slices.Backward(events) {
			lines = append(lines, e.SourceType+" "+e.SourceID+": "+e.Message)
		}
		return err
	}))
	return lines
}

func (f *fleet) told(lines ...string) {
	f.t.Helper()
	story := f.story()
	for _, line := range lines {
		if !slices.Contains(story, line) {
			f.t.Errorf("%q is not in the story:\n%s", line, strings.Join(story, "\n"))
		}
	}
}

func (f *fleet) failOver(t resource.FailoverTask) {
	f.t.Helper()
	t.CacheID = f.id
	j := f.do(resource.TaskFailover, f.id, t, func(tx *metastore.Tx) error {
		c, err := tx.CacheByID(f.id)
		if err == nil {
			c.Status = resource.CacheModifying
			err = tx.UpdateCache(c)
		}
		return err
	})
	if j.State != job.StateCompleted || f.now().Status != resource.CacheAvailable {
		f.t.Fatalf("failover: %s (%s), and the cache is %s", j.State, j.LastError, f.now().Status)
	}
}

func (f *fleet) delete(final string) {
	f.t.Helper()
	ids := f.now().Nodes
	j := f.do(resource.TaskDeleteCache, f.id, resource.DeleteCacheTask{CacheID: f.id, FinalSnapshotID: final}, func(tx *metastore.Tx) error {
		c, err := tx.CacheByID(f.id)
		if err != nil {
			return err
		}
		c.Status = resource.CacheDeleting
		if err := tx.UpdateCache(c); err != nil || final == "" {
			return err
		}
		s := &resource.Snapshot{ID: final, Kind: c.Kind, Scope: home, Name: final, Type: resource.Manual, Status: resource.SnapshotCreating,
			RequestedAt: time.Now(), Source: *c, KMSKeyID: f.key}
		for _, shard := range c.Layout.Shards {
			s.Shards = append(s.Shards, resource.ShardData{Shard: shard})
		}
		return tx.InsertSnapshot(s)
	})
	if j.State != job.StateCompleted {
		f.t.Fatalf("delete: %s (%s)", j.State, j.LastError)
	}
	for _, n := range ids {
		if _, err := f.Engines.Node(n.ID); err == nil {
			f.t.Errorf("node %s is left", n.Name)
		}
	}
	f.must(f.DB.View(f.t.Context(), func(tx *metastore.Tx) error {
		if _, err := tx.CacheByID(f.id); !is(err, resource.NotFound) {
			f.t.Errorf("the cache is left: %v", err)
		}
		left, err := tx.NodesOf(f.id)
		if len(left) > 0 {
			f.t.Errorf("%d nodes are on record", len(left))
		}
		return err
	}))
}

// watching looks at the roles again and again, as a server does, until the test ends.
func (f *fleet) watching() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, 300*time.Millisecond) == nil {
			f.Watch(ctx) //nolint:errcheck // the test sees what becomes of it
		}
	}()
	f.t.Cleanup(func() { cancel(); <-done })
}

// Three shards with a replica each: whatever dies or hangs, nothing is lost that one node still has, and no node comes back empty beside one
// that is not.
func TestLifeOfShards(t *testing.T) {
	t.Parallel()
	f := newFleet(t, wish{kind: resource.ReplicationGroup, engine: engine.Valkey, cluster: true, shards: 3, replicas: 1})
	f.told("cache-cluster fleet-0002-002: Added cache node 0001 in availability zone us-east-1a", "replication-group fleet: Replication group fleet created")
	f.fill(300)
	f.holds(300)

	// A primary dies.
	was := f.now().Primary("0002")
	f.signal(was, syscall.SIGKILL)
	d := f.well("a failover")
	if d.Primary("0002").ID == was.ID || d.Restarts != 0 {
		t.Errorf("the dead primary is the primary again, %d restarts", d.Restarts)
	}
	f.holds(300)
	f.told("cache-cluster "+was.Name+": Recovering cache nodes 0001", "cache-cluster "+was.Name+": Finished recovery for cache nodes 0001",
		"replication-group fleet: Failover from primary node "+was.Name+" to replica node "+d.Primary("0002").Name+" completed")

	// A replica dies.
	f.signal(was, syscall.SIGKILL)
	f.well("the return of a replica")
	f.holds(300)

	// A user has a replica take over, and back.
	was = d.Primary("0003")
	f.failOver(resource.FailoverTask{Shard: "0003"})
	if d = f.well("order"); d.Primary("0003").ID == was.ID {
		t.Error("the primary is the same as before")
	}
	f.failOver(resource.FailoverTask{Shard: "0003", NodeID: was.ID})
	if d = f.well("order"); d.Primary("0003").ID != was.ID {
		t.Error("another node than the one that was wanted is the primary")
	}
	f.holds(300)

	// A primary hangs: the engines elect another, the answers follow, and it does not serve what it had.
	f.watching()
	f.signal(was, syscall.SIGSTOP)
	kftest.Eventually(t, "a failover from a primary that hangs", func() error {
		if now := f.now().Primary("0003"); now.ID == was.ID {
			return fmt.Errorf("%s is still the primary", now.Name)
		}
		return nil
	})
	f.well("the return of a node that hung")
	f.holds(300)

	// A whole shard dies: its data is lost, nothing else is.
	lost := f.size(f.now().Primary("0001"))
	before := f.now().Restarts
	for _, n := range f.now().Of("0001") {
		f.signal(n, syscall.SIGKILL)
	}
	d = f.well("the return of a shard")
	if d.Restarts <= before {
		t.Error("nobody counts that a shard came back empty")
	}
	f.level()
	kept := f.size(d.Primary("0002")) + f.size(d.Primary("0003"))
	if got := f.size(d.Primary("0001")); got != 0 || kept+lost != 300 {
		t.Errorf("%d keys were lost, %d are kept, and the shard has %d", lost, kept, got)
	}

	// With a dead primary there is a final snapshot all the same.
	f.signal(d.Primary("0002"), syscall.SIGKILL)
	f.delete("final")
	f.whole("final", int64(kept))
}

// One shard cannot elect anybody.
func TestLifeOfOneShardInClusterMode(t *testing.T) {
	t.Parallel()
	f := newFleet(t, wish{kind: resource.ReplicationGroup, engine: engine.Redis, cluster: true, shards: 1, replicas: 2, change: func(c *resource.Cache) { c.TLS = true }})
	f.fill(100)
	for range 2 {
		was := f.now().Primary("0001")
		f.signal(was, syscall.SIGKILL)
		if d := f.well("a failover"); d.Primary("0001").ID == was.ID || d.Restarts != 0 {
			t.Errorf("the dead primary is the primary again, %d restarts", d.Restarts)
		}
		f.holds(100)
	}
	f.failOver(resource.FailoverTask{Shard: "0001"})
	d := f.well("order")
	f.holds(100)

	// A directory comes back from a backup without its nodes.
	f.must(f.Engines.Remove(t.Context(), d.Nodes[2].ID))
	f.must(f.Watch(t.Context()))
	f.well("the return of a replica in a new directory")
	f.holds(100)
	for _, n := range d.Nodes {
		f.must(f.Engines.Remove(t.Context(), n.ID))
	}
	f.must(f.Watch(t.Context()))
	if d := f.well("the return of all in new directories"); d.Restarts == 0 {
		t.Error("nobody counts that the shard came back empty")
	}
	f.holds(0)
}

// Without cluster mode it is ours to fail over.
func TestLifeOfAGroup(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, wish{kind: resource.ReplicationGroup, engine: e, shards: 1, replicas: 2, change: func(c *resource.Cache) { c.TLS = e == engine.Valkey }})
			f.fill(100)
			was := f.now().Primary("0001")
			f.signal(was, syscall.SIGKILL)
			d := f.well("a failover")
			if d.Primary("0001").ID == was.ID || d.Restarts != 0 || d.Endpoint != d.Primary("0001").Endpoint() {
				t.Errorf("the primary is %s at %v, %d restarts", d.Primary("0001").Name, d.Endpoint, d.Restarts)
			}
			f.holds(100)

			f.failOver(resource.FailoverTask{Shard: "0001", NodeID: was.ID})
			if d := f.well("order"); d.Primary("0001").ID != was.ID {
				t.Error("another node than the one that was wanted is the primary")
			}
			f.holds(100)

			f.watching()
			f.signal(was, syscall.SIGSTOP)
			kftest.Eventually(t, "a failover from a primary that hangs", func() error {
				if now := f.now().Primary("0001"); now.ID == was.ID {
					return fmt.Errorf("%s is still the primary", now.Name)
				}
				return nil
			})
			f.well("the return of a node that hung")
			f.holds(100)

			for _, n := range f.now().Nodes {
				f.signal(n, syscall.SIGKILL)
			}
			if d := f.well("the return of all"); d.Restarts == 0 {
				t.Error("nobody counts that the group came back empty")
			}
			f.holds(0)
			f.delete("")
		})
	}
}

// What is in append-only files returns, also when everything died.
func TestLifeOfADurableCluster(t *testing.T) {
	t.Parallel()
	f := newFleet(t, wish{kind: resource.MemoryDBCluster, engine: engine.Valkey, cluster: true, shards: 2, replicas: 1, change: func(c *resource.Cache) { c.TLS = true }})
	f.told("cluster fleet: Cluster created.")
	f.fill(100)
	f.signal(f.now().Primary("0001"), syscall.SIGKILL)
	f.well("a failover")
	f.holds(100)
	for _, n := range f.now().Nodes {
		f.signal(n, syscall.SIGKILL)
	}
	if d := f.well("the return of all"); d.Restarts != 0 {
		t.Errorf("%d restarts are counted, and nothing was lost", d.Restarts)
	}
	f.holds(100)
}

func TestLifeOfMemcached(t *testing.T) {
	t.Parallel()
	f := newFleet(t, wish{kind: resource.CacheCluster, engine: engine.Memcached, nodes: 3})
	f.told("cache-cluster fleet: Added cache node 0003 in availability zone us-east-1a", "cache-cluster fleet: Cache cluster created")
	was := f.now().Nodes[1]
	f.signal(was, syscall.SIGKILL)
	kftest.Eventually(t, "its return", func() error {
		if d := f.now(); d.Restarts != 1 || d.Nodes[1].Status != resource.NodeAvailable {
			return fmt.Errorf("%d restarts, %s", d.Restarts, d.Nodes[1].Status)
		}
		return nil
	})
	for _, n := range f.now().Nodes {
		f.must(f.Engines.WaitReady(kftest.Context(t), n.ID, nil))
		kftest.Guard(t, f.Engines.PID(n.ID))
	}
	f.told("cache-cluster fleet: Finished recovery for cache nodes 0002")
	f.delete("")
}

// What a restore loaded is in the append-only file before its source is unlinked.
func TestRestoreIntoADurableCluster(t *testing.T) {
	t.Parallel()
	f := &fleet{t: t, hall: listening(t)}
	s := f.snapshot("source", f.cache(engine.Valkey, 200))
	f.create(wish{kind: resource.MemoryDBCluster, engine: engine.Valkey, cluster: true, shards: 2, replicas: 1, task: resource.CreateCacheTask{SnapshotID: s.ID}})
	d := f.now()
	if d.Status != resource.CacheAvailable {
		t.Fatalf("the cluster is %s: %s", d.Status, d.StatusReason)
	}
	for _, n := range d.Nodes {
		if exists(f.Engines.DataPath(n.ID)) {
			t.Errorf("node %s keeps the file that it was restored from", n.Name)
		}
	}
	for _, n := range d.Nodes {
		f.signal(n, syscall.SIGKILL)
	}
	d = f.well("the return of all")
	if got := f.size(d.Primary("0001")) + f.size(d.Primary("0002")); got != 200 {
		t.Errorf("%d keys came back", got)
	}
}

// A create that is run again after its engines have elected another primary begins anew: the records say who the primaries are.
func TestCreateBeginsAnew(t *testing.T) {
	t.Parallel()
	f := newFleet(t, wish{kind: resource.ReplicationGroup, engine: engine.Valkey, cluster: true, shards: 3, replicas: 1})
	f.fill(30)
	first := f.now().Primary("0001")
	f.must(f.Engines.Kill(t.Context(), first.ID)) // nobody is told of it
	heir := f.now().Of("0001")[1]
	f.must(f.command(t.Context(), heir.ID, "CLUSTER", "FAILOVER", "FORCE"))
	f.must(f.leading(t.Context(), f.now(), heir, kftest.Patience))
	f.do(resource.TaskCreateCache, f.id, resource.CreateCacheTask{CacheID: f.id}, func(tx *metastore.Tx) error {
		c, err := tx.CacheByID(f.id)
		if err == nil {
			c.Status = resource.CacheCreating
			err = tx.UpdateCache(c)
		}
		return err
	})
	if d := f.well("a new cache"); d.Status != resource.CacheAvailable || d.Primary("0001").ID != first.ID {
		t.Errorf("the cache is %s, its primary %s", d.Status, d.Primary("0001").Name)
	}
	f.holds(0)
}
