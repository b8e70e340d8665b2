package worker

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// shares are n shards that share the slots evenly.
func shares(n, replicas int) (all []resource.Shard) {
	for i := range n {
		all = append(all, resource.Shard{Name: fmt.Sprintf("%04d", i+1), Replicas: replicas,
			Slots: []resource.SlotRange{{Start: i * 16384 / n, End: (i+1)*16384/n - 1}}})
	}
	return all
}

// group records a replication group and starts it, past the job that creates one.
func (h *hall) group(e resource.Engine, cluster bool, shards, replicas int, change ...func(*resource.Cache)) *resource.Deployment {
	h.t.Helper()
	choice, err := h.Catalog.Resolve(e, "")
	h.must(err)
	c := &resource.Cache{ID: metastore.NewID(time.Now()), Kind: resource.ReplicationGroup, Scope: home, Name: "grp", Status: resource.CacheAvailable, CreatedAt: time.Now(),
		Engine: e, MajorEngineVersion: choice.Major, FullEngineVersion: choice.FullVersion,
		Layout: &resource.Layout{NodeType: "cache.r7g.large", EngineVersion: choice.Version, ClusterMode: cluster, Shards: shares(shards, replicas), ParameterGroup: engine.DefaultGroup(choice.Family, cluster)}}
	for _, f := range change {
		f(c)
	}
	h.must(h.DB.Update(h.t.Context(), func(tx *metastore.Tx) error { return tx.InsertCache(c) }))
	for _, s := range c.Layout.Shards {
		for k := range s.Replicas + 1 {
			h.member(c, s.Name, k+1)
		}
	}
	d := h.look(c.ID)
	password := engine.RandomSecret()
	var all []engine.ClusterNode
	for _, n := range d.Nodes {
		spec := supervisor.Spec{ID: n.ID, Engine: e, Binary: choice.Binary, Cluster: cluster, Shard: n.Shard, Slots: n.Slots, Password: password, AOF: c.Layout.DurableLog, TLS: c.TLS}
		if !cluster && !n.Primary {
			spec.ReplicaOf = d.Primary(n.Shard).Endpoint()
		}
		placed, err := h.Engines.Create(h.t.Context(), spec)
		h.must(err)
		n.Address, n.Port, n.Host, n.Status = placed.Lease.Address, placed.Lease.Port, h.Host, resource.NodeAvailable
		h.must(h.DB.Update(h.t.Context(), func(tx *metastore.Tx) error { return tx.UpdateNode(n) }))
		if cluster {
			m, err := h.Engines.ClusterNode(n.ID, n.Primary)
			h.must(err)
			all = append(all, m)
		}
	}
	for _, n := range d.Nodes {
		if cluster {
			h.must(h.Engines.SetCluster(h.t.Context(), n.ID, all))
		}
		h.must(h.Engines.Start(h.t.Context(), n.ID))
		kftest.Guard(h.t, h.Engines.PID(n.ID))
	}
	for _, n := range d.Nodes {
		h.must(h.Engines.WaitReady(kftest.Context(h.t), n.ID, nil))
	}
	return h.look(c.ID)
}

// member records a node that is to be made; the first of a shard is its primary.
func (h *hall) member(c *resource.Cache, shard string, k int) {
	h.t.Helper()
	n := &resource.Node{ID: metastore.NewID(time.Now()), CacheID: c.ID, Shard: shard, Primary: k == 1, Number: "0001", Status: resource.NodeCreating, CreatedAt: time.Now(),
		Name: fmt.Sprintf("%s-%s-%03d", c.Name, shard, k)}
	if !c.Layout.ClusterMode {
		n.Name = fmt.Sprintf("%s-%03d", c.Name, k)
	}
	for _, s := range c.Layout.Shards {
		if s.Name == shard {
			n.Slots = s.Slots
		}
	}
	h.must(h.DB.Update(h.t.Context(), func(tx *metastore.Tx) error { return tx.InsertNode(c, n) }))
}

