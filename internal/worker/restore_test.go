package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/blob/fault"
	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// shape is how a cache of nodes is divided.
type shape struct {
	kind   resource.Kind
	engine resource.Engine
	shards [][]resource.SlotRange // in cluster mode
	single bool                   // one shard without cluster mode
	log    bool                   // an append-only file
}

// equal is a replication group in cluster mode with n equal shards.
func equal(n int) shape {
	s := shape{kind: resource.ReplicationGroup, engine: engine.Valkey}
	for _, r := range resource.EqualSlots(n) {
		s.shards = append(s.shards, []resource.SlotRange{r})
	}
	return s
}

// born makes a cache, and waits for what becomes of it.
func (h *hall) born(name string, s shape, t resource.CreateCacheTask) *resource.Cache {
	h.t.Helper()
	return h.asked(name, s, t)()
}

// asked records a cache and its create job, as the control plane does. The result waits for the job's end.
func (h *hall) asked(name string, s shape, t resource.CreateCacheTask) func() *resource.Cache {
	h.t.Helper()
	choice, err := h.Catalog.Resolve(s.engine, "")
	h.must(err)
	c := &resource.Cache{ID: "cache-" + name, Kind: s.kind, Scope: home, Name: name, Status: resource.CacheCreating, CreatedAt: time.Now(), Engine: s.engine,
		MajorEngineVersion: choice.Major, FullEngineVersion: choice.FullVersion}
	if s.kind != resource.Serverless {
		family, nodeType := choice.Family, "cache.r7g.large"
		if s.kind == resource.MemoryDBCluster {
			family, nodeType = engine.FamilyOf(s.kind.Service(), choice.Offer), "db.r7g.large"
		}
		c.Layout = &resource.Layout{NodeType: nodeType, EngineVersion: choice.Version, Port: 6379, ClusterMode: !s.single, DurableLog: s.log,
			ParameterGroup: engine.DefaultGroup(family, !s.single && s.kind != resource.MemoryDBCluster)}
	}
	var nodes []*resource.Node
	if s.single {
		s.shards = [][]resource.SlotRange{nil}
	}
	for i, slots := range s.shards {
		shard := fmt.Sprintf("%04d", i+1)
		c.Layout.Shards = append(c.Layout.Shards, resource.Shard{Name: shard, Slots: slots})
		nodes = append(nodes, &resource.Node{ID: fmt.Sprintf("%s-%s", name, shard), CacheID: c.ID, Shard: shard, Primary: true, Slots: slots,
			Name: fmt.Sprintf("%s-%s-001", name, shard), Number: "0001", Zone: "us-east-1a", Status: resource.NodeCreating, CreatedAt: time.Now()})
	}
	t.CacheID = c.ID
	var id string
	h.must(h.DB.Update(h.t.Context(), func(tx *metastore.Tx) (err error) {
		for _, n := range nodes {
			if err := tx.InsertNode(c, n); err != nil {
				return err
			}
		}
		if err := tx.InsertCache(c); err != nil {
			return err
		}
		id, err = h.Queue.Enqueue(tx, job.NewSpec(resource.TaskCreateCache, c.ID, t))
		return err
	}))
	return func() *resource.Cache {
		h.t.Helper()
		_, err := job.Wait(kftest.Context(h.t), h.DB, id)
		h.must(err)
		return h.cacheNow(c.ID)
	}
}

// alive wants a cache that its create job finished.
func (h *hall) alive(c *resource.Cache) *resource.Cache {
	h.t.Helper()
	if c.Status != resource.CacheAvailable {
		h.t.Fatalf("cache %s is %s: %s", c.Name, c.Status, c.StatusReason)
	}
	return c
}

