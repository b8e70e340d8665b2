package keydiff

import (
	"encoding/binary"
	"errors"
	"hash/maphash"
	"io"
	"math"

	"github.com/keyframe/keyframe/rdb"
)

// hasher makes hashes of 128 bits, two of 64 with different secrets. As the secrets are drawn anew for every comparison, nobody
// can make values that look alike.
type hasher struct {
	seeds  [2]maphash.Seed
	line   []byte
	piece  []byte
	stream [2]maphash.Hash
}

func (h *hasher) of(p []byte) hash128 {
	return hash128{maphash.Bytes(h.seeds[0], p), maphash.Bytes(h.seeds[1], p)}
}

func (h *hasher) key(db uint64, key []byte) hash128 {
	h.line = append(binary.AppendUvarint(h.line[:0], db), key...)
	id := h.of(h.line)
	h.trim()
	return id
}

// trim gives up what only an unusual text needed.
func (h *hasher) trim() {
	if cap(h.line) > 1<<20 {
		h.line = nil
	}
}

func appendText(p, text []byte) []byte {
	return append(binary.AppendUvarint(p, uint64(len(text))), text...)
}

// ordered collects hashes whose order counts.
func (h *hasher) ordered(one hash128) {
	for i := range h.stream {
		var p [8]byte
		binary.LittleEndian.PutUint64(p[:], one[i])
		h.stream[i].Write(p[:])
	}
}

func (h *hasher) begin() {
	for i := range h.stream {
		h.stream[i].SetSeed(h.seeds[i])
		h.stream[i].WriteByte(1) // not like an element of the same bytes
	}
}

func (h *hasher) end() hash128 { return hash128{h.stream[0].Sum64(), h.stream[1].Sum64()} }

// add makes a sum of hashes whose order does not count.
func (s *hash128) add(one hash128) {
	s[0] += one[0]
	s[1] += one[1]
}

// value reads a value and returns a digest of what it says.
func (h *hasher) value(v *rdb.Value) (hash128, error) {
	defer h.trim()
	switch v.Kind() {
	case rdb.KindString:
		return h.text(v.Reader())
	case rdb.KindList:
		h.begin()
		for e, err := range v.Elements() {
			if err != nil {
				return hash128{}, err
			}
			h.ordered(h.of(e.Text))
		}
		return h.end(), nil
	case rdb.KindStream:
		return h.entries(v)
	case rdb.KindModule:
		return h.module(v)
	}
	// Elements that come in no order. Of a value that has none, Elements tells so.
	var sum hash128
	for e, err := range v.Elements() {
		if err != nil {
			return sum, err
		}
		p := appendText(h.line[:0], e.Text)
		switch v.Kind() {
		case rdb.KindSortedSet:
			p = binary.LittleEndian.AppendUint64(p, math.Float64bits(e.Score+0)) // which makes one zero of two
		case rdb.KindHash:
			p = binary.AppendVarint(appendText(p, e.Value), e.ExpireAt)
		}
		sum.add(h.of(p))
		h.line = p
	}
	return sum, nil
}

func (h *hasher) text(r io.Reader) (hash128, error) {
	if h.piece == nil {
		h.piece = make([]byte, 32<<10)
	}
	h.begin()
	for {
		n, err := r.Read(h.piece)
		for i := range h.stream {
			h.stream[i].Write(h.piece[:n])
		}
		if errors.Is(err, io.EOF) {
			return h.end(), nil
		} else if err != nil {
			return hash128{}, err
		}
	}
}

func appendID(p []byte, id rdb.StreamID) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(p, id.Ms), id.Seq)
}

// entries digests a stream: its entries, its last ID, and its groups with what was delivered to whom and how often. Times of
// delivery are left out, and counters that not every version has.
func (h *hasher) entries(v *rdb.Value) (hash128, error) {
	h.begin()
	for e, err := range v.Entries() {
		if err != nil {
			return hash128{}, err
		}
		p := appendID(h.line[:0], e.ID)
		for _, f := range e.Fields {
			p = appendText(appendText(p, f.Name), f.Value)
		}
		h.ordered(h.of(p))
		h.line = p
	}
	var groups groupSum
	for p, err := range v.StateParts() {
		if err != nil {
			return hash128{}, err
		}
		if p.Stream != nil {
			h.ordered(h.of(appendID(h.line[:0], p.Stream.LastID)))
			continue
		}
		h.group(&groups, p)
	}
	h.ordered(groups.end(h))
	return h.end(), nil
}

// groupSum digests the groups of a stream out of their parts, however many entries are pending.
type groupSum struct {
	any         bool
	sum         hash128 // of the groups that are complete
	head, parts hash128 // of the last one: its name and last ID, and what belongs to it
	consumer    hash128 // the name of its last consumer
}

func (s *groupSum) end(h *hasher) hash128 {
	if s.any {
		s.sum.add(h.of(appendHash(appendHash(h.line[:0], s.head), s.parts)))
	}
	return s.sum
}

// group digests a part of a group, in the order of the file.
func (h *hasher) group(s *groupSum, p rdb.StatePart) {
	line := h.line[:0]
	switch {
	case p.Group != nil:
		before := s.end(h)
		line = appendID(appendText(line, p.Group.Name), p.Group.LastID)
		*s = groupSum{any: true, sum: before, head: h.of(line)}
	case p.Pending != nil:
		line = binary.AppendUvarint(appendID(append(line, 'd'), p.Pending.ID), p.Pending.Deliveries)
		s.parts.add(h.of(line))
	case p.Consumer != nil:
		line = appendText(append(line, 'c'), p.Consumer.Name)
		s.consumer = h.of(line)
		s.parts.add(s.consumer)
	default:
		line = appendID(appendHash(append(line, 'o'), s.consumer), *p.Owned)
		s.parts.add(h.of(line))
	}
	h.line = line
}

func appendHash(p []byte, one hash128) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(p, one[0]), one[1])
}

// module digests what a module saved, item by item: what the items mean, only the module knows.
func (h *hasher) module(v *rdb.Value) (hash128, error) {
	h.begin()
	h.ordered(hash128{uint64(v.ModuleID()), uint64(v.ModuleID())})
	for item, err := range v.Items() {
		if err != nil {
			return hash128{}, err
		}
		p := append(h.line[:0], byte(item.Kind))
		p = binary.LittleEndian.AppendUint64(p, item.Int)
		p = binary.LittleEndian.AppendUint64(p, math.Float64bits(item.Float))
		p = append(p, item.Text...)
		h.ordered(h.of(p))
		h.line = p
	}
	return h.end(), nil
}
