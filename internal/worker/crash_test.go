package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/blob/buckets"
	"github.com/keyframe/keyframe/internal/blob/disk"
	"github.com/keyframe/keyframe/internal/blob/target"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/kms"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// houseVar names, for a child process, the data directory whose jobs it is to go on with.
const houseVar = "KEYFRAME_TEST_HOUSE"

// house is a data directory on which one process after the other works.
type house struct {
	t   *testing.T
	dir string
	id  string // of the cache
}

// open is a worker on the directory. The caller starts the queue, or not, and closes everything.
func (b *house) open(engines func(supervisor.Options) *supervisor.Supervisor) (h *hall, shut func()) {
	b.t.Helper()
	h = &hall{t: b.t}
	db, err := metastore.Open(context.Background(), filepath.Join(b.dir, "meta.db"))
	h.must(err)
	keys, err := kms.OpenLocal(b.dir, time.Now)
	h.must(err)
	h.key, err = keys.Resolve(context.Background(), home, "elasticache", "")
	h.must(err)
	box, err := buckets.Open(filepath.Join(b.dir, "buckets"))
	h.must(err)
	files, err := disk.Open(filepath.Join(b.dir, "store"))
	h.must(err)
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	queue := job.New(db, job.Options{Owner: "here", Logger: quiet, Backoff: func(int) time.Duration { return 10 * time.Millisecond }})
	sup := engines(supervisor.Options{Dir: b.dir, OnDeath: func(d supervisor.Death) { h.Died(d) }})
	h.Worker = New(Options{DB: db, Queue: queue, Store: snapstore.New(files, keys, snapstore.Options{}), Keys: keys, Targets: target.BuiltIn(box),
		Engines: sup, Catalog: kftest.Catalog(b.t), Host: "here", Spool: b.dir, DefaultBytes: 1 << 30, Now: time.Now, Log: quiet})
	h.hung = patience + time.Second // one look that stalls is not enough
	return h, func() {
		h.must(queue.Stop(context.Background()))
		sup.Close()
		files.Close()
		h.must(db.Close())
	}
}

