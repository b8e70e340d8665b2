package e2e

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"github.com/keyframe/keyframe/internal/app"
	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/worker"
)

// soak asks for every step one by one, and for random rounds until soakTime is up.
var soak = os.Getenv("KEYFRAME_SOAK") != ""

const soakTime = 15 * time.Minute

// crashed is a server that is killed again and again on one data directory.
type crashed struct {
	*server
	stores *app.Stores
	only   string // the one step to die at; empty for all
	times  int    // how often to die before the next verify ends the life; 0 for never
	want   wanted

	died map[string]int // how often, by step
}

func serveToCrash(t *testing.T, only string) *crashed {
	t.Helper()
	c := &crashed{server: serve(t, "--sweep-every", "1s", "--quota-serverless-snapshots", "100000"), only: only, died: map[string]int{},
		want: wanted{caches: map[string]dataset.Digest{}, items: map[string]map[string]memItem{}, objects: map[string]bool{}}}
	c.stores = c.server.stores(t)
	return c
}

// through gives an order and has the server die at one step after the other, each time in the work that the death before
// left. Then it runs on, and everything must be as if nothing had happened.
func (c *crashed) through(order func() error, steps ...string) {
	c.t.Helper()
	if c.only != "" {
		steps = slices.DeleteFunc(slices.Clone(steps), func(s string) bool { return s != c.only })
	}
	for i, step := range steps {
		c.kill()
		c.env = []string{"KEYFRAME_FAILPOINT=" + step}
		c.start()
		if i == 0 {
			c.give(order, true)
		}
		select {
		case <-c.done:
		case <-time.After(2 * time.Minute):
			c.t.Fatalf("the server did not come to %s", step)
		}
		c.died[step]++
		c.env = nil
	}
	if len(steps) > 0 {
		c.start()
	} else {
		c.give(order, false)
	}
	c.quiet(c.t, c.stores)
}

// give sends an order. The server may die of it before it answers.
func (c *crashed) give(order func() error, mayDie bool) {
	c.t.Helper()
	var refused smithy.APIError
	if err := order(); err != nil && (!mayDie || errors.As(err, &refused)) {
		c.t.Fatal(err)
	}
}

// verify compares the world with what the test wants of it.
func (c *crashed) verify() {
	c.t.Helper()
	c.check(c.t, c.stores, c.want)
	if c.t.Failed() {
		c.t.FailNow()
	}
	if c.times > 0 && c.died[c.only] == c.times {
		panic(errLived)
	}
}

// errLived ends a life in which there is no more to die of.
var errLived = errors.New("the rest of this life is that of others")

// live goes through a life, up to the verify after its last death if the number of deaths is known.
func (c *crashed) live(life func(*crashed)) {
	defer func() {
		if r := recover(); r != nil && r != errLived { //nolint:errorlint // it is a value of its own
			panic(r)
		}
	}()
	life(c)
}

func (c *crashed) create(name, engine string, from ...string) func() error {
	return func() error {
		_, err := c.elasticache().CreateServerlessCache(c.t.Context(), &elasticache.CreateServerlessCacheInput{
			ServerlessCacheName: &name, Engine: &engine, SnapshotArnsToRestore: from})
		return err
	}
}

func (c *crashed) fill(name string, seed uint64) {
	c.t.Helper()
	at := c.available(name)
	if _, err := dataset.Fill(c.t.Context(), dataset.At(at), dataset.Spec{Keys: 300, Seed: seed}); err != nil {
		c.t.Fatal(err)
	}
	c.want.caches[name] = digest(c.t, at)
}

func (c *crashed) take(cache, name string) func() error {
	return func() error {
		_, err := c.elasticache().CreateServerlessCacheSnapshot(c.t.Context(), &elasticache.CreateServerlessCacheSnapshotInput{
			ServerlessCacheName: &cache, ServerlessCacheSnapshotName: &name})
		return err
	}
}

