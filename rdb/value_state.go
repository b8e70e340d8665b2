package rdb

import (
	"encoding/binary"
	"iter"
	"math"
)

// StatePart is one piece of what a stream knows besides its entries. One of the
// pointers says which; what it points to is good until the next part.
type StatePart struct {
	Stream   *StreamState // the first part: all but the groups
	Group    *Group       // all but its pending entries and consumers
	Pending  *Pending     // an entry that is pending in the last group
	Consumer *Consumer    // of the last group: all but its pending entries
	Owned    *StreamID    // one of the group's pending entries, which is the last consumer's

	// Next is how many Pending follow a Group, or Owned a Consumer, as the file says.
	Next uint64
}

// StateParts returns what State does, piece by piece, in the order of the file: the
// stream, then each group with its pending entries, then its consumers, each with
// its own. Entries that were not read are skipped. An error comes last. Memory holds
// one part, whatever their number.
func (v *Value) StateParts() iter.Seq2[StatePart, error] {
	return func(yield func(StatePart, error) bool) {
		err := v.walkState(func(p StatePart) bool { return yield(p, nil) })
		if err != nil && err != errStopped {
			yield(StatePart{}, err)
		}
	}
}

// State returns what a stream holds besides its entries, which it skips if they
// were not read. It is all in memory: each pending entry takes 48 bytes, and the
// lists of them up to two and a quarter times that while they grow. StateParts takes
// next to nothing.
func (v *Value) State() (*StreamState, error) {
	return v.readState(&hoard{limit: math.MaxInt64, left: math.MaxInt64})
}

// readState is State as far as h has room.
func (v *Value) readState(h *hoard) (*StreamState, error) {
	var st StreamState
	var g *Group
	var c *Consumer
	err := v.walkState(func(p StatePart) bool {
		switch {
		case p.Pending != nil:
			g.Pending = append(g.Pending, *p.Pending)
			h.left -= 32
		case p.Owned != nil:
			c.Pending = append(c.Pending, *p.Owned)
			h.left -= 16
		case p.Consumer != nil:
			g.Consumers = append(g.Consumers, *p.Consumer)
			c = &g.Consumers[len(g.Consumers)-1]
			c.Name = h.keep(c.Name, 64)
		case p.Group != nil:
			st.Groups = append(st.Groups, *p.Group)
			g = &st.Groups[len(st.Groups)-1]
			g.Name = h.keep(g.Name, 120)
		default:
			st = *p.Stream
		}
		return !h.full()
	})
	if err := h.judge(err); err != nil {
		return nil, err
	}
	return &st, nil
}

func (v *Value) walkState(yield func(StatePart) bool) error {
	if err := v.beginState(); err != nil {
		return err
	}
	for {
		p, err := v.tail.next()
		if err != nil {
			return err
		}
		if p == (StatePart{}) {
			v.stage = valueDone
			return nil
		}
		if !yield(p) {
			return errStopped
		}
	}
}

// beginState starts to read what follows a stream's nodes, and skips those that
// were not read.
func (v *Value) beginState() error {
	if v.kind != KindStream {
		return v.begin(KindStream)
	}
	if v.stage == valueFresh {
		if err := v.beginStream(); err != nil {
			return err
		}
	}
	switch v.stage {
	case valuePartly:
		if v.err == nil {
			v.err = v.s.skipStreamNodes(v.left)
		}
	case valueEntries:
	default:
		return ErrValueRead
	}
	v.stage, v.tail = valueTail, &tail{v: v, form: streamForm(v.typ), begins: true}
	return v.err
}

// tail reads what follows a stream's nodes, and knows at any time what is left.
type tail struct {
	v          *Value
	form       int
	skip       bool   // names are not wanted
	begins     bool   // the stream itself comes next
	members    bool   // behind the pending entries comes the number of consumers
	groups     uint64 // not begun yet
	pending    uint64
	consumers  uint64
	owned      uint64
	stream     StreamState // what the part last returned points to
	group      Group
	entry      Pending
	consumer   Consumer
	id         StreamID
	unreadable error // why the last name cannot be had
}

// next returns the next part, or none at the end. After an error other than v.err,
// the part was consumed all the same.
func (t *tail) next() (p StatePart, err error) {
	if t.members && t.pending == 0 {
		t.members = false
		t.consumers = t.length()
	}
	switch {
	case t.v.err != nil:
	case t.owned > 0:
		t.owned--
		t.id = t.rawID()
		p.Owned = &t.id
	case t.consumers > 0:
		t.consumers--
		t.consumer = Consumer{Name: t.name(), SeenAt: t.millis()}
		t.consumer.ActiveAt = t.consumer.SeenAt
		if t.form >= 3 {
			t.consumer.ActiveAt = t.millis()
		}
		t.owned = t.length()
		p.Consumer, p.Next = &t.consumer, t.owned
	case t.pending > 0:
		t.pending--
		t.entry = Pending{ID: t.rawID(), DeliveredAt: t.millis(), Deliveries: t.length()}
		p.Pending = &t.entry
	case t.groups > 0:
		t.groups--
		t.group = Group{Name: t.name(), LastID: t.lengths(), EntriesRead: -1}
		if t.form >= 2 {
			t.group.EntriesRead = int64(t.length())
		}
		t.pending, t.members = t.length(), true
		p.Group, p.Next = &t.group, t.pending
	case t.begins:
		t.begins = false
		t.begin()
		p.Stream = &t.stream
	}
	err, t.unreadable = t.unreadable, nil
	if t.v.err != nil {
		err = t.v.err
	}
	return p, err
}

// begin reads what precedes the groups.
func (t *tail) begin() {
	st := &t.stream
	st.Length = t.length()
	if t.v.err == nil && st.Length <= maxBytes {
		t.v.s.elements = int64(st.Length)
	}
	st.LastID = t.lengths()
	st.FirstID, st.EntriesAdded = t.v.firstID, st.Length
	if t.form >= 2 {
		st.FirstID, st.MaxDeletedID, st.EntriesAdded = t.lengths(), t.lengths(), t.length()
	}
	t.groups = t.length()
}

// finish consumes what is left.
func (t *tail) finish() error {
	for t.skip = true; ; {
		if p, err := t.next(); err != nil || p == (StatePart{}) {
			return err
		}
	}
}

// The following read on until v.err.

func (t *tail) length() (n uint64) {
	if t.v.err == nil {
		n, t.v.err = t.v.s.readLength()
	}
	return n
}

// lengths reads an ID that is stored as two lengths.
func (t *tail) lengths() StreamID { return StreamID{Ms: t.length(), Seq: t.length()} }

func (t *tail) name() (name []byte) {
	v := t.v
	switch {
	case v.err != nil:
	case t.skip:
		v.err = v.s.skipString()
	default:
		// In memory of its own: what follows it may need the window.
		name, t.unreadable = v.readString(&v.texts.first, true)
	}
	return name
}

// take consumes n bytes, which are good until something else is read.
func (t *tail) take(n int) []byte {
	v := t.v
	if v.err == nil {
		v.err = v.s.need(n)
	}
	if v.err != nil {
		return make([]byte, n)
	}
	v.s.pos += n
	return v.s.buf[v.s.pos-n : v.s.pos]
}

func (t *tail) millis() int64 { return int64(binary.LittleEndian.Uint64(t.take(8))) }

func (t *tail) rawID() StreamID { return streamIDAt(t.take(streamID)) }
