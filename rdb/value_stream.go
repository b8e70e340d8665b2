package rdb

import (
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/keyframe/keyframe/rdb/packed"
)

// maxFields bounds the fields of one entry of a stream.
const maxFields = 1 << 20

// Entries may share the names of their fields, which lie in their node once. What
// the names of a node's entries amount to is bounded by so many times its size, or
// else a small file could say more than anybody ever reads. By default the nodes
// of engines are of 4 KiB and 100 entries.
const (
	sharedNames    = 256
	fewSharedNames = 1 << 20 // bytes that any node may have
)

// StreamEntry is one entry of a stream. Its slices are good until the next one
// and must not be modified.
type StreamEntry struct {
	ID     StreamID
	Fields []Pair
}

// Pair is a field of an entry, with its value. An entry may have the same field
// several times.
type Pair struct {
	Name, Value []byte
}

// Flags of an entry in a stream's node.
const (
	entryDeleted    = 1
	entrySameFields = 2 // the fields are those of the node's first entry
)

// Entries returns the entries of a stream in the order of their IDs, without
// deleted ones. An error comes last. Memory holds one node of the stream, which
// is some hundred entries. StateParts and State read what follows them. A node whose entries
// repeat names of fields for more than 256 times its size, and 1 MiB, is refused
// with ErrTooLarge.
func (v *Value) Entries() iter.Seq2[StreamEntry, error] {
	return func(yield func(StreamEntry, error) bool) {
		err := v.walkEntries(func(e StreamEntry) bool { return yield(e, nil) })
		if err != nil && err != errStopped {
			yield(StreamEntry{}, err)
		}
	}
}

func (v *Value) walkEntries(yield func(StreamEntry) bool) error {
	if err := v.beginStream(); err != nil {
		return err
	}
	note := func(e StreamEntry) bool {
		if v.firstID == (StreamID{}) {
			v.firstID = e.ID
		}
		return yield(e)
	}
	for v.left > 0 {
		at := v.s.offset()
		name, nameErr := v.readString(&v.texts.first, true)
		if v.err != nil {
			return v.err
		}
		if nameErr == nil && len(name) != streamID {
			return v.broke(v.s.corruptAt(at, "a stream node named by %d bytes instead of %d", len(name), streamID))
		}
		v.left--
		b, err := v.readBlob()
		if err == nil {
			err = nameErr
		}
		if err != nil {
			return err
		}
		node := streamNode{first: streamIDAt(name), size: len(b.p), walk: packed.Listpack(b.p).Walk(), fields: v.fields[:0], numbers: v.texts.second[:0]}
		err = node.entries(note)
		v.fields, v.texts.second = node.fields, node.numbers
		if err != nil {
			return v.broken(b, err)
		}
	}
	v.stage = valueEntries
	return nil
}

// beginStream starts to read a stream.
func (v *Value) beginStream() error {
	if err := v.begin(KindStream); err != nil {
		return err
	}
	n, err := v.s.readLength()
	if err != nil {
		return v.broke(err)
	}
	v.left = n
	return nil
}

// streamIDAt reads an ID of 16 bytes.
func streamIDAt(p []byte) StreamID {
	return StreamID{Ms: binary.BigEndian.Uint64(p), Seq: binary.BigEndian.Uint64(p[8:])}
}

// streamNode reads one node's listpack: numbers of living and deleted entries,
// the fields of the first, a zero; then for each entry flags, the distance of
// its ID from the node's, fields unless they are the first one's, values, and how
// many elements that were.
type streamNode struct {
	first   StreamID
	size    int // bytes of it
	walk    packed.ListpackWalk
	names   packed.ListpackWalk // at the first of the shared fields
	shared  int64
	spend   int64 // bytes of shared names that entries may still repeat
	each    int64 // bytes that they take in one
	fields  []Pair
	numbers []byte // text of what is stored as numbers
}

