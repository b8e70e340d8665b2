package rdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/rdb/crc64"
)

// ziplist puts entries, each its encoding and data, into a ziplist: four bytes of
// size, four of the last entry's place, two of count, entries, 0xff. In front of
// every entry is the length of the one before, in one byte, or five from 254 on.
func ziplist(entries ...string) string {
	var body []byte
	before, last := 0, 10
	for _, e := range entries {
		last = 10 + len(body)
		if before < 254 {
			body = append(body, byte(before))
		} else {
			body = binary.LittleEndian.AppendUint32(append(body, 254), uint32(before))
		}
		body = append(body, e...)
		before = 10 + len(body) - last
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)+11))
	b = binary.LittleEndian.AppendUint32(b, uint32(last))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(entries)))
	return string(append(append(b, body...), 0xff))
}

// listpack puts entries, each its encoding and data, of up to 127 bytes, into a
// listpack: four bytes of size, two of count, entries with their length behind,
// 0xff.
func listpack(entries ...string) string {
	var body []byte
	for _, e := range entries {
		body = append(append(body, e...), byte(len(e)))
	}
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(body)+7))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(entries)))
	return string(append(append(b, body...), 0xff))
}

// short is a string of a listpack.
func short(s string) string { return string([]byte{0x80 | byte(len(s))}) + s }

func list(texts ...string) (d [][]byte) {
	for _, s := range texts {
		d = append(d, []byte(s))
	}
	return d
}

