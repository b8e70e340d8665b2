package supervisor_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb/crc64"
)

func TestClientsMayDoWhatAWSAllows(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		n := kftest.Engine(t, e, kftest.InCluster())
		c := n.Client(t)
		for _, name := range engine.Refused(e, n.Binary.Version) {
			args := refusedCall(name)
			if v, err := c.Do(ctx, args...); !resp.IsCode(err, "NOPERM") {
				t.Errorf("%v: got %+v, %v", args, v, err)
			}
		}
		if _, err := c.Do(ctx, "EVAL", "return redis.call('config','get','port')", "0"); err == nil {
			t.Error("a script may do what its caller may not")
		}
		if _, err := c.Do(ctx, "AUTH", engine.AdminUser, "x"); !resp.IsCode(err, "WRONGPASS") {
			t.Errorf("admin login with any password: %v", err)
		}
		if _, err := c.Do(ctx, "SET", "k", "v", "PX", "100000"); err != nil {
			t.Fatal(err)
		}
		dump, err := c.Do(ctx, "DUMP", "k")
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"INFO"}, {"KEYS", "*"}, {"CLIENT", "LIST"}, {"CLIENT", "SETNAME", "x"}, {"CLUSTER", "SLOTS"}, {"CLUSTER", "NODES"},
			{"CLUSTER", "SHARDS"}, {"CLUSTER", "INFO"}, {"CLUSTER", "MYID"}, {"RESTORE", "k2", "0", dump.Str}, {"ACL", "WHOAMI"}, {"ACL", "LIST"}, {"COMMAND", "COUNT"},
			{"HELLO", "3"}, {"SLOWLOG", "GET"}, {"EVAL", "return 1", "0"}, {"FUNCTION", "LIST"}, {"MEMORY", "USAGE", "k"}, {"FLUSHALL"}, {"FLUSHDB"}, {"DBSIZE"}, {"MONITOR"}} {
			if _, err := c.Do(ctx, args...); err != nil {
				t.Errorf("%v: %v", args, err)
			}
		}
	})
}

// A value whose checksum is right and whose inside is not could make an engine read what is not its own.
func TestForgedValuesAreNotRestored(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		c := kftest.Engine(t, e, kftest.InCluster()).Client(t)
		if _, err := c.Do(ctx, "HSET", "h", "f", "v"); err != nil {
			t.Fatal(err)
		}
		dump, err := c.Do(ctx, "DUMP", "h")
		if err != nil {
			t.Fatal(err)
		}
		forged := []byte(dump.Str)
		at := bytes.Index(forged, []byte("\x81f\x02")) // an entry of one byte
		if at < 0 {
			t.Fatalf("no entry in %q", forged)
		}
		forged[at] = 0xbf // of 63
		end := len(forged) - 8
		binary.LittleEndian.PutUint64(forged[end:], crc64.Update(0, forged[:end]))
		if v, err := c.Do(ctx, "RESTORE", "forged", "0", string(forged)); err == nil || !strings.Contains(err.Error(), "Bad data format") {
			t.Errorf("a forged value: %+v, %v", v, err)
		}
	})
}

// A cache looks like one server to a plain client, and like a cluster to a cluster client.
func TestPlainAndClusterClients(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		for name, opts := range map[string][]kftest.Option{"plain": {kftest.InCluster()}, "tls": {kftest.InCluster(), kftest.WithTLS()}} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx := kftest.Context(t)
				n := kftest.Engine(t, e, opts...)
				plain := redis.NewClient(&redis.Options{Addr: n.Addr(), TLSConfig: n.TLSConfig(t)})
				defer plain.Close()
				cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{n.Addr()}, TLSConfig: n.TLSConfig(t)})
				defer cluster.Close()
				for i := range 50 {
					a, b := "plain"+strconv.Itoa(i), "cluster"+strconv.Itoa(i)
					if err := plain.Set(ctx, a, i, 0).Err(); err != nil {
						t.Fatal(err)
					}
					if err := cluster.Set(ctx, b, i, 0).Err(); err != nil {
						t.Fatal(err)
					}
					if got, err := cluster.Get(ctx, a).Int(); got != i || err != nil {
						t.Fatalf("%s: %d, %v", a, got, err)
					}
					if got, err := plain.Get(ctx, b).Int(); got != i || err != nil {
						t.Fatalf("%s: %d, %v", b, got, err)
					}
				}
				//lint:ignore SA1019 older clients ask it
				slots, err := plain.ClusterSlots(ctx).Result()
				if err != nil || len(slots) != 1 || slots[0].Start != 0 || slots[0].End != 16383 || slots[0].Nodes[0].Addr != n.Addr() {
					t.Fatalf("%+v, %v", slots, err)
				}
				shards, err := plain.ClusterShards(ctx).Result()
				if err != nil || len(shards) != 1 || shards[0].Nodes[0].IP != n.Lease.Address {
					t.Fatalf("%+v, %v", shards, err)
				}
				if n.TLSConfig(t) != nil {
					if c, err := net.Dial("tcp", n.Addr()); err == nil {
						rc := resp.NewConn(c, resp.Limits{})
						if v, err := rc.Do(ctx, "PING"); err == nil {
							t.Errorf("plain text is answered by %+v", v)
						}
						rc.Close()
					}
				}
			})
		}
	})
}

func TestUsersAreReplacedInARunningNode(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		n := kftest.Engine(t, e)
		open := n.Client(t)
		users := []engine.User{{Name: "app", Hashes: []string{engine.NewSecret("pw").Hash()}, Access: "on ~app:* +@all"}}
		if err := n.Sup.SetUsers(ctx, n.ID, users); err != nil {
			t.Fatal(err)
		}
		if v, err := open.Do(ctx, "PING"); err == nil {
			t.Errorf("an account that is no more is answered by %+v", v)
		}
		c := n.Client(t)
		if _, err := c.Do(ctx, "PING"); !resp.IsCode(err, "NOAUTH") {
			t.Errorf("without login: %v", err)
		}
		if err := c.Auth(ctx, "app", "pw"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Do(ctx, "SET", "app:k", "v"); err != nil {
			t.Error(err)
		}
		for _, args := range [][]string{{"SET", "other", "v"}, {"CONFIG", "GET", "port"}} {
			if _, err := c.Do(ctx, args...); !resp.IsCode(err, "NOPERM") {
				t.Errorf("%v: %v", args, err)
			}
		}
		if who := fmt.Sprint(n.Do(t, "ACL", "WHOAMI").Str); who != engine.AdminUser {
			t.Errorf("admin is %s", who)
		}
	})
}
