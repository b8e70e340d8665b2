package cli

import (
	"bufio"
	stdbytes "bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/rdb"
)

// groupsOf are so many groups, each with one consumer more than the last and as many pending entries.
func groupsOf(n int) (all []rdb.Group) {
	for i := range n {
		g := rdb.Group{Name: fmt.Appendf(nil, "g\xff%d", i), LastID: rdb.StreamID{Ms: 7, Seq: uint64(i)}, EntriesRead: int64(i) - 1}
		for j := range i {
			c := rdb.Consumer{Name: fmt.Appendf(nil, "c%d", j), SeenAt: 1700000000123}
			for k := range j {
				id := rdb.StreamID{Ms: uint64(j), Seq: uint64(k)}
				g.Pending = append(g.Pending, rdb.Pending{ID: id, DeliveredAt: 1700000000456, Deliveries: uint64(k)})
				c.Pending = append(c.Pending, id)
			}
			g.Consumers = append(g.Consumers, c)
		}
		all = append(all, g)
	}
	return all
}

// Groups are written part by part as if each had been written whole.
func TestGroupsJSON(t *testing.T) {
	t.Parallel()
	type pending struct {
		ID          string
		DeliveredAt time.Time
		Deliveries  uint64
	}
	type consumer struct {
		Name    jsonText
		SeenAt  time.Time
		Pending []string
	}
	type group struct {
		Name      jsonText
		LastID    string
		Read      int64
		Pending   []pending
		Consumers []consumer
	}
	for n := range 5 {
		groups := groupsOf(n)
		lines := []string{}
		for _, g := range groups {
			whole := group{g.Name, g.LastID.String(), g.EntriesRead, []pending{}, []consumer{}}
			for _, p := range g.Pending {
				whole.Pending = append(whole.Pending, pending{p.ID.String(), instant(p.DeliveredAt), p.Deliveries})
			}
			for _, c := range g.Consumers {
				one := consumer{c.Name, instant(c.SeenAt), []string{}}
				for _, id := range c.Pending {
					one.Pending = append(one.Pending, id.String())
				}
				whole.Consumers = append(whole.Consumers, one)
			}
			line, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, "\n  "+string(line))
		}
		last := ""
		if n > 0 {
			last = "\n"
		}
		wanted := `,"LastID":"9-0","Groups":[` + strings.Join(lines, ",") + last + "]}}\n"
		path := put(t, "a.rdb", file(t, 11, pair{"s", 0, &rdb.Stream{StreamState: rdb.StreamState{LastID: rdb.StreamID{Ms: 9}, Groups: groups}}}))
		got := want(t, 0, nil, "rdb", "get", path, "s", "-o", "json")
		if !json.Valid([]byte(got)) || !strings.HasSuffix(got, wanted) {
			t.Errorf("%d groups are\n%swant\n%s", n, got, wanted)
		}
	}
	path := put(t, "a.rdb", file(t, 11, pair{"s", 0, &rdb.Stream{StreamState: rdb.StreamState{LastID: rdb.StreamID{Ms: 9}, Groups: groupsOf(3)}}}))
	text := "# last ID 9-0, 0 entries\n# group g\\xff0 at 7-0, 0 pending\n# group g\\xff1 at 7-1, 0 pending\n#   consumer c0, 0 pending\n" +
		"# group g\\xff2 at 7-2, 1 pending\n#   consumer c0, 0 pending\n#   consumer c1, 1 pending\n"
	if got := want(t, 0, nil, "rdb", "get", path, "s"); got != text {
		t.Errorf("got\n%swant\n%s", got, text)
	}
}

// heapMeter notes the most memory that is in use while something is read from it and written to it.
type heapMeter struct {
	io.Reader
	calls int
	most  uint64
}

func (m *heapMeter) Read(p []byte) (int, error) {
	if m.calls++; m.calls%4 == 0 {
		m.note()
	}
	return m.Reader.Read(p)
}

func (m *heapMeter) Write(p []byte) (int, error) {
	if m.calls++; m.calls%100 == 0 {
		m.note()
	}
	return len(p), nil
}

func (m *heapMeter) note() {
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	m.most = max(m.most, now.HeapAlloc)
}

// However many entries are pending, what is shown of them passes through. Not in parallel: it looks at the memory of the process.
func TestGetOfPendingEntries(t *testing.T) {
	const pending = 150_000 // which are 7.2 MB at once
	g := rdb.Group{Name: []byte("g"), Consumers: []rdb.Consumer{{Name: []byte("c")}}}
	for i := range uint64(pending) {
		g.Pending = append(g.Pending, rdb.Pending{ID: rdb.StreamID{Ms: i}})
		g.Consumers[0].Pending = append(g.Consumers[0].Pending, rdb.StreamID{Ms: i})
	}
	data := file(t, 11, pair{"s", 0, &rdb.Stream{StreamState: rdb.StreamState{Groups: []rdb.Group{g}}}})
	g = rdb.Group{}
	for name, show := range map[string]func(*bufio.Writer, *rdb.Record) error{
		"json": func(out *bufio.Writer, r *rdb.Record) error { return showJSON(out, r, r.Value) },
		"text": func(out *bufio.Writer, r *rdb.Record) error { return showText(out, r, r.Value, true) },
	} {
		m := heapMeter{Reader: stdbytes.NewReader(data)}
		runtime.GC() // the first one leaves what sync.Pool holds
		m.note()
		before := m.most
		out := bufio.NewWriterSize(&m, 64<<10)
		for r, err := range rdb.NewScanner(&m, rdb.Options{}).Records() {
			if err == nil {
				err = show(out, r)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if m.most > before+3<<20 {
			t.Errorf("%s: %d bytes are held for %d pending entries", name, m.most-before, pending)
		}
	}
}