// vectors are values in the forms that no engine at hand writes, byte by byte.
func vectors() map[string]struct {
	version int
	typ     byte
	raw     string
	want    Data
} {
	type vector = struct {
		version int
		typ     byte
		raw     string
		want    Data
	}
	str := func(s string) string { return string(new(builder).strings(s).b) }
	le64 := func(v int64) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(v))) }
	long := strings.Repeat("l", 300)
	numbers := ziplist("\xf1", "\xfd", "\xfe\x85", "\xc0\x00\x80", "\xf0\x00\x00\x80", "\xd0\x00\x00\x00\x80", "\xe0\x00\x00\x00\x00\x00\x00\x00\x80")
	texts := ziplist("\x02ab", "\x41\x2c"+long, "\x80\x00\x00\x00\x01z", "\x00")
	return map[string]vector{
		"list": {1, typeList, "\x03\x01a\xc0\x85\xc3\x05\x0a\x00x\xe0\x00\x00", List(list("a", "-123", strings.Repeat("x", 10)))},
		"scores as text": {3, typeZset, "\x05\x01a\x041.25\x01b\xfd\x01c\xfe\x01d\xff\x01e\x06-1e-10", SortedSet{
			{[]byte("a"), 1.25}, {[]byte("b"), math.NaN()}, {[]byte("c"), math.Inf(1)}, {[]byte("d"), math.Inf(-1)}, {[]byte("e"), -1e-10}}},
		// Count, then field length and text, value length, free bytes behind it, text.
		"zipmap": {3, typeHashZipmap, str("\x03\x01f\x03\x00one\x02gg\x02\x03vvfre\xfe\x01\x00\x00\x00h\x00\x00\xff"), Hash{
			{[]byte("f"), []byte("one"), 0}, {[]byte("gg"), []byte("vv"), 0}, {[]byte("h"), []byte{}, 0}}},
		"ziplist of numbers": {6, typeListZiplist, str(numbers), List(list("0", "12", "-123", "-32768", "-8388608", "-2147483648", "-9223372036854775808"))},
		"ziplist of texts":   {6, typeListZiplist, str(texts), List(list("ab", long, "z", ""))},
		"ziplists":           {7, typeListQuicklist, "\x02" + str(texts) + str(numbers), List(list("ab", long, "z", "", "0", "12", "-123", "-32768", "-8388608", "-2147483648", "-9223372036854775808"))},
		"ziplist of scores":  {6, typeZsetZiplist, str(ziplist("\x01a", "\x041e-5", "\x01b", "\xfa", "\x01c", "\x03inf")), SortedSet{{[]byte("a"), 1e-5}, {[]byte("b"), 9}, {[]byte("c"), math.Inf(1)}}},
		"ziplist of fields":  {6, typeHashZiplist, str(ziplist("\x01f", "\x01v", "\x01g", "\xfe\x80")), Hash{{[]byte("f"), []byte("v"), 0}, {[]byte("g"), []byte("-128"), 0}}},
		"intset":             {6, typeSetIntset, str("\x04\x00\x00\x00\x02\x00\x00\x00\xff\xff\xff\xff\x01\x00\x01\x00"), Set(list("-1", "65537"))},
		// The earliest expiry; then how far each field's is behind it, from 1, or 0 for none.
		"hash with TTLs": {12, typeRedisHashTTL, le64(1700000000000) + "\x03\x00\x01f\x01v\x01\x01g\x01w\x43\xe9\x01h\x01x", Hash{
			{[]byte("f"), []byte("v"), 0}, {[]byte("g"), []byte("w"), 1700000000000}, {[]byte("h"), []byte("x"), 1700000001000}}},
		// The same, then field, value and expiry, those without one at the end.
		"hash with TTLs, listpack": {12, typeRedisHashPackEx, le64(1700000000000) + str(listpack(short("g"), short("w"), "\xf4"+le64(1700000000000), short("f"), "\x07", "\x00")), Hash{
			{[]byte("g"), []byte("w"), 1700000000000}, {[]byte("f"), []byte("7"), 0}}},
		// Field, value, and always eight bytes of expiry, -1 for none.
		"hash with TTLs of Valkey": {80, typeValkeyHash2, "\x02\x01f\x01v" + le64(-1) + "\x01g\xc0\x07" + le64(1800000000000), Hash{
			{[]byte("f"), []byte("v"), 0}, {[]byte("g"), []byte("7"), 1800000000000}}},
		"plain and packed nodes": {10, typeListQuicklist2, "\x02\x01\x05plain\x02" + str(listpack(short("packed"), "\xc5\xff")), List(list("plain", "packed", "1535"))},
		// Two entries and a deleted one between them, of which the last has fields of its
		// own; one group without anything.
		"stream, first form": {9, typeStream1, "\x01\x10" + strings.Repeat("\x00", 7) + "\x05" + strings.Repeat("\x00", 7) + "\x01" +
			str(listpack("\x02", "\x01", "\x01", short("f"), "\x00", "\x02", "\x00", "\x00", short("v"), "\x04",
				"\x03", "\x00", "\x01", short("w"), "\x04", "\x00", "\x02", "\xdf\xff", "\x01", "\x09", short("x"), "\x06")) +
			"\x02\x07\x00\x01\x01g\x05\x01\x00\x00",
			&Stream{Entries: []StreamEntry{
				{StreamID{5, 1}, []Pair{{[]byte("f"), []byte("v")}}}, {StreamID{7, 0}, []Pair{{[]byte("9"), []byte("x")}}}},
				StreamState: StreamState{Length: 2, LastID: StreamID{7, 0}, FirstID: StreamID{5, 1}, EntriesAdded: 2,
					Groups: []Group{{Name: []byte("g"), LastID: StreamID{5, 1}, EntriesRead: -1}}}}},
		"stream, third form": {11, typeStream3, "\x00\x00\x05\x06\x00\x00\x05\x06\x07" +
			"\x01\x01g\x05\x06\x81" + strings.Repeat("\xff", 8) + "\x01" + strings.Repeat("\x00", 15) + "\x09" + le64(11) + "\x02" +
			"\x02\x01a" + le64(12) + le64(13) + "\x01" + strings.Repeat("\x00", 15) + "\x09" + "\x01b" + le64(14) + le64(-1) + "\x00",
			&Stream{StreamState: StreamState{LastID: StreamID{5, 6}, MaxDeletedID: StreamID{5, 6}, EntriesAdded: 7, Groups: []Group{{
				Name: []byte("g"), LastID: StreamID{5, 6}, EntriesRead: -1, Pending: []Pending{{StreamID{0, 9}, 11, 2}},
				Consumers: []Consumer{{Name: []byte("a"), SeenAt: 12, ActiveAt: 13, Pending: []StreamID{{0, 9}}}, {Name: []byte("b"), SeenAt: 14, ActiveAt: -1}}}}}}},
		"module": {8, typeModule2, string(new(builder).module("tairhash-", 3).b) + "\x01\x81\xff\xff\xff\xff\xff\xff\xff\xfe\x02\x07\x03\x00\x00\xc0\x3f\x04" +
			string(binary.LittleEndian.AppendUint64(nil, math.Float64bits(-2.5))) + "\x05\x02hi\x00",
			&Module{ID: 0xb5a8ab85ab21f803, Items: []ModuleItem{{Kind: ModuleSigned, Int: 1<<64 - 2}, {Kind: ModuleUnsigned, Int: 7},
				{Kind: ModuleFloat, Float: 1.5}, {Kind: ModuleDouble, Float: -2.5}, {Kind: ModuleText, Text: []byte("hi")}}}},
	}
}

