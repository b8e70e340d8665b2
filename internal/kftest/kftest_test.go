package kftest

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

func TestEngineServesClients(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		for name, opts := range map[string][]Option{"plain": nil, "cluster": {InCluster()}, "tls": {WithTLS()}, "tls cluster": {InCluster(), WithTLS()}} {
			t.Run(fmt.Sprintf("%s %s", e, name), func(t *testing.T) {
				t.Parallel()
				n := Engine(t, e, opts...)
				c := n.Client(t)
				if _, err := c.Do(Context(t), "SET", "k", "v"); err != nil {
					t.Fatal(err)
				}
				v, err := c.Do(Context(t), "GET", "k")
				if err != nil || v.Str != "v" {
					t.Fatalf("got %q, %v", v.Str, err)
				}
				if id := n.Do(t, "ACL", "WHOAMI").Str; id != engine.AdminUser {
					t.Fatalf("admin is %q", id)
				}
			})
		}
	}
}

func TestReplicaFollows(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			p := Engine(t, e)
			p.Do(t, "SET", "k", "v")
			r := Engine(t, e, ReplicaOf(p))
			r.WaitLink(t)
			if v := r.Do(t, "GET", "k"); v.Str != "v" {
				t.Fatalf("replica has %q", v.Str)
			}
		})
	}
}

func TestClusterServesAllSlots(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		for _, opts := range [][]Option{nil, {WithTLS()}} {
			t.Run(fmt.Sprint(e, " tls ", len(opts) == 1), func(t *testing.T) {
				t.Parallel()
				nodes := Cluster(t, e, 3, 1, opts...)
				seen := 0
				for i := range 100 {
					key := "key" + strconv.Itoa(i)
					slot, _ := nodes[0].Do(t, "CLUSTER", "KEYSLOT", key).Integer()
					for _, n := range nodes[:3] {
						if r := n.Slots[0]; int(slot) >= r.Start && int(slot) <= r.End {
							n.Do(t, "SET", key, "v")
							seen++
						}
					}
				}
				if seen != 100 {
					t.Fatalf("%d of 100 keys have a shard", seen)
				}
			})
		}
	}
}

func TestMemcached(t *testing.T) {
	t.Parallel()
	n := Engine(t, engine.Memcached)
	if n.Sup.PID(n.ID) == 0 {
		t.Fatal("no process")
	}
}
