package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
)

// deploy makes a cache of running nodes: with several shards a cluster, else a group without cluster mode, or one node.
func (h *hall) deploy(kind resource.Kind, name string, shards, replicas int, opts ...kftest.Option) (*resource.Cache, []*kftest.Node) {
	h.t.Helper()
	opts = append(opts, kftest.Under(h.Engines))
	var nodes []*kftest.Node
	if shards > 1 {
		nodes = kftest.Cluster(h.t, engine.Valkey, shards, replicas, opts...)
	} else {
		nodes = []*kftest.Node{kftest.Engine(h.t, engine.Valkey, opts...)}
		for range replicas {
			n := kftest.Engine(h.t, engine.Valkey, kftest.ReplicaOf(nodes[0]))
			n.WaitLink(h.t)
			nodes = append(nodes, n)
		}
	}
	c := &resource.Cache{ID: "cache-" + name, Kind: kind, Scope: home, Name: name, Status: resource.CacheAvailable, CreatedAt: time.Now(), Engine: engine.Valkey,
		FullEngineVersion: "8.0.1", Layout: &resource.Layout{EngineVersion: "8.0", ClusterMode: shards > 1}}
	h.must(h.DB.Update(h.t.Context(), func(tx *metastore.Tx) error {
		for i, n := range nodes {
			shard, member := n.Shard, 1
			if i >= shards {
				shard, member = nodes[(i-shards)/max(replicas, 1)].Shard, 2+(i-shards)%max(replicas, 1)
			}
			if shard == "" {
				shard = "0001"
			}
			if i < shards {
				c.Layout.Shards = append(c.Layout.Shards, resource.Shard{Name: shard, Slots: n.Slots, Replicas: replicas})
			}
			at := n.Endpoint()
			node := &resource.Node{ID: n.ID, CacheID: c.ID, Shard: shard, Primary: i < shards, Host: "here", Address: at.Address, Port: at.Port, Slots: n.Slots,
				Name: fmt.Sprintf("%s-%s-%03d", name, shard, member), Number: "0001", Status: resource.NodeAvailable, CreatedAt: time.Now()}
			if err := tx.InsertNode(c, node); err != nil {
				return err
			}
		}
		return tx.InsertCache(c)
	}))
	return c, nodes
}

// take asks for a snapshot of a cache of nodes as the control plane does, and waits for what becomes of it.
func (h *hall) take(id string, c *resource.Cache, change func(*resource.Snapshot)) (*resource.Snapshot, []string) {
	h.t.Helper()
	return h.order(id, c, change)()
}

// order is take that does not wait: what it returns does.
func (h *hall) order(id string, c *resource.Cache, change func(*resource.Snapshot)) (wait func() (*resource.Snapshot, []string)) {
	h.t.Helper()
	s := &resource.Snapshot{ID: id, Kind: c.Kind, Scope: home, Name: id, Type: resource.Manual, Status: resource.SnapshotCreating,
		RequestedAt: time.Now(), Source: *c, KMSKeyID: h.key}
	for _, shard := range c.Layout.Shards {
		s.Shards = append(s.Shards, resource.ShardData{Shard: shard, Zone: "us-east-1a"})
	}
	if change != nil {
		change(s)
	}
	end := h.begin(resource.TaskCreateSnapshot, id, resource.SnapshotTask{SnapshotID: id}, func(tx *metastore.Tx) error {
		if err := tx.InsertSnapshot(s); err != nil {
			return err
		}
		c.Status = resource.CacheSnapshotting
		return tx.UpdateCache(c)
	})
	return func() (*resource.Snapshot, []string) {
		h.t.Helper()
		end()
		if now := h.cacheNow(c.ID); now.Status != resource.CacheAvailable {
			h.t.Errorf("after the snapshot the cache is %s", now.Status)
		}
		var told []string
		h.must(h.DB.View(h.t.Context(), func(tx *metastore.Tx) error {
			events, _, err := tx.Events(metastore.EventFilter{Scope: home, Service: c.Kind.Service()})
			for _, e := range events {
				told = append(told, e.SourceType+" "+e.SourceID+": "+e.Message)
			}
			return err
		}))
		return h.snapshotNow(id), told
	}
}

// reach is how a dataset reaches an engine.
func (h *hall) reach(n *kftest.Node) dataset.Server {
	return dataset.Server{Address: n.Addr(), TLS: n.TLSConfig(h.t), User: engine.AdminUser, Password: n.Password}
}

