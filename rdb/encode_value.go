package rdb

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/keyframe/keyframe/rdb/packed"
)

// Small collections are packed up to these bounds, which are the engines'
// defaults. Whatever the form in a file, an engine that loads it goes by its
// own bounds.
const (
	packedIntegers = 512 // members of a set of integers
	packedMembers  = 128 // members of other sets, and of sorted sets
	packedFields   = 512 // fields of a hash
	packedText     = 64  // bytes of each of them
	nodeBytes      = 8 << 10
)

// choose decides how a value is stored, or refuses it. Whatever it accepts can be
// written to the end.
func (e *encoder) choose(d Data) (byte, error) {
	switch d := d.(type) {
	case String:
		return typeString, nil
	case List:
		if len(d) == 0 {
			return 0, errEmpty(KindList)
		}
		if e.version < 10 || e.unpacked {
			return typeList, nil
		}
		return typeListQuicklist2, nil
	case Set:
		return e.chooseSet(d)
	case SortedSet:
		return e.chooseSortedSet(d)
	case Hash:
		return e.chooseHash(d)
	case *Stream:
		return e.chooseStream(d)
	case *Module:
		return typeModule2, d.check()
	}
	return 0, fmt.Errorf("rdb: a value of type %T cannot be written", d)
}

func errEmpty(k Kind) error {
	return fmt.Errorf("rdb: a %s without elements cannot be written: engines have none", k)
}

func areSmall(texts [][]byte, most int) bool {
	return len(texts) <= most && !slices.ContainsFunc(texts, tooLong)
}

func tooLong(p []byte) bool { return len(p) > packedText }

func (e *encoder) chooseSet(d Set) (byte, error) {
	switch {
	case len(d) == 0:
		return 0, errEmpty(KindSet)
	case e.unpacked:
		return typeSet, nil
	case len(d) <= packedIntegers && integers(d) != nil:
		return typeSetIntset, nil
	case e.version >= 11 && areSmall(d, packedMembers):
		return typeSetListpack, nil
	}
	return typeSet, nil
}

// integers returns the members of a set in order, if all are different integers.
func integers(d Set) []int64 {
	list := make([]int64, 0, len(d))
	for _, p := range d {
		n, ok := packed.ParseInteger(p)
		if !ok {
			return nil
		}
		list = append(list, n)
	}
	slices.Sort(list)
	if len(slices.Compact(list)) < len(d) {
		return nil
	}
	return list
}

func (e *encoder) chooseSortedSet(d SortedSet) (byte, error) {
	if len(d) == 0 {
		return 0, errEmpty(KindSortedSet)
	}
	for _, m := range d {
		if math.IsNaN(m.Score) {
			return 0, fmt.Errorf("rdb: member %.60q has no number as its score: engines refuse that", m.Text)
		}
	}
	if e.version >= 10 && !e.unpacked && len(d) <= packedMembers && !slices.ContainsFunc(d, func(m Member) bool { return tooLong(m.Text) }) {
		return typeZsetListpack, nil
	}
	return typeZset2, nil
}

func (e *encoder) chooseHash(d Hash) (byte, error) {
	if len(d) == 0 {
		return 0, errEmpty(KindHash)
	}
	for _, f := range d {
		if f.ExpireAt < 0 {
			return 0, fmt.Errorf("rdb: field %.60q cannot expire at %d", f.Name, f.ExpireAt)
		}
	}
	isSmall := e.version >= 10 && !e.unpacked && len(d) <= packedFields &&
		!slices.ContainsFunc(d, func(f Field) bool { return tooLong(f.Name) || tooLong(f.Value) })
	expiring := slices.ContainsFunc(d, func(f Field) bool { return f.ExpireAt != 0 })
	if expiring {
		t, err := e.expiringHash()
		if t == typeRedisHashTTL && isSmall {
			t = typeRedisHashPackEx
		}
		return t, err
	}
	if isSmall {
		return typeHashListpack, nil
	}
	return typeHash, nil
}

// expiringHash returns the plain type of hashes whose fields expire.
func (e *encoder) expiringHash() (byte, error) {
	switch {
	case e.family == valkey:
		return typeValkeyHash2, nil
	case e.version >= 12:
		return typeRedisHashTTL, nil
	}
	return 0, fmt.Errorf("%w to version %d: fields of hashes that expire need version 12 or %d", ErrCannotLower, e.version, onlyValkey)
}

// value writes a value as a type that choose returned for it.
func (e *encoder) value(t byte, d Data) {
	switch d := d.(type) {
	case String:
		e.text(d)
	case List:
		if t == typeList {
			e.texts(d)
		} else {
			e.quicklist(d)
		}
	case Set:
		e.set(t, d)
	case SortedSet:
		e.sortedSet(t, d)
	case Hash:
		e.hash(t, d)
	case *Stream:
		e.stream(t, d)
	case *Module:
		e.module(d)
	}
}

func (e *encoder) texts(d [][]byte) {
	e.length(uint64(len(d)))
	for _, p := range d {
		e.text(p)
		e.spill()
	}
}

// quicklist writes a list as nodes of listpacks, and of single elements where
// they are large.
func (e *encoder) quicklist(d List) {
	nodes := uint64(0)
	for rest := d; len(rest) > 0; nodes++ {
		rest = rest[nodeOf(rest):]
	}
	e.length(nodes)
	for rest := d; len(rest) > 0; {
		n := nodeOf(rest)
		if len(rest[0]) > nodeBytes {
			e.length(nodePlain)
			e.text(rest[0])
		} else {
			e.length(nodePacked)
			e.listpack(rest[:n]...)
		}
		rest = rest[n:]
	}
}

