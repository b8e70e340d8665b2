package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// taken is a capture of a cluster into memory.
type taken struct {
	*Cut
	files []bytes.Buffer
}

// captureAll captures a cluster of kftest: the primaries come first, and then as many replicas of each.
func captureAll(ctx context.Context, t testing.TB, nodes []*kftest.Node, shards int, o Options) (*taken, error) {
	t.Helper()
	all := &taken{files: make([]bytes.Buffer, shards)}
	each := len(nodes)/shards - 1
	var targets []Target
	for i := range shards {
		target := Target{Primary: source(t, nodes[i]), Slots: nodes[i].Slots, W: &all.files[i]}
		if each > 0 {
			replica := source(t, nodes[shards+i*each])
			target.Replica = &replica
		}
		targets = append(targets, target)
	}
	var err error
	all.Cut, err = Capture(ctx, targets, o)
	return all, err
}

// ledger reads the counters of a dataset.Cluster's ledger out of the files, and checks every pair.
func (c *taken) ledger(t testing.TB) (pairs int, torn error) {
	t.Helper()
	counters := map[string]int64{}
	for i := range c.files {
		file := c.files[i].Bytes()
		_, err := rdb.NewScanner(bytes.NewReader(file), rdb.Options{Keys: true, OnRecord: func(r *rdb.Record) error {
			if !bytes.HasPrefix(r.Key, []byte("ledger:")) {
				return nil
			}
			record := file[r.Offset : r.Offset+r.Size]
			value := record[bytes.Index(record, r.Key)+len(r.Key):]
			name := string(r.Key[:bytes.LastIndexByte(r.Key, ':')])
			switch value[0] {
			case 0xc0:
				counters[name] = int64(int8(value[1]))
			case 0xc1:
				counters[name] = int64(int16(binary.LittleEndian.Uint16(value[1:])))
			case 0xc2:
				counters[name] = int64(int32(binary.LittleEndian.Uint32(value[1:])))
			default:
				return fmt.Errorf("%s has the value % x", r.Key, value)
			}
			return nil
		}}).Scan()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, a := range counters {
		pair, first := strings.CutSuffix(name, ":first")
		if !first {
			continue
		}
		pairs++
		if b := counters[pair+":second"]; a != b && a != b+1 {
			torn = fmt.Errorf("%s: %d and %d", pair, a, b)
		}
	}
	return pairs, torn
}

// writing keeps a ledger until the test ends. It returns the number of entries so far as a function.
func writing(t *testing.T, n *kftest.Node) {
	t.Helper()
	cluster, err := dataset.ClusterAt(kftest.Context(t), server(t, n))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	started := make(chan struct{})
	wg.Go(func() {
		if _, err := cluster.Write(ctx, started); err != nil && ctx.Err() == nil {
			t.Errorf("writers: %v", err)
		}
	})
	kftest.Eventually(t, "writers", func() error {
		select {
		case <-started:
			return nil
		default:
			return errors.New("none yet")
		}
	})
}

func fillCluster(t testing.TB, n *kftest.Node, bytes int64) {
	t.Helper()
	cluster, err := dataset.ClusterAt(kftest.Context(t), server(t, n))
	if err == nil {
		_, err = cluster.Fill(kftest.Context(t), dataset.Sized(bytes, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Writers write each pair of counters on two shards, first the one and then the other: of shards that are not cut at one instant some pair
// shows it soon.
func TestShardsAreCutAtOneInstant(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		for _, replicas := range []int{0, 1} {
			t.Run(fmt.Sprintf("%s %d replicas", e, replicas), func(t *testing.T) {
				t.Parallel()
				nodes := kftest.Cluster(t, e, 3, replicas)
				fillCluster(t, nodes[0], 3<<20)
				writing(t, nodes[0])
				known := 0 // forks: an engine that is slow to answer is not waited for
				for i := range 5 {
					got, err := captureAll(kftest.Context(t), t, nodes, 3, Options{})
					if err != nil {
						t.Fatal(err)
					}
					pairs, torn := got.ledger(t)
					if !got.Instant || pairs != 6 || torn != nil {
						t.Errorf("cut %d: %+v, %d pairs, %v", i, got.Cut, pairs, torn)
					}
					if got.Pause <= 0 || got.At.IsZero() || got.Reason != "" {
						t.Errorf("cut %d: %+v", i, got.Cut)
					}
					if got.Fork > 0 {
						known++
					}
					for k, r := range got.Shards {
						want := nodes[k]
						if replicas > 0 && got.Tries < 3 {
							want = nodes[3+k]
						}
						if r.Source != want.Addr() {
							t.Errorf("shard %d was taken from %s", k, r.Source)
						}
					}
					t.Logf("pause %v, slowest fork %v, %d tries", got.Pause, got.Fork, got.Tries)
				}
				if known == 0 {
					t.Error("no cut knows what its forks took")
				}
			})
		}
	}
}

// The writers do show it: with time between the forks and nothing that holds them, the same check fails, and with the pause it does not.
func TestWithoutThePauseThereIsNoInstant(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Valkey, 3, 0)
	writing(t, nodes[0])
	for _, noPause := range []bool{true, false} {
		n := nodes[0].Admin(t)
		o := Options{Pause: 10 * time.Second}
		o.test.noPause = noPause
		o.test.psync = func(shard int) {
			if shard == 0 {
				return
			}
			// Long enough for a hundred entries, if any can be written.
			before, deadline := commands(t, n), time.Now().Add(time.Second)
			if noPause {
				deadline = time.Now().Add(kftest.Patience) // they can, however slow the machine is
			}
			for time.Now().Before(deadline) && commands(t, n) < before+400 {
				time.Sleep(time.Millisecond)
			}
		}
		got, err := captureAll(kftest.Context(t), t, nodes, 3, o)
		if err != nil {
			t.Fatal(err)
		}
		if _, torn := got.ledger(t); (torn != nil) != noPause {
			t.Errorf("pause taken out: %v; the ledger: %v", noPause, torn)
		}
	}
}

// commands counts what an engine has executed.
func commands(t testing.TB, c interface {
	Info(context.Context, string) (map[string]string, error)
}) int64 {
	info, err := c.Info(kftest.Context(t), "stats")
	if err != nil {
		t.Error(err)
		return 0
	}
	n, _ := strconv.ParseInt(info["total_commands_processed"], 10, 64)
	return n
}
