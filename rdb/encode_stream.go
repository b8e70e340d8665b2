package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// A node of a stream has so many entries, or fewer if they are large.
const (
	nodeEntries     = 100
	streamNodeBytes = 4 << 10
)

// chooseStream returns the form of streams that the version has.
func (e *encoder) chooseStream(d *Stream) (byte, error) {
	if d == nil {
		return 0, errors.New("rdb: a stream that is nil cannot be written")
	}
	last := StreamID{}
	for _, entry := range d.Entries {
		if entry.ID.Compare(last) <= 0 {
			return 0, errOrder(entry.ID, last)
		}
		if len(entry.Fields) == 0 || len(entry.Fields) > maxFields {
			return 0, errFields(entry)
		}
		last = entry.ID
	}
	return e.streamType(), d.check()
}

func (e *encoder) streamType() byte {
	switch {
	case e.version >= 11:
		return typeStream3
	case e.version == 10:
		return typeStream2
	}
	return typeStream1
}

func errOrder(id, last StreamID) error {
	return fmt.Errorf("rdb: a stream's entry %s after %s cannot be written", id, last)
}

func errFields(entry StreamEntry) error {
	return fmt.Errorf("rdb: a stream's entry %s with %d fields cannot be written", entry.ID, len(entry.Fields))
}

// check wants what engines want of groups: names once, and every pending entry
// with exactly one consumer.
func (st *StreamState) check() error {
	groups := make(map[string]bool, len(st.Groups))
	for _, g := range st.Groups {
		if groups[string(g.Name)] {
			return fmt.Errorf("rdb: a stream with two groups %.60q cannot be written", g.Name)
		}
		groups[string(g.Name)] = true
		if err := g.check(); err != nil {
			return fmt.Errorf("rdb: a stream's group %.60q cannot be written: %w", g.Name, err)
		}
	}
	return nil
}

func (g *Group) check() error {
	owned := make(map[StreamID]bool, len(g.Pending))
	for _, p := range g.Pending {
		if _, twice := owned[p.ID]; twice {
			return fmt.Errorf("entry %s is pending twice", p.ID)
		}
		owned[p.ID] = false
	}
	consumers := make(map[string]bool, len(g.Consumers))
	n := 0
	for _, c := range g.Consumers {
		if consumers[string(c.Name)] {
			return fmt.Errorf("there are two consumers %.60q", c.Name)
		}
		consumers[string(c.Name)] = true
		for _, id := range c.Pending {
			taken, pending := owned[id]
			if taken || !pending {
				return fmt.Errorf("consumer %.60q cannot have entry %s", c.Name, id)
			}
			owned[id] = true
			n++
		}
	}
	if n != len(g.Pending) {
		return fmt.Errorf("%d pending entries have no consumer", len(g.Pending)-n)
	}
	return nil
}

// stream writes a stream of a form that chooseStream returned.
func (e *encoder) stream(t byte, d *Stream) {
	size := 0
	for _, entry := range d.Entries {
		size += 16
		for _, f := range entry.Fields {
			size += len(f.Name) + len(f.Value) + 4
		}
	}
	each := nodeEntries
	if n := len(d.Entries); n > 0 {
		each = min(max(streamNodeBytes*n/size, 1), nodeEntries)
	}
	e.length(uint64((len(d.Entries) + each - 1) / each))
	var node nodeBuilder
	for i, entry := range d.Entries {
		if i%each == 0 {
			e.node(&node)
			node.begin(entry.ID)
		}
		node.add(entry)
	}
	e.node(&node)
	st := d.StreamState
	st.Length, st.FirstID = uint64(len(d.Entries)), StreamID{}
	if len(d.Entries) > 0 {
		st.FirstID = d.Entries[0].ID
		st.raise(d.Entries[len(d.Entries)-1].ID)
	}
	e.streamState(t, &st)
}

// raise makes the state fit entries up to last.
func (st *StreamState) raise(last StreamID) {
	if st.LastID.Compare(last) < 0 {
		st.LastID = last
	}
	st.EntriesAdded = max(st.EntriesAdded, st.Length)
}