// nodeOf returns how many of the first elements make a node.
func nodeOf(d List) int {
	const around = 7 // head and end of a listpack
	size, n := around, 0
	for n < len(d) {
		if size += sizeInListpack(d[n]); n > 0 && size > nodeBytes {
			break
		}
		n++
	}
	return n
}

// sizeInListpack returns how many bytes a text of at most nodeBytes takes in a
// listpack, and a larger one at least.
func sizeInListpack(p []byte) int {
	size := len(p) + 1
	if n, ok := packed.ParseInteger(p); ok {
		switch {
		case n >= 0 && n < 1<<7:
			size = 1
		case n >= -1<<12 && n < 1<<12:
			size = 2
		case n == int64(int16(n)):
			size = 3
		case n >= -1<<23 && n < 1<<23:
			size = 4
		case n == int64(int32(n)):
			size = 5
		default:
			size = 9
		}
	} else if len(p) >= 1<<12 {
		size += 4
	} else if len(p) >= 1<<6 {
		size++
	}
	if size < 1<<7 {
		return size + 1
	}
	return size + 2
}

func (e *encoder) listpack(elements ...[]byte) {
	e.pack.Reset()
	for _, p := range elements {
		e.pack.Add(p)
	}
	e.text(e.pack.Bytes())
}

func (e *encoder) set(t byte, d Set) {
	switch t {
	case typeSetIntset:
		e.text(packed.AppendIntset(nil, integers(d)))
	case typeSetListpack:
		e.listpack(d...)
	default:
		e.texts(d)
	}
}

func (e *encoder) sortedSet(t byte, d SortedSet) {
	if t == typeZset2 {
		e.length(uint64(len(d)))
		for _, m := range d {
			e.text(m.Text)
			e.fixed64(math.Float64bits(m.Score))
			e.spill()
		}
		return
	}
	// Readers search a packed set without looking at all of it.
	d = slices.Clone(d)
	slices.SortFunc(d, func(a, b Member) int {
		return cmp.Or(cmp.Compare(a.Score, b.Score), bytes.Compare(a.Text, b.Text))
	})
	e.pack.Reset()
	for _, m := range d {
		e.pack.Add(m.Text)
		if n := int64(m.Score); float64(n) == m.Score && math.Abs(m.Score) < 1<<53 && !(n == 0 && math.Signbit(m.Score)) {
			e.pack.AddInt(n)
		} else {
			e.pack.Add(appendScore(nil, m.Score))
		}
	}
	e.text(e.pack.Bytes())
}

func (e *encoder) hash(t byte, d Hash) {
	switch t {
	case typeHashListpack:
		e.pack.Reset()
		for _, f := range d {
			e.pack.Add(f.Name)
			e.pack.Add(f.Value)
		}
		e.text(e.pack.Bytes())
		return
	case typeRedisHashPackEx:
		e.expiringListpack(d)
		return
	case typeRedisHashTTL:
		e.fixed64(uint64(earliest(d)))
	}
	e.length(uint64(len(d)))
	lowest := earliest(d)
	for _, f := range d {
		e.field(t, lowest, Element{Text: f.Name, Value: f.Value, ExpireAt: f.ExpireAt})
	}
}

// field writes one field of a plain hash whose earliest expiry is lowest.
func (e *encoder) field(t byte, lowest int64, f Element) {
	if t == typeRedisHashTTL {
		ttl := uint64(0)
		if f.ExpireAt != 0 {
			ttl = uint64(f.ExpireAt-lowest) + 1
		}
		e.length(ttl)
	}
	e.text(f.Text)
	e.text(f.Value)
	if t == typeValkeyHash2 {
		at := f.ExpireAt
		if at == 0 {
			at = -1
		}
		e.fixed64(uint64(at))
	}
	e.spill()
}

// expiringListpack writes field, value and expiry of each, those that expire
// first in front.
func (e *encoder) expiringListpack(d Hash) {
	e.fixed64(uint64(earliest(d)))
	d = slices.Clone(d)
	slices.SortStableFunc(d, func(a, b Field) int {
		if (a.ExpireAt == 0) != (b.ExpireAt == 0) {
			return cmp.Compare(b.ExpireAt, a.ExpireAt)
		}
		return cmp.Compare(a.ExpireAt, b.ExpireAt)
	})
	e.pack.Reset()
	for _, f := range d {
		e.pack.Add(f.Name)
		e.pack.Add(f.Value)
		e.pack.AddInt(f.ExpireAt)
	}
	e.text(e.pack.Bytes())
}

// earliest returns the first expiry of a hash's fields, 0 if none expires.
func earliest(d Hash) (ms int64) {
	for _, f := range d {
		if f.ExpireAt != 0 && (ms == 0 || f.ExpireAt < ms) {
			ms = f.ExpireAt
		}
	}
	return ms
}

func (m *Module) check() error {
	if m == nil || m.ID == 0 {
		return errors.New("rdb: a module's value without a module cannot be written")
	}
	for _, item := range m.Items {
		if item.Kind < ModuleSigned || item.Kind > ModuleText {
			return fmt.Errorf("rdb: a module's value with an item of kind %d cannot be written", item.Kind)
		}
	}
	return nil
}

func (e *encoder) module(m *Module) {
	e.length(uint64(m.ID))
	for _, item := range m.Items {
		e.length(uint64(item.Kind))
		switch item.Kind {
		case ModuleSigned, ModuleUnsigned:
			e.length(item.Int)
		case ModuleFloat:
			e.fixed32(math.Float32bits(float32(item.Float)))
		case ModuleDouble:
			e.fixed64(math.Float64bits(item.Float))
		case ModuleText:
			e.text(item.Text)
		}
		e.spill()
	}
	e.length(moduleEnd)
}