// servers are the primaries of a cache, by shard.
func (h *hall) servers(c *resource.Cache) (all []dataset.Server) {
	h.t.Helper()
	h.must(h.DB.View(h.t.Context(), func(tx *metastore.Tx) error {
		d, err := tx.Deployment(c)
		if err != nil {
			return err
		}
		for _, n := range d.Nodes {
			at, err := h.Engines.Node(n.ID)
			if err != nil {
				return err
			}
			all = append(all, dataset.Server{Address: fmt.Sprintf("%s:%d", at.Lease.Address, at.Lease.Port), User: engine.AdminUser, Password: at.Password})
		}
		return nil
	}))
	return all
}

// holds wants a cache with exactly some data, and the functions on every shard.
func (h *hall) holds(c *resource.Cache, want dataset.Digest) {
	h.t.Helper()
	var got dataset.Digest
	for i, s := range h.servers(h.alive(c)) {
		one, err := dataset.DigestOf(kftest.Context(h.t), s, time.Time{})
		h.must(err)
		if one.Functions != want.Functions {
			h.t.Errorf("shard %d of %s has other functions", i+1, c.Name)
		}
		if i == 0 {
			got = one
		} else {
			got = got.Plus(one)
		}
	}
	if got != want {
		h.t.Errorf("cache %s holds %v, want %v", c.Name, got, want)
	}
	if c.Layout == nil || c.Layout.ClusterMode {
		if _, err := dataset.ClusterAt(h.t.Context(), h.servers(c)[0]); err != nil {
			h.t.Errorf("cache %s: %v", c.Name, err)
		}
	}
}

// someData is a little of everything.
var someData = dataset.Spec{Keys: 4000, Functions: true, Mix: dataset.Mix{Strings: 100, Counters: 20, Hashes: 20, Lists: 5, ZSets: 5, Streams: 2, IntSets: 5, Sets: 5}}

// filledCache is a cache with data and what the data is.
func (h *hall) filledCache(name string, s shape) (*resource.Cache, dataset.Digest) {
	h.t.Helper()
	c := h.alive(h.born(name, s, resource.CreateCacheTask{}))
	cluster := dataset.Cluster{{Server: h.servers(c)[0]}}
	if s.single {
		_, err := dataset.Fill(kftest.Context(h.t), cluster[0].Server, someData)
		h.must(err)
	} else {
		var err error
		cluster, err = dataset.ClusterAt(h.t.Context(), cluster[0].Server)
		h.must(err)
		_, err = cluster.Fill(kftest.Context(h.t), someData)
		h.must(err)
	}
	want, err := cluster.Digest(kftest.Context(h.t), time.Time{})
	h.must(err)
	return c, want
}

// taken is an available snapshot of a cache.
func (h *hall) taken(id string, c *resource.Cache) *resource.Snapshot {
	h.t.Helper()
	s := &resource.Snapshot{ID: id, Kind: c.Kind, Scope: home, Name: id, Type: resource.Manual, Status: resource.SnapshotCreating,
		RequestedAt: time.Now(), Source: *c, KMSKeyID: h.key}
	if c.Layout != nil {
		for _, shard := range c.Layout.Shards {
			s.Shards = append(s.Shards, resource.ShardData{Shard: shard, Zone: "us-east-1a"})
		}
	}
	h.do(resource.TaskCreateSnapshot, id, resource.SnapshotTask{SnapshotID: id}, func(tx *metastore.Tx) error {
		if c.Layout != nil {
			c.Status = resource.CacheSnapshotting
		}
		return errors.Join(tx.InsertSnapshot(s), tx.UpdateCache(c))
	})
	if s = h.snapshotNow(id); s.Status != resource.SnapshotAvailable {
		h.t.Fatalf("snapshot %s is %s: %s", id, s.Status, s.StatusReason)
	}
	return s
}

