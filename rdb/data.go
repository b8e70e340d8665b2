package rdb

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Data is a whole value in memory: a String, List, Set, SortedSet, Hash, *Stream
// or *Module. Value.Decode makes it out of a file, and a Writer writes it.
type Data interface {
	// Kind returns which of them it is.
	Kind() Kind
}

// Values in memory. The members of a Set or SortedSet and the fields of a Hash
// must be distinct: engines refuse a file in which they are not.
type (
	String    []byte
	List      [][]byte
	Set       [][]byte
	SortedSet []Member
	Hash      []Field
)

// Member is one member of a SortedSet.
type Member struct {
	Text  []byte
	Score float64
}

// Field is one field of a Hash.
type Field struct {
	Name, Value []byte
	ExpireAt    int64 // Unix time in milliseconds; 0 if it never expires
}

// Stream is a stream: its entries, in the order of their IDs, and its state.
type Stream struct {
	Entries []StreamEntry
	StreamState
}

// StreamState is what a stream knows besides its entries.
type StreamState struct {
	Length       uint64   // entries; a Writer counts them itself
	LastID       StreamID // greatest ID ever given
	FirstID      StreamID // of the first entry, in streams of the first form only if it was read; a Writer finds it itself
	MaxDeletedID StreamID // greatest ID of an entry that was deleted
	EntriesAdded uint64   // ever; like Length in streams of the first form, which do not tell
	Groups       []Group
}

// Group is a consumer group of a stream.
type Group struct {
	Name        []byte
	LastID      StreamID // last delivered
	EntriesRead int64    // how many entries were delivered; -1 if not known
	Pending     []Pending
	Consumers   []Consumer
}

// Pending is an entry that was delivered and not acknowledged.
type Pending struct {
	ID          StreamID
	DeliveredAt int64  // Unix time in milliseconds
	Deliveries  uint64 // how many times
}

// Consumer is a member of a Group.
type Consumer struct {
	Name     []byte
	SeenAt   int64      // Unix time in milliseconds of the last attempt to read
	ActiveAt int64      // and of the last success, -1 if there was none; SeenAt in streams that do not tell
	Pending  []StreamID // its part of the group's
}

// Module is the value of a module's type.
type Module struct {
	ID    ModuleID
	Items []ModuleItem
}

// Kind implements Data.
func (String) Kind() Kind    { return KindString }
func (List) Kind() Kind      { return KindList }
func (Set) Kind() Kind       { return KindSet }
func (SortedSet) Kind() Kind { return KindSortedSet }
func (Hash) Kind() Kind      { return KindHash }
func (*Stream) Kind() Kind   { return KindStream }
func (*Module) Kind() Kind   { return KindModule }

// StreamID identifies an entry of a stream.
type StreamID struct {
	Ms, Seq uint64 // Unix time in milliseconds, and number within it
}

// String returns the ID as engines write it, such as 1700000000000-0.
func (id StreamID) String() string {
	return strconv.FormatUint(id.Ms, 10) + "-" + strconv.FormatUint(id.Seq, 10)
}

// Compare is negative, zero or positive as id comes before, is, or comes after
// other.
func (id StreamID) Compare(other StreamID) int {
	switch {
	case id == other:
		return 0
	case id.Ms < other.Ms || id.Ms == other.Ms && id.Seq < other.Seq:
		return -1
	}
	return 1
}

// ParseStreamID reads an ID as String writes it.
func ParseStreamID(text string) (id StreamID, err error) {
	ms, seq, found := strings.Cut(text, "-")
	if found {
		if id.Ms, err = strconv.ParseUint(ms, 10, 64); err == nil {
			id.Seq, err = strconv.ParseUint(seq, 10, 64)
		}
	}
	if !found || err != nil {
		return StreamID{}, fmt.Errorf("rdb: %.60q is not the ID of a stream's entry", text)
	}
	return id, nil
}

