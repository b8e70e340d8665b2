package rdb

import (
	"hash/maphash"

	"github.com/keyframe/keyframe/rdb/packed"
)

// streamSoFar is what the nodes of a stream held. Only living entries have an order:
// Redis 5 to 6.2 let XSETID go back behind deleted ones, and new entries, which
// follow these in their node, come before them by their IDs, even before the node.
type streamSoFar struct {
	nodes bool
	key   StreamID // of the last node, if any
	live  uint64   // entries that are not deleted
	last  StreamID // of these, if any
}

// verifyStream consumes a stream of form 1, 2 or 3.
func (s *Scanner) verifyStream(form int) error {
	nodes, err := s.readLength()
	if err != nil {
		return err
	}
	var v streamSoFar
	for ; nodes > 0; nodes-- {
		key, err := s.readNodeKey()
		if err != nil {
			return err
		}
		at := s.offset()
		if v.nodes && v.key.Compare(key) >= 0 {
			return s.corruptAt(at, "a stream node %v behind the node %v", key, v.key)
		}
		if v.live > 0 && v.last.Compare(key) >= 0 {
			return s.corruptAt(at, "a stream node %v behind the entry %v", key, v.last)
		}
		v.nodes, v.key = true, key
		blob, from, err := s.readBlob()
		if err != nil {
			return err
		}
		if err := s.verifyNode(blob, from, key, &v); err != nil {
			return err
		}
	}
	at := s.offset()
	length, err := s.readLength()
	if err != nil {
		return err
	}
	if length != v.live {
		return s.corruptAt(at, "a stream of %d entries says that it has %d", v.live, length)
	}
	s.elements = int64(length)
	at = s.offset()
	last, err := s.readID()
	if err != nil {
		return err
	}
	if v.live > 0 && last.Compare(v.last) < 0 {
		return s.corruptAt(at, "a stream with the entry %v says that its last one is %v", v.last, last)
	}
	if form >= 2 { // first ID, greatest deleted ID, entries ever added
		if err := s.skipLengths(5); err != nil {
			return err
		}
	}
	s.deep.trim()
	groups, err := s.readLength()
	if err != nil {
		return err
	}
	s.deep.seen.reset(0)
	for ; groups > 0; groups-- {
		at := s.offset()
		if fresh, err := s.verifyMember(&s.deep.seen); err != nil {
			return err
		} else if !fresh {
			return s.corruptAt(at, "a consumer group that was there before")
		}
		if err := s.verifyGroup(form); err != nil {
			return err
		}
	}
	return nil
}

// readID consumes an ID that is stored as two lengths.
func (s *Scanner) readID() (id StreamID, err error) {
	if id.Ms, err = s.readLength(); err == nil {
		id.Seq, err = s.readLength()
	}
	return id, err
}

// readNodeKey consumes the name of a node: the ID that those of its entries
// count from.
func (s *Scanner) readNodeKey() (StreamID, error) {
	start := s.offset()
	head, err := s.readStringHead()
	if err != nil {
		return StreamID{}, err
	}
	if head.length != streamID {
		return StreamID{}, s.corrupt("a stream node named by %d bytes instead of %d", head.length, streamID)
	}
	s.deep.text, err = s.readText(s.deep.text[:0], head, start)
	if err != nil {
		return StreamID{}, err
	}
	return streamIDAt(s.deep.text), nil
}

// nodeWalk reads the elements of a stream's node.
type nodeWalk struct {
	s  *Scanner
	at blobAt
	packed.ListpackWalk
}

// broken blames the element last read.
func (n *nodeWalk) broken(reason string) error { return n.s.brokenBlob(n.at, n.Offset(), reason) }

func (n *nodeWalk) next() (packed.Element, error) {
	e, ok := n.Next()
	if ok {
		return e, nil
	}
	if err := n.Err(); err != nil {
		return e, n.s.brokenPacked(n.at, err)
	}
	return e, n.broken("the node of a stream ends within an entry")
}

// integer reads an element that must be one.
func (n *nodeWalk) integer() (int64, error) {
	e, err := n.next()
	if err != nil {
		return 0, err
	}
	v, ok := e.Integer()
	if !ok {
		return 0, n.broken("text where the node of a stream has a number")
	}
	return v, nil
}

// count reads an integer that must not be negative.
func (n *nodeWalk) count() (int64, error) {
	v, err := n.integer()
	if err == nil && v < 0 {
		err = n.broken("a negative count in the node of a stream")
	}
	return v, err
}

// pass reads some elements of any kind.
func (n *nodeWalk) pass(elements int64) error {
	for ; elements > 0; elements-- {
		if _, err := n.next(); err != nil {
			return err
		}
	}
	return nil
}