func TestSnapshotOfShards(t *testing.T) {
	t.Parallel()
	var cuts []*capture.Cut
	h := newHall(t, func(o *Options) { o.OnCut = func(c *capture.Cut) { cuts = append(cuts, c) } })
	c, nodes := h.deploy(resource.ReplicationGroup, "orders", 3, 1)
	cluster, err := dataset.ClusterAt(t.Context(), h.reach(nodes[0]))
	h.must(err)
	filled, err := cluster.Fill(kftest.Context(t), dataset.Sized(2<<20, 1))
	h.must(err)
	s, told := h.take("s", c, nil)
	if s.Status != resource.SnapshotAvailable || s.Keys != filled.Keys || s.Databases != 1 || len(s.Shards) != 3 {
		t.Fatalf("%+v", s)
	}
	for i, d := range s.Shards {
		if d.Bytes <= 0 || d.Node != fmt.Sprintf("orders-000%d-002", i+1) || !d.CreatedAt.Equal(s.CreatedAt) || d.CreatedAt.IsZero() || d.Zone != "us-east-1a" ||
			!reflect.DeepEqual(d.Shard.Slots, nodes[i].Slots) {
			t.Errorf("shard %d: %+v", i, d)
		}
	}
	m, err := h.Store.ReadManifest(t.Context(), "s")
	h.must(err)
	if len(cuts) != 1 || m.Consistency != snapstore.Instant || m.Cut == nil || m.Cut.PauseMicros != cuts[0].Pause.Microseconds() || m.Cut.ForkMicros <= 0 || len(m.Shards) != 3 {
		t.Errorf("%+v, %d cuts", m, len(cuts))
	}
	if len(told) != 2 || !strings.HasPrefix(told[0]+told[1], "cache-cluster orders-0001-002: ") ||
		!strings.Contains(told[0]+told[1], "orders-0001-002: Snapshot succeeded for snapshot with ID 's' of replication group with ID 'orders'") ||
		!strings.Contains(told[0]+told[1], "Writes were held for ") {
		t.Errorf("events %q", told)
	}
	h.whole("s", filled.Keys)
}

func TestSnapshotOfOneNode(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	for _, kind := range []resource.Kind{resource.CacheCluster, resource.MemoryDBCluster} {
		opts := []kftest.Option{}
		if kind == resource.MemoryDBCluster {
			opts = append(opts, kftest.WithAOF())
		}
		c, nodes := h.deploy(kind, string(kind), 1, 0, opts...)
		nodes[0].Do(t, "SET", "k", "v")
		if kind == resource.CacheCluster {
			conn := nodes[0].Admin(t)
			_, err := conn.Do(t.Context(), "SELECT", "5")
			h.must(err)
			_, err = conn.Do(t.Context(), "SET", "k", "v")
			h.must(err)
		}
		id := "s-" + string(kind)
		s, told := h.take(id, c, nil)
		want := map[resource.Kind]string{
			resource.CacheCluster:    "cache-cluster cache-cluster: Snapshot succeeded for snapshot with ID 's-cache-cluster' of cache cluster with ID 'cache-cluster'",
			resource.MemoryDBCluster: "cluster memorydb-cluster: Snapshot succeeded for snapshot with ID 's-memorydb-cluster' of cluster with ID 'memorydb-cluster'",
		}[kind]
		if len(told) != 1 || told[0] != want {
			t.Errorf("events %q", told)
		}
		m, err := h.Store.ReadManifest(t.Context(), id)
		h.must(err)
		if s.Status != resource.SnapshotAvailable || m.Cut != nil || m.Shards[0].Slots != nil || (s.Databases == 6) != (kind == resource.CacheCluster) {
			t.Errorf("%+v", s)
		}
	}
}

