package rdb

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/keyframe/keyframe/rdb/crc64"
)

// builder writes RDB files byte by byte, in every form that the format allows.
type builder struct{ b []byte }

func newFile(version int) *builder {
	if version >= onlyValkey {
		return new(builder).raw(fmt.Sprintf("VALKEY%03d", version))
	}
	return new(builder).raw(fmt.Sprintf("REDIS%04d", version))
}

func (f *builder) raw(s string) *builder    { f.b = append(f.b, s...); return f }
func (f *builder) bytes(b ...byte) *builder { f.b = append(f.b, b...); return f }
func (f *builder) zeros(n int) *builder     { f.b = append(f.b, make([]byte, n)...); return f }

func (f *builder) le32(v uint32) *builder {
	f.b = binary.LittleEndian.AppendUint32(f.b, v)
	return f
}

func (f *builder) le64(v uint64) *builder {
	f.b = binary.LittleEndian.AppendUint64(f.b, v)
	return f
}

// length writes the shortest form, as engines do.
func (f *builder) length(n uint64) *builder {
	switch {
	case n < 1<<6:
		return f.bytes(byte(n))
	case n < 1<<14:
		return f.bytes(0x40|byte(n>>8), byte(n))
	case n <= math.MaxUint32:
		return f.length32(uint32(n))
	}
	return f.length64(n)
}

func (f *builder) lengths(ns ...uint64) *builder {
	for _, n := range ns {
		f.length(n)
	}
	return f
}

func (f *builder) length32(n uint32) *builder {
	f.b = binary.BigEndian.AppendUint32(append(f.b, length32), n)
	return f
}

func (f *builder) length64(n uint64) *builder {
	f.b = binary.BigEndian.AppendUint64(append(f.b, length64), n)
	return f
}

func (f *builder) strings(ss ...string) *builder {
	for _, s := range ss {
		f.length(uint64(len(s))).raw(s)
	}
	return f
}

// lzf writes a string as LZF: a first literal, then references to it where it
// repeats, else literals.
func (f *builder) lzf(s string) *builder {
	packed := packLZF(s)
	return f.bytes(stringLZF).lengths(uint64(len(packed)), uint64(len(s))).raw(packed)
}

func packLZF(s string) string {
	var out []byte
	for i := 0; i < len(s); {
		run := 1
		for i+run < len(s) && run < 265 && s[i+run] == s[i] {
			run++
		}
		out = append(out, 0, s[i])
		i++
		switch n := run - 1; {
		case n >= 9:
			out = append(out, 0xe0, byte(n-9), 0)
			i += n
		case n >= 3:
			out = append(out, byte(n-2)<<5, 0)
			i += n
		}
	}
	return string(out)
}

func (f *builder) aux(name, value string) *builder {
	return f.bytes(opAux).strings(name, value)
}

func (f *builder) selectDB(n uint64) *builder { return f.bytes(opSelectDB).length(n) }

// key starts a record with a plain key.
func (f *builder) key(typ byte, key string) *builder { return f.bytes(typ).strings(key) }

// set writes a string record.
func (f *builder) set(key, value string) *builder { return f.key(typeString, key).strings(value) }

// module writes the packed form of a module's nine-letter name and a version.
func (f *builder) module(name string, version uint64) *builder {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var id uint64
	for i := range len(name) {
		for j := range len(letters) {
			if letters[j] == name[i] {
				id = id<<6 | uint64(j)
			}
		}
	}
	return f.length(id<<10 | version)
}

// end closes the file with its checksum, and returns it.
func (f *builder) end() []byte {
	f.bytes(opEOF)
	return f.le64(crc64.Update(0, f.b)).b
}

// endUnsummed closes the file as engines do with rdbchecksum no.
func (f *builder) endUnsummed() []byte { return f.bytes(opEOF).le64(0).b }
