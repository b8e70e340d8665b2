package snapstore

import (
	"reflect"
	"testing"
	"time"
)

// What came with format 2 is written, read back and proven like the rest; a manifest that does without stays readable by what knows format 1 only.
func TestOldestFormatThatServes(t *testing.T) {
	t.Parallel()
	s := newStore(t, newBucket(t), Options{})
	plain, _ := put(t, s, "plain", map[string][]byte{"0001": stream(1, 1000)})
	if plain.Format != 1 {
		t.Errorf("a manifest without newer members is of format %d", plain.Format)
	}
	for name, add := range map[string]func(*Manifest){
		"cut":    func(m *Manifest) { m.Cut = &Cut{PauseMicros: 9000, ForkMicros: 7000, Tries: 2, Reason: "why not"} },
		"node":   func(m *Manifest) { m.Shards[0].Node = "orders-0001-001" },
		"cut-at": func(m *Manifest) { m.Shards[0].CutAt = time.Unix(1700000000, 0).UTC() },
	} {
		key := fixedKey(t)
		m := *plain
		m.SnapshotID, m.Shards = name, append([]Shard(nil), plain.Shards...)
		add(&m)
		if err := s.WriteManifest(t.Context(), &m, key); err != nil {
			t.Fatal(err)
		}
		got, err := s.ReadManifest(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Unlock(t.Context(), got); err != nil || got.Format != 2 || !reflect.DeepEqual(got.Cut, m.Cut) || !reflect.DeepEqual(got.Shards, m.Shards) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