// nodeBuilder collects the entries of a node. Their number comes first in it, so
// that nothing can be packed before all are there.
type nodeBuilder struct {
	first  StreamID
	names  [][]byte
	n      int
	spans  []span
	fields []Pair
}

// span is one entry: so many fields from the one in front, and whether they have
// the names of the node's first.
type span struct {
	id     StreamID
	fields int
	same   bool
}

func (b *nodeBuilder) begin(first StreamID) {
	b.first, b.n, b.names, b.spans, b.fields = first, 0, b.names[:0], b.spans[:0], b.fields[:0]
}

// add takes an entry, whose slices must stay good until the node is written.
func (b *nodeBuilder) add(entry StreamEntry) {
	if b.n == 0 {
		for _, f := range entry.Fields {
			b.names = append(b.names, f.Name)
		}
	}
	same := len(entry.Fields) == len(b.names)
	for i := 0; same && i < len(b.names); i++ {
		same = bytes.Equal(b.names[i], entry.Fields[i].Name)
	}
	b.spans = append(b.spans, span{entry.ID, len(entry.Fields), same})
	b.fields = append(b.fields, entry.Fields...)
	b.n++
}

// node writes a node, if there are entries in it.
func (e *encoder) node(b *nodeBuilder) {
	if b.n == 0 {
		return
	}
	e.length(streamID)
	e.rawID(b.first)
	pack := &e.pack
	pack.Reset()
	pack.AddInt(int64(b.n))
	pack.AddInt(0) // deleted
	pack.AddInt(int64(len(b.names)))
	for _, name := range b.names {
		pack.Add(name)
	}
	pack.AddInt(0)
	fields := b.fields
	for _, s := range b.spans {
		flags, pieces := int64(0), int64(2*s.fields+4)
		if s.same {
			flags, pieces = entrySameFields, int64(s.fields+3)
		}
		pack.AddInt(flags)
		pack.AddInt(int64(s.id.Ms - b.first.Ms))
		pack.AddInt(int64(s.id.Seq - b.first.Seq))
		if !s.same {
			pack.AddInt(int64(s.fields))
		}
		for _, f := range fields[:s.fields] {
			if !s.same {
				pack.Add(f.Name)
			}
			pack.Add(f.Value)
		}
		fields = fields[s.fields:]
		pack.AddInt(pieces)
	}
	e.text(pack.Bytes())
	b.n = 0
}

// streamState writes what follows the nodes.
func (e *encoder) streamState(t byte, st *StreamState) {
	form := streamForm(t)
	e.length(st.Length)
	e.id(st.LastID)
	if form >= 2 {
		e.id(st.FirstID)
		e.id(st.MaxDeletedID)
		e.length(max(st.EntriesAdded, st.Length))
	}
	e.length(uint64(len(st.Groups)))
	for _, g := range st.Groups {
		e.text(g.Name)
		e.id(g.LastID)
		if form >= 2 {
			e.length(uint64(g.EntriesRead))
		}
		e.length(uint64(len(g.Pending)))
		for _, p := range inOrder(g.Pending, func(a, b Pending) int { return a.ID.Compare(b.ID) }) {
			e.rawID(p.ID)
			e.fixed64(uint64(p.DeliveredAt))
			e.length(p.Deliveries)
			e.spill()
		}
		e.length(uint64(len(g.Consumers)))
		for _, c := range g.Consumers {
			e.text(c.Name)
			e.fixed64(uint64(c.SeenAt))
			if form >= 3 {
				e.fixed64(uint64(c.ActiveAt))
			}
			e.length(uint64(len(c.Pending)))
			for _, id := range inOrder(c.Pending, StreamID.Compare) {
				e.rawID(id)
				e.spill()
			}
		}
	}
}

// inOrder returns a list in order, as engines keep and write it.
func inOrder[T any](list []T, compare func(a, b T) int) []T {
	if slices.IsSortedFunc(list, compare) {
		return list
	}
	return slices.SortedFunc(slices.Values(list), compare)
}