// oneBlob tells the types whose values are a string and nothing else.
func oneBlob(t byte) bool {
	return isPacked(redis, t) && t != typeListQuicklist && t != typeListQuicklist2 && t != typeRedisHashPackEx
}

// Every form is read, from files with every window, as a payload, and compressed
// where it is one string.
func TestVectors(t *testing.T) {
	t.Parallel()
	for name, vec := range vectors() {
		check := func(how string, got Data, err error) {
			if err != nil || canonical(got) != canonical(vec.want) {
				t.Errorf("%s, %s: %v, %s", name, how, err, difference(got, vec.want))
			}
		}
		file := newFile(vec.version).key(vec.typ, "k").raw(vec.raw).set("next", "v").end()
		for window := 128; window < 600; window += 13 {
			n := 0
			for r, err := range newScanner(bytes.NewReader(file), Options{}, window).Records() {
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if n++; n == 1 {
					got, err := r.Value.Decode(1 << 20)
					check(fmt.Sprint("window ", window), got, err)
				}
			}
			if n != 2 {
				t.Errorf("%s: %d records", name, n)
			}
		}
		dump, err := ParseDump(AppendDump(nil, vec.typ, []byte(vec.raw), vec.version))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := dump.Decode(1 << 20)
		check("payload", got, err)
		if err := dump.Verify(); err != nil && name != "scores as text" {
			t.Errorf("%s: %v", name, err)
		}
		if text, err := rawValue(redis, typeString, []byte(vec.raw)).Text(1 << 20); err == nil && oneBlob(vec.typ) {
			packed := string(new(builder).lzf(string(text)).b)
			got, err := rawValue(redis, vec.typ, []byte(packed)).Decode(1 << 20)
			check("compressed", got, err)
		}
		// What can be written, of the same or a later version, is the same again.
		if name == "scores as text" {
			continue // NaN
		}
		for _, version := range []int{vec.version, 12, 80} {
			o := WriterOptions{Version: max(version, 9)}
			payload, err := EncodeDump(nil, vec.want, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			dump, err := ParseDump(payload)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := dump.Decode(1 << 20)
			check(fmt.Sprint("written with version ", version), got, err)
		}
	}
}

// Payloads are refused for each thing that can be wrong with them.
func TestParseDumpRefuses(t *testing.T) {
	t.Parallel()
	good := AppendDump(nil, typeString, []byte("\x02hi"), 11)
	if d, err := ParseDump(good); err != nil || d.Checksum != ChecksumVerified || d.Version != 11 || string(d.Raw) != "\x02hi" {
		t.Fatalf("%+v, %v", d, err)
	}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, err := ParseDump(bad); err == nil {
				t.Errorf("byte %d, bit %d", i, bit)
			}
		}
		if _, err := ParseDump(good[:i]); err == nil {
			t.Errorf("the first %d bytes", i)
		}
	}
	unsummed := append(bytes.Clone(good[:len(good)-8]), make([]byte, 8)...)
	if d, err := ParseDump(unsummed); err != nil || d.Checksum != ChecksumAbsent {
		t.Errorf("without a checksum: %v", err)
	}
	for name, p := range map[string][]byte{
		"version 0":   AppendDump(nil, typeString, []byte("\x00"), 0),
		"version 13":  AppendDump(nil, typeString, []byte("\x00"), 13),
		"version 81":  AppendDump(nil, typeString, []byte("\x00"), 81),
		"type 8":      AppendDump(nil, 8, []byte("\x00"), 11),
		"type 26":     AppendDump(nil, 26, []byte("\x00"), 12),
		"an opcode":   AppendDump(nil, opEOF, []byte("\x00"), 12),
		"more":        AppendDump(nil, typeString, []byte("\x00\x00"), 11),
		"less":        AppendDump(nil, typeString, []byte("\x01"), 11),
		"no value":    AppendDump(nil, typeString, nil, 11),
		"the shorter": good[:10],
	} {
		if d, err := ParseDump(p); err == nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if crc64.Update(0, good[:len(good)-8]) != binary.LittleEndian.Uint64(good[len(good)-8:]) {
		t.Error("the checksum")
	}
}
