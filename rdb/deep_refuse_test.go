package rdb

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/rdb/packed"
)

func listpackOf(texts ...string) string {
	var b packed.ListpackBuilder
	for _, t := range texts {
		b.Add([]byte(t))
	}
	return string(b.Bytes())
}

func ziplistOf(texts ...string) string {
	var b packed.ZiplistBuilder
	for _, t := range texts {
		b.Add([]byte(t))
	}
	return string(b.Bytes())
}

// wordsOf is a stream's node: a listpack of the words.
func wordsOf(words string) string { return listpackOf(strings.Fields(words)...) }

// streamOf starts a stream in the file, up to its groups: nodes named by time and
// 0, length, last ID.
func (f *builder) streamOf(length, lastMs uint64, nodes ...string) *builder {
	f.key(typeStream3, "k").length(uint64(len(nodes)))
	for i, n := range nodes {
		f.length(streamID).zeros(7).bytes(byte(i + 1)).zeros(8).strings(n)
	}
	return f.lengths(length, lastMs, 0).lengths(0, 0, 0, 0, length)
}

// group writes a consumer group with one pending entry, and as many consumers,
// that have an entry each.
func (f *builder) group(name string, pending byte, consumers map[string]byte) *builder {
	f.strings(name).lengths(9, 9, 9).length(1).zeros(15).bytes(pending).le64(1).length(1)
	f.length(uint64(len(consumers)))
	for name, own := range consumers {
		f.strings(name).le64(1).le64(1).length(1).zeros(15).bytes(own)
	}
	return f
}