func (h *hall) look(id string) (d *resource.Deployment) {
	h.t.Helper()
	h.must(h.DB.View(h.t.Context(), func(tx *metastore.Tx) error {
		c, err := tx.CacheByID(id)
		if err == nil {
			d, err = tx.Deployment(c)
		}
		return err
	}))
	return d
}

// reshape runs the job after a change of the records.
func (h *hall) reshape(id string, t resource.ModifyCacheTask, change func(tx *metastore.Tx, d *resource.Deployment) error) *resource.Deployment {
	h.t.Helper()
	t.CacheID = id
	j := h.do(resource.TaskModifyCache, id, t, func(tx *metastore.Tx) error {
		c, err := tx.CacheByID(id)
		if err != nil {
			return err
		}
		d, err := tx.Deployment(c)
		if err != nil {
			return err
		}
		c.Status = resource.CacheModifying
		if err := change(tx, d); err != nil {
			return err
		}
		return tx.UpdateCache(c)
	})
	d := h.look(id)
	if j.State != job.StateCompleted || d.Status != resource.CacheAvailable {
		h.t.Fatalf("the job is %s (%s), the cache %s", j.State, j.LastError, d.Status)
	}
	for _, n := range d.Nodes {
		kftest.Guard(h.t, h.Engines.PID(n.ID))
		if n.Status != resource.NodeAvailable {
			h.t.Errorf("node %s is %s", n.Name, n.Status)
		}
	}
	return d
}

// scale gives a cluster other shards.
func (h *hall) scale(id string, shards []resource.Shard) *resource.Deployment {
	h.t.Helper()
	return h.reshape(id, resource.ModifyCacheTask{}, func(tx *metastore.Tx, d *resource.Deployment) error {
		replicas := shards[0].Replicas
		d.Layout.Shards = shards
		for _, s := range d.Layout.Shards {
			for k := len(d.Of(s.Name)); k <= replicas; k++ {
				node := &resource.Node{ID: metastore.NewID(time.Now()), CacheID: id, Shard: s.Name, Primary: k == 0, Slots: s.Slots, Number: "0001", Status: resource.NodeCreating,
					Name: fmt.Sprintf("grp-%s-%03d", s.Name, k+1)}
				if err := tx.InsertNode(d.Cache, node); err != nil {
					return err
				}
			}
		}
		for _, node := range d.Nodes {
			of := d.Of(node.Shard)
			stays := slices.ContainsFunc(d.Layout.Shards, func(s resource.Shard) bool { return s.Name == node.Shard })
			if stays && slices.Index(of, node) <= replicas {
				continue
			}
			node.Status = resource.NodeDeleting
			if err := tx.UpdateNode(node); err != nil {
				return err
			}
		}
		return nil
	})
}

func (h *hall) server(d *resource.Deployment, n *resource.Node) dataset.Server {
	h.t.Helper()
	node, err := h.Engines.Node(n.ID)
	h.must(err)
	tls, err := h.Engines.ClientTLS(n.ID)
	h.must(err)
	return dataset.Server{Address: fmt.Sprintf("%s:%d", n.Address, n.Port), User: engine.AdminUser, Password: node.Password, TLS: tls}
}

// digest is what a cluster holds, and checks that its slots are where the records say.
func (h *hall) digest(d *resource.Deployment) (sum dataset.Digest) {
	h.t.Helper()
	all, err := dataset.ClusterAt(h.t.Context(), h.server(d, d.Nodes[0]))
	h.must(err)
	if len(all) != len(d.Layout.Shards) {
		h.t.Errorf("the cluster has %d primaries and the layout %d shards", len(all), len(d.Layout.Shards))
	}
	for _, p := range all {
		slices.SortFunc(p.Slots, func(a, b resource.SlotRange) int { return a.Start - b.Start })
		if !slices.ContainsFunc(d.Layout.Shards, func(s resource.Shard) bool { return slices.Equal(s.Slots, p.Slots) }) {
			h.t.Errorf("a primary has the slots %v, and the layout is %v", p.Slots, d.Layout.Shards)
		}
		one, err := dataset.DigestOf(h.t.Context(), p.Server, time.Time{})
		h.must(err)
		sum = sum.Plus(one)
	}
	return sum
}

