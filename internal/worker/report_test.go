package worker

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// A snapshot knows what is in it: what was counted as it was captured is what a scan of its parts counts, and what the manifest says.
func TestSnapshotKnowsItsKeySpace(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c, nodes := h.deploy(resource.ReplicationGroup, "orders", 3, 0)
	cluster, err := dataset.ClusterAt(t.Context(), h.reach(nodes[0]))
	h.must(err)
	filled, err := cluster.Fill(kftest.Context(t), dataset.Sized(1<<20, 1))
	h.must(err)
	h.take("s", c, nil)
	m, key, got := h.counted("s")
	if m.Format != 3 || got.Keys != m.Keys() || got.Keys != filled.Keys || got.FileBytes != m.Bytes() || got.Files != 3 || len(got.Types) != 6 || got.UsedMemory <= 0 ||
		got.Slots == nil || got.Slots.Used == 0 || !got.Prefixes.Exact {
		t.Errorf("%+v", got)
	}
	expiring := int64(0)
	var all *keyspace.Collector
	var sums []*rdb.Summary
	for i := range m.Shards {
		expiring += m.Shards[i].Expiring
		r, err := h.Store.Open(t.Context(), m, key, m.Shards[i].Name)
		h.must(err)
		part, sc, err := keyspace.Collect(r, keyspace.Options{At: got.At, Slots: true})
		h.must(err)
		_, err = io.Copy(io.Discard, r)
		h.must(err)
		h.must(r.Close())
		if sums = append(sums, sc.Summary()); all == nil {
			all = part
		} else {
			all.Merge(part)
		}
	}
	if got.Expiring != expiring {
		t.Errorf("%d keys expire, the manifest says %d", got.Expiring, expiring)
	}
	want := all.Report(sums...)
	// The shards' instants differ by the milliseconds between their forks: nothing expires in between.
	g, err := json.MarshalIndent(got, "", " ")
	h.must(err)
	w, err := json.MarshalIndent(want, "", " ")
	h.must(err)
	if !bytes.Equal(g, w) {
		t.Errorf("counted during the capture\n%.2000s\nand from the parts\n%.2000s", g, w)
	}
}

// counted is the report of a snapshot, and what it takes to read the rest of it.
func (h *hall) counted(id string) (*snapstore.Manifest, snapstore.DataKey, *keyspace.Report) {
	h.t.Helper()
	m, err := h.Store.ReadManifest(h.t.Context(), id)
	h.must(err)
	key, err := h.Store.Unlock(h.t.Context(), m)
	h.must(err)
	got, err := h.Store.ReadReport(h.t.Context(), m, key)
	h.must(err)
	return m, key, got
}

// A serverless cache is in cluster mode, and so its keys are counted by slot.
func TestServerlessSnapshotsCountSlots(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	c := h.cache(engine.Valkey, 50)
	h.snapshot("s", c)
	_, _, got := h.counted("s")
	if got.Slots == nil {
		t.Fatal("no slots")
	}
	want := map[int64]int64{}
	for i := range 50 {
		want[int64(rdb.KeySlot(fmt.Appendf(nil, "key:%d", i)))]++
	}
	for _, s := range got.Slots.Each {
		if s[1] != want[s[0]] || s[2] < 100 {
			t.Errorf("slot %d: %d keys in %d bytes, want %d", s[0], s[1], s[2], want[s[0]])
		}
	}
	if len(got.Slots.Each) != len(want) {
		t.Errorf("%d slots, want %d", len(got.Slots.Each), len(want))
	}
}
