package e2e

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/redis/go-redis/v9"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

// go-redis and redis-cli know nothing but the configuration endpoint. They follow a failover that was asked for, and one that was not.
func TestClusterClients(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx, id := s.elasticache(), t.Context(), aws.String("orders")
	if _, err := c.CreateReplicationGroup(ctx, &elasticache.CreateReplicationGroupInput{ReplicationGroupId: id, ReplicationGroupDescription: aws.String("d"), Engine: aws.String("valkey"),
		CacheNodeType: aws.String("cache.t4g.micro"), NumNodeGroups: aws.Int32(3), ReplicasPerNodeGroup: aws.Int32(1), AutomaticFailoverEnabled: aws.Bool(true), Port: aws.Int32(7001)}); err != nil {
		t.Fatal(err)
	}
	available := func() (g types.ReplicationGroup) {
		t.Helper()
		until(t, "group available", func() (bool, error) {
			out, err := c.DescribeReplicationGroups(ctx, &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: id})
			if err != nil {
				return false, err
			}
			g = out.ReplicationGroups[0]
			return *g.Status == "available", nil
		})
		return g
	}
	entrance := available().ConfigurationEndpoint
	if *entrance.Port != 7001 {
		t.Errorf("the group was asked to listen on 7001, and listens on %d", *entrance.Port)
	}
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{net.JoinHostPort(*entrance.Address, fmt.Sprint(*entrance.Port))}})
	defer client.Close()
	const keys = 200
	write := func(round string) error {
		for i := range keys {
			if err := client.Set(ctx, fmt.Sprint("key:", i), fmt.Sprint(i, " ", round), 0).Err(); err != nil {
				return err
			}
		}
		return nil
	}
	read := func(round string) {
		t.Helper()
		for i := range keys {
			if v, err := client.Get(ctx, fmt.Sprint("key:", i)).Result(); err != nil || v != fmt.Sprint(i, " ", round) {
				t.Fatalf("key:%d is %q, %v after %s", i, v, err, round)
			}
		}
	}
	// primary is where slot 0 is now, by what any live node says.
	primary := func() string {
		shards, err := client.ClusterShards(ctx).Result()
		if err != nil {
			return ""
		}
		for _, s := range shards {
			if len(s.Slots) == 0 || s.Slots[0].Start != 0 {
				continue
			}
			for _, n := range s.Nodes {
				if n.Role == "master" && n.Health == "online" {
					return net.JoinHostPort(n.IP, fmt.Sprint(n.Port))
				}
			}
		}
		return ""
	}
	// follows writes until the primary is another one, however writes may fail meanwhile; from then on none may fail.
	follows := func(what, old string) {
		t.Helper()
		until(t, what, func() (bool, error) {
			failed := write("meanwhile")
			now := primary()
			return failed == nil && now != "" && now != old, nil
		})
		for i := range 3 {
			if err := write(fmt.Sprint(what, i)); err != nil {
				t.Fatalf("after %s: %v", what, err)
			}
		}
		read(what + "2")
	}
	if err := write("first"); err != nil {
		t.Fatal(err)
	}
	read("first")
	var shards atomic.Int32
	if err := client.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		n, err := node.DBSize(ctx).Result()
		if n > 0 {
			shards.Add(1)
		}
		return err
	}); err != nil || shards.Load() != 3 {
		t.Errorf("%d shards have keys, %v", shards.Load(), err)
	}

	old := primary()
	if _, err := c.TestFailover(ctx, &elasticache.TestFailoverInput{ReplicationGroupId: id, NodeGroupId: aws.String("0001")}); err != nil {
		t.Fatal(err)
	}
	follows("TestFailover", old)
	available()

	old = primary()
	kill(t, old)
	follows("kill -9", old)
	available()
	// The dead node comes back as a replica with the data, and never as an empty primary.
	until(t, "the dead node's return as a replica", func() (bool, error) {
		conn, err := resp.Dial(ctx, old, nil)
		if err != nil {
			return false, nil
		}
		defer conn.Close()
		info, err := conn.Info(ctx, "replication")
		return err == nil && info["role"] == "slave" && info["master_link_status"] == "up", nil
	})
	read("kill -92")

	out, err := exec.CommandContext(ctx, "redis-cli", "-c", "-h", *entrance.Address, "-p", fmt.Sprint(*entrance.Port), "get", "key:7").CombinedOutput()
	if err != nil || strings.TrimSpace(strings.Trim(strings.TrimSpace(string(out)), `"`)) != "7 kill -92" {
		t.Errorf("redis-cli -c: %q, %v", out, err)
	}
}

// kill ends the engine at an address as the kernel would when memory runs out.
func kill(t *testing.T, address string) {
	t.Helper()
	conn := ok[*resp.Conn](t)(resp.Dial(t.Context(), address, nil))
	defer conn.Close()
	info := ok[map[string]string](t)(conn.Info(t.Context(), "server"))
	pid := ok[int](t)(strconv.Atoi(info["process_id"]))
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
