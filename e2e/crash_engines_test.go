package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/redis/go-redis/v9"

	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// busy tells whether there is work to do, and working whether it has begun.
func (c *crashed) busy() bool {
	return c.anyJob(func(j job.Job) bool { return !j.State.Finished() })
}

func (c *crashed) working() bool {
	return c.anyJob(func(j job.Job) bool { return j.State == job.StateRunning })
}

func (c *crashed) anyJob(is func(job.Job) bool) bool {
	c.t.Helper()
	world, err := look(c.t.Context(), c.stores.DB)
	if err != nil {
		c.t.Fatal(err)
	}
	return slices.ContainsFunc(world.jobs, is)
}

// The server is killed while a cut holds writes. The engines' own bound lifts the pause: clients' writes wait for that long and then go on,
// with nobody there to tell the engines so.
func TestCrashWhileWritesAreHeld(t *testing.T) {
	t.Parallel()
	const bound = 2 * time.Second // capture.Options.Pause
	c := serveToCrash(t, "")
	c.through(c.group(elasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("ledger"), Engine: aws.String("valkey"), NumNodeGroups: aws.Int32(2),
		ReplicasPerNodeGroup: aws.Int32(0), AutomaticFailoverEnabled: aws.Bool(true)}))
	_, nodes := c.now("ledger")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writes [2]atomic.Int64
	var longest [2]atomic.Int64 // of the waits for an answer
	ended := make(chan error, 2)
	for i, n := range nodes {
		key := keyIn(n.Slots)
		w := redis.NewClient(&redis.Options{Addr: addressOf(n), MaxRetries: -1, ReadTimeout: time.Minute, ContextTimeoutEnabled: true})
		t.Cleanup(func() { w.Close() })
		go func() {
			for ctx.Err() == nil {
				begun := time.Now()
				if err := w.Incr(ctx, key).Err(); err != nil {
					if ctx.Err() != nil {
						err = nil
					}
					ended <- err
					return
				}
				writes[i].Add(1)
				longest[i].Store(max(longest[i].Load(), int64(time.Since(begun))))
			}
			ended <- nil
		}()
	}
	c.kill()
	c.env = []string{"KEYFRAME_FAILPOINT=create-snapshot.held"}
	c.start()
	c.give(c.takeGroup("ledger", "s1"), true)
	<-c.done
	died := time.Now()
	c.env = nil
	before := [2]int64{writes[0].Load(), writes[1].Load()}
	for i := range nodes {
		until(t, "writes that go on", func() (bool, error) { return writes[i].Load() > before[i]+10, nil })
	}
	// The test itself may have been away for a while, but not for as long as that.
	if took := time.Since(died); took > bound+30*time.Second {
		t.Errorf("writes went on %v after the server's death", took)
	}
	stop()
	for i := range nodes {
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if waited := time.Duration(longest[i].Load()); waited < bound/2 {
			t.Errorf("no write on shard %d waited longer than %v: the server did not die while they were held", i+1, waited)
		}
	}
	c.start()
	c.verify()
	if s := c.quiet(t, c.stores).snapshots["s1"]; s == nil || s.Status != resource.SnapshotAvailable {
		t.Errorf("the snapshot is %+v", s)
	}
}

// keyIn is a key of a slot in some ranges.
func keyIn(slots []resource.SlotRange) string {
	for i := 0; ; i++ {
		key := fmt.Sprint("k", i)
		slot := rdb.KeySlot([]byte(key))
		if slices.ContainsFunc(slots, func(r resource.SlotRange) bool { return r.Start <= slot && slot <= r.End }) {
			return key
		}
	}
}

