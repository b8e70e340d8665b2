package dataset

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
)

func TestCluster(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Valkey, 3, 0)
	ctx := t.Context()
	server := At(nodes[1].Addr())
	cluster, err := ClusterAt(ctx, server)
	if err != nil || len(cluster) != 3 || cluster[0].Slots[0].Start != 0 || cluster[2].Slots[0].End != 16383 {
		t.Fatalf("%+v, %v", cluster, err)
	}
	spec := Spec{Keys: 600, Seed: 7}
	stats, err := cluster.Fill(ctx, spec)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := cluster.Digest(ctx, time.Time{})
	if err != nil || sum.Keys != stats.Keys || sum.Keys == 0 {
		t.Fatalf("%d keys were written and %v found, %v", stats.Keys, sum, err)
	}

	writing, stop := context.WithCancel(ctx)
	started, entries := make(chan struct{}), make(chan int64, 1)
	go func() {
		n, err := cluster.Write(writing, started)
		if err != nil {
			t.Error(err)
		}
		entries <- n
	}()
	<-started
	stop()
	if n := <-entries; n < 6 {
		t.Errorf("%d entries", n)
	}
	if pairs, err := cluster.Audit(ctx); err != nil || pairs != 6 {
		t.Errorf("%d pairs, %v", pairs, err)
	}
	torn := cluster[0].Server
	for range 2 { // two ahead
		bump(t, torn, "ledger:0-1:first:")
	}
	if _, err := cluster.Audit(ctx); !errors.Is(err, ErrTorn) {
		t.Errorf("a torn ledger: %v", err)
	}
	if err := cluster.DropLedger(ctx); err != nil {
		t.Fatal(err)
	}
	if again, err := cluster.Digest(ctx, time.Time{}); err != nil || again != sum {
		t.Errorf("without its ledger the cluster holds %v, and it held %v, %v", again, sum, err)
	}
}

// bump adds one to the counter of a ledger that a primary holds.
func bump(t *testing.T, s Server, prefix string) {
	t.Helper()
	keys, err := Primary{Server: s}.ledger(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for key := range keys {
		if strings.HasPrefix(key, prefix) {
			if _, err := c.Do(t.Context(), "INCR", key); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no key begins with %s", prefix)
}
