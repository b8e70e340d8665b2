package capture

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

func slotOf(key string) int { return rdb.KeySlot([]byte(key)) }

func TestLayoutMustBeThatOfTheTargets(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Valkey, 3, 1)
	target := func(n *kftest.Node, slots ...resource.SlotRange) Target {
		return Target{Primary: source(t, n), Slots: slots, W: io.Discard}
	}
	all := func() []Target {
		return []Target{target(nodes[0], nodes[0].Slots...), target(nodes[1], nodes[1].Slots...), target(nodes[2], nodes[2].Slots...)}
	}
	for name, change := range map[string]func([]Target) []Target{
		"a shard is missing":           func(t []Target) []Target { return t[:2] },
		"a shard twice":                func(t []Target) []Target { return []Target{t[0], t[1], t[1]} },
		"a replica as primary":         func(ts []Target) []Target { ts[0].Primary = source(t, nodes[3]); return ts },
		"slots of another":             func(t []Target) []Target { t[0].Slots, t[1].Slots = t[1].Slots, t[0].Slots; return t },
		"fewer slots":                  func(t []Target) []Target { t[0].Slots = []resource.SlotRange{{Start: 0, End: 5}}; return t },
		"one of three, with all slots": func(t []Target) []Target { t[0].Slots = resource.AllSlots; return t[:1] },
	} {
		if _, err := Capture(kftest.Context(t), change(all()), Options{}); !errors.Is(err, ErrLayout) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Capture(kftest.Context(t), append(all(), target(nodes[1])), Options{}); err == nil {
		t.Error("a shard without slots was captured among those that have some")
	}
	if cut, err := Capture(kftest.Context(t), all(), Options{}); err != nil || !cut.Instant {
		t.Errorf("as it is: %+v, %v", cut, err)
	}
}

// What moves while the shards are cut is seen before a byte counts.
func TestLayoutMustNotChangeMeanwhile(t *testing.T) {
	t.Parallel()
	id := func(n *kftest.Node) string { return engine.ClusterID(n.ID) }
	for name, change := range map[string]func(t *testing.T, nodes []*kftest.Node){
		"a slot begins to move": func(t *testing.T, nodes []*kftest.Node) {
			nodes[0].Do(t, "CLUSTER", "SETSLOT", "0", "MIGRATING", id(nodes[1]))
		},
		"a slot is awaited": func(t *testing.T, nodes []*kftest.Node) {
			nodes[1].Do(t, "CLUSTER", "SETSLOT", "0", "IMPORTING", id(nodes[0]))
		},
		"a slot has moved": func(t *testing.T, nodes []*kftest.Node) {
			nodes[1].Do(t, "CLUSTER", "SETSLOT", "0", "IMPORTING", id(nodes[0]))
			nodes[1].Do(t, "CLUSTER", "SETSLOT", "0", "NODE", id(nodes[1]))
		},
		"a replica takes over": func(t *testing.T, nodes []*kftest.Node) {
			nodes[3].Do(t, "CLUSTER", "FAILOVER", "TAKEOVER")
			old := nodes[0].Admin(t)
			kftest.Eventually(t, "the old primary to give way", func() error {
				info, err := old.Info(kftest.Context(t), "replication")
				if err == nil && info["role"] != "slave" {
					err = errors.New("it has not")
				}
				return err
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, when := range []string{"before", "meanwhile"} {
				nodes := kftest.Cluster(t, engine.Redis, 3, 1)
				var o Options
				if when == "before" {
					change(t, nodes)
				} else {
					o.Pause = 20 * time.Second
					o.test.paused = func() { change(t, nodes) }
				}
				_, err := captureAll(kftest.Context(t), t, nodes, 3, o)
				if !errors.Is(err, ErrLayout) && !errors.Is(err, ErrLink) && !errors.Is(err, ErrTemporary) {
					t.Errorf("%s: got %v", when, err)
				}
				for i, n := range nodes {
					if n.Do(t, "PING"); i < 3 && name != "a slot has moved" && name != "a replica takes over" {
						writable(t, n)
					}
				}
			}
		})
	}
}

func TestARecordOfAnotherShardFails(t *testing.T) {
	t.Parallel()
	p := startPrimary(t, &primary{stream: sends(recording(t, "yes"))})
	o := Options{}.withDefaults()
	for _, missing := range []int{slotOf("key77"), -1} {
		f, err := connect(kftest.Context(t), Source{Address: p.addr}, o)
		if err != nil {
			t.Fatal(err)
		}
		defer f.link.close()
		if err := errors.Join(f.fork(kftest.Context(t)), f.begin(kftest.Context(t))); err != nil {
			t.Fatal(err)
		}
		slots := &rdb.SlotSet{}
		slots.Add(0, missing-1)
		slots.Add(missing+1, rdb.Slots-1)
		var out bytes.Buffer
		if _, err := f.transfer(kftest.Context(t), &out, slots, o); errors.Is(err, ErrLayout) != (missing >= 0) {
			t.Errorf("slot %d is not the shard's: %v", missing, err)
		}
	}
}

// A login that may not hold writes gets every shard, each at its own instant, and is told so.
func TestWithoutPermissionEachShardShowsItsOwnInstant(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Valkey, 2, 0)
	for _, n := range nodes {
		n.Do(t, "ACL", "SETUSER", "reader", "on", ">secret", "+ping", "+replconf", "+psync", "+info", "+cluster|nodes")
		n.Do(t, "SET", keyOf(n), "v")
	}
	var targets []Target
	for _, n := range nodes {
		targets = append(targets, Target{Primary: Source{Address: n.Addr(), User: "reader", Password: engine.NewSecret("secret")}, Slots: n.Slots, W: io.Discard})
	}
	cut, err := Capture(kftest.Context(t), targets, Options{Tries: 2})
	if err != nil {
		t.Fatal(err)
	}
	if cut.Instant || cut.Pause != 0 || cut.Tries != 2 || !strings.Contains(cut.Reason, "NOPERM") || cut.Shards[0].Summary.Keys != 1 || cut.Shards[1].Summary.Keys != 1 {
		t.Errorf("%+v", cut)
	}
}