// load writes and reads through a cluster client until stop. Every write that was acknowledged must be read back.
type load struct {
	client *redis.ClusterClient
	quit   atomic.Bool
	wg     sync.WaitGroup
	writes atomic.Int64
	mu     sync.Mutex
	errs   []error
}

func (h *hall) load(d *resource.Deployment, workers int) *load {
	h.t.Helper()
	l := &load{client: redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{fmt.Sprintf("%s:%d", d.Nodes[0].Address, d.Nodes[0].Port)}})}
	begun := make(chan struct{}, workers)
	for i := range workers {
		l.wg.Go(func() {
			ctx := context.Background()
			count := make([]int64, 500)
			for n := 0; !l.quit.Load(); n++ {
				k := n % len(count)
				key := fmt.Sprintf("load:%d:%d", i, k)
				got, err := l.client.Incr(ctx, key).Result()
				if err != nil {
					l.fail(fmt.Errorf("INCR %s: %w", key, err))
					return
				}
				if count[k]++; got != count[k] {
					l.fail(fmt.Errorf("%s is %d after %d increments", key, got, count[k]))
					return
				}
				l.writes.Add(1)
				if n == 50 {
					begun <- struct{}{}
				}
			}
			for k, want := range count {
				if want == 0 {
					continue
				}
				if got, err := l.client.Get(ctx, fmt.Sprintf("load:%d:%d", i, k)).Result(); err != nil || got != strconv.FormatInt(want, 10) {
					l.fail(fmt.Errorf("load:%d:%d is %q, %w after %d increments", i, k, got, err, want))
				}
			}
		})
	}
	for range workers {
		kftest.Receive(h.t, "the first writes", begun)
	}
	return l
}

func (l *load) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

// stop ends the load, looks for what was lost, and removes its keys.
func (l *load) stop(h *hall) {
	h.t.Helper()
	l.quit.Store(true)
	l.wg.Wait()
	for _, err := range l.errs {
		h.t.Error(err)
	}
	h.must(l.client.ForEachMaster(h.t.Context(), func(ctx context.Context, c *redis.Client) error {
		iter := c.Scan(ctx, 0, "load:*", 1000).Iterator()
		for iter.Next(ctx) {
			if err := c.Del(ctx, iter.Val()).Err(); err != nil {
				return err
			}
		}
		return iter.Err()
	}))
	l.client.Close()
}

// slots reads "0-5,7-9".
func slots(text string) (ranges []resource.SlotRange) {
	for part := range strings.SplitSeq(text, ",") {
		var r resource.SlotRange
		fmt.Sscanf(part, "%d-%d", &r.Start, &r.End)
		ranges = append(ranges, r)
	}
	return ranges
}

func shards(replicas int, of ...string) (all []resource.Shard) {
	for i, text := range of {
		all = append(all, resource.Shard{Name: fmt.Sprintf("%04d", i+1), Slots: slots(text), Replicas: replicas})
	}
	return all
}

