package rdb

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	many := newFile(11)
	for i := range uint64(maxDatabases + 2) {
		many.selectDB(i).set("k", "v")
	}
	crowd := newFile(11)
	for i := range uint64(maxModules + 2) {
		crowd.key(typeModule2, "k").length(i << 10).length(moduleEnd)
	}
	wrongSum := newFile(11).set("k", "v").end()
	wrongSum[len(wrongSum)-1] ^= 1

	cases := []struct {
		name        string
		file        []byte
		offset      int64
		section     string
		reason      string // a part of it
		unsupported bool
	}{
		{"text", []byte("hello, world"), 0, "header", "not the start of an RDB file", false},
		{"no digits", []byte("REDIS00x1\xff"), 5, "header", "not a version", false},
		{"sign", []byte("REDIS+011\xff"), 5, "header", "not a version", false},
		{"version 0", []byte("REDIS0000\xff"), 5, "header", "not a version", false},
		{"REDIS 13", newFile(13).end(), 5, "header", "version 13", true},
		{"REDIS 80", []byte("REDIS0080\xff"), 5, "header", "version 80", true},
		{"VALKEY 81", newFile(81).end(), 6, "header", "version 81", true},
		{"VALKEY 11", []byte("VALKEY011\xff"), 6, "header", "version 11", true},
		{"envelope", []byte("VCS\x01\x01\x00\x01 lz4"), 0, "header", "compressed envelope", true},
		{"short envelope", []byte("VCS\x01\x01\x00"), 0, "header", "compressed envelope", true},

		{"type 8", newFile(11).key(8, "k").b, 9, "body", "type 8 does not exist", false},
		{"type 100", newFile(11).key(100, "k").b, 9, "body", "type 100 does not exist", false},
		{"old module", newFile(11).key(typeModulePreGA, "k").b, 9, "body", "release candidates", true},
		{"hash of release candidates", newFile(12).key(22, "k").b, 9, "body", "release candidates", true},
		{"stream 4", newFile(12).key(26, "k").b, 9, "body", "fourth form", true},
		{"hash with TTLs in 11", newFile(11).key(typeRedisHashTTL, "k").b, 9, "body", "in a file of version 11", false},
		{"Valkey's hash is not Redis'", newFile(80).key(typeRedisHashTTL, "k").b, 9, "body", "type 24 does not exist", false},
		{"path hash", newFile(80).key(23, "k").b, 9, "body", "path hash", true},
		{"new type in version 3", newFile(3).key(typeStream1, "k").b, 9, "body", "in a file of version 3", false},
		{"new opcode in version 3", newFile(3).aux("a", "b").b, 9, "body", "in a file of version 3", false},

		{"slot import in REDIS", newFile(12).bytes(opSlotImport).b, 9, "opcode 243 (slot import)", "not known", true},
		{"opcode 242", newFile(80).bytes(242).b, 9, "opcode 242", "not known", true},
		{"function of release candidates", newFile(10).bytes(opFunctionPreGA).b, 9, "opcode 246", "not known", true},
		{"expiry of nothing", newFile(11).bytes(opExpireMillis).le64(1).bytes(opEOF).b, 18, "body", "where the key should be", false},
		{"impossible database", newFile(11).selectDB(1 << 40).b, 19, "opcode 254", "cannot exist", false},
		{"too many databases", many.end(), -1, "opcode 254", "more than 65536", false},
		{"too many modules", crowd.end(), -1, "value of type 7 (module)", "more than 1024", false},

		{"bad length", newFile(11).key(typeList, "k").bytes(0x82).b, 12, "value of type 1 (list)", "starts no length", false},
		{"string as length", newFile(11).key(typeList, "k").bytes(0xc0).b, 12, "value of type 1 (list)", "starts no length", false},
		{"bad string", newFile(11).key(typeString, "k").bytes(0xc4).b, 12, "value of type 0 (string)", "starts no string", false},
		{"endless string", newFile(11).key(typeString, "k").length64(1 << 63).b, 21, "value of type 0 (string)", "impossible", false},
		{"LZF of nothing", newFile(11).key(typeString, "k").bytes(stringLZF).lengths(1, 89).b, 16, "value of type 0 (string)", "cannot hold", false},
		{"endless members", newFile(11).key(typeHash, "k").length64(1 << 63).b, 21, "value of type 4 (hash)", "impossible", false},
		{"endless consumer", newFile(11).key(typeStream1, "k").lengths(0, 0, 0, 0, 1).strings("g").lengths(0, 0, 0, 1).strings("c").zeros(8).length64(1 << 61).b, -1, "value of type 15", "impossible", false},
		{"endless key", newFile(11).bytes(typeString).length64(MaxKey + 1).b, 10, "key", "longer than", false},
		{"endless LZF key", newFile(11).bytes(typeString, stringLZF).length32(MaxKey).length64(MaxKey + 1).b, 10, "key", "longer than", false},
		{"LZF key of another length", newFile(11).bytes(typeString, stringLZF).lengths(2, 2).bytes(0, 'a').strings("v").end(), 10, "key", "LZF", false},
		{"LZF key with more", newFile(11).bytes(typeString, stringLZF).lengths(4, 1).bytes(0, 'a', 0, 'b').strings("v").end(), 10, "key", "LZF", false},
		{"LZF name of a field", newFile(11).bytes(opAux, stringLZF).lengths(2, 9).bytes(0x20, 9).strings("v").end(), 13, "opcode 250", "LZF", false},
		{"list node", newFile(11).key(typeListQuicklist2, "k").lengths(1, 3).b, 14, "value of type 18", "node of kind 3", false},
		{"stream node", newFile(11).key(typeStream3, "k").length(1).strings("short").b, -1, "value of type 21", "5 bytes instead of 16", false},
		{"piece of a module", newFile(11).key(typeModule2, "k").lengths(5, 6).b, 14, "value of type 7", "kind 6", false},
		{"data of a module", newFile(11).bytes(opModuleAux).lengths(5, 1).b, 12, "opcode 247", "kind 1", false},
		{"checksum", wrongSum, 15, "trailer", "checksum", false},
	}
	for _, c := range cases {
		_, err := NewScanner(bytes.NewReader(c.file), Options{Keys: true, OnRecord: ignore}).Scan()
		var corrupt *CorruptError
		if !errors.As(err, &corrupt) || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want a CorruptError", c.name, err)
			continue
		}
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrUnsupported) != c.unsupported {
			t.Errorf("%s: %v is of the wrong kind", c.name, err)
		}
		if c.offset >= 0 && corrupt.Offset != c.offset {
			t.Errorf("%s: %v, want it at offset %d", c.name, err, c.offset)
		}
		if !strings.HasPrefix(corrupt.Section, c.section) || !strings.Contains(corrupt.Reason, c.reason) {
			t.Errorf("%s: %v, want %q in %q", c.name, err, c.reason, c.section)
		}
		if verdict := "rdb: corrupt"; c.unsupported == strings.HasPrefix(err.Error(), verdict) {
			t.Errorf("%s: message %q", c.name, err)
		}
	}
}

func TestTypeName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		family string
		t      byte
		want   string
	}{
		{FamilyRedis, typeHash, "hash"},
		{FamilyValkey, typeHashListpack, "hash, listpack"},
		{FamilyValkey, 22, "hash with TTLs"},
		{FamilyRedis, 22, "hash with TTLs of 7.4 release candidates"},
		{FamilyRedis, 200, "unknown"},
	} {
		if got := TypeName(c.family, c.t); got != c.want {
			t.Errorf("TypeName(%s, %d) = %q, want %q", c.family, c.t, got, c.want)
		}
	}
}