// An attempt that took longer than the pause lasted proves nothing, and another is made.
func TestAPauseThatRanOutIsNoProof(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Valkey, 2, 0)
	o := Options{Pause: 2 * time.Second}
	slow := true
	o.test.psync = func(shard int) {
		if shard == 1 && slow {
			slow = false
			time.Sleep(o.Pause)
		}
	}
	got, err := captureAll(kftest.Context(t), t, nodes, 2, o)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Instant || got.Tries < 2 {
		t.Errorf("%+v", got.Cut)
	}
}

// An engine that is busy with its append-only file cannot fork for us: it is waited for before anything is held.
func TestAnotherChildIsWaitedFor(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Valkey, 2, 0, kftest.WithAOF())
	fillCluster(t, nodes[0], 1<<20)
	c := nodes[1].Admin(t)
	nodes[1].Do(t, "CONFIG", "SET", "rdb-key-save-delay", "2000")
	nodes[1].Do(t, "BGREWRITEAOF")
	nodes[1].Do(t, "CONFIG", "SET", "rdb-key-save-delay", "0")
	o := Options{}
	o.test.paused = func() {
		if info, err := c.Info(kftest.Context(t), "persistence"); err != nil || busy(info) {
			t.Errorf("writes are held while a child runs: %v", err)
		}
	}
	got, err := captureAll(kftest.Context(t), t, nodes, 2, o)
	if err != nil || !got.Instant {
		t.Errorf("%+v, %v", got.Cut, err)
	}
}

func TestProgressOfShardsAddsUp(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Valkey, 2, 0)
	fillCluster(t, nodes[0], 4<<20)
	for _, diskless := range []string{"yes", "no"} {
		for _, n := range nodes {
			n.Do(t, "CONFIG", "SET", "repl-diskless-sync", diskless)
		}
		var last, of int64
		got, err := captureAll(kftest.Context(t), t, nodes, 2, Options{OnProgress: func(bytes, total int64) {
			if bytes < last {
				t.Errorf("%d bytes after %d", bytes, last)
			}
			last, of = bytes, total
		}})
		if err != nil {
			t.Fatal(err)
		}
		sum := got.Shards[0].Summary.Bytes + got.Shards[1].Summary.Bytes
		if last != sum || diskless == "no" && of != sum {
			t.Errorf("diskless %s: %d of %d, want %d", diskless, last, of, sum)
		}
	}
}

func TestHistories(t *testing.T) {
	t.Parallel()
	info := resp.ParseInfo("role:slave\r\nmaster_link_status:up\r\nslave_repl_offset:7\r\nmaster_replid:a\r\n")
	at, ok := asReplica(info)
	if !ok || !at.reached(history{"a", 7}) || at.reached(history{"a", 8}) || at.reached(history{"b", 1}) {
		t.Errorf("%+v, %v", at, ok)
	}
	if _, err := asPrimary(info); !errors.Is(err, ErrLayout) {
		t.Errorf("a replica is a primary: %v", err)
	}
	info["master_link_status"] = "down"
	if _, ok := asReplica(info); ok {
		t.Error("a replica without its primary is in step")
	}
}
