package rdb

import "strings"

// wanted is what a sample file must be found to hold.
type wanted struct {
	record
	key string
}

type record struct {
	db       uint64
	typ      byte
	expireAt int64
}

type sample struct {
	name  string
	file  []byte
	want  []wanted
	check func(*Summary) string // a complaint, or nothing
}

// samples exercise every type and opcode that is read, in all forms of lengths
// and strings, without an engine.
func samples() []sample {
	return []sample{
		sharedSample(), redisSample(), valkeySample(), ancientSample(), oldSample(), bareSample(),
	}
}

// stream writes a stream of form 1 to 3 with a group.
func (f *builder) stream(key string, typ byte, form int) *builder {
	f.key(typ, key).length(2)
	for i := range 2 {
		f.strings("0123456789abcde"+string(rune('0'+i)), "a listpack")
	}
	f.length(7).lengths(1700000000000, 5)
	if form >= 2 {
		f.lengths(1, 2, 0, 0, 9)
	}
	f.length(1).strings("group").lengths(1, 2)
	if form >= 2 {
		f.length64(1<<64 - 1)
	}
	f.length(2)
	for range 2 {
		f.zeros(16).le64(1700000000000).length(3)
	}
	f.length(1).strings("consumer").le64(1)
	if form >= 3 {
		f.le64(2)
	}
	return f.length(2).zeros(32)
}

func sharedSample() sample {
	f := newFile(11)
	f.aux("redis-ver", "7.2.4").bytes(opAux).strings("redis-bits").bytes(stringInt8, 64)
	f.bytes(opAux).strings("ctime").bytes(stringInt32).le32(1700000000)
	f.aux("used-mem", "123456").aux("repl-id", strings.Repeat("ab", 20)).aux("repl-offset", "99").aux("repl-stream-db", "3")
	f.bytes(opAux).lzf(strings.Repeat("n", 400)).lzf(strings.Repeat("v", 400))
	f.aux("slot-info", "1,2,3").bytes(opAux).strings("aof-base").bytes(stringInt8, 1)
	f.bytes(opModuleAux).module("tairhash-", 1).lengths(moduleUnsigned, 1)
	f.lengths(moduleSigned).length64(1<<64-5).lengths(moduleUnsigned, 70000).length(moduleFloat).le32(1)
	f.length(moduleDouble).le64(1).length(moduleString).strings("text").length(moduleEnd)
	f.bytes(opFunction).strings("#!lua name=one\n").bytes(opFunction).strings("#!lua name=two\n")
	f.selectDB(0).bytes(opResizeDB).lengths(20, 2)

	f.set("plain", "value")
	f.set("{tag}x", "value")
	f.key(typeString, strings.Repeat("long", 200)).length32(3).raw("abc")
	f.bytes(typeString, stringInt8, 0x85).length64(2).raw("ab") // -123
	f.bytes(typeString, stringInt16, 0x39, 0x30).bytes(stringInt16, 1, 0)
	f.bytes(typeString, stringInt32).le32(1<<31).bytes(stringInt32, 1, 0, 0, 0)
	f.bytes(typeString).lzf(strings.Repeat("z", 1000)).lzf(strings.Repeat("y", 3000))
	f.bytes(opExpireMillis).le64(1800000000123).bytes(opFrequency, 9).set("ms", "1")
	f.bytes(opIdle).length(100).bytes(opExpireSeconds).le32(1800000000).set("s", "1")
	f.bytes(opExpireMillis).le64(0).set("epoch", "1")
	f.key(typeList, "list").length(3).strings("a", strings.Repeat("b", 700), "")
	f.key(typeSet, "set").length32(2).strings("a").lzf(strings.Repeat("c", 40))
	f.key(typeZset, "zset").length(4).strings("a").bytes(3).raw("1.5").strings("b").bytes(253).strings("c").bytes(254).strings("d").bytes(255)
	f.key(typeHash, "hash").length(2).strings("f", "v").bytes(stringInt8, 7, stringInt16, 1, 2)

	f.selectDB(9)
	f.key(typeZset2, "zset2").length(2).strings("a").le64(1).strings("b").le64(2)
	f.key(typeModule2, "module").module("tairhash-", 3).lengths(moduleString).strings("x").length(moduleEnd)
	f.key(typeModule2, "module2").module("ReJSON-RL", 3).length(moduleEnd)
	for _, t := range []byte{typeHashZipmap, typeListZiplist, typeSetIntset, typeZsetZiplist, typeHashZiplist, typeHashListpack, typeZsetListpack, typeSetListpack} {
		f.key(t, "packed"+string(rune('a'+t))).strings(strings.Repeat("p", int(t)*20))
	}
	f.key(typeListQuicklist, "quick").length(2).strings("ziplist").lzf(strings.Repeat("q", 100))
	f.key(typeListQuicklist2, "quick2").length(2).length(1).strings("plain").length(2).strings("packed")
	f.stream("stream1", typeStream1, 1).stream("stream2", typeStream2, 2).stream("stream3", typeStream3, 3)
	f.selectDB(0).set("again", "1")
	f.bytes(opSlotInfo).lengths(5, 1, 0)
	f.bytes(opModuleAux).module("ReJSON-RL", 1).lengths(moduleUnsigned, 2, moduleEnd)

	plain := func(typ byte, key string) wanted { return wanted{record{0, typ, 0}, key} }
	nine := func(typ byte, key string) wanted { return wanted{record{9, typ, 0}, key} }
	return sample{
		name: "REDIS 11, everything",
		file: f.end(),
		want: []wanted{
			plain(typeString, "plain"), plain(typeString, "{tag}x"), plain(typeString, strings.Repeat("long", 200)),
			plain(typeString, "-123"), plain(typeString, "12345"), plain(typeString, "-2147483648"), plain(typeString, strings.Repeat("z", 1000)),
			{record{0, typeString, 1800000000123}, "ms"}, {record{0, typeString, 1800000000000}, "s"}, {record{0, typeString, 1}, "epoch"},
			plain(typeList, "list"), plain(typeSet, "set"), plain(typeZset, "zset"), plain(typeHash, "hash"),
			nine(typeZset2, "zset2"), nine(typeModule2, "module"), nine(typeModule2, "module2"),
			nine(typeHashZipmap, "packedj"), nine(typeListZiplist, "packedk"), nine(typeSetIntset, "packedl"), nine(typeZsetZiplist, "packedm"),
			nine(typeHashZiplist, "packedn"), nine(typeHashListpack, "packedq"), nine(typeZsetListpack, "packedr"), nine(typeSetListpack, "packedu"),
			nine(typeListQuicklist, "quick"), nine(typeListQuicklist2, "quick2"),
			nine(typeStream1, "stream1"), nine(typeStream2, "stream2"), nine(typeStream3, "stream3"), plain(typeString, "again"),
		},
		check: func(s *Summary) string {
			switch a := s.Aux; {
			case a.Engine != "redis" || a.EngineVersion != "7.2.4" || a.Bits != 64 || a.UsedMemory != 123456 || !a.AOFBase:
				return "auxiliary fields"
			case a.CreatedAt.Unix() != 1700000000:
				return "time of creation"
			case a.ReplID != strings.Repeat("ab", 20) || a.ReplOffset != 99 || a.ReplDB != 3:
				return "replication"
			case s.Functions != 2 || s.SlotInfos != 1 || s.SlotImports != 0:
				return "opcodes"
			case strings.Join(s.Modules, " ") != "ReJSON-RL tairhash-":
				return "modules"
			case len(s.Databases) != 2 || s.Databases[0] != 15 || s.Databases[9] != 16:
				return "databases"
			case s.Checksum != ChecksumVerified || s.Version != 11 || s.Family != "REDIS":
				return "frame"
			case MinVersion(s) != 12: // for the hint per slot, whatever the header says
				return "lowest version"
			}
			return ""
		},
	}
}