// wrong blames the element that was just read.
func (n *streamNode) wrong(format string, args ...any) error {
	if err := n.walk.Err(); err != nil {
		return err
	}
	return &packed.Error{Offset: n.walk.Offset(), Reason: fmt.Sprintf(format, args...)}
}

func (n *streamNode) integer(what string) (int64, error) {
	e, ok := n.walk.Next()
	if !ok {
		return 0, n.wrong("a stream's node ends in front of %s", what)
	}
	v, ok := e.Integer()
	if !ok {
		return 0, n.wrong("%s in a stream's node is no number", what)
	}
	return v, nil
}

func (n *streamNode) text(walk *packed.ListpackWalk) ([]byte, error) {
	e, ok := walk.Next()
	if !ok {
		return nil, n.wrong("a stream's node ends inside an entry")
	}
	if !e.Number {
		return e.Text[:len(e.Text):len(e.Text)], nil
	}
	from := len(n.numbers)
	n.numbers = e.Append(n.numbers)
	return n.numbers[from:len(n.numbers):len(n.numbers)], nil
}

// entries yields the living entries.
func (n *streamNode) entries(yield func(StreamEntry) bool) error {
	for _, what := range []string{"the number of entries", "the number of deleted entries"} {
		if _, err := n.integer(what); err != nil {
			return err
		}
	}
	var err error
	if n.shared, err = n.count("the number of shared fields"); err != nil {
		return err
	}
	n.names = n.walk
	from := n.walk.Offset()
	for range n.shared {
		if _, ok := n.walk.Next(); !ok {
			return n.wrong("a stream's node ends inside the shared fields")
		}
	}
	if _, err := n.integer("the end of the shared fields"); err != nil {
		return err
	}
	n.each = int64(n.walk.Offset() - from)
	n.spend = max(sharedNames*int64(n.size), fewSharedNames)
	for {
		e, ok := n.walk.Next()
		if !ok {
			return n.walk.Err()
		}
		flags, ok := e.Integer()
		if !ok {
			return n.wrong("the flags of a stream's entry are no number")
		}
		entry, err := n.entry(flags)
		if err != nil {
			return err
		}
		if flags&entryDeleted == 0 && !yield(entry) {
			return errStopped
		}
	}
}

func (n *streamNode) count(what string) (int64, error) {
	v, err := n.integer(what)
	if err == nil && v < 0 {
		err = n.wrong("%s in a stream's node is %d", what, v)
	}
	if err == nil && v > maxFields {
		err = fmt.Errorf("%w: %s in a stream's node is %d, for %d", ErrTooLarge, what, v, maxFields)
	}
	return v, err
}

// entry reads one entry behind its flags.
func (n *streamNode) entry(flags int64) (e StreamEntry, err error) {
	ms, err := n.integer("an ID")
	if err != nil {
		return e, err
	}
	seq, err := n.integer("an ID")
	if err != nil {
		return e, err
	}
	e.ID = StreamID{Ms: n.first.Ms + uint64(ms), Seq: n.first.Seq + uint64(seq)}
	names, fields := &n.walk, n.shared
	if flags&entrySameFields != 0 {
		if n.spend -= n.each; n.spend < 0 {
			return e, fmt.Errorf("%w: the entries of a stream's node repeat names of %d bytes, for %d times its %d bytes", ErrTooLarge, n.each, sharedNames, n.size)
		}
		shared := n.names
		names = &shared
	} else if fields, err = n.count("the number of fields"); err != nil {
		return e, err
	}
	n.fields, n.numbers = n.fields[:0], n.numbers[:0]
	for range fields {
		var pair Pair
		if pair.Name, err = n.text(names); err != nil {
			return e, err
		}
		if pair.Value, err = n.text(&n.walk); err != nil {
			return e, err
		}
		if flags&entryDeleted == 0 {
			n.fields = append(n.fields, pair)
		}
	}
	e.Fields = n.fields
	_, err = n.integer("the length of an entry")
	return e, err
}