// Engines die in the middle of the jobs of a group whose shards have replicas: together with the server, and while it works. Every job
// ends well or in a named failure, and no key is lost.
func TestCrashEnginesDuringJobs(t *testing.T) {
	t.Parallel()
	c := serveToCrash(t, "")
	c.want.failures = true
	clustered := func(name, from string, replicas int32, slots ...string) func() error {
		in := elasticache.CreateReplicationGroupInput{ReplicationGroupId: &name, Engine: aws.String("valkey"), AutomaticFailoverEnabled: aws.Bool(true),
			NodeGroupConfiguration: slotted(replicas, slots...)}
		if from != "" {
			in.SnapshotName = &from
		}
		return c.group(in)
	}
	c.through(clustered("ledger", "", 1, "0-8091", "8092-16183", "16184-16383"))
	data := c.load("ledger", 15)
	ofShard := func(shard string, primary bool) func(*resource.Node) bool {
		return func(n *resource.Node) bool { return n.Shard == shard && n.Primary == primary }
	}
	// together has an engine die after the server did, at a step of an order.
	together := func(step string, order func() error, cache string, which func(*resource.Node) bool) {
		t.Helper()
		c.kill()
		c.env = []string{"KEYFRAME_FAILPOINT=" + step}
		c.start()
		c.give(order, true)
		<-c.done
		c.env = nil
		if err := c.strike(cache, which)(); err != nil {
			t.Fatal(err)
		}
		c.start()
		c.verify()
	}
	// during has an engine die while the server works on an order, at a moment of it.
	during := func(order func() error, cache string, which func(*resource.Node) bool, moment func() bool) {
		t.Helper()
		c.give(order, false)
		for !moment() {
			if !c.busy() {
				t.Logf("%s was done before its moment came", cache)
				break
			}
			time.Sleep(time.Millisecond) // engines have no signal for it
		}
		if err := c.strike(cache, which)(); err != nil {
			t.Fatal(err)
		}
		c.verify()
	}
	together("create-snapshot.held", c.takeGroup("ledger", "s1"), "ledger", ofShard("0001", true))
	together("create-snapshot.cut", c.takeGroup("ledger", "s2"), "ledger", ofShard("0002", true))
	during(c.takeGroup("ledger", "s3"), "ledger", ofShard("0001", true), c.working)
	during(c.takeGroup("ledger", "s4"), "ledger", ofShard("0002", false), c.working)
	c.through(c.takeGroup("ledger", "good"))
	world := c.quiet(t, c.stores)
	for _, name := range []string{"s1", "s2", "s3", "s4", "good"} {
		s := world.snapshots[name]
		t.Logf("snapshot %s is %s: %s", name, s.Status, s.StatusReason)
		if s.Status != resource.SnapshotAvailable {
			if name == "good" {
				t.Errorf("a snapshot that nothing disturbed is %s: %s", s.Status, s.StatusReason)
			}
			continue
		}
		m, err := c.stores.Snapshots.ReadManifest(t.Context(), s.ID)
		if err != nil {
			t.Fatal(err)
		}
		keys, slots := int64(0), 0
		for _, shard := range m.Shards {
			keys += shard.Keys
			for _, r := range shard.Slots {
				slots += r.End - r.Start + 1
			}
		}
		if keys != data.Keys || slots != 16384 {
			t.Errorf("snapshot %s has %d keys and %d slots; nothing was written or deleted, and there are %d keys", name, keys, slots, data.Keys)
		}
	}

	together("reshape.migrating", c.reshard("ledger", 2, "0003"), "ledger", ofShard("0003", true))
	if soak { // engines with replicas wait for them at every step of every slot
		during(c.reshard("ledger", 3), "ledger", ofShard("0001", true), func() bool {
			_, nodes := c.now("ledger")
			w := redis.NewClient(&redis.Options{Addr: addressOf(nodes[0])})
			defer w.Close()
			text, err := w.ClusterNodes(t.Context()).Result()
			return err == nil && strings.Contains(text, "->-")
		})
	}
	restored := func(name string) {
		t.Helper()
		cache := c.quiet(t, c.stores).caches[name]
		t.Logf("cache %s is %s: %s", name, cache.Status, cache.StatusReason)
		c.through(c.deleteGroup(elasticache.DeleteReplicationGroupInput{ReplicationGroupId: &name}))
	}
	one := func(n *resource.Node) bool { return n.Primary && n.Slots[0].Start == 0 }
	c.want.caches["r1"] = data
	together("create-cache.started", clustered("r1", "good", 0, "0-9999", "10000-16383"), "r1", one)
	restored("r1")
	c.want.caches["r2"] = data
	during(clustered("r2", "good", 0, "0-9999", "10000-16383"), "r2", one, func() bool {
		_, nodes := c.now("r2")
		return len(c.engines(t)[nodes[0].ID]) == 1
	})
	restored("r2")
	c.verify()
}
