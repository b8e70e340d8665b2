package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// createCache starts the nodes of a new cache: its primaries, with the data of a snapshot or of RDB files if it is restored from them,
// then their replicas. The cache is available only when every key of the source was counted and every replica is in step.
func (w *Worker) createCache(ctx context.Context, r *job.Running, t resource.CreateCacheTask) error {
	cache, err := w.cacheIn(ctx, t.CacheID, resource.CacheCreating)
	if err != nil {
		return done(err)
	}
	binary, err := w.Catalog.Resolve(cache.Engine, cache.EngineVersion())
	if err != nil {
		return job.Cancel(err)
	}
	d, err := w.place(ctx, r, cache, binary)
	if err != nil {
		return err
	}
	failpoint.Hit("create-cache.placed")
	if err := w.found(ctx, r, d, t); err != nil {
		return err
	}
	failpoint.Hit("create-cache.founded")
	expected, err := w.launch(ctx, r, t, d, binary)
	if err != nil {
		return err
	}
	failpoint.Hit("create-cache.started")
	if err := w.awaitPrimaries(ctx, r, d, expected != nil); err != nil {
		return err
	}
	failpoint.Hit("create-cache.ready")
	for _, n := range d.Nodes {
		if n.Primary {
			if err := w.admit(ctx, d, n, expected); err != nil {
				return err
			}
		}
	}
	failpoint.Hit("create-cache.admitted")
	if err := w.startReplicas(ctx, r, d); err != nil {
		return err
	}
	failpoint.Hit("create-cache.replicated")
	return r.Close(ctx, func(tx *metastore.Tx) error { return w.created(tx, r, d, binary, expected != nil) })
}