// A member that was asked for is the source. A final snapshot is taken from the primary.
func TestSnapshotTakesTheMemberThatIsWanted(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c, nodes := h.deploy(resource.ReplicationGroup, "g", 1, 2)
	nodes[0].Do(t, "SET", "k", "v")
	for from, want := range map[string]string{"": "g-0001-002", "g-0001-003": "g-0001-003", "g-0001-001": "g-0001-001", "gone": "g-0001-002"} {
		id := "from-" + from
		s, _ := h.take(strings.TrimSuffix(id, "-"), c, func(s *resource.Snapshot) { s.FromNode = from })
		if s.Status != resource.SnapshotAvailable || s.Shards[0].Node != want || s.Keys != 1 {
			t.Errorf("asked for %q: %+v", from, s)
		}
	}
	// A replica that does not answer is not waited for: the primary has the data.
	for _, n := range nodes[1:] {
		h.must(h.Engines.Stop(t.Context(), n.ID))
	}
	if s, _ := h.take("without", c, nil); s.Status != resource.SnapshotAvailable || s.Shards[0].Node != "g-0001-001" {
		t.Errorf("%+v", s)
	}
	last := &resource.Snapshot{ID: "last", Kind: c.Kind, Scope: home, Name: "last", Type: resource.Manual, Status: resource.SnapshotCreating, RequestedAt: time.Now(),
		Source: *c, KMSKeyID: h.key, Shards: []resource.ShardData{{Shard: c.Layout.Shards[0]}}}
	h.do(resource.TaskDeleteCache, c.ID, resource.DeleteCacheTask{CacheID: c.ID, FinalSnapshotID: "last"}, func(tx *metastore.Tx) error {
		c.Status = resource.CacheDeleting
		if err := tx.InsertSnapshot(last); err != nil {
			return err
		}
		return tx.UpdateCache(c)
	})
	if s := h.snapshotNow("last"); s.Status != resource.SnapshotAvailable || s.Shards[0].Node != "g-0001-001" {
		t.Errorf("the final one: %+v", s)
	}
}

// While a replica takes over, the snapshot waits, and is then taken of the new primary's data.
func TestSnapshotWaitsForAFailover(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c, nodes := h.deploy(resource.MemoryDBCluster, "moving", 3, 1)
	nodes[3].Do(t, "CLUSTER", "FAILOVER", "TAKEOVER")
	wait := h.order("s", c, nil)
	kftest.Eventually(t, "a run that meets the old layout", func() error {
		return h.DB.View(t.Context(), func(tx *metastore.Tx) error {
			jobs, err := job.List(tx, job.Filter{Kind: resource.TaskCreateSnapshot})
			if err == nil && (len(jobs) == 0 || !strings.Contains(string(jobs[0].Checkpoint), "Troubled")) {
				err = errors.New("none yet")
			}
			return err
		})
	})
	nodes[3].Do(t, "SET", keyIn(nodes[0]), "written after the failover")
	h.must(h.DB.Update(t.Context(), func(tx *metastore.Tx) error {
		all, err := tx.NodesOf(c.ID)
		h.must(err)
		for _, n := range all {
			if n.ID == nodes[0].ID || n.ID == nodes[3].ID {
				n.Primary = n.ID == nodes[3].ID
				h.must(tx.UpdateNode(n))
			}
		}
		return nil
	}))
	if got, _ := wait(); got.Status != resource.SnapshotAvailable || got.Keys != 1 {
		t.Errorf("%+v", got)
	}
}

// keyIn is a key of a node's slots.
func keyIn(n *kftest.Node) string {
	for i := 0; ; i++ {
		key := fmt.Sprint("k", i)
		if slot := rdb.KeySlot([]byte(key)); slot >= n.Slots[0].Start && slot <= n.Slots[0].End {
			return key
		}
	}
}

// A shard whose primary is dead and has no successor ends the snapshot in a named failure, and the cache goes on.
func TestSnapshotOfShardsFails(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c, nodes := h.deploy(resource.ReplicationGroup, "broken", 3, 0)
	h.must(syscall.Kill(h.Engines.PID(nodes[1].ID), syscall.SIGKILL))
	s, told := h.take("s", c, nil)
	if s.Status != resource.SnapshotFailed || s.StatusReason == "" {
		t.Errorf("%+v", s)
	}
	if len(told) != 1 || !strings.Contains(told[0], "Snapshot failed for snapshot with ID 's' of replication group with ID 'broken'") {
		t.Errorf("events %q", told)
	}
	if n := h.objects(""); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}

// exported runs an export. Before it is carried out, before sees the job's ID.
func (h *hall) exported(s *resource.Snapshot, name string, before func(jobID string)) job.Job {
	h.t.Helper()
	var id string
	h.must(h.DB.Update(h.t.Context(), func(tx *metastore.Tx) (err error) {
		id, err = h.Queue.Enqueue(tx, job.NewSpec(resource.TaskExportSnapshot, s.ID, resource.ExportSnapshotTask{SnapshotID: s.ID, Bucket: "exports", Name: name}))
		h.must(err)
		if before != nil {
			before(id)
		}
		return tx.AddUse(s.ID, id, resource.UseExport)
	}))
	j, err := job.Wait(kftest.Context(h.t), h.DB, id)
	h.must(err)
	if now := h.snapshotNow(s.ID); now.Status != resource.SnapshotAvailable {
		h.t.Errorf("after the export the snapshot is %s", now.Status)
	}
	return j
}

