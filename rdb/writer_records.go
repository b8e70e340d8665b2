package rdb

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
)

// Write writes a record whose value is in memory, in the form that engines
// choose for its size: as an integer, compressed, packed or plain.
func (w *Writer) Write(m Meta, d Data) error {
	if err := w.check(m); err != nil {
		return err
	}
	t, err := w.enc.choose(d)
	if err != nil {
		return err
	}
	w.begin(m, t)
	w.enc.value(t, d)
	return w.settle(nil)
}

// WriteString writes a record whose value is a string of size bytes that r
// gives. It is neither compressed nor held in memory.
func (w *Writer) WriteString(m Meta, size int64, r io.Reader) error {
	if size < 0 || size > maxBytes {
		return fmt.Errorf("rdb: a string cannot have %d bytes", size)
	}
	if err := w.check(m); err != nil {
		return err
	}
	w.begin(m, typeString)
	w.enc.length(uint64(size))
	w.enc.flush()
	if w.enc.err != nil {
		return w.settle(nil)
	}
	n, err := io.Copy(&w.out, io.LimitReader(r, size))
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = fmt.Errorf("rdb: after %d of %d bytes of a string: %w", n, size, err)
	}
	return w.settle(err)
}

// Collection is a list, set, sorted set or hash of any size, to be written
// element by element.
type Collection struct {
	Kind Kind
	Len  int64 // how many elements All has; at least 1

	// MinExpireAt is the earliest expiry of a hash's fields, in Unix milliseconds, if
	// any has one.
	MinExpireAt int64

	// All gives the elements, as Value.Elements does. They are not kept.
	All iter.Seq2[Element, error]
}

// WriteCollection writes a record whose value is not in memory. It is stored
// element by element, which every version has. If it ends with another number of
// elements than was announced, or with an error, the file is lost.
func (w *Writer) WriteCollection(m Meta, c Collection) error {
	if c.Len < 1 {
		return errEmpty(c.Kind)
	}
	if c.MinExpireAt < 0 {
		return fmt.Errorf("rdb: the fields of a hash cannot expire from %d on", c.MinExpireAt)
	}
	t, err := w.plainType(c)
	if err != nil {
		return err
	}
	if err := w.check(m); err != nil {
		return err
	}
	w.begin(m, t)
	if t == typeRedisHashTTL && w.enc.family == redis {
		w.enc.fixed64(uint64(c.MinExpireAt))
	}
	w.enc.length(uint64(c.Len))
	return w.settle(w.elements(t, c))
}

func (w *Writer) plainType(c Collection) (byte, error) {
	switch c.Kind {
	case KindList:
		return typeList, nil
	case KindSet:
		return typeSet, nil
	case KindSortedSet:
		return typeZset2, nil
	case KindHash:
		if c.MinExpireAt != 0 {
			return w.enc.expiringHash()
		}
		return typeHash, nil
	}
	return 0, fmt.Errorf("%w: a %s is not written element by element", ErrKind, c.Kind)
}

func (w *Writer) elements(t byte, c Collection) error {
	left, e := c.Len, &w.enc
	for element, err := range c.All {
		if err != nil {
			return err
		}
		if left--; left < 0 {
			return fmt.Errorf("rdb: more than the %d elements announced", c.Len)
		}
		switch c.Kind {
		case KindSortedSet:
			if math.IsNaN(element.Score) {
				return fmt.Errorf("rdb: member %.60q has no number as its score", element.Text)
			}
			e.text(element.Text)
			e.fixed64(math.Float64bits(element.Score))
			e.spill()
		case KindHash:
			if element.ExpireAt != 0 && (c.MinExpireAt == 0 || element.ExpireAt < c.MinExpireAt) {
				return fmt.Errorf("rdb: field %.60q expires at %d, before the earliest that was announced, %d", element.Text, element.ExpireAt, c.MinExpireAt)
			}
			e.field(t, c.MinExpireAt, element)
		default:
			e.text(element.Text)
			e.spill()
		}
		if e.err != nil {
			return nil // settle reports it
		}
	}
	if left > 0 {
		return fmt.Errorf("rdb: %d elements fewer than the %d announced", left, c.Len)
	}
	return nil
}