// Any number of shards, any slots, with cluster mode or serverless: the restored cache holds what the snapshot does.
func TestRestoreIntoAnyShape(t *testing.T) {
	t.Parallel()
	custom := equal(2)
	custom.shards = [][]resource.SlotRange{{{Start: 0, End: 99}, {Start: 9000, End: 16383}}, {{Start: 100, End: 8999}}}
	durable := equal(2)
	durable.kind, durable.log = resource.MemoryDBCluster, true
	one := shape{kind: resource.ReplicationGroup, engine: engine.Valkey, single: true}
	serverless := shape{kind: resource.Serverless, engine: engine.Valkey}
	for _, c := range []struct {
		name string
		from shape
		to   map[string]shape
	}{
		{"of three", equal(3), map[string]shape{"five": equal(5), "same": equal(3), "custom": custom, "durable": durable, "serverless": serverless}},
		{"of one", one, map[string]shape{"four": equal(4), "same": one}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			from, want := h.filledCache("source", c.from)
			h.taken("s", from)
			var all []func() *resource.Cache
			for name, to := range c.to {
				all = append(all, h.asked(name, to, resource.CreateCacheTask{SnapshotID: "s"}))
			}
			for _, wait := range all {
				h.holds(h.alive(wait()), want)
			}
			for _, n := range h.Engines.Nodes() {
				if _, err := os.Stat(h.Engines.DataPath(n.ID)); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("node %s keeps its data file: %v", n.ID, err)
				}
			}
		})
	}
}

// bucketed are the bytes of RDB files under keys of a bucket.
func (h *hall) bucketed(files map[string][]byte) {
	h.t.Helper()
	_, err := h.box.CreateBucket(h.t.Context(), "dumps", home.Account, home.Region)
	h.must(err)
	for key, file := range files {
		out, err := h.Targets.Create(h.t.Context(), home.Account, "dumps", key, "")
		h.must(err)
		_, err = out.Write(file)
		h.must(errors.Join(err, out.Commit()))
	}
}

func objects(keys ...string) (all []resource.S3Object) {
	for _, k := range keys {
		all = append(all, resource.S3Object{Bucket: "dumps", Key: k})
	}
	return all
}