// TestGoOn is no test but the child process of those below: a server that works until nothing is left to do.
func TestGoOn(t *testing.T) {
	dir := os.Getenv(houseVar)
	if dir == "" {
		t.Skip("it is the child of other tests")
	}
	b := &house{t: t, dir: dir}
	h, shut := b.open(func(o supervisor.Options) *supervisor.Supervisor {
		s, err := supervisor.New(o)
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
	defer shut()
	_, err := h.Queue.TakeOver(t.Context())
	h.must(err)
	h.must(h.Adopt(t.Context()))
	h.must(h.Watch(t.Context()))
	h.must(h.Queue.Start(t.Context()))
	kftest.Eventually(t, "the end of all work", h.idle)
}

// idle is an error while something is to be done.
func (h *hall) idle() error {
	return h.DB.View(h.t.Context(), func(tx *metastore.Tx) error {
		jobs, err := job.List(tx, job.Filter{})
		for _, j := range jobs {
			if !j.State.Finished() {
				return errors.New(j.Kind + " goes on: " + j.LastError)
			}
		}
		return err
	})
}

// through has one process after the other die at a step, each in the work that the one before left, and a last one finish it.
func (b *house) through(steps ...string) {
	b.t.Helper()
	for _, step := range append(steps, "") {
		cmd := exec.Command(os.Args[0], "-test.run=^TestGoOn$")
		cmd.Env = append(os.Environ(), houseVar+"="+b.dir, "KEYFRAME_FAILPOINT="+step)
		out, err := cmd.CombinedOutput()
		ended, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
		switch {
		case step == "" && err != nil:
			b.t.Fatalf("the work was not finished: %v\n%s", err, out)
		case step != "" && (!ended.Signaled() || ended.Signal() != syscall.SIGKILL):
			b.t.Fatalf("no process died at %s: %v\n%s", step, err, out)
		}
	}
}

// visit lets the test work on the cache while no other process does.
func (b *house) visit(do func(f *fleet)) {
	b.t.Helper()
	h, shut := b.open(func(o supervisor.Options) *supervisor.Supervisor {
		o.OnDeath = nil // nobody is there to hear of it
		s, err := supervisor.New(o)
		if err != nil {
			b.t.Fatal(err)
		}
		return s
	})
	defer shut()
	f := &fleet{t: b.t, hall: h, id: b.id}
	if b.id != "" {
		for _, n := range f.now().Nodes {
			_, err := h.Engines.Adopt(b.t.Context(), n.ID)
			h.must(err)
			kftest.Guard(b.t, h.Engines.PID(n.ID))
		}
	}
	do(f)
	b.id = f.id
}

// Whoever dies at whatever step: the next one finishes the work, and no key is lost that an engine or a file still has.
func TestCrashesInTheLifeOfNodes(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]wish{
		"group":   {kind: resource.ReplicationGroup, engine: engine.Valkey, shards: 1, replicas: 1},
		"cluster": {kind: resource.MemoryDBCluster, engine: engine.Valkey, cluster: true, shards: 1, replicas: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &house{t: t, dir: t.TempDir()}
			t.Cleanup(func() { // a supervisor of the kit removes what is left
				kftest.Supervisor(t, supervisor.Options{Dir: b.dir})
			})
			b.visit(func(f *fleet) { f.record(want) })
			b.through("create-cache.founded", "create-cache.started", "create-cache.replicated")
			var first string
			b.visit(func(f *fleet) {
				f.fill(50)
				first = f.well("a new cache").Primary("0001").ID
				f.signal(f.now().Primary("0001"), syscall.SIGKILL)
			})
			b.through("heal.fenced", "heal.promoted", "heal.recorded")
			b.visit(func(f *fleet) {
				if d := f.well("a failover"); d.Primary("0001").ID == first || d.Restarts != 0 {
					t.Errorf("the dead primary is the primary again, %d restarts", d.Restarts)
				}
				f.holds(50)
				f.signal(f.now().Of("0001")[0], syscall.SIGKILL)
				if f.now().Of("0001")[0].Primary {
					t.Error("a primary was killed where a replica was to be")
				}
			})
			b.through("heal.led", "heal.joined")
			b.visit(func(f *fleet) {
				first = f.well("the return of a replica").Primary("0001").ID
				f.holds(50)
				f.order(resource.FailoverTask{CacheID: f.id, Shard: "0001"})
			})
			b.through("failover.begun", "failover.switched", "failover.recorded")
			b.visit(func(f *fleet) {
				if d := f.well("another primary"); d.Primary("0001").ID == first || d.Status != resource.CacheAvailable {
					t.Errorf("the primary is the same, and the cache %s", d.Status)
				}
				f.holds(50)
				for _, n := range f.now().Nodes {
					f.signal(n, syscall.SIGKILL)
				}
			})
			b.through("heal.counted")
			b.visit(func(f *fleet) {
				d, left := f.well("the return of all"), 50
				if !d.Layout.DurableLog {
					left = 0
				}
				if lost := d.Restarts > 0; lost != (left == 0) {
					t.Errorf("%d restarts are counted", d.Restarts)
				}
				f.holds(left)
				f.sentence()
			})
			b.through("delete-cache.begun", "delete-cache.removed")
			if left, err := os.ReadDir(filepath.Join(b.dir, "nodes")); err != nil || len(left) > 0 {
				t.Errorf("%d directories of nodes are left, %v", len(left), err)
			}
		})
	}
}

// order asks for a failover.
func (f *fleet) order(task resource.FailoverTask) {
	f.t.Helper()
	f.ask(resource.TaskFailover, task, resource.CacheModifying)
}

// sentence asks for the end of the cache.
func (f *fleet) sentence() {
	f.t.Helper()
	f.ask(resource.TaskDeleteCache, resource.DeleteCacheTask{CacheID: f.id}, resource.CacheDeleting)
}

func (f *fleet) ask(kind string, task any, status resource.CacheStatus) {
	f.t.Helper()
	f.must(f.DB.Update(f.t.Context(), func(tx *metastore.Tx) error {
		c, err := tx.CacheByID(f.id)
		if err != nil {
			return err
		}
		c.Status = status
		if err := tx.UpdateCache(c); err != nil {
			return err
		}
		_, err = f.Queue.Enqueue(tx, job.NewSpec(kind, f.id, task))
		return err
	}))
}
