package worker

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// A replica that was restarted by a job is available on record, and has nothing, or only what its own append-only file has, until it has heard
// of its primary. When that dies before, the replica must not take its place: what the primary's append-only file has would be gone, and
// without one nobody would say that the shard is empty.
func TestNobodyTakesOverWithoutData(t *testing.T) {
	t.Parallel()
	for _, durable := range []bool{false, true} {
		t.Run(fmt.Sprintf("durable %t", durable), func(t *testing.T) {
			t.Parallel()
			want := wish{kind: resource.ReplicationGroup, engine: engine.Redis, shards: 1, replicas: 1}
			if durable {
				want = wish{kind: resource.MemoryDBCluster, engine: engine.Valkey, cluster: true, shards: 1, replicas: 1}
			}
			f := newFleet(t, want)
			f.fill(50)
			d := f.now()
			was, replica := d.Primary("0001"), d.Reader("0001")
			f.must(f.Engines.Kill(t.Context(), replica.ID))
			c := f.client()
			for i := 50; i < 100; i++ {
				f.must(c.Set(t.Context(), "key:"+strconv.Itoa(i), i, 0).Err())
			}
			f.signal(was, syscall.SIGSTOP)
			f.must(f.Engines.Start(t.Context(), replica.ID))
			kftest.Eventually(t, "a replica that answers", func() error {
				if s := f.lookAt(t.Context(), d, replica); !s.answers || s.busy || s.leads {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			kftest.Guard(t, f.Engines.PID(replica.ID))
			f.signal(was, syscall.SIGKILL)
			d = f.well("the shard to return")
			if durable {
				if d.Restarts != 0 {
					t.Errorf("%d restarts are counted, and nothing was to be lost", d.Restarts)
				}
				f.holds(100)
				return
			}
			if d.Restarts == 0 {
				t.Errorf("nobody counts that the group came back empty:\n%v", f.story())
			}
			f.holds(0)
		})
	}
}

// A replica of a durable cache is in step when its append-only file is, which the engine begins to write after the data has come: a job goes on to
// stop the node that has the only whole one.
func TestDurableReplicasAreInStepOnDisk(t *testing.T) {
	t.Parallel()
	f := newFleet(t, wish{kind: resource.MemoryDBCluster, engine: engine.Valkey, cluster: true, shards: 1, replicas: 1})
	f.fill(50)
	d := f.now()
	replica := d.Reader("0001")
	f.must(f.Engines.Kill(t.Context(), replica.ID))
	_, err := f.Engines.SetParameters(t.Context(), replica.ID, map[string]string{"rdb-key-save-delay": "20000"}) // microseconds
	f.must(err)
	f.must(f.startReplica(kftest.Context(t), d, replica))
	kftest.Guard(t, f.Engines.PID(replica.ID))
	c, err := f.Engines.Admin(t.Context(), replica.ID)
	f.must(err)
	defer c.Close()
	info, err := c.Info(t.Context(), "persistence")
	f.must(err)
	if size := info["aof_base_size"]; info["aof_rewrite_in_progress"] != "0" || size == "0" || info["aof_last_bgrewrite_status"] != "ok" {
		t.Errorf("the append-only file is being written still: %v", info)
	}
}

// While a job waits for a replica that does not come into step, another primary dies, which two shards cannot replace by an election, or its own
// hangs, which has another replica: that does not wait.
func TestHealingDoesNotKeepOthersWaiting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		what  string
		want  wish
		shard string
		sig   syscall.Signal
	}{
		{"death", wish{kind: resource.ReplicationGroup, engine: engine.Valkey, cluster: true, shards: 2, replicas: 1}, "0002", syscall.SIGKILL},
		{"silence", wish{kind: resource.ReplicationGroup, engine: engine.Redis, shards: 1, replicas: 2}, "0001", syscall.SIGSTOP},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, c.want)
			f.fill(50)
			d := f.now()
			slow, was := d.Reader("0001"), d.Primary(c.shard)
			f.must(f.Engines.Kill(t.Context(), slow.ID))
			f.must(f.command(t.Context(), d.Primary("0001").ID, "CONFIG", "SET", "repl-diskless-sync-delay", "3600"))
			f.Died(supervisor.Death{ID: slow.ID})
			kftest.Eventually(t, "a replica that waits for its data", func() error {
				if s := f.lookAt(t.Context(), d, slow); !s.answers || s.leads || s.linked {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			kftest.Guard(t, f.Engines.PID(slow.ID))
			f.signal(was, c.sig)
			f.watching()
			kftest.Eventually(t, "a failover", func() error {
				if now := f.now().Primary(c.shard); now.ID == was.ID || now.ID == slow.ID {
					return fmt.Errorf("%s is the primary", now.Name)
				}
				return nil
			})
		})
	}
}

// A delete that was killed when it had removed nodes does not make them again: their data is in the final snapshot.
func TestDeleteGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	f := newFleet(t, wish{kind: resource.ReplicationGroup, engine: engine.Valkey, shards: 1})
	f.fill(10)
	d := f.now()
	if s := f.snapshot("final", d.Cache); s.Status != resource.SnapshotAvailable {
		t.Fatalf("the snapshot is %s: %s", s.Status, s.StatusReason)
	}
	f.must(f.Engines.Remove(t.Context(), d.Nodes[0].ID))
	j := f.do(resource.TaskDeleteCache, f.id, resource.DeleteCacheTask{CacheID: f.id, FinalSnapshotID: "final"}, func(tx *metastore.Tx) error {
		d.Status = resource.CacheDeleting
		return tx.UpdateCache(d.Cache)
	})
	if j.State != job.StateCompleted {
		t.Errorf("the job is %s: %s", j.State, j.LastError)
	}
	f.must(f.DB.View(t.Context(), func(tx *metastore.Tx) error {
		events, _, err := tx.Events(metastore.EventFilter{Scope: home, Service: d.Kind.Service()})
		for _, e := range events {
			if strings.Contains(e.Message, "empty") {
				t.Errorf("it tells: %s", e.Message)
			}
		}
		return err
	}))
	f.whole("final", 10)
}