func redisSample() sample {
	f := newFile(12).aux("redis-ver", "7.4.0").selectDB(0)
	f.bytes(opSlotInfo).lengths(866, 2, 0)
	f.key(typeRedisHashTTL, "hash").le64(1700000000000).length(2).length(0).strings("f", "v").length(77).strings("g", "w")
	f.key(typeRedisHashPackEx, "hashpack").le64(1700000000000).strings("listpack")
	return sample{
		name: "REDIS 12", file: f.end(),
		want: []wanted{{record{0, typeRedisHashTTL, 0}, "hash"}, {record{0, typeRedisHashPackEx, 0}, "hashpack"}},
		check: func(s *Summary) string {
			if MinVersion(s) != 12 || s.SlotInfos != 1 {
				return "lowest version or slots"
			}
			return ""
		},
	}
}

func valkeySample() sample {
	f := newFile(80).aux("valkey-ver", "9.0.0")
	f.bytes(opSlotImport).strings(strings.Repeat("j", 40)).lengths(2, 0, 100, 200, 16383)
	f.selectDB(1).key(typeValkeyHash2, "hash").length(2).strings("f", "v").le64(1<<64-1).strings("g", "w").le64(1800000000000)
	f.set("s", "v")
	return sample{
		name: "VALKEY 80", file: f.end(),
		want: []wanted{{record{1, typeValkeyHash2, 0}, "hash"}, {record{1, typeString, 0}, "s"}},
		check: func(s *Summary) string {
			if s.Family != FamilyValkey || s.Version != 80 || s.SlotImports != 1 || MinVersion(s) != 80 || s.Aux.Engine != "valkey" {
				return "family"
			}
			return ""
		},
	}
}

// ancientSample has neither a checksum nor a database opcode.
func ancientSample() sample {
	f := newFile(3).set("a", "1").bytes(opExpireSeconds).le32(1).set("b", "2").bytes(opEOF)
	return sample{
		name: "REDIS 3", file: f.b,
		want: []wanted{{record{0, typeString, 0}, "a"}, {record{0, typeString, 1000}, "b"}},
		check: func(s *Summary) string {
			if s.Checksum != ChecksumAbsent || MinVersion(s) != 3 || s.Expiring != 1 {
				return "age"
			}
			return ""
		},
	}
}

func oldSample() sample {
	f := newFile(9).aux("redis-ver", "6.2.14").selectDB(0).stream("s", typeStream1, 1)
	return sample{
		name: "REDIS 9, without checksum", file: f.endUnsummed(),
		want: []wanted{{record{0, typeStream1, 0}, "s"}},
		check: func(s *Summary) string {
			if s.Checksum != ChecksumAbsent || MinVersion(s) != 9 {
				return "checksum"
			}
			return ""
		},
	}
}

func bareSample() sample {
	return sample{
		name: "REDIS 6, empty", file: newFile(6).end(),
		check: func(s *Summary) string {
			if s.Keys != 0 || len(s.Databases) != 0 {
				return "keys"
			}
			return ""
		},
	}
}