// saved is what an engine writes of some commands' effects.
func saved(t *testing.T, e resource.Engine, commands ...string) []byte {
	t.Helper()
	n := kftest.Engine(t, e)
	for _, c := range commands {
		n.Do(t, strings.Fields(c)...)
	}
	n.Do(t, "SAVE")
	file, err := os.ReadFile(filepath.Join(n.Dir, engine.DataFile))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Files of any division are put together, whether their slots are apart or not. Those that no cache can take are refused, each for its reason.
func TestRestoreSeveralFiles(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	a := saved(t, engine.Valkey, "SET a 1", "SET {same}a 1", "SET b 2 EX 100000")
	b := saved(t, engine.Valkey, "RPUSH c 1 2 3", "SET {same}b 1")
	damaged := bytes.Clone(b)
	damaged[len(damaged)-1] ^= 1
	// A hash whose fields expire, without a checksum.
	newHash := []byte("REDIS0012\x18\x01k" + strings.Repeat("\x00", 8) + "\x01\x00\x01f\x01v\xff" + strings.Repeat("\x00", 8))
	// A packed hash that says it has two elements, and has none; engines load it, to stumble later.
	broken := []byte("REDIS0011\x10\x01k\x07\x07\x00\x00\x00\x02\x00\xff\xff" + strings.Repeat("\x00", 8))
	h.bucketed(map[string][]byte{"a": a, "b": b, "a2": a, "damaged": damaged, "broken": broken, "db": saved(t, engine.Valkey, "SET x y", "SWAPDB 0 3"), "x": saved(t, engine.Valkey, "SET x z"),
		"db17": []byte("REDIS0011\xfe\x11\x00\x01k\x01v\xff" + strings.Repeat("\x00", 8)),
		"sets": saved(t, engine.Valkey, "SADD s x y z"), "new": newHash, "newer": []byte("VALKEY080\x14\x01k\x09\x09\x00\x00\x00\x01\x00\x01\x01\xff\xff" + strings.Repeat("\x00", 8)), "old": saved(t, engine.Redis, "SET old 1")})
	one := shape{kind: resource.ReplicationGroup, engine: engine.Valkey, single: true}
	redis, oneRedis := equal(2), one
	redis.engine, oneRedis.engine = engine.Redis, engine.Redis
	var waits []func()
	for name, good := range map[string]struct {
		to   shape
		from []string
		keys int64
	}{
		"into-three": {equal(3), []string{"a", "b", "old"}, 6}, "into-two": {equal(2), []string{"a"}, 3}, "into-one": {one, []string{"a", "b"}, 5},
		"serverless": {shape{kind: resource.Serverless, engine: engine.Valkey}, []string{"a", "b"}, 5}, "lowered": {redis, []string{"a", "b", "sets"}, 6},
		"lowered-one": {one, []string{"newer"}, 1}, "crossed-one": {oneRedis, []string{"newer"}, 1},
		"another-database": {one, []string{"db"}, 1}, "several-databases": {one, []string{"a", "db", "x"}, 5},
	} {
		wait := h.asked(name, good.to, resource.CreateCacheTask{Objects: objects(good.from...)})
		waits = append(waits, func() {
			var keys int64
			for _, s := range h.servers(h.alive(wait())) {
				d, err := dataset.DigestOf(t.Context(), s, time.Time{})
				h.must(err)
				keys += d.Keys
			}
			if keys != good.keys {
				t.Errorf("%s: %d keys, want %d", name, keys, good.keys)
			}
		})
	}
	for _, wait := range waits {
		wait()
	}
	for name, bad := range map[string]struct {
		to     shape
		from   []string
		reason string
	}{
		"doubles":   {equal(2), []string{"a", "b", "a2"}, "3 keys are in more than one of the files"},
		"damaged":   {equal(2), []string{"a", "damaged"}, "dumps/damaged: rdb: corrupt"},
		"broken":    {equal(2), []string{"a", "broken"}, "dumps/broken: rdb: corrupt at offset 17, in value of type 16 (hash, listpack): the header of the listpack says 2 elements"},
		"databases": {equal(2), []string{"a", "db"}, "dumps/db: it holds 1 keys in database 3, and a cache in cluster mode has only database 0"},
		"too-many":  {one, []string{"a", "db17"}, "dumps/db17: it holds 1 keys in database 17, and the cache has 16 databases"},
		"missing":   {equal(2), []string{"a", "nothing"}, "dumps/nothing: the file could not be retrieved from S3"},
		"too-new":   {redis, []string{"a", "new"}, "dumps/new: redis 7.0.15 cannot read it: unsupported RDB version 12: what it holds needs version 12"},
	} {
		if c := h.born(name, bad.to, resource.CreateCacheTask{Objects: objects(bad.from...)}); !strings.Contains(c.StatusReason, bad.reason) {
			t.Errorf("%s is %s: %q, want %q", name, c.Status, c.StatusReason, bad.reason)
		}
		for _, n := range h.Engines.Nodes() {
			if strings.HasPrefix(n.ID, name+"-") && h.Engines.Started(n.ID) {
				t.Errorf("%s: engine %s was started", name, n.ID)
			}
		}
	}
}

// A snapshot goes into an older engine, whose RDB version lacks types that are in it, unchanged by what clients can tell, in any shape.
func TestRestoreIntoOlderEngine(t *testing.T) {
	t.Parallel()
	for name, from := range map[string]shape{
		"single":  {kind: resource.ReplicationGroup, engine: engine.Valkey, single: true},
		"cluster": equal(2),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			source, want := h.filledCache("source", from)
			h.taken("s", source)
			m, err := h.Store.ReadManifest(t.Context(), "s")
			h.must(err)
			if m.RDBVersion != 11 || m.Shards[0].Types[20] == 0 || m.Shards[0].Types[21] == 0 {
				t.Fatalf("version %d with types %v does not show anything", m.RDBVersion, m.Shards[0].Types)
			}
			to := map[string]shape{"same": from, "three": equal(3), "serverless": {kind: resource.Serverless}}
			if name == "cluster" {
				to["one"] = equal(1)
			}
			var all []func() *resource.Cache
			for name, s := range to {
				s.engine = engine.Redis
				all = append(all, h.asked(name, s, resource.CreateCacheTask{SnapshotID: "s"}))
			}
			for _, wait := range all {
				h.holds(h.alive(wait()), want)
			}
		})
	}
}