// A cluster grows and shrinks under writers who notice nothing, and every key stays. One shard gives and takes.
func TestReshard(t *testing.T) {
	t.Parallel()
	three := shards(0, "0-7999", "8000-15583", "15584-16383")
	five := shards(0, "0-7599", "8000-15083", "15084-15183,15584-16183", "7600-7999,16184-16383", "15184-15583")
	two := shards(0, "0-7999", "8000-16383")
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			d := h.group(e, true, 3, 0, func(c *resource.Cache) { c.Layout.Shards = three })
			all, err := dataset.ClusterAt(t.Context(), h.server(d, d.Nodes[0]))
			h.must(err)
			_, err = all.Fill(t.Context(), dataset.Spec{Keys: 5000, Seed: 1, Functions: true, TTLShare: -1}) // engines shift expiries by milliseconds
			h.must(err)
			before := h.digest(d)
			for _, to := range [][]resource.Shard{five, two} {
				l := h.load(d, 2)
				began := time.Now()
				d = h.scale(d.ID, to)
				t.Logf("to %d shards in %v beside %d writes", len(to), time.Since(began), l.writes.Load())
				l.stop(h)
				if after := h.digest(d); after != before {
					t.Errorf("%d shards hold %v, before %v", len(to), after, before)
				}
				if len(d.Nodes) != len(to) {
					t.Errorf("%d nodes are on record", len(d.Nodes))
				}
			}
		})
	}
}

// Replicas come and go, also the one that is the primary, beside writers.
func TestReplicasComeAndGo(t *testing.T) {
	t.Parallel()
	for _, cluster := range []bool{true, false} {
		t.Run(fmt.Sprintf("cluster mode %v", cluster), func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			d := h.group(engine.Valkey, cluster, 1, 1)
			conn, err := h.Engines.Admin(t.Context(), d.Nodes[0].ID)
			h.must(err)
			defer conn.Close()
			_, err = conn.Do(t.Context(), "SET", "k", "v")
			h.must(err)
			_, err = conn.Do(t.Context(), "WAIT", "1", "10000") // the first second of a link may pass before writes are sent
			h.must(err)
			for _, replicas := range []int{3, 0} {
				d = h.reshape(d.ID, resource.ModifyCacheTask{}, func(tx *metastore.Tx, d *resource.Deployment) error {
					d.Layout.Shards[0].Replicas = replicas
					for k := len(d.Nodes); k <= replicas; k++ {
						n := &resource.Node{ID: metastore.NewID(time.Now()), CacheID: d.ID, Shard: "0001", Slots: resource.AllSlots, Status: resource.NodeCreating, Name: fmt.Sprintf("grp-%03d", k+1)}
						if err := tx.InsertNode(d.Cache, n); err != nil {
							return err
						}
					}
					for _, n := range d.Nodes[:max(0, len(d.Nodes)-1-replicas)] { // the primary among them
						n.Status = resource.NodeDeleting
						if err := tx.UpdateNode(n); err != nil {
							return err
						}
					}
					return nil
				})
				if len(d.Nodes) != replicas+1 || d.Primary("0001") == nil {
					t.Fatalf("%d nodes, primary %v", len(d.Nodes), d.Primary("0001"))
				}
				for _, n := range d.Nodes {
					conn, err := h.Engines.Admin(t.Context(), n.ID)
					h.must(err)
					defer conn.Close()
					info, err := conn.Info(t.Context(), "replication")
					h.must(err)
					if n.Primary && info["connected_slaves"] != strconv.Itoa(replicas) || !n.Primary && info["master_link_status"] != "up" {
						t.Errorf("node %s (primary %v): %v", n.Name, n.Primary, info)
					}
					_, err = conn.Do(t.Context(), "READONLY")
					h.must(err)
					if v, err := conn.Do(t.Context(), "GET", "k"); err != nil || v.Str != "v" {
						t.Errorf("node %s has %q, %v", n.Name, v.Str, err)
					}
				}
			}
		})
	}
}

