package rdb

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/rdb/crc64"
)

// dumpTail is what follows the value in a payload: version and checksum.
const dumpTail = 2 + 8

// Dump is what the command DUMP answers and RESTORE takes: one value, without its
// key and expiry.
type Dump struct {
	Type     byte     // how the value is stored; see TypeName
	Family   string   // FamilyRedis or FamilyValkey: which engines write this version
	Version  int      // of the RDB format
	Checksum Checksum // ChecksumAbsent if the payload has zero for it, which engines accept
	Raw      []byte   // the value's bytes, a part of the payload
}

// ParseDump checks a payload: its checksum, that the version and type are known
// here, and that the bytes are exactly one value. Errors match ErrCorrupt, with
// offsets into the payload.
//
// A payload does not say its family: versions from 80 on are Valkey's.
func ParseDump(payload []byte) (*Dump, error) {
	fail := func(offset int, also error, format string, args ...any) error {
		return &CorruptError{Offset: int64(offset), Section: "DUMP payload", Reason: fmt.Sprintf(format, args...), also: also}
	}
	if len(payload) < 1+dumpTail {
		return nil, fail(len(payload), io.ErrUnexpectedEOF, "truncated")
	}
	tail := len(payload) - dumpTail
	d := &Dump{
		Type: payload[0], Family: FamilyRedis, Version: int(binary.LittleEndian.Uint16(payload[tail:])),
		Checksum: ChecksumAbsent, Raw: payload[1:tail:tail],
	}
	if stored := binary.LittleEndian.Uint64(payload[tail+2:]); stored != 0 {
		if sum := crc64.Update(0, payload[:tail+2]); stored != sum {
			return nil, fail(tail+2, nil, "the checksum is %016x, but that of the bytes is %016x", stored, sum)
		}
		d.Checksum = ChecksumVerified
	}
	switch {
	case d.Version == 0:
		return nil, fail(tail, nil, "version 0 does not exist")
	case d.Version >= onlyValkey:
		d.Family = FamilyValkey
		if d.Version > onlyValkey {
			return nil, fail(tail, ErrUnsupported, "version %d; versions 1 to %d and %d are read", d.Version, newestRedis, onlyValkey)
		}
	case d.Version > newestRedis:
		return nil, fail(tail, ErrUnsupported, "version %d; versions 1 to %d and %d are read", d.Version, newestRedis, onlyValkey)
	}
	return d, walkRaw(familyOf(d.Family), d.Type, d.Raw)
}

// Value returns the value, to be read like that of a record, and as often as
// wanted. Offsets in its errors count from the start of the payload.
func (d *Dump) Value() *Value { return rawValue(familyOf(d.Family), d.Type, d.Raw) }

// Verify checks the value as Options.Deep does those of a file.
func (d *Dump) Verify() error {
	s := rawValue(familyOf(d.Family), d.Type, d.Raw).s
	s.deep = newDeep(true)
	return s.verifyValue()
}

// Decode returns the value in memory. If it takes more than limit bytes there, the
// error matches ErrTooLarge.
func (d *Dump) Decode(limit int64) (Data, error) { return d.Value().Decode(limit) }

// AppendDump appends to dst the payload that RESTORE takes for a value of type t,
// whose bytes are raw, as Value.Raw and Dump.Raw give them.
//
// version is the RDB version to name in it. An engine takes no payload of a
// version above its own, and, if it is a Valkey, none from 12 to 79; TypeVersion
// is always low enough for the engines that know the type.
func AppendDump(dst []byte, t byte, raw []byte, version int) []byte {
	from := len(dst)
	dst = append(append(dst, t), raw...)
	return sealDump(dst, from, version)
}

// Dump writes the payload that RESTORE takes for the value to w, whatever its
// size, with version in it as AppendDump has it, and returns how many bytes it
// has. After an error w has a part of it.
func (v *Value) Dump(w io.Writer, version int) (int64, error) {
	if v.stage != valueFresh {
		return 0, ErrValueRead
	}
	out := &summing{w: w}
	if _, err := out.Write([]byte{v.typ}); err != nil {
		return out.n, err
	}
	if _, err := v.Raw(out); err != nil {
		return out.n, err
	}
	if _, err := out.Write(binary.LittleEndian.AppendUint16(nil, uint16(version))); err != nil {
		return out.n, err
	}
	_, err := out.Write(binary.LittleEndian.AppendUint64(nil, out.crc))
	return out.n, err
}

func sealDump(dst []byte, from, version int) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(version))
	return binary.LittleEndian.AppendUint64(dst, crc64.Update(0, dst[from:]))
}

// EncodeDump appends to dst the payload that RESTORE takes for a value in memory,
// in a form that engines of o.Version know.
func EncodeDump(dst []byte, d Data, o WriterOptions) ([]byte, error) {
	e, err := o.encoder()
	if err != nil {
		return dst, err
	}
	t, err := e.choose(d)
	if err != nil {
		return dst, err
	}
	from := len(dst)
	e.b = append(dst, t)
	e.value(t, d)
	return sealDump(e.b, from, o.Version), nil
}

// TypeVersion returns the lowest RDB version, not under 9, whose readers know a
// value type of a family. It is 0 for types that are not read here.
func TypeVersion(fam string, t byte) int {
	l := familyOf(fam).layout(t)
	if l.name == "" || l.refused != "" {
		return 0
	}
	return max(l.since, lowestTarget)
}

// rawValue makes a Value of bytes that are nothing else. It does not change them.
func rawValue(f family, t byte, raw []byte) *Value {
	s := &Scanner{
		buf: raw, end: len(raw), base: 1, readErr: io.EOF, family: f, op: t, stage: inValue, slot: -1, version: newestRedis,
		sum: new(Summary),
	}
	if f == valkey {
		s.version = onlyValkey
	}
	s.value = Value{s: s, kind: f.kind(t), typ: t, start: s.offset()}
	return &s.value
}

// walkRaw wants raw to be exactly one value of a type that can be read.
func walkRaw(f family, t byte, raw []byte) error {
	v := rawValue(f, t, raw)
	s := v.s
	if err := s.admit(0); err != nil {
		return err
	}
	if err := s.skipValue(); err != nil {
		return err
	}
	if s.pos != s.end {
		return s.corrupt("%d bytes behind the value", s.end-s.pos)
	}
	return nil
}