// An engine that dies while all are fed ends the restore with its name, and no other is left running.
func TestRestoreEndsWithAnyEngine(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	from, _ := h.filledCache("source", equal(2))
	h.taken("s", from)
	h.store.Set(func(_ int, op fault.Op, key string) bool {
		if op == fault.Open && strings.HasPrefix(key, "captures/") { // the pipes are open now
			if pid := h.Engines.PID("victim-0002"); pid != 0 {
				syscall.Kill(pid, syscall.SIGKILL)
			}
			kftest.Eventually(t, "the engine to end", func() error {
				if h.Engines.Running("victim-0002") {
					return errors.New("it runs")
				}
				return nil
			})
		}
		return false
	})
	c := h.born("victim", equal(3), resource.CreateCacheTask{SnapshotID: "s"})
	if c.Status != resource.CacheRestoreFailed || !strings.Contains(c.StatusReason, "victim-0002 stopped reading") ||
		strings.Contains(c.StatusReason, "victim-0001") || strings.Contains(c.StatusReason, "victim-0003") {
		t.Errorf("%s: %s", c.Status, c.StatusReason)
	}
	for _, id := range []string{"victim-0001", "victim-0002", "victim-0003"} {
		if h.Engines.Running(id) {
			t.Errorf("%s runs", id)
		}
	}
}

// A run after one that died gives data only to primaries that have lost it since. A store that fails once is asked again.
func TestRestoreIsRepeated(t *testing.T) {
	t.Parallel()
	var again func(ctx context.Context, r *job.Running) error
	h := newHall(t, func(o *Options) {
		o.Queue.Register("again", job.Kind{Run: func(ctx context.Context, r *job.Running) error { return again(ctx, r) }})
	})
	from, want := h.filledCache("source", equal(3))
	h.taken("s", from)
	failed := false
	h.store.Set(func(_ int, op fault.Op, key string) bool {
		if op == fault.Read && strings.HasPrefix(key, "captures/") && !failed {
			failed = true
			return true
		}
		return false
	})
	task := resource.CreateCacheTask{CacheID: "cache-twice", SnapshotID: "s"}
	c := h.born("twice", equal(2), task)
	if !failed {
		t.Error("the store did not fail")
	}
	h.holds(c, want)

	keys := map[string]int64{}
	for _, id := range []string{"twice-0001", "twice-0002"} {
		load, err := h.Engines.Loaded(t.Context(), id)
		h.must(err)
		keys[id] = load.Keys + load.Expired
	}
	kept := h.Engines.PID("twice-0001")
	h.must(h.Engines.Kill(t.Context(), "twice-0002"))
	again = func(ctx context.Context, r *job.Running) error {
		if len(r.Checkpoint) == 0 {
			return errors.Join(r.Save(ctx, filled{keys}), errors.New("killed"))
		}
		var d *resource.Deployment
		h.must(h.DB.View(ctx, func(tx *metastore.Tx) (err error) { d, err = tx.Deployment(c); return err }))
		choice, err := h.Catalog.Resolve(c.Engine, c.EngineVersion())
		h.must(err)
		got, err := h.launch(ctx, r, task, d, choice)
		if !maps.Equal(got, keys) {
			t.Errorf("launched with %v, want %v", got, keys)
		}
		return errors.Join(err, h.Engines.WaitReady(ctx, "twice-0002", nil))
	}
	if j := h.do("again", c.ID, nil, func(*metastore.Tx) error { return nil }); j.State != job.StateCompleted {
		t.Fatalf("%s: %s", j.State, j.LastError)
	}
	h.holds(c, want)
	if pid := h.Engines.PID("twice-0001"); pid != kept {
		t.Errorf("the one that lived was started again")
	}
}