// Every way in which a value can be broken whose lengths all fit, with place,
// section and words.
func TestDeepRefusals(t *testing.T) {
	t.Parallel()
	const one = "1 0 1 f 0  2 0 0 v 4" // a node with an entry
	at := func(f *builder) int64 { return int64(len(f.b)) }
	v11 := func(typ byte) *builder { return newFile(11).key(typ, "k") }
	nan := math.Float64bits(math.NaN())
	for _, c := range []struct {
		name    string
		file    *builder
		offset  int64
		section string
		reason  string
	}{
		{"LZF", v11(typeString).bytes(stringLZF).lengths(2, 3).raw("\x00a"), 12, "value of type 0 (string)", "LZF that does not hold the 3 bytes it claims"},
		{"LZF of an element", v11(typeList).length(2).strings("a").bytes(stringLZF).lengths(2, 1).raw("\x20\x05"), 15, "value of type 1 (list)", "LZF that does not hold the 1 bytes it claims"},
		{"LZF of a key", newFile(11).bytes(typeString, stringLZF).lengths(2, 3).raw("\x00a").strings("v"), 10, "key", "LZF that does not hold the 3 bytes it claims"},
		{"LZF of a field", newFile(11).bytes(opAux).strings("a").bytes(stringLZF).lengths(2, 3).raw("\x00a"), 12, "opcode 250 (auxiliary field)", "LZF that does not hold the 3 bytes it claims"},
		{"LZF of a module", v11(typeModule2).lengths(5, moduleString).bytes(stringLZF).lengths(2, 3).raw("\x00a").length(0), 14, "value of type 7 (module)", "LZF that does not hold the 3 bytes it claims"},
		{"LZF of a blob", v11(typeHashListpack).bytes(stringLZF).lengths(2, 3).raw("\x00a"), 12, "value of type 16 (hash, listpack)", "LZF that does not hold the 3 bytes it claims"},
		{"number for a blob", v11(typeHashListpack).bytes(stringInt8, 7), 12, "value of type 16 (hash, listpack)", "an integer where a packed blob should be"},
		{"endless blob", v11(typeHashListpack).length32(1<<30 + 1), 12, "value of type 16 (hash, listpack)", "a packed blob of 1073741825 bytes is longer than 1073741824"},

		{"member twice", v11(typeSet).length(3).strings("a", "b", "a"), 17, "value of type 2 (set)", "an element that was there before"},
		{"number twice", v11(typeSet).length(2).strings("7").bytes(stringInt8, 7), 15, "value of type 2 (set)", "an element that was there before"},
		{"field twice", v11(typeHash).length(2).strings("f", "v", "f", "w"), 17, "value of type 4 (hash)", "an element that was there before"},
		{"score twice", v11(typeZset2).length(2).strings("a").le64(0).strings("a").le64(0), 23, "value of type 5 (zset)", "an element that was there before"},
		{"not a number", v11(typeZset2).length(1).strings("a").le64(nan), 15, "value of type 5 (zset)", "a score that is no number"},
		{"not a number in text", v11(typeZset).length(1).strings("a").bytes(253), 15, "value of type 3 (zset, text scores)", "a score that is no number"},
		{"no score", v11(typeZset).length(1).strings("a").strings("1,5"), 16, "value of type 3 (zset, text scores)", "a score that is no number"},
		{"packed member twice", v11(typeSetListpack).strings(listpackOf("a", "12", "b", "12")), 27, "value of type 20 (set, listpack)", "an element that was there before"},
		{"packed field twice", v11(typeHashListpack).strings(listpackOf("f", "1", "f", "2")), 24, "value of type 16 (hash, listpack)", "an element that was there before"},
		{"packed in LZF", v11(typeHashListpack).lzf(listpackOf("f", "1", "f", "2")), 15, "value of type 16 (hash, listpack)", "byte 11 of what is compressed here: an element that was there before"},
		{"packed odd", v11(typeHashListpack).strings(listpackOf("f", "1", "g")), 27, "value of type 16 (hash, listpack)", "an element without its counterpart"},
		{"packed score", v11(typeZsetListpack).strings(listpackOf("f", "nan")), 22, "value of type 17 (zset, listpack)", "a score that is no number"},
		{"ziplist field twice", v11(typeHashZiplist).strings(ziplistOf("f", "1", "f", "2")), 13, "value of type 13 (hash, ziplist)", "element 2 of the ziplist was there before"},
		{"ziplist odd", v11(typeHashZiplist).strings(ziplistOf("f", "1", "g")), 31, "value of type 13 (hash, ziplist)", "an element without its counterpart"},
		{"ziplist score", v11(typeZsetZiplist).strings(ziplistOf("f", "x")), 13, "value of type 12 (zset, ziplist)", "element 1 of the ziplist is a score that is no number"},
		{"zipmap field twice", v11(typeHashZipmap).strings("\x02\x01a\x01\x00b\x01a\x01\x00c\xff"), 13, "value of type 9 (hash, zipmap)", "element 2 of the zipmap was there before"},
		{"intset", v11(typeSetIntset).strings("\x02\x00\x00\x00\x02\x00\x00\x00\x05\x00\x05\x00"), 23, "value of type 11 (set, intset)", "5 in an intset comes after 5"},
		{"listpack", v11(typeHashListpack).strings("\x07\x00\x00\x00\x02\x00\xff"), 17, "value of type 16 (hash, listpack)", "the header of the listpack says 2 elements, there are 0"},
		{"ziplist", v11(typeListZiplist).strings("a ziplist, or is it?"), 13, "value of type 10 (list, ziplist)", "the header of the ziplist says 1769611361 bytes, there are 20"},
		{"list node", v11(typeListQuicklist2).length(2).length(1).strings("a").length(2).strings("no listpack"), 18, "value of type 18 (list, listpacks)", "the header of the listpack says 1814065006 bytes, there are 11"},
		{"list node of old", v11(typeListQuicklist).length(1).strings("no ziplist!"), 14, "value of type 14 (list, ziplists)", "the header of the ziplist says 2048946030 bytes, there are 11"},
		{"kind of list node", v11(typeListQuicklist2).length(1).length(3).strings("a"), 14, "value of type 18 (list, listpacks)", "list node of kind 3"},

		{"Redis' expiry", newFile(12).key(typeRedisHashTTL, "k").le64(1<<47).length(1).length64(1<<63).strings("f", "v"), 21, "value of type 24 (hash with TTLs)", "an expiry 9223372036854775807 ms behind 140737488355328 is no time"},
		{"Redis' packed expiry", newFile(12).key(typeRedisHashPackEx, "k").le64(1).strings(listpackOf("f", "v", "-1")), 33, "value of type 25 (hash with TTLs, listpack)", "an expiry that is no time"},
		{"Valkey's expiry", newFile(80).key(typeValkeyHash2, "k").length(1).strings("f", "v").le64(math.MaxUint64 - 1), 17, "value of type 22 (hash with TTLs)", "an expiry of -2 is no time"},
		{"Valkey's field twice", newFile(80).key(typeValkeyHash2, "k").length(2).strings("f", "v").le64(1).strings("f", "v").le64(1), 25, "value of type 22 (hash with TTLs)", "an element that was there before"},

		{"library", newFile(11).bytes(opFunction).strings("lua name=x\nreturn"), 10, "opcode 245 (function library)", "a function library that does not begin with #! and an engine"},
		{"library without name", newFile(11).bytes(opFunction).strings("#!lua\nname=x"), 10, "opcode 245 (function library)", "a function library without a name"},
		{"library of a number", newFile(11).bytes(opFunction, stringInt8, 7), 10, "opcode 245 (function library)", "a function library that is a number"},

		{"stream length", newFile(11).streamOf(2, 9, wordsOf(one)), -1, "value of type 21 (stream, third form)", "a stream of 1 entries says that it has 2"},
		{"last ID", newFile(11).streamOf(1, 0, wordsOf(one)), -1, "value of type 21 (stream, third form)", "a stream with the entry 1-0 says that its last one is 0-0"},
		{"nodes that overlap", newFile(11).streamOf(1, 9, wordsOf("1 0 1 f 0  2 9 0 v 4"), wordsOf(one)), -1, "value of type 21 (stream, third form)", "a stream node 2-0 behind the entry 10-0"},
		{"entries in disorder", newFile(11).streamOf(2, 9, wordsOf("2 0 1 f 0  2 5 0 v 4  2 4 0 v 4")), -1, "value of type 21 (stream, third form)", "the entries of a stream are not in ascending order"},
		{"entry before the node before", newFile(11).streamOf(2, 9, wordsOf(one), wordsOf("1 0 1 f 0  2 -1 0 v 4")), -1, "value of type 21 (stream, third form)", "the entries of a stream are not in ascending order"},
		{"nodes in disorder", newFile(11).key(typeStream1, "k").length(2).length(streamID).zeros(15).bytes(2).strings(wordsOf("0 1 1 f 0  3 0 0 v 4")).length(streamID).zeros(15).bytes(2).strings(wordsOf(one)).lengths(1, 9, 0, 0), -1, "value of type 15 (stream, first form)", "a stream node 0-2 behind the node 0-2"},
		{"fewer live", newFile(11).streamOf(1, 9, wordsOf("2 0 1 f 0  3 0 0 v 4  2 1 0 v 4")), -1, "value of type 21 (stream, third form)", "the counts of a stream's node do not agree with its entries"},
		{"more entries", newFile(11).streamOf(1, 9, wordsOf(one+" 2 1 0 v 4")), -1, "value of type 21 (stream, third form)", "the node of a stream has more than its entries"},
		{"number of elements", newFile(11).streamOf(1, 9, wordsOf("1 0 1 f 0  2 0 0 v 5")), -1, "value of type 21 (stream, third form)", "a stream's entry does not end with the number of its elements"},
		{"entry cut", newFile(11).streamOf(1, 9, wordsOf("1 0 1 f 0  0 0 0 9 f")), -1, "value of type 21 (stream, third form)", "the node of a stream ends within an entry"},
		{"text for a number", newFile(11).streamOf(1, 9, wordsOf("1 0 1 f 0  2 x 0 v 4")), -1, "value of type 21 (stream, third form)", "text where the node of a stream has a number"},
		{"negative count", newFile(11).streamOf(1, 9, wordsOf("1 0 -1 0  2 0 0 v 4")), -1, "value of type 21 (stream, third form)", "a negative count in the node of a stream"},
		{"master entry", newFile(11).streamOf(1, 9, wordsOf("1 0 1 f 7  2 0 0 v 4")), -1, "value of type 21 (stream, third form)", "the master entry of a stream's node does not end with 0"},
		{"node's listpack", newFile(11).streamOf(1, 9, "a listpack"), 31, "value of type 21 (stream, third form)", "the header of the listpack says 1768693857 bytes, there are 10"},
		{"group twice", newFile(11).streamOf(0, 9).length(2).group("g", 1, map[string]byte{"c": 1}).group("g", 1, map[string]byte{"c": 1}), -1, "value of type 21 (stream, third form)", "a consumer group that was there before"},
		{"consumer twice", newFile(11).streamOf(0, 9).length(1).strings("g").lengths(9, 9, 9, 0).length(2).strings("c").zeros(16).length(0).strings("c").zeros(16).length(0), -1, "value of type 21 (stream, third form)", "a consumer that was there before"},
		{"another's pending entry", newFile(11).streamOf(0, 9).length(1).group("g", 1, map[string]byte{"c": 2}), -1, "value of type 21 (stream, third form)", "the 1 pending entries of a group are not the 1 of its consumers"},
		{"nobody's pending entry", newFile(11).streamOf(0, 9).length(1).group("g", 1, nil), -1, "value of type 21 (stream, third form)", "the 1 pending entries of a group are not the 0 of its consumers"},
		{"pending entry of two", newFile(11).streamOf(0, 9).length(1).group("g", 1, map[string]byte{"c": 1, "d": 1}), -1, "value of type 21 (stream, third form)", "the 1 pending entries of a group are not the 2 of its consumers"},
		{"pending entry twice", newFile(11).streamOf(0, 9).length(1).strings("g").lengths(9, 9, 9).length(2).zeros(16).le64(0).length(1).zeros(16).le64(0).length(1), -1, "value of type 21 (stream, third form)", "the pending entry 0-0 behind 0-0"},
	} {
		complete := at(c.file)
		file := c.file.end()
		for _, window := range []int{128, windowSize} {
			_, err := scanDeep(file, window)
			var corrupt *CorruptError
			if !errors.As(err, &corrupt) {
				t.Errorf("%s: %v, want a CorruptError", c.name, err)
				break
			}
			if corrupt.Section != c.section || corrupt.Reason != c.reason || c.offset >= 0 && corrupt.Offset != c.offset || corrupt.Offset > complete {
				t.Errorf("%s: %v; want %q at %d in %q", c.name, err, c.reason, c.offset, c.section)
				break
			}
		}
	}
}