// verifyNode verifies a listpack of entries whose IDs count from key. A master
// entry comes first: how many there are, live and deleted, and the fields that
// most of them have.
func (s *Scanner) verifyNode(blob packed.Listpack, at blobAt, key StreamID, v *streamSoFar) error {
	n := nodeWalk{s, at, blob.Walk()}
	live, err := n.count()
	if err != nil {
		return err
	}
	deleted, err := n.count()
	if err != nil {
		return err
	}
	fields, err := n.count()
	if err != nil {
		return err
	}
	if err := n.pass(fields); err != nil {
		return err
	}
	if zero, err := n.integer(); err != nil {
		return err
	} else if zero != 0 {
		return n.broken("the master entry of a stream's node does not end with 0")
	}
	for live > 0 || deleted > 0 {
		flags, id, err := n.entry(key, fields)
		if err != nil {
			return err
		}
		if flags&entryDeleted != 0 {
			deleted--
		} else {
			if v.live > 0 && id.Compare(v.last) <= 0 {
				return n.broken("the entries of a stream are not in ascending order")
			}
			live--
			v.live++
			v.last = id
		}
		if live < 0 || deleted < 0 {
			return n.broken("the counts of a stream's node do not agree with its entries")
		}
	}
	if _, ok := n.Next(); ok {
		return n.broken("the node of a stream has more than its entries")
	}
	if err := n.Err(); err != nil {
		return s.brokenPacked(at, err)
	}
	return nil
}

// entry reads one entry up to the number of its elements, which it ends with.
// shared is the number of fields in the master entry.
func (n *nodeWalk) entry(key StreamID, shared int64) (flags int64, id StreamID, err error) {
	var ms, seq int64
	if flags, err = n.integer(); err != nil {
		return flags, id, err
	}
	if ms, err = n.integer(); err != nil {
		return flags, id, err
	}
	if seq, err = n.integer(); err != nil {
		return flags, id, err
	}
	elements, values := 3+shared, shared
	if flags&entrySameFields == 0 {
		fields, err := n.count()
		if err != nil {
			return flags, id, err
		}
		if fields > packed.MaxSize {
			return flags, id, n.broken("a stream's entry with more fields than its node has elements")
		}
		elements, values = 4+2*fields, 2*fields
	}
	if err := n.pass(values); err != nil {
		return flags, id, err
	}
	stated, err := n.integer()
	if err == nil && stated != elements {
		err = n.broken("a stream's entry does not end with the number of its elements")
	}
	return flags, StreamID{key.Ms + uint64(ms), key.Seq + uint64(seq)}, err
}

// pending sums the IDs of pending entries so that the entries of a group can be
// compared with those of its consumers without holding either: sums of hashes
// under secret seeds are equal only if the same IDs went in as often.
type pending struct {
	n, sum, sum2 uint64
}

// readPending consumes IDs that must ascend, each followed by the time of its
// delivery and the number of deliveries unless it is a consumer's.
func (s *Scanner) readPending(p *pending, own bool) error {
	n, err := s.readLength()
	if err != nil {
		return err
	}
	var before StreamID
	for i := range n {
		if err := s.need(streamID); err != nil {
			return err
		}
		raw := s.buf[s.pos : s.pos+streamID]
		id := streamIDAt(raw)
		if i > 0 && before.Compare(id) >= 0 {
			return s.corrupt("the pending entry %v behind %v", id, before)
		}
		before = id
		p.n++
		p.sum += maphash.Bytes(s.deep.seen.seed, raw)
		p.sum2 += maphash.Bytes(s.deep.pendingID, raw)
		s.pos += streamID
		if own {
			continue
		}
		if err := s.skip(8); err != nil {
			return err
		}
		if _, err := s.readLength(); err != nil {
			return err
		}
	}
	return nil
}

// verifyGroup consumes one consumer group behind its name.
func (s *Scanner) verifyGroup(form int) error {
	lengths := 2 // last delivered ID
	if form >= 2 {
		lengths++ // entries read
	}
	if err := s.skipLengths(lengths); err != nil {
		return err
	}
	var all, owned pending
	at := s.offset()
	if err := s.readPending(&all, false); err != nil {
		return err
	}
	consumers, err := s.readLength()
	if err != nil {
		return err
	}
	times := uint64(8) // last seen
	if form >= 3 {
		times += 8 // last active
	}
	s.deep.names.reset(0)
	for ; consumers > 0; consumers-- {
		start := s.offset()
		if fresh, err := s.verifyMember(&s.deep.names); err != nil {
			return err
		} else if !fresh {
			return s.corruptAt(start, "a consumer that was there before")
		}
		if err := s.skip(times); err != nil {
			return err
		}
		if err := s.readPending(&owned, true); err != nil {
			return err
		}
	}
	s.deep.names.reset(0) // before the table of groups may have to grow
	if all != owned {
		return s.corruptAt(at, "the %d pending entries of a group are not the %d of its consumers", all.n, owned.n)
	}
	return nil
}