// Decode returns the whole value in memory that is the caller's. If it takes more
// than limit bytes there, the error matches ErrTooLarge; no more than some limit
// bytes are held by then.
func (v *Value) Decode(limit int64) (Data, error) {
	h := &hoard{limit: limit, left: limit}
	switch v.kind {
	case KindString:
		text, err := v.Text(limit)
		return noData(String(bytes.Clone(orEmpty(text))), err)
	case KindList, KindSet:
		var texts [][]byte
		err := v.walk(func(e Element) bool {
			texts = append(texts, h.keep(e.Text, 24))
			return !h.full()
		})
		if v.kind == KindSet {
			return noData(Set(texts), h.judge(err))
		}
		return noData(List(texts), h.judge(err))
	case KindSortedSet:
		var set SortedSet
		err := v.walk(func(e Element) bool {
			set = append(set, Member{h.keep(e.Text, 32), e.Score})
			return !h.full()
		})
		return noData(set, h.judge(err))
	case KindHash:
		var hash Hash
		err := v.walk(func(e Element) bool {
			hash = append(hash, Field{h.keep(e.Text, 32), h.keep(e.Value, 24), e.ExpireAt})
			return !h.full()
		})
		return noData(hash, h.judge(err))
	case KindStream:
		return v.decodeStream(h)
	case KindModule:
		m := &Module{ID: v.ModuleID()}
		err := v.walkItems(func(item ModuleItem) bool {
			item.Text = h.keep(item.Text, 48)
			m.Items = append(m.Items, item)
			return !h.full()
		})
		return noData(m, h.judge(err))
	}
	return nil, fmt.Errorf("%w: type %d cannot be decoded", ErrKind, v.typ)
}

func (v *Value) decodeStream(h *hoard) (Data, error) {
	stream := &Stream{}
	err := v.walkEntries(func(e StreamEntry) bool {
		kept := StreamEntry{ID: e.ID, Fields: make([]Pair, 0, len(e.Fields))}
		h.left -= 40
		for _, f := range e.Fields {
			kept.Fields = append(kept.Fields, Pair{h.keep(f.Name, 24), h.keep(f.Value, 24)})
		}
		stream.Entries = append(stream.Entries, kept)
		return !h.full()
	})
	if err := h.judge(err); err != nil {
		return nil, err
	}
	state, err := v.readState(h)
	if err != nil {
		return nil, err
	}
	stream.StreamState = *state
	return stream, nil
}

// noData keeps a half decoded value from being taken for one.
func noData(d Data, err error) (Data, error) {
	if err != nil {
		return nil, err
	}
	return d, nil
}

func orEmpty(p []byte) []byte {
	if p == nil {
		return []byte{}
	}
	return p
}

// hoard keeps copies of texts, many in one piece of memory, within a limit.
type hoard struct {
	chunk       []byte
	limit, left int64
}

// largestChunk is how much memory many short texts share at most.
const largestChunk = 64 << 10

// keep copies p. around is what is needed to hold the copy.
func (h *hoard) keep(p []byte, around int64) []byte {
	h.left -= int64(len(p)) + around
	if len(p) > cap(h.chunk)-len(h.chunk) {
		if len(p) > largestChunk/8 {
			return bytes.Clone(p)
		}
		h.chunk = make([]byte, 0, min(max(2*cap(h.chunk), 8*len(p), 64), largestChunk))
	}
	from := len(h.chunk)
	h.chunk = append(h.chunk, p...)
	return h.chunk[from:len(h.chunk):len(h.chunk)]
}

func (h *hoard) full() bool { return h.left < 0 }

// judge turns the end of a walk into the reason for it.
func (h *hoard) judge(err error) error {
	if h.full() && (err == nil || err == errStopped) {
		return fmt.Errorf("%w: a value of more than %d bytes", ErrTooLarge, h.limit)
	}
	return err
}

// appendScore appends the decimal text of a score as sorted sets hold it in
// packed blobs.
func appendScore(dst []byte, score float64) []byte {
	switch {
	case math.IsInf(score, 1):
		return append(dst, "inf"...)
	case math.IsInf(score, -1):
		return append(dst, "-inf"...)
	}
	return strconv.AppendFloat(dst, score, 'g', -1, 64)
}
