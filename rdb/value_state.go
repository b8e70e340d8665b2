package rdb

import "encoding/binary"

// readState consumes what follows a stream's nodes. Texts that cannot be
// decompressed, and too much for h, are the only errors which are not v.err.
func (v *Value) readState(h *hoard) (*StreamState, error) {
	form := streamForm(v.typ)
	st := &StreamState{}
	r := stateReader{v: v, kept: h}
	st.Length = r.length()
	if r.err == nil && st.Length <= maxBytes {
		v.s.elements = int64(st.Length)
	}
	st.LastID = r.id()
	st.FirstID, st.EntriesAdded = v.firstID, st.Length
	if form >= 2 {
		st.FirstID, st.MaxDeletedID, st.EntriesAdded = r.id(), r.id(), r.length()
	}
	for groups := r.length(); groups > 0 && r.err == nil; groups-- {
		if g := r.group(form); r.room(120) {
			st.Groups = append(st.Groups, g)
		}
	}
	if v.broke(r.err) != nil {
		return nil, r.err
	}
	if r.text != nil {
		return nil, r.text
	}
	if err := h.judge(nil); err != nil {
		return nil, err
	}
	return st, nil
}

// stateReader reads on until the first error.
type stateReader struct {
	v    *Value
	err  error // of the file
	text error // of a string
	kept *hoard
}

// room takes n bytes of what may be kept, if there are as many.
func (r *stateReader) room(n int64) bool {
	r.kept.left -= n
	return !r.kept.full()
}

func (r *stateReader) length() (n uint64) {
	if r.err == nil {
		n, r.err = r.v.s.readLength()
	}
	return n
}

func (r *stateReader) id() StreamID {
	return StreamID{Ms: r.length(), Seq: r.length()}
}

func (r *stateReader) name() []byte {
	if r.err != nil {
		return nil
	}
	p, err := r.v.readString(&r.v.texts.first, false)
	if r.err = r.v.err; r.err == nil && err != nil && r.text == nil {
		r.text = err
	}
	if r.kept.full() {
		return nil
	}
	return r.kept.keep(p, 0)
}

func (r *stateReader) millis() int64 {
	s := r.v.s
	if r.err == nil {
		r.err = s.need(8)
	}
	if r.err != nil {
		return 0
	}
	ms := int64(binary.LittleEndian.Uint64(s.buf[s.pos:]))
	s.pos += 8
	return ms
}

func (r *stateReader) rawID() StreamID {
	s := r.v.s
	if r.err == nil {
		r.err = s.need(streamID)
	}
	if r.err != nil {
		return StreamID{}
	}
	id := streamIDAt(s.buf[s.pos:])
	s.pos += streamID
	return id
}

func (r *stateReader) group(form int) Group {
	g := Group{Name: r.name(), LastID: r.id(), EntriesRead: -1}
	if form >= 2 {
		g.EntriesRead = int64(r.length())
	}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		p := Pending{ID: r.rawID(), DeliveredAt: r.millis(), Deliveries: r.length()}
		if r.room(32) {
			g.Pending = append(g.Pending, p)
		}
	}
	for n := r.length(); n > 0 && r.err == nil; n-- {
		c := Consumer{Name: r.name(), SeenAt: r.millis()}
		c.ActiveAt = c.SeenAt
		if form >= 3 {
			c.ActiveAt = r.millis()
		}
		for own := r.length(); own > 0 && r.err == nil; own-- {
			if id := r.rawID(); r.room(16) {
				c.Pending = append(c.Pending, id)
			}
		}
		if r.room(64) {
			g.Consumers = append(g.Consumers, c)
		}
	}
	return g
}
