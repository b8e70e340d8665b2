package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/smithy-go"

	"github.com/keyframe/keyframe/internal/app"
	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/resource"
)

// operator is a client that owns replication groups, and knows what should be in them.
type operator struct {
	*user
	stores *app.Stores
}

// order sends a command until the server answers it. A refusal after one that was not answered says that the first was heard; what came of
// it is looked at afterwards.
func (o *operator) order(ctx context.Context, what string, command func(*elasticache.Client) error) error {
	o.done[what]++
	for tries := 0; ; tries++ {
		err := command(o.client())
		var refused smithy.APIError
		switch {
		case err == nil, errors.As(err, &refused) && tries > 0:
			return nil
		case errors.As(err, &refused):
			return fmt.Errorf("%s: %w", what, err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
		time.Sleep(20 * time.Millisecond) // the server is down
	}
}

// settled waits until a group is available, or gone, and returns it as it is on record.
func (o *operator) settled(ctx context.Context, name string, gone bool) (*resource.Cache, []*resource.Node, error) {
	for ; ctx.Err() == nil; time.Sleep(30 * time.Millisecond) { // there is no signal to wait for
		world, err := look(ctx, o.stores.DB)
		if err != nil {
			return nil, nil, err
		}
		cache := world.caches[name]
		switch {
		case cache == nil && gone:
			return nil, nil, nil
		case cache == nil, gone && cache.Status == resource.CacheAvailable, cache.Status == resource.CacheCreateFailed, cache.Status == resource.CacheRestoreFailed:
			return nil, nil, fmt.Errorf("group %s is %+v", name, cache)
		case cache.Status == resource.CacheAvailable:
			return cache, world.nodes[cache.ID], nil
		}
	}
	return nil, nil, ctx.Err()
}

func (o *operator) create(ctx context.Context, from string) error {
	name, what := o.name("g"), "create"
	in := elasticache.CreateReplicationGroupInput{ReplicationGroupId: &name, ReplicationGroupDescription: aws.String("d"), CacheNodeType: aws.String("cache.t4g.small"),
		Engine: aws.String("valkey"), AutomaticFailoverEnabled: aws.Bool(true), NumCacheClusters: aws.Int32(2)}
	if from != "" {
		in.SnapshotName, what = &from, "restore"
	}
	if from != "" || o.rng.IntN(3) > 0 {
		in.NumCacheClusters, in.NumNodeGroups, in.ReplicasPerNodeGroup = nil, aws.Int32(int32(2+o.rng.IntN(2))), aws.Int32(int32(o.rng.IntN(2)))
	}
	err := o.order(ctx, what, func(c *elasticache.Client) error { _, err := c.CreateReplicationGroup(ctx, &in); return err })
	if err != nil {
		return err
	}
	cache, nodes, err := o.settled(ctx, name, false)
	if err != nil {
		return err
	}
	spec := dataset.Spec{Keys: o.keys, Seed: o.rng.Uint64(), Functions: true, TTLShare: -1} // engines shift expiries by milliseconds when slots move
	switch {
	case from != "":
	case cache.Layout.ClusterMode:
		var cluster dataset.Cluster
		if cluster, err = dataset.ClusterAt(ctx, dataset.At(addressOf(nodes[0]))); err == nil {
			_, err = cluster.Fill(ctx, spec)
		}
	default:
		_, err = dataset.Fill(ctx, dataset.At(addressOf(nodes[0])), spec)
	}
	if err != nil {
		return err
	}
	got, err := contents(ctx, cache, nodes)
	if err == nil && from != "" && got != o.snapshots[from] {
		err = fmt.Errorf("group %s was restored from %s and holds %v, want %v", name, from, got, o.snapshots[from])
	}
	o.caches[name] = got
	return err
}

// step does one operation at random, and returns when it has ended.
func (o *operator) step(ctx context.Context) error {
	if len(o.caches) == 0 {
		return o.create(ctx, "")
	}
	name := pick(o.rng, o.caches)
	cache, nodes, err := o.settled(ctx, name, false)
	if err != nil {
		return err
	}
	now := aws.Bool(true)
	switch o.rng.IntN(7) {
	case 0:
		if len(o.caches) < 2 && len(o.snapshots) > 0 {
			return o.create(ctx, pick(o.rng, o.snapshots))
		}
		fallthrough
	case 1:
		if len(o.caches) > 1 {
			in := elasticache.DeleteReplicationGroupInput{ReplicationGroupId: &name}
			if o.rng.IntN(2) == 0 {
				in.FinalSnapshotIdentifier = aws.String(o.name("s"))
				o.snapshots[*in.FinalSnapshotIdentifier] = o.caches[name]
			}
			delete(o.caches, name)
			err = o.order(ctx, "delete", func(c *elasticache.Client) error { _, err := c.DeleteReplicationGroup(ctx, &in); return err })
			if err == nil {
				_, _, err = o.settled(ctx, name, true)
			}
			return err
		}
		fallthrough
	case 2:
		snap := o.name("s")
		o.snapshots[snap] = o.caches[name]
		err = o.order(ctx, "snapshot", func(c *elasticache.Client) error {
			_, err := c.CreateSnapshot(ctx, &elasticache.CreateSnapshotInput{ReplicationGroupId: &name, SnapshotName: &snap})
			return err
		})
	case 3:
		if cache.Layout.Shards[0].Replicas == 0 {
			return nil
		}
		err = o.order(ctx, "failover", func(c *elasticache.Client) error {
			_, err := c.TestFailover(ctx, &elasticache.TestFailoverInput{ReplicationGroupId: &name, NodeGroupId: &nodes[0].Shard})
			return err
		})
	case 4:
		n := int32(cache.Layout.Shards[0].Replicas)
		if n > 1 || n == 1 && cache.Layout.ClusterMode && o.rng.IntN(2) == 0 {
			n--
			err = o.order(ctx, "fewer replicas", func(c *elasticache.Client) error {
				_, err := c.DecreaseReplicaCount(ctx, &elasticache.DecreaseReplicaCountInput{ReplicationGroupId: &name, NewReplicaCount: &n, ApplyImmediately: now})
				return err
			})
			break
		}
		n++
		err = o.order(ctx, "more replicas", func(c *elasticache.Client) error {
			_, err := c.IncreaseReplicaCount(ctx, &elasticache.IncreaseReplicaCountInput{ReplicationGroupId: &name, NewReplicaCount: &n, ApplyImmediately: now})
			return err
		})
	default:
		if !cache.Layout.ClusterMode {
			return nil
		}
		in := elasticache.ModifyReplicationGroupShardConfigurationInput{ReplicationGroupId: &name, NodeGroupCount: aws.Int32(int32(len(cache.Layout.Shards) + 1)), ApplyImmediately: now}
		if len(cache.Layout.Shards) > 2 {
			in.NodeGroupCount, in.NodeGroupsToRemove = aws.Int32(int32(len(cache.Layout.Shards)-1)), []string{cache.Layout.Shards[o.rng.IntN(len(cache.Layout.Shards))].Name}
		}
		err = o.order(ctx, "reshard", func(c *elasticache.Client) error {
			_, err := c.ModifyReplicationGroupShardConfiguration(ctx, &in)
			return err
		})
	}
	if err == nil {
		_, _, err = o.settled(ctx, name, false)
	}
	return err
}

// A client makes, cuts, restores, reshapes and deletes replication groups while the server is killed at random moments. Every operation
// succeeds, and after every round the world is as the client knows it.
func TestCrashGroupsAtRandomMoments(t *testing.T) {
	t.Parallel()
	rounds := 1
	if soak {
		rounds = 1000
	}
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("KEYFRAME_TEST_SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("KEYFRAME_TEST_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	p := &plane{server: serve(t, "--sweep-every", "1s", "--quota-node-snapshots", "100000")}
	p.kill()
	p.up()
	stores := p.stores(t)
	o := &operator{&user{plane: p, id: "o", keys: 200, rng: rand.New(rand.NewPCG(seed, 1)), caches: map[string]dataset.Digest{},
		snapshots: map[string]dataset.Digest{}, done: map[string]int{}}, stores}
	kills, begun := 0, time.Now()
	for round := range rounds {
		if time.Since(begun) > soakTime {
			break
		}
		if soak {
			t.Logf("round %d after %v and %d kills", round, time.Since(begun).Round(time.Second), kills)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		stop, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				if err := o.step(ctx); err != nil {
					ended <- fmt.Errorf("round %d: %w", round, err)
					return
				}
				select {
				case <-stop:
					ended <- nil
					return
				default:
				}
			}
		}()
		for range 1 + rng.IntN(3) { // at most as often as a job is resumed without a pause
			time.Sleep(time.Duration(rng.Int64N(int64(4 * time.Second)))) // the random moment
			p.kill()
			kills++
			p.up()
		}
		close(stop)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		cancel()
		p.check(t, stores, wanted{caches: maps.Clone(o.caches)})
		world := p.quiet(t, stores)
		for name := range o.snapshots {
			if world.snapshots[name] == nil {
				t.Errorf("snapshot %s is gone", name)
			}
		}
		if len(world.caches) != len(o.caches) || len(world.snapshots) != len(o.snapshots) {
			t.Errorf("%d groups and %d snapshots are on record, %d and %d were made", len(world.caches), len(world.snapshots), len(o.caches), len(o.snapshots))
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d kills during %v", kills, o.done)
}
