package rdb

import (
	"encoding/binary"
	"math"

	"github.com/keyframe/keyframe/rdb/lzf"
	"github.com/keyframe/keyframe/rdb/packed"
)

// encoder writes lengths, strings and values, to out or, without one, to b.
type encoder struct {
	b       []byte
	out     *summing
	err     error // the first of out
	family  family
	version int

	unpacked, uncompressed bool

	pack    packed.ListpackBuilder
	scratch []byte
}

// pieces is how much an encoder collects before it writes.
const pieces = 64 << 10

// spill writes what was collected, if it is enough to be worth it.
func (e *encoder) spill() {
	if len(e.b) >= pieces && e.out != nil {
		e.flush()
	}
}

// flush writes what was collected.
func (e *encoder) flush() {
	if e.err == nil && len(e.b) > 0 {
		_, e.err = e.out.Write(e.b)
	}
	e.b = e.b[:0]
}

// length writes a length in its shortest form.
func (e *encoder) length(n uint64) { e.b = appendLength(e.b, n) }

func appendLength(b []byte, n uint64) []byte {
	switch {
	case n < 1<<6:
		return append(b, byte(n))
	case n < 1<<14:
		return append(b, 0x40|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, length32), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, length64), n)
}

func (e *encoder) lengths(ns ...uint64) {
	for _, n := range ns {
		e.length(n)
	}
}

func (e *encoder) id(id StreamID) { e.lengths(id.Ms, id.Seq) }

func (e *encoder) rawID(id StreamID) {
	e.b = binary.BigEndian.AppendUint64(e.b, id.Ms)
	e.b = binary.BigEndian.AppendUint64(e.b, id.Seq)
}

func (e *encoder) fixed32(v uint32) { e.b = binary.LittleEndian.AppendUint32(e.b, v) }

func (e *encoder) fixed64(v uint64) { e.b = binary.LittleEndian.AppendUint64(e.b, v) }

// Strings up to longestInteger are tried as integers, and those above
// shortestLZF are compressed where that saves smallestGain bytes.
const (
	longestInteger = 11
	shortestLZF    = 20
	smallestGain   = 4
)

// text writes a string as engines do: as an integer if it is the decimal text of
// one, or compressed, or plain.
func (e *encoder) text(p []byte) {
	if len(p) <= longestInteger {
		if n, ok := packed.ParseInteger(p); ok && n == int64(int32(n)) {
			e.integer(n)
			return
		}
	}
	if len(p) > shortestLZF && !e.uncompressed {
		e.scratch = lzf.Append(e.scratch[:0], p)
		short := len(e.scratch) <= len(p)-smallestGain
		if short {
			e.b = append(e.b, stringLZF)
			e.lengths(uint64(len(e.scratch)), uint64(len(p)))
			e.raw(e.scratch)
		}
		if cap(e.scratch) > keepKey {
			e.scratch = nil
		}
		if short {
			return
		}
	}
	e.length(uint64(len(p)))
	e.raw(p)
}

// integer writes a string that is the decimal text of a number of 32 bits.
func (e *encoder) integer(n int64) {
	switch {
	case n == int64(int8(n)):
		e.b = append(e.b, stringInt8, byte(n))
	case n == int64(int16(n)):
		e.b = binary.LittleEndian.AppendUint16(append(e.b, stringInt16), uint16(n))
	default:
		e.b = binary.LittleEndian.AppendUint32(append(e.b, stringInt32), uint32(n))
	}
}

// raw writes bytes, large ones past the buffer.
func (e *encoder) raw(p []byte) {
	if e.out == nil || len(p) < pieces {
		e.b = append(e.b, p...)
		e.spill()
		return
	}
	e.flush()
	if e.err == nil {
		_, e.err = e.out.Write(p)
	}
}