// place gives every node of a new cache its place. A serverless cache has one node, of which nobody else knows: first a record, so that
// nothing that exists is unknown.
func (w *Worker) place(ctx context.Context, r *job.Running, cache *resource.Cache, binary engine.Choice) (d *resource.Deployment, err error) {
	err = r.Update(ctx, func(tx *metastore.Tx) error {
		nodes, err := tx.NodesOf(cache.ID)
		if err == nil && len(nodes) == 0 && cache.Kind == resource.Serverless {
			n := &resource.Node{ID: ulid.Make().String(), CacheID: cache.ID, Shard: "0001", Primary: true, Host: w.Host}
			if inClusterMode(cache) {
				n.Slots = resource.AllSlots
			}
			nodes, err = []*resource.Node{n}, tx.InsertNode(cache, n)
		}
		d = resource.NewDeployment(cache, nodes)
		return err
	})
	if err == nil && len(d.Nodes) == 0 {
		err = job.Cancel(fmt.Errorf("cache %s has no nodes", cache.Name))
	}
	if err != nil {
		return nil, err
	}
	for _, n := range d.Nodes {
		if _, err := w.placeNode(ctx, r, d, n, binary); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// found prepares the nodes of a new cache for a first start together. An earlier run may have come far, and then have lost primaries: their
// replicas may have taken their place since, with whatever they had. Then everything begins anew.
func (w *Worker) found(ctx context.Context, r *job.Running, d *resource.Deployment, t resource.CreateCacheTask) error {
	restoring := t.SnapshotID != "" || len(t.Objects) > 0
	fed, err := r.Load(new(filled))
	if err != nil {
		return err
	}
	var dead []*resource.Node
	replicated := false
	for _, n := range d.Nodes {
		if restoring && !fed && n.Primary {
			// It may wait for its pipe since an earlier run died, and hear nothing else. Whatever it has, it gets all its data anew.
			if err := w.Engines.Kill(ctx, n.ID); err != nil {
				return err
			}
		}
		alive, err := w.Engines.Adopt(ctx, n.ID)
		if err != nil {
			return err
		}
		if n.Primary && !alive {
			dead = append(dead, n)
		}
		replicated = replicated || !n.Primary && w.Engines.Started(n.ID)
	}
	if len(dead) > 0 && replicated {
		for _, n := range d.Nodes {
			if err := w.Engines.Kill(ctx, n.ID); err != nil {
				return err
			}
		}
	}
	for _, n := range dead {
		// With an append-only file an engine would not look at the data that it is to load.
		if restoring && d.Engine != resource.Memcached {
			if err := w.Engines.SetAOF(ctx, n.ID, false); err != nil {
				return err
			}
		}
	}
	if !inClusterMode(d.Cache) {
		return nil
	}
	all, err := w.clusterOf(d)
	if err != nil {
		return err
	}
	for _, n := range d.Nodes {
		if len(dead) > 0 && replicated {
			err = w.Engines.ResetCluster(n.ID, all)
		} else {
			err = w.Engines.SetCluster(ctx, n.ID, all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// clusterOf lists the nodes of a cache in cluster mode as they are to know each other.
func (w *Worker) clusterOf(d *resource.Deployment) ([]engine.ClusterNode, error) {
	all := make([]engine.ClusterNode, 0, len(d.Nodes))
	for _, n := range d.Nodes {
		c, err := w.Engines.ClusterNode(n.ID, n.Primary)
		if err != nil {
			return nil, err
		}
		if n.Primary {
			c.Slots = n.Slots
		}
		all = append(all, c)
	}
	return all, nil
}

// awaitPrimaries waits until all primaries have loaded their data and serve, and shows how far they are together.
func (w *Worker) awaitPrimaries(ctx context.Context, r *job.Running, d *resource.Deployment, restoring bool) error {
	var mu sync.Mutex
	shown := map[string]supervisor.Progress{}
	show := func(id string, p supervisor.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Loaded < shown[id].Loaded {
			p.Loaded, p.Total = shown[id].Loaded, shown[id].Total
		}
		shown[id] = p
		sum := supervisor.Progress{Phase: p.Phase}
		for _, one := range shown {
			sum.Loaded, sum.Total = sum.Loaded+one.Loaded, sum.Total+one.Total
		}
		r.Progress(ctx, sum) //nolint:errcheck // a lost lease ends the context
	}
	limited, cancel := context.WithCancelCause(ctx)
	var watch sync.WaitGroup
	defer func() {
		cancel(nil)
		watch.Wait()
	}()
	g, gctx := errgroup.WithContext(limited)
	var all []string
	for _, n := range d.Nodes {
		if !n.Primary {
			continue
		}
		all = append(all, n.ID)
		g.Go(func() error {
			err := w.Engines.WaitReady(gctx, n.ID, func(p supervisor.Progress) { show(n.ID, p) })
			return w.loadFailure(restoring, err)
		})
	}
	watch.Go(func() { w.mourn(limited, cancel, all) }) // one that was ready may end while others wait for it
	return g.Wait()
}

// joined is the progress of a job that brings replicas into step.
type joined struct {
	Phase        string // "replicating"
	Replicas, Of int
}

// startReplicas starts all replicas of a cache whose primaries serve, a few at a time, as each of them costs its primary a fork.
func (w *Worker) startReplicas(ctx context.Context, r *job.Running, d *resource.Deployment) error {
	var replicas []*resource.Node
	for _, n := range d.Nodes {
		if !n.Primary {
			replicas = append(replicas, n)
		}
	}
	var ready atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for _, n := range replicas {
		g.Go(func() error {
			err := w.startReplica(gctx, d, n)
			if err == nil {
				err = w.ready(gctx, d, n)
			}
			r.Progress(ctx, joined{"replicating", int(ready.Add(1)), len(replicas)}) //nolint:errcheck // a lost lease ends the context
			return err
		})
	}
	return g.Wait()
}

// created makes a cache and its nodes available.
func (w *Worker) created(tx *metastore.Tx, r *job.Running, d *resource.Deployment, binary engine.Choice, restored bool) error {
	cache, err := cacheIn(tx, d.ID, resource.CacheCreating)
	if err != nil {
		return done(err)
	}
	node, err := w.Engines.Node(d.Nodes[0].ID)
	if err != nil {
		return err
	}
	cache.Status, cache.TLS = resource.CacheAvailable, node.TLS
	cache.Endpoint, cache.FullEngineVersion = node.Endpoint(), binary.FullVersion
	if err := tx.UpdateCache(cache); err != nil {
		return err
	}
	if err := tx.RemoveUse(r.ID); err != nil {
		return err
	}
	if cache.Kind == resource.Serverless {
		message := "Cache %s is created. Your cache is ready to use."
		if restored {
			message = "Cache %s is created and data was restored from snapshot. Your cache is ready to use."
		}
		if err := w.tell(tx, cache, message, cache.Name); err != nil {
			return err
		}
		return w.tell(tx, cache, "Cache %s runs on %s %s.", cache.Name, binary.Engine, binary.FullVersion)
	}
	for _, n := range d.Nodes {
		if err := editNode(tx, n, func(n *resource.Node) { n.Status = resource.NodeAvailable }); err != nil {
			return err
		}
		if err := w.tellMember(tx, cache, n, "Added cache node %s in availability zone %s", n.Number, n.Zone); err != nil {
			return err
		}
	}
	switch cache.Kind {
	case resource.CacheCluster:
		err = w.tell(tx, cache, "Cache cluster created")
	case resource.MemoryDBCluster:
		err = w.tell(tx, cache, "Cluster created.")
	default:
		err = w.tell(tx, cache, "Replication group %s created", cache.Name)
	}
	if err != nil {
		return err
	}
	return w.tell(tx, cache, "%s runs on %s %s", cache.Name, binary.Engine, binary.FullVersion)
}

// maxMemory is the data limit of a cache in bytes.
func (w *Worker) maxMemory(cache *resource.Cache) int64 {
	if cache.Limits.MaxGB != nil {
		return *cache.Limits.MaxGB << 30
	}
	return w.DefaultBytes
}

// admit checks a primary that serves before clients learn of it: all keys are there and fit into the limit, which is only now put in
// force, because an engine with a limit evicts at the first command. What the engine loaded goes when its append-only file has it.
func (w *Worker) admit(ctx context.Context, d *resource.Deployment, n *resource.Node, expected map[string]int64) error {
	var s settings
	err := w.DB.View(ctx, func(tx *metastore.Tx) (err error) { s, err = w.settingsOf(tx, d.Cache); return err })
	if err != nil {
		return err
	}
	if expected != nil && d.Engine != resource.Memcached { // whose items were read back
		loaded, err := w.Engines.Loaded(ctx, n.ID)
		if err != nil {
			return err
		}
		if got := loaded.Keys + loaded.Expired; got != expected[n.ID] {
			return job.Cancel(fmt.Errorf("the engine loaded %d keys and the source holds %d", got, expected[n.ID]))
		}
		used, err := w.Engines.UsedMemory(ctx, n.ID)
		if err != nil {
			return err
		}
		if used > s.MaxMemory {
			return job.Cancel(tooLarge(d, n, used, s.MaxMemory))
		}
		if d.Layout != nil {
			if err := w.Engines.SetAOF(ctx, n.ID, d.Layout.DurableLog); err != nil {
				return err
			}
		}
		failpoint.Hit("create-cache.logged")
		if err := w.Engines.RemoveData(ctx, n.ID); err != nil {
			return err
		}
		failpoint.Hit("create-cache.unlinked")
	}
	return w.Engines.SetMaxMemory(ctx, n.ID, s.MaxMemory)
}

func tooLarge(d *resource.Deployment, n *resource.Node, used, limit int64) error {
	if d.Layout == nil {
		return fmt.Errorf("the data needs %d bytes of memory and the data limit of the cache is %d", used, limit)
	}
	return fmt.Errorf("the data of node %s needs %d bytes of memory and a %s has %d", n.Name, used, d.Layout.NodeType, limit)
}

// loadFailure decides about an engine that did not become ready: one that ended while it loaded a source will do so again.
func (w *Worker) loadFailure(restoring bool, err error) error {
	if restoring && errors.Is(err, supervisor.ErrNotRunning) {
		return job.Cancel(err)
	}
	return err
}

// createCacheFailed ends a create that was given up in create-failed, or the restore of a cache of nodes in restore-failed. What runs or lies
// on disk is removed by the delete that must follow; until then it can be looked at.
func (w *Worker) createCacheFailed(tx *metastore.Tx, j job.Job, t resource.CreateCacheTask, cause error) error {
	if err := tx.RemoveUse(j.ID); err != nil {
		return err
	}
	cache, err := cacheIn(tx, t.CacheID, resource.CacheCreating)
	if err != nil {
		return done(err)
	}
	restoring := t.SnapshotID != "" || len(t.Objects) > 0
	cache.Status, cache.StatusReason = resource.CacheCreateFailed, cause.Error()
	if restoring && cache.Kind != resource.Serverless {
		cache.Status = resource.CacheRestoreFailed
	}
	if err := tx.UpdateCache(cache); err != nil {
		return err
	}
	switch {
	case cache.Kind == resource.Serverless && restoring:
		return w.tell(tx, cache, "Failed to create cache %s. Data restoration from snapshot failed because %v.", cache.Name, cause)
	case restoring:
		return w.tell(tx, cache, "Restore from %s failed for %s. %v.", strings.Join(cache.RestoreFrom, ", "), cache.Name, cause)
	}
	return w.tell(tx, cache, "Failed to create cache %s. %v.", cache.Name, cause)
}