// An engine is replaced by another, with and without replicas, and nothing that was acknowledged is lost.
func TestVersionChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cluster  bool
		shards   int
		replicas int
		log      bool
	}{"alone": {false, 1, 0, false}, "replicas": {false, 1, 2, false}, "cluster": {true, 2, 0, false}, "cluster with replicas": {true, 2, 1, false}, "log": {true, 1, 0, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			d := h.group(engine.Redis, c.cluster, c.shards, c.replicas, func(cache *resource.Cache) { cache.Layout.DurableLog = c.log })
			srv := h.server(d, d.Nodes[0])
			fill := func(spec dataset.Spec) (err error) { _, err = dataset.Fill(t.Context(), srv, spec); return err }
			digest := func() dataset.Digest {
				sum, err := dataset.DigestOf(t.Context(), h.server(d, d.Primary("0001")), time.Time{})
				h.must(err)
				return sum
			}
			if c.cluster {
				all, err := dataset.ClusterAt(t.Context(), srv)
				h.must(err)
				fill = func(spec dataset.Spec) (err error) { _, err = all.Fill(t.Context(), spec); return err }
				digest = func() dataset.Digest { return h.digest(d) }
			}
			h.must(fill(dataset.Spec{Keys: 2000, Seed: 2, Functions: true}))
			before := digest()
			choice, err := h.Catalog.Resolve(engine.Valkey, "")
			h.must(err)
			d = h.reshape(d.ID, resource.ModifyCacheTask{Engine: engine.Valkey, Major: choice.Version}, func(_ *metastore.Tx, d *resource.Deployment) error {
				d.Layout.ParameterGroup = engine.DefaultGroup(choice.Family, c.cluster)
				return nil
			})
			if after := digest(); after != before {
				t.Errorf("%v, before %v", after, before)
			}
			if d.Engine != engine.Valkey || d.Layout.EngineVersion != choice.Version || d.FullEngineVersion != choice.FullVersion {
				t.Errorf("%s %s (%s)", d.Engine, d.Layout.EngineVersion, d.FullEngineVersion)
			}
			for _, n := range d.Nodes {
				conn, err := h.Engines.Admin(t.Context(), n.ID)
				h.must(err)
				defer conn.Close()
				info, err := conn.Info(t.Context(), "server")
				h.must(err)
				repl, err := conn.Info(t.Context(), "replication")
				h.must(err)
				if info["server_name"] != "valkey" || (repl["role"] == "master") != n.Primary || !n.Primary && repl["master_link_status"] != "up" {
					t.Errorf("node %s (primary %v) is %s: %v", n.Name, n.Primary, info["server_name"], repl)
				}
			}
		})
	}
}