// object puts an object into the bucket of exports.
func (h *hall) object(key, token string) {
	h.t.Helper()
	out, err := h.Targets.Create(h.t.Context(), home.Account, "exports", key, token)
	h.must(err)
	defer out.Abort()
	_, err = out.Write([]byte("x"))
	h.must(err)
	h.must(out.Commit())
}

// there lists which of three files are visible, with their sizes.
func (h *hall) there(name string) (sizes [3]int64) {
	h.t.Helper()
	for i := range sizes {
		info, err := h.Targets.Stat(h.t.Context(), home.Account, "exports", resource.ExportKey(name, i+1))
		if err == nil {
			sizes[i] = info.Size
		} else if !errors.Is(err, target.ErrNoObject) {
			h.t.Error(err)
		}
	}
	return sizes
}

func TestExportOfShardsIsAllOrNothing(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	_, err := h.box.CreateBucket(t.Context(), "exports", home.Account, home.Region)
	h.must(err)
	c, nodes := h.deploy(resource.MemoryDBCluster, "m", 3, 0)
	cluster, err := dataset.ClusterAt(t.Context(), h.reach(nodes[0]))
	h.must(err)
	filled, err := cluster.Fill(kftest.Context(t), dataset.Sized(1<<20, 1))
	h.must(err)
	s, _ := h.take("s", c, nil)

	h.object("taken-0003.rdb", "")
	j := h.exported(s, "taken", func(id string) { h.object("taken-0001.rdb", id+"/0001") }) // as if an earlier run had died after its first file
	if j.State != job.StateCancelled || !strings.Contains(j.LastError, "there is already an object with the same name in the bucket") {
		t.Errorf("%s: %s", j.State, j.LastError)
	}
	if got := h.there("taken"); got != [3]int64{0, 0, 1} {
		t.Errorf("after an export that failed there are %v", got)
	}

	if j := h.exported(s, "", nil); j.State != job.StateCompleted {
		t.Fatalf("%s: %s", j.State, j.LastError)
	}
	if got := h.there("s"); got != [3]int64{s.Shards[0].Bytes, s.Shards[1].Bytes, s.Shards[2].Bytes} {
		t.Errorf("exported %v of %+v", got, s.Shards)
	}
	var keys int64
	for i := range 3 {
		in, _, err := h.Targets.Open(t.Context(), home.Account, "exports", resource.ExportKey("s", i+1))
		h.must(err)
		data, err := io.ReadAll(in)
		in.Close()
		h.must(err)
		file := filepath.Join(t.TempDir(), "dump.rdb")
		h.must(os.WriteFile(file, data, 0o600))
		n := kftest.Engine(t, engine.Valkey, kftest.Data(file))
		size, err := n.Do(t, "DBSIZE").Integer()
		h.must(err)
		keys += size
	}
	if keys != filled.Keys {
		t.Errorf("the files hold %d keys of %d", keys, filled.Keys)
	}

	// A copy stands for itself.
	cp := &resource.Snapshot{ID: "copy", Kind: s.Kind, Scope: home, Name: "copy", Type: resource.Manual, Status: resource.SnapshotCreating,
		RequestedAt: time.Now(), Source: s.Source, KMSKeyID: h.key, CopiedFrom: s.ID, Shards: s.Shards}
	h.do(resource.TaskCopySnapshot, "copy", resource.CopySnapshotTask{SourceID: s.ID, TargetID: "copy"}, func(tx *metastore.Tx) error { return tx.InsertSnapshot(cp) })
	h.remove("s")
	got := h.snapshotNow("copy")
	if got.Status != resource.SnapshotAvailable || !reflect.DeepEqual(got.Shards, s.Shards) || got.Bytes != s.Bytes || got.Keys != s.Keys {
		t.Errorf("copy %+v", got)
	}
	h.whole("copy", filled.Keys)
	h.remove("copy")
	if n := h.objects(""); n != 0 {
		t.Errorf("%d objects are left", n)
	}
}
