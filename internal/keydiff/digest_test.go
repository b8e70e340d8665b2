package keydiff

import (
	"bytes"
	"hash/maphash"
	"runtime"
	"testing"

	"github.com/keyframe/keyframe/rdb"
)

// streamFile is a file with one stream.
func streamFile(t *testing.T, st rdb.StreamState) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := rdb.NewWriter(&b, rdb.WriterOptions{Version: 11})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(rdb.Meta{Key: []byte("s")}, &rdb.Stream{StreamState: st}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func digest(t *testing.T, h *hasher, file []byte) (sum hash128) {
	t.Helper()
	for r, err := range rdb.NewScanner(bytes.NewReader(file), rdb.Options{}).Records() {
		if err == nil {
			sum, err = h.value(r.Value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return sum
}

func newHasher() *hasher {
	return &hasher{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
}

// groupsOf has two groups: one with two consumers that share three pending entries, and one with nothing.
func groupsOf(change func(g *rdb.Group)) []rdb.Group {
	id := func(ms uint64) rdb.StreamID { return rdb.StreamID{Ms: ms} }
	all := []rdb.Group{
		{Name: []byte("g"), LastID: id(9), Pending: []rdb.Pending{{ID: id(1), DeliveredAt: 5, Deliveries: 1}, {ID: id(2), DeliveredAt: 5, Deliveries: 1}, {ID: id(3), DeliveredAt: 5, Deliveries: 1}},
			Consumers: []rdb.Consumer{{Name: []byte("a"), Pending: []rdb.StreamID{id(1), id(2)}}, {Name: []byte("b"), Pending: []rdb.StreamID{id(3)}}}},
		{Name: []byte("h"), LastID: id(9)},
	}
	change(&all[0])
	return all
}

// Two streams are the same if as many deliveries of the same entries wait for the same consumers, in whatever order these are stored.
func TestGroupsOfStreams(t *testing.T) {
	t.Parallel()
	h := newHasher()
	of := func(groups []rdb.Group) hash128 {
		return digest(t, h, streamFile(t, rdb.StreamState{LastID: rdb.StreamID{Ms: 9}, Groups: groups}))
	}
	base := of(groupsOf(func(*rdb.Group) {}))
	same := func(g *rdb.Group) {
		g.Consumers[0], g.Consumers[1] = g.Consumers[1], g.Consumers[0]
		g.Consumers[0].SeenAt, g.Pending[1].DeliveredAt, g.EntriesRead = 77, 78, 79
	}
	if of(groupsOf(same)) != base {
		t.Error("order and times count")
	}
	turned := groupsOf(same)
	turned[0], turned[1] = turned[1], turned[0]
	if of(turned) != base {
		t.Error("the order of groups counts")
	}
	for name, change := range map[string]func(g *rdb.Group){
		"name":       func(g *rdb.Group) { g.Name = []byte("G") },
		"last ID":    func(g *rdb.Group) { g.LastID.Seq++ },
		"deliveries": func(g *rdb.Group) { g.Pending[1].Deliveries++ },
		"consumer":   func(g *rdb.Group) { g.Consumers[1].Name = []byte("c") },
		"another's": func(g *rdb.Group) {
			g.Consumers[0].Pending, g.Consumers[1].Pending = g.Consumers[1].Pending, g.Consumers[0].Pending
		},
		"one more":      func(g *rdb.Group) { g.Consumers = append(g.Consumers, rdb.Consumer{Name: []byte("c")}) },
		"another entry": func(g *rdb.Group) { g.Pending[2].ID.Ms, g.Consumers[1].Pending[0].Ms = 4, 4 },
		"acknowledged":  func(g *rdb.Group) { g.Pending, g.Consumers[1].Pending = g.Pending[:2], nil },
	} {
		if of(groupsOf(change)) == base {
			t.Errorf("a change is not seen: %s", name)
		}
	}
	moved := groupsOf(func(*rdb.Group) {})
	moved[0].Name, moved[1].Name = moved[1].Name, moved[0].Name
	if of(moved) == base {
		t.Error("it does not matter to which group entries belong")
	}
}

// A stream takes the same memory however many of its entries are pending. Not in parallel: it counts what the process allocates.
func TestPendingMemory(t *testing.T) {
	st := rdb.StreamState{Groups: []rdb.Group{{Name: []byte("g"), Consumers: []rdb.Consumer{{Name: []byte("c")}}}}}
	g := &st.Groups[0]
	for i := range uint64(100_000) {
		g.Pending = append(g.Pending, rdb.Pending{ID: rdb.StreamID{Ms: i}})
		g.Consumers[0].Pending = append(g.Consumers[0].Pending, rdb.StreamID{Ms: i})
	}
	file, h := streamFile(t, st), newHasher()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	digest(t, h, file)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes were allocated for 100000 pending entries", n)
	}
}