// A resharding that is interrupted in the middle of slots is finished by the next run; one that is given up leaves records that tell what is there.
func TestReshardIsRepairedOrAccepted(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	d := h.group(engine.Valkey, true, 2, 0)
	all, err := dataset.ClusterAt(t.Context(), h.server(d, d.Nodes[0]))
	h.must(err)
	_, err = all.Fill(t.Context(), dataset.Spec{Keys: 3000, Seed: 3, TTLShare: -1})
	h.must(err)
	before := h.digest(d)
	l := h.load(d, 1)

	// What a run leaves that was killed: marks on one side, on both, and keys on both sides.
	g, err := h.openRing(t.Context(), d.Nodes)
	h.must(err)
	defer g.close()
	m, err := h.newMover(t.Context(), route{d.Nodes[0], d.Nodes[1]}, newRoom(g))
	h.must(err)
	defer m.close()
	m.tally = &tally{}
	open := []int{10, 11, 12, 13, 14, 15}
	h.must(m.mark(t.Context(), m.dst, open, "IMPORTING", m.fromID))
	h.must(m.mark(t.Context(), m.src, open[2:], "MIGRATING", m.toID))
	h.must(m.empty(t.Context(), 12))
	v, err := m.src.Do(t.Context(), "CLUSTER", "GETKEYSINSLOT", "13", "1")
	h.must(err)
	if keys, err := v.Strings(); err != nil {
		t.Error(err)
	} else if len(keys) > 0 {
		h.must(m.send(t.Context(), keys, 100))
	}
	h.must(m.empty(t.Context(), 14))
	h.must(m.mark(t.Context(), m.dst, []int{14}, "NODE", m.toID))

	d = h.scale(d.ID, shares(2, 0))
	l.stop(h)
	if after := h.digest(d); after != before {
		t.Errorf("%v, before %v", after, before)
	}
	h.must(g.look(t.Context()))
	for _, n := range d.Nodes {
		if m := g.self[n.ID]; len(m.Importing)+len(m.Migrating) > 0 {
			t.Errorf("node %s has open slots: %v %v", n.Name, m.Importing, m.Migrating)
		}
	}

	// A job is given up after a third shard was made and got some slots, and before a fourth was.
	d = h.scale(d.ID, shards(0, "0-8191", "8192-15883", "15884-16383"))
	was := slices.Clone(d.Layout.Shards)
	h.must(h.DB.Update(t.Context(), func(tx *metastore.Tx) error {
		d.Status, d.Layout.Shards = resource.CacheModifying, shares(4, 0)
		for _, n := range d.Nodes {
			if n.Shard == "0003" {
				n.Status = resource.NodeCreating
				if err := tx.UpdateNode(n); err != nil {
					return err
				}
			}
		}
		return tx.UpdateCache(d.Cache)
	}))
	h.member(d.Cache, "0004", 1)
	j := h.do(resource.TaskModifyCache, d.ID, resource.ModifyCacheTask{CacheID: d.ID, Engine: "none", Major: "1"}, func(tx *metastore.Tx) error { return nil })
	if j.State != job.StateCancelled {
		t.Fatalf("the job is %s: %s", j.State, j.LastError)
	}
	kftest.Eventually(t, "the records to follow", func() error {
		if s := h.cacheNow(d.ID).Status; s != resource.CacheAvailable {
			return fmt.Errorf("the cache is %s", s)
		}
		return nil
	})
	d = h.look(d.ID)
	if len(d.Nodes) != 3 || !reflect.DeepEqual(d.Layout.Shards, was) {
		t.Errorf("%d nodes, shards %v", len(d.Nodes), d.Layout.Shards)
	}
	for _, n := range d.Nodes {
		if n.Status != resource.NodeAvailable {
			t.Errorf("node %s is %s", n.Name, n.Status)
		}
	}
	if after := h.digest(d); after != before {
		t.Errorf("%v, before %v", after, before)
	}
}

// A new engine that cannot run costs nothing: the old one comes back with its data, and the records say so.
func TestFailedVersionChangeIsAccepted(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{0, 1} {
		t.Run(strconv.Itoa(replicas), func(t *testing.T) {
			t.Parallel()
			h := newHall(t, func(o *Options) {
				catalog := *o.Catalog
				catalog.Installed = slices.Clone(catalog.Installed)
				for i := range catalog.Installed {
					if catalog.Installed[i].Engine == engine.Valkey {
						catalog.Installed[i].Path = "/bin/false"
					}
				}
				o.Catalog = &catalog
			})
			d := h.group(engine.Redis, false, 1, replicas)
			_, err := dataset.Fill(t.Context(), h.server(d, d.Nodes[0]), dataset.Spec{Keys: 300, Seed: 6})
			h.must(err)
			before, err := dataset.DigestOf(t.Context(), h.server(d, d.Nodes[0]), time.Time{})
			h.must(err)
			choice, err := h.Catalog.Resolve(engine.Valkey, "")
			h.must(err)
			h.do(resource.TaskModifyCache, d.ID, resource.ModifyCacheTask{CacheID: d.ID, Engine: engine.Valkey, Major: choice.Version}, func(tx *metastore.Tx) error {
				d.Status, d.Layout.ParameterGroup = resource.CacheModifying, engine.DefaultGroup(choice.Family, false)
				return tx.UpdateCache(d.Cache)
			})
			kftest.Eventually(t, "the records to follow", func() error {
				if s := h.cacheNow(d.ID).Status; s != resource.CacheAvailable {
					return fmt.Errorf("the cache is %s", s)
				}
				return nil
			})
			d = h.look(d.ID)
			for _, n := range d.Nodes {
				kftest.Guard(t, h.Engines.PID(n.ID))
			}
			if d.Engine != engine.Redis || d.Layout.ParameterGroup != "default.redis7" || len(d.Nodes) != replicas+1 || d.Restarts != 0 {
				t.Errorf("%s with %s, %d nodes, %d restarts", d.Engine, d.Layout.ParameterGroup, len(d.Nodes), d.Restarts)
			}
			after, err := dataset.DigestOf(t.Context(), h.server(d, d.Primary("0001")), time.Time{})
			h.must(err)
			if after != before {
				t.Errorf("%v, before %v", after, before)
			}
			for _, n := range d.Nodes {
				if h.setting(n, "port") == "" || n.Status != resource.NodeAvailable {
					t.Errorf("node %s is %s", n.Name, n.Status)
				}
			}
		})
	}
}

