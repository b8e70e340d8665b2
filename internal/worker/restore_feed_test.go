package worker

import (
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// A primary that does not even start ends the restore with its own reason, whoever notices first.
func TestSpreadEndsWithAStart(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	choice, err := h.Catalog.Resolve(engine.Valkey, "")
	h.must(err)
	n := &resource.Node{ID: "nowhere"}
	to := &receiver{primaries: []*resource.Node{n}, slots: []*rdb.SlotSet{slotSet(resource.AllSlots)}, binary: choice}
	want := h.Engines.StartWith(t.Context(), n.ID, nil)
	if want == nil {
		t.Fatal("a node that does not exist was started")
	}
	for begun := time.Now(); time.Since(begun) < time.Second; {
		if _, err := h.spread(t.Context(), nil, to, map[string]bool{n.ID: true}, &progress{}); err == nil || err.Error() != want.Error() {
			t.Fatalf("it ended with %v, want %v", err, want)
		}
	}
}
