package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/keyframe/keyframe/internal/resource"
)

// A group whose shards have replicas is cut, reshaped and failed over, and at a random moment of that one of its engines dies, sometimes
// together with the server. No key is lost, ever, and every snapshot that calls itself available has them all.
func TestCrashEnginesAtRandomMoments(t *testing.T) {
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
	c := serveToCrash(t, "")
	c.args = append(c.args, "--quota-node-snapshots", "100000")
	c.kill()
	c.start() // with it
	c.want.failures = true
	c.through(c.group(elasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("ledger"), Engine: aws.String("valkey"),
		AutomaticFailoverEnabled: aws.Bool(true), NodeGroupConfiguration: slotted(1, "0-8091", "8092-16183", "16184-16383")}))
	data := c.load("ledger", seed)
	c.verify() // the replicas have it all too
	done, begun := map[string]int{}, time.Now()
	for round := range rounds {
		if time.Since(begun) > soakTime {
			break
		}
		what, order := c.upheaval(rng, round)
		done[what]++
		_, nodes := c.now("ledger")
		victim := nodes[rng.IntN(len(nodes))]
		late, both := time.Duration(rng.Int64N(int64(3*time.Second))), rng.IntN(3) == 0
		t.Logf("round %d after %v: %s, and after %v %s (of shard %s, primary %t) dies; the server too: %t", round, time.Since(begun).Round(time.Second),
			what, late, victim.Name, victim.Shard, victim.Primary, both)
		c.give(order, false)
		time.Sleep(late) // the random moment
		if both {
			c.kill()
		}
		if world, err := look(t.Context(), c.stores.DB); err != nil {
			t.Fatal(err)
		} else if len(world.nodes) > 0 && len(c.engines(t)[victim.ID]) == 1 { // else it went with its shard, or saves
			if err := c.strike("ledger", func(n *resource.Node) bool { return n.ID == victim.ID })(); err != nil {
				t.Fatal(err)
			}
		}
		if both {
			c.start()
		}
		c.verify()
		for name, s := range c.quiet(t, c.stores).snapshots {
			if s.Status != resource.SnapshotAvailable {
				t.Logf("snapshot %s is %s: %s", name, s.Status, s.StatusReason)
				continue
			}
			m, err := c.stores.Snapshots.ReadManifest(t.Context(), s.ID)
			if err != nil {
				t.Fatal(err)
			}
			keys := int64(0)
			for _, shard := range m.Shards {
				keys += shard.Keys
			}
			if keys != data.Keys {
				t.Fatalf("snapshot %s has %d keys of %d", name, keys, data.Keys)
			}
		}
	}
	t.Logf("engines died during %v", done)
}

// upheaval is something that moves data or roles in the group ledger.
func (c *crashed) upheaval(rng *rand.Rand, round int) (what string, order func() error) {
	cache, _ := c.now("ledger")
	shards := cache.Layout.Shards
	switch rng.IntN(6) {
	case 0:
		return "snapshot", c.takeGroup("ledger", fmt.Sprint("s", round))
	case 1:
		shard := shards[rng.IntN(len(shards))].Name
		return "failover", c.ask(func(e *elasticache.Client) (any, error) {
			return e.TestFailover(c.t.Context(), &elasticache.TestFailoverInput{ReplicationGroupId: aws.String("ledger"), NodeGroupId: &shard})
		})
	case 2:
		if n := int32(shards[0].Replicas); n > 1 {
			n--
			return "fewer replicas", c.ask(func(e *elasticache.Client) (any, error) {
				return e.DecreaseReplicaCount(c.t.Context(), &elasticache.DecreaseReplicaCountInput{ReplicationGroupId: aws.String("ledger"),
					NewReplicaCount: &n, ApplyImmediately: aws.Bool(true)})
			})
		}
		return "more replicas", c.ask(func(e *elasticache.Client) (any, error) {
			return e.IncreaseReplicaCount(c.t.Context(), &elasticache.IncreaseReplicaCountInput{ReplicationGroupId: aws.String("ledger"),
				NewReplicaCount: aws.Int32(2), ApplyImmediately: aws.Bool(true)})
		})
	default:
		if len(shards) > 2 {
			return "fewer shards", c.reshard("ledger", int32(len(shards)-1), shards[rng.IntN(len(shards))].Name)
		}
		return "more shards", c.reshard("ledger", int32(len(shards)+1))
	}
}