// Rebooted nodes have their data and the parameters that waited for it.
func TestReboot(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cluster  bool
		replicas int
		log      bool
	}{"alone": {false, 0, false}, "replicas": {false, 1, false}, "cluster": {true, 1, false}, "log": {true, 0, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			d := h.group(engine.Valkey, c.cluster, 1, c.replicas, func(cache *resource.Cache) { cache.Layout.DurableLog = c.log })
			_, err := dataset.Fill(t.Context(), h.server(d, d.Nodes[0]), dataset.Spec{Keys: 500, Seed: 4})
			h.must(err)
			digest := func() dataset.Digest {
				sum, err := dataset.DigestOf(t.Context(), h.server(d, h.look(d.ID).Primary("0001")), time.Time{})
				h.must(err)
				return sum
			}
			before := digest()
			group := &resource.ParameterGroup{Scope: home, Service: "elasticache", Name: "own", Family: "valkey8", Values: map[string]string{"maxmemory-policy": "allkeys-lfu", "databases": "7"}}
			if c.cluster {
				group.Values = map[string]string{"maxmemory-policy": "allkeys-lfu", "cluster-enabled": "yes"}
			}
			h.must(h.DB.Update(t.Context(), func(tx *metastore.Tx) error { return tx.InsertParameterGroup(group) }))
			j := h.do(resource.TaskConfigureCache, d.ID, resource.ConfigureCacheTask{CacheID: d.ID}, func(tx *metastore.Tx) error {
				d.Layout.ParameterGroup, d.Layout.ParameterStatus = "own", resource.ParametersApplying
				return tx.UpdateCache(d.Cache)
			})
			if j.State != job.StateCompleted {
				t.Fatalf("the job is %s: %s", j.State, j.LastError)
			}
			want := resource.ParametersPendingReboot
			if c.cluster {
				want = resource.ParametersInSync
			}
			if got := h.cacheNow(d.ID).Layout.ParameterStatus; got != want {
				t.Errorf("parameters are %s", got)
			}
			pids := map[string]int{}
			var ids []string
			for _, n := range d.Nodes {
				ids, pids[n.ID] = append(ids, n.ID), h.Engines.PID(n.ID)
				if got := h.setting(n, "maxmemory-policy"); got != "allkeys-lfu" {
					t.Errorf("the policy is %s", got)
				}
			}
			j = h.do(resource.TaskRebootNodes, d.ID, resource.RebootNodesTask{CacheID: d.ID, NodeIDs: ids}, func(tx *metastore.Tx) error {
				cache, err := tx.CacheByID(d.ID)
				if err != nil {
					return err
				}
				cache.Status = resource.CacheRebooting
				return tx.UpdateCache(cache)
			})
			if j.State != job.StateCompleted {
				t.Fatalf("the job is %s: %s", j.State, j.LastError)
			}
			now := h.look(d.ID)
			if now.Status != resource.CacheAvailable || now.Restarts != 0 || now.Layout.ParameterStatus != resource.ParametersInSync {
				t.Errorf("%s, %d restarts, parameters %s", now.Status, now.Restarts, now.Layout.ParameterStatus)
			}
			for _, n := range now.Nodes {
				kftest.Guard(t, h.Engines.PID(n.ID))
				if h.Engines.PID(n.ID) == pids[n.ID] || n.Status != resource.NodeAvailable {
					t.Errorf("node %s was not restarted, or is %s", n.Name, n.Status)
				}
				if got := h.setting(n, "databases"); !c.cluster && got != "7" {
					t.Errorf("it has %s databases", got)
				}
			}
			if after := digest(); after != before {
				t.Errorf("%v, before %v", after, before)
			}
		})
	}
}