// WriteStream writes a record whose value is a stream of n entries that are not in
// memory. state is called after the last of them, so that Entries and State of a
// Value fit. Wrong numbers or an error make the file lost.
func (w *Writer) WriteStream(m Meta, n int64, entries iter.Seq2[StreamEntry, error], state func() (*StreamState, error)) error {
	if n < 0 {
		return fmt.Errorf("rdb: a stream cannot have %d entries", n)
	}
	if err := w.check(m); err != nil {
		return err
	}
	t := w.enc.streamType()
	w.begin(m, t)
	w.enc.length(uint64(n+nodeEntries-1) / nodeEntries)
	return w.settle(w.stream(t, n, entries, state))
}

func (w *Writer) stream(t byte, n int64, entries iter.Seq2[StreamEntry, error], state func() (*StreamState, error)) error {
	var (
		node        nodeBuilder
		kept        hoard
		first, last StreamID
		seen        int64
	)
	for entry, err := range entries {
		switch {
		case err != nil:
			return err
		case entry.ID.Compare(last) <= 0:
			return errOrder(entry.ID, last)
		case len(entry.Fields) == 0 || len(entry.Fields) > maxFields:
			return errFields(entry)
		case seen == n:
			return fmt.Errorf("rdb: more than the %d entries announced", n)
		}
		if seen%nodeEntries == 0 {
			w.enc.node(&node)
			node.begin(entry.ID)
			kept = hoard{}
		}
		if seen == 0 {
			first = entry.ID
		}
		last = entry.ID
		seen++
		from := len(node.fields)
		node.add(entry)
		for i := range entry.Fields {
			f := &node.fields[from+i]
			f.Name, f.Value = kept.keep(f.Name, 0), kept.keep(f.Value, 0)
			if from == 0 {
				node.names[i] = f.Name
			}
		}
		if w.enc.err != nil {
			return nil // settle reports it
		}
	}
	if seen < n {
		return fmt.Errorf("rdb: %d entries fewer than the %d announced", n-seen, n)
	}
	w.enc.node(&node)
	st, err := state()
	if err != nil {
		return err
	}
	if err := st.check(); err != nil {
		return err
	}
	whole := *st
	whole.Length, whole.FirstID = uint64(n), first
	whole.raise(last)
	w.enc.streamState(t, &whole)
	return nil
}

// WriteRaw writes a record whose value is raw, the bytes of a file or of a DUMP
// payload, of type t in the Writer's family. They must be exactly one value.
func (w *Writer) WriteRaw(m Meta, t byte, raw []byte) error {
	if err := w.has(t); err != nil {
		return err
	}
	if err := walkRaw(w.enc.family, t, raw); err != nil {
		return err
	}
	if err := w.check(m); err != nil {
		return err
	}
	w.begin(m, t)
	w.enc.raw(raw)
	return w.settle(nil)
}

// has refuses types that the Writer's version does not have.
func (w *Writer) has(t byte) error {
	l := w.enc.family.layout(t)
	switch {
	case l.name == "" || l.refused != "":
		return fmt.Errorf("%w: type %d of %s", ErrUnsupported, t, w.enc.family)
	case l.since > w.enc.version:
		return fmt.Errorf("%w to version %d: %s needs version %d", ErrCannotLower, w.enc.version, l.name, l.since)
	}
	return nil
}

// Copy writes a record with a value that is being read, byte by byte if the
// Writer's version has its type. Otherwise it is decoded, if it takes no more than
// limit bytes of memory, and written in a form that the version has: sets packed
// by newer engines, streams of a newer form, fields that expire between the
// families.
func (w *Writer) Copy(m Meta, v *Value, limit int64) error {
	if err := w.check(m); err != nil {
		return err
	}
	crosses := v.typ >= typeFamilySpecific && v.s.family != w.enc.family
	if err := w.has(v.typ); crosses || errors.Is(err, ErrCannotLower) {
		d, err := v.Decode(limit)
		if err != nil {
			return err
		}
		return w.Write(m, d)
	}
	if v.stage != valueFresh {
		return ErrValueRead
	}
	w.begin(m, v.typ)
	w.enc.flush()
	_, err := v.Raw(&w.out)
	return w.settle(err)
}