func (c *crashed) copySnapshot(from, to string) func() error {
	return func() error {
		_, err := c.elasticache().CopyServerlessCacheSnapshot(c.t.Context(), &elasticache.CopyServerlessCacheSnapshotInput{
			SourceServerlessCacheSnapshotName: &from, TargetServerlessCacheSnapshotName: &to})
		return err
	}
}

func (c *crashed) bucket(name string) {
	c.t.Helper()
	if _, err := c.s3().CreateBucket(c.t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crashed) put(bucket, key string, body []byte) {
	c.t.Helper()
	c.want.objects[bucket+"/"+key] = true
	if _, err := c.s3().PutObject(c.t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crashed) export(name, bucket string) func() error {
	c.want.objects[bucket+"/"+name+"-0001.rdb"] = true
	return func() error {
		_, err := c.elasticache().ExportServerlessCacheSnapshot(c.t.Context(), &elasticache.ExportServerlessCacheSnapshotInput{
			ServerlessCacheSnapshotName: &name, S3BucketName: &bucket})
		return err
	}
}

func (c *crashed) modify(in elasticache.ModifyServerlessCacheInput) func() error {
	return func() error {
		_, err := c.elasticache().ModifyServerlessCache(c.t.Context(), &in)
		return err
	}
}

func (c *crashed) deleteCache(name, final string) func() error {
	delete(c.want.caches, name)
	in := elasticache.DeleteServerlessCacheInput{ServerlessCacheName: &name}
	if final != "" {
		in.FinalSnapshotName = &final
	}
	return func() error {
		_, err := c.elasticache().DeleteServerlessCache(c.t.Context(), &in)
		return err
	}
}

func (c *crashed) deleteSnapshot(name string) func() error {
	return func() error {
		_, err := c.elasticache().DeleteServerlessCacheSnapshot(c.t.Context(), &elasticache.DeleteServerlessCacheSnapshotInput{
			ServerlessCacheSnapshotName: &name})
		return err
	}
}

// A job that was killed more than three times waits before it runs again; so each is killed three times here.

// lifeOfCaches creates, restores, changes, upgrades, loses and deletes caches.
func lifeOfCaches(c *crashed) {
	c.through(c.create("orders", "redis"), "create-cache.recorded", "create-cache.created", "create-cache.started")
	c.fill("orders", 1)
	data := c.want.caches["orders"]
	c.through(c.take("orders", "s1"))
	c.bucket("exports")
	c.through(c.export("s1", "exports"))

	c.want.caches["restored"], c.want.caches["from-file"] = data, data
	c.through(c.create("restored", "redis", *c.snapshot("s1").ARN), "create-cache.placed", "create-cache.streaming", "create-cache.started")
	c.through(c.create("from-file", "redis", "arn:aws:s3:::exports/s1-0001.rdb"), "create-cache.routing", "create-cache.fed", "create-cache.ready")
	c.want.caches["from-files"] = data
	c.put("exports", "empty.rdb", rdbFile())
	c.through(c.create("from-files", "redis", "arn:aws:s3:::exports/s1-0001.rdb", "arn:aws:s3:::exports/empty.rdb"),
		"create-cache.inspected", "create-cache.routing", "create-cache.fed")
	c.verify()

	limit := elasticache.ModifyServerlessCacheInput{ServerlessCacheName: aws.String("orders"),
		CacheUsageLimits: &types.CacheUsageLimits{DataStorage: &types.DataStorage{Maximum: aws.Int32(2), Unit: types.DataStorageUnitGb}}}
	c.through(c.modify(limit), "modify-cache.limited")
	upgrade := elasticache.ModifyServerlessCacheInput{ServerlessCacheName: aws.String("orders"), Engine: aws.String("valkey"), MajorEngineVersion: aws.String("8")}
	c.through(c.modify(upgrade), "modify-cache.saved", "modify-cache.counted", "modify-cache.switched")
	upgrade.ServerlessCacheName = aws.String("restored")
	c.through(c.modify(upgrade), "modify-cache.started", "modify-cache.upgraded")
	for _, name := range []string{"orders", "restored"} {
		if got := c.cache(name); *got.Engine != "valkey" {
			c.t.Errorf("cache %s runs on %s after its upgrade", name, *got.Engine)
		}
	}
	c.verify()

	c.want.caches["from-file"] = dataset.Digest{} // it loses its only engine, and returns empty
	c.through(func() error { c.killEngine("from-file"); return nil }, "recover-node.counted", "recover-node.started", "recover-node.ready")
	c.through(c.deleteCache("orders", "final"), "delete-cache.begun", "delete-cache.final-snapshot", "delete-cache.removed")
	c.through(c.deleteCache("from-file", ""))
	c.through(c.deleteCache("from-files", ""))
	c.want.caches["again"] = data
	c.through(c.create("again", "valkey", *c.snapshot("final").ARN), "create-cache.unlinked", "create-cache.admitted")
	c.verify()
}

// lifeOfSnapshots takes, copies, exports, restores and deletes snapshots.
func lifeOfSnapshots(c *crashed) {
	c.through(c.create("orders", "valkey"))
	c.fill("orders", 2)
	data := c.want.caches["orders"]
	c.through(c.take("orders", "s1"), "create-snapshot.begun", "create-snapshot.cut", "create-snapshot.captured")
	c.through(c.take("orders", "s2"), "create-snapshot.manifest")
	c.through(c.copySnapshot("s1", "c1"), "copy-snapshot.begun", "copy-snapshot.manifest")
	c.bucket("exports")
	c.through(c.export("c1", "exports"), "export-snapshot.begun", "export-snapshot.written", "export-snapshot.finished", "export-snapshot.committed")
	c.verify()

	c.through(c.deleteSnapshot("s1"), "delete-snapshot.begun", "delete-snapshot.manifest", "delete-snapshot.parts") // its copy stays
	c.through(c.deleteSnapshot("s2"), "delete-snapshot.begun", "delete-snapshot.manifest", "delete-snapshot.parts") // and its parts go
	c.want.caches["restored"] = data
	c.through(c.create("restored", "valkey", *c.snapshot("c1").ARN))
	c.through(c.deleteCache("orders", "final"), "create-snapshot.begun", "create-snapshot.captured", "create-snapshot.manifest")
	c.verify()
	list, err := c.elasticache().DescribeServerlessCacheSnapshots(c.t.Context(), &elasticache.DescribeServerlessCacheSnapshotsInput{})
	if err != nil {
		c.t.Fatal(err)
	}
	if len(list.ServerlessCacheSnapshots) != 2 {
		c.t.Errorf("%d snapshots are left, want c1 and final", len(list.ServerlessCacheSnapshots))
	}
}

// The server dies at every step of its journal, and every operation succeeds all the same.
func TestCrashAtEveryStep(t *testing.T) {
	t.Parallel()
	lives := map[string]func(*crashed){"caches": lifeOfCaches, "snapshots": lifeOfSnapshots, "group": lifeOfGroup, "shards": lifeOfShards, "memorydb": lifeOfMemoryDB,
		"items": lifeOfItems}
	var mu sync.Mutex
	died := map[string]map[string]int{} // by life and step
	t.Run("lives", func(t *testing.T) {
		for name, life := range lives {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				c := serveToCrash(t, "")
				c.live(life)
				mu.Lock()
				defer mu.Unlock()
				died[name] = c.died
			})
		}
	})
	for _, step := range worker.Steps {
		anywhere := false
		for name := range lives {
			anywhere = anywhere || died[name][step] > 0
		}
		if !anywhere && len(died) == len(lives) { // else some failed, or were not asked for
			t.Errorf("the server was never killed at %s", step)
		}
	}
	if !soak {
		return
	}
	for _, step := range worker.Steps {
		for name, life := range lives {
			times := died[name][step]
			if times == 0 {
				continue
			}
			t.Run(step+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := serveToCrash(t, step)
				c.times = times
				c.live(life)
			})
		}
	}
}