func (h *hall) setting(n *resource.Node, name string) string {
	h.t.Helper()
	conn, err := h.Engines.Admin(h.t.Context(), n.ID)
	h.must(err)
	defer conn.Close()
	v, err := conn.Do(h.t.Context(), "CONFIG", "GET", name)
	h.must(err)
	pair, err := v.Strings()
	h.must(err)
	return pair[1]
}

// A cluster with TLS and replicas is resharded, with a value that is larger than the engines' usual patience.
func TestReshardLargeValuesOverTLS(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	d := h.group(engine.Valkey, true, 1, 1, func(c *resource.Cache) { c.TLS = true })
	_, err := dataset.Fill(t.Context(), h.server(d, d.Primary("0001")), dataset.Spec{Keys: 1000, Seed: 5, TTLShare: -1})
	h.must(err)
	conn, err := h.Engines.Admin(t.Context(), d.Primary("0001").ID)
	h.must(err)
	defer conn.Close()
	for i := range 12 {
		_, err = conn.Do(t.Context(), "APPEND", "{16}large", strings.Repeat(strconv.Itoa(i), 6<<20))
		h.must(err)
	}
	before := h.digest(d)
	slot := rdb.KeySlot([]byte("{16}large"))
	d = h.scale(d.ID, []resource.Shard{{Name: "0001", Replicas: 1, Slots: []resource.SlotRange{{Start: 0, End: slot - 1}, {Start: slot + 400, End: 16383}}},
		{Name: "0002", Replicas: 1, Slots: []resource.SlotRange{{Start: slot, End: slot + 399}}}})
	if after := h.digest(d); after != before {
		t.Errorf("%v, before %v", after, before)
	}
	for _, n := range d.Nodes {
		if got := h.setting(n, "cluster-node-timeout"); got != engine.Settings(nil)["cluster-node-timeout"] {
			t.Errorf("the timeout is %s", got)
		}
	}
	if len(d.Nodes) != 4 || d.Primary("0002") == nil {
		t.Errorf("%d nodes", len(d.Nodes))
	}
}

// Nodes of memcached come and go.
func TestMemcachedScales(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	d := h.group(engine.Memcached, false, 1, 0, func(c *resource.Cache) { c.Kind = resource.CacheCluster; c.Layout.Shards[0].Slots = nil })
	d = h.reshape(d.ID, resource.ModifyCacheTask{}, func(tx *metastore.Tx, d *resource.Deployment) error {
		d.Layout.MemcachedNodes = 2
		return tx.InsertNode(d.Cache, &resource.Node{ID: metastore.NewID(time.Now()), CacheID: d.ID, Shard: "0001", Number: "0002", Status: resource.NodeCreating, Name: d.Name})
	})
	if len(d.Nodes) != 2 || d.Nodes[1].Address == "" || !h.Engines.Running(d.Nodes[1].ID) {
		t.Fatalf("%d nodes", len(d.Nodes))
	}
	stays := d.Nodes[1]
	d = h.reshape(d.ID, resource.ModifyCacheTask{}, func(tx *metastore.Tx, d *resource.Deployment) error {
		d.Layout.MemcachedNodes, d.Nodes[0].Status = 1, resource.NodeDeleting
		return tx.UpdateNode(d.Nodes[0])
	})
	if len(d.Nodes) != 1 || d.Nodes[0].ID != stays.ID || d.Endpoint != stays.Endpoint() {
		t.Errorf("%d nodes, endpoint %v", len(d.Nodes), d.Endpoint)
	}
}
