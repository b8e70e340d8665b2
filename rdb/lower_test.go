package rdb

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// body is all of a file between header and trailer.
func body(file []byte) string { return string(file[headerSize : len(file)-8]) }

func TestLower(t *testing.T) {
	t.Parallel()
	info := func(f *builder) *builder { return f.bytes(opSlotInfo).lengths(866, 1000, 70000) }
	cases := []struct {
		name     string
		from, to *builder
		version  int
	}{
		{"11 to 10", newFile(11).aux("a", "b").set("k", "v"), newFile(10).aux("a", "b").set("k", "v"), 10},
		{"11 to 9", newFile(11).set("k", "v"), newFile(9).set("k", "v"), 9},
		{"80 to 11", newFile(80).set("k", "v"), newFile(11).set("k", "v"), 11},
		{"80 to 12", info(newFile(80)).set("k", "v"), info(newFile(12)).set("k", "v"), 12},
		{"12 to 11", info(info(newFile(12).selectDB(0))).set("k", "v"), newFile(11).selectDB(0).set("k", "v"), 11},
		{"hints all over", info(newFile(12)).set("k", "v").raw(string(info(new(builder)).b)).set("l", "w").raw(string(info(new(builder)).b)), newFile(10).set("k", "v").set("l", "w"), 10},
		{"same", newFile(11).key(typeSetListpack, "k").strings("v"), newFile(11).key(typeSetListpack, "k").strings("v"), 11},
	}
	for _, c := range cases {
		for _, file := range [][]byte{bytes.Clone(c.from.b), c.from.end()} {
			if file[len(file)-9] != opEOF { // the first time, without a checksum
				file = append(file, opEOF, 0, 0, 0, 0, 0, 0, 0, 0)
			}
			want := (&builder{bytes.Clone(c.to.b)}).end()
			for _, window := range windows {
				var out bytes.Buffer
				sum, err := lower(newScanner(bytes.NewReader(file), Options{}, window), &out, c.version)
				if err != nil || !bytes.Equal(out.Bytes(), want) {
					t.Errorf("%s: %q, %v; want %q", c.name, out.Bytes(), err, want)
					continue
				}
				again, err := NewScanner(bytes.NewReader(want), Options{}).Scan()
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				if sum.Bytes != again.Bytes || sum.CRC != again.CRC || sum.Version != again.Version || sum.Family != again.Family ||
					sum.Checksum != again.Checksum || sum.SlotInfos != again.SlotInfos {
					t.Errorf("%s: summary %+v, but the file holds %+v", c.name, sum, again)
				}
				if MinVersion(sum) > c.version {
					t.Errorf("%s: MinVersion %d", c.name, MinVersion(sum))
				}
			}
		}
	}
}

func TestLowerRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		file    []byte
		version int
		reason  string
	}{
		{"Redis' hash", newFile(12).key(typeRedisHashTTL, "k").le64(1).lengths(0).end(), 11, "hash with TTLs at offset 9 needs version 12"},
		{"second of two", newFile(12).set("k", "v").key(typeRedisHashPackEx, "k").le64(1).strings("v").end(), 9, "hash with TTLs, listpack at offset 14 needs version 12"},
		{"function", newFile(11).bytes(opFunction).strings("#!lua").end(), 9, "function library at offset 9 needs version 10"},
		{"slot import", newFile(80).bytes(opSlotImport).strings("j").lengths(0).end(), 12, "slot import at offset 9 needs version 80"},
		{"Valkey's hash", newFile(80).key(typeValkeyHash2, "k").lengths(0).end(), 11, "to version 11: hash with TTLs at offset 9 needs version 12"},
		{"upwards", newFile(10).end(), 11, "version 10, less than 11"},
		{"too low", newFile(10).end(), 8, "only 9 to 12"},
		{"too high", newFile(80).end(), 80, "only 9 to 12"},
	}
	for _, c := range cases {
		_, err := Lower(bytes.NewReader(c.file), io.Discard, c.version)
		if !errors.Is(err, ErrCannotLower) || errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, want %q", c.name, err, c.reason)
		}
	}
	good := newFile(11).set("k", strings.Repeat("v", 1000)).end()
	good[100] ^= 1
	if _, err := Lower(bytes.NewReader(good), io.Discard, 10); !errors.Is(err, ErrCorrupt) {
		t.Errorf("a damaged file: %v", err)
	}
	good[100] ^= 1
	broken := errors.New("broken")
	for n := range 2 {
		if _, err := Lower(bytes.NewReader(good), &breaking{n, broken}, 10); !errors.Is(err, broken) {
			t.Errorf("write %d fails: %v", n, err)
		}
	}
}

// breaking fails its nth write.
type breaking struct {
	n   int
	err error
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.n == 0 {
		return 0, b.err
	}
	b.n--
	return len(p), nil
}

// What MinVersion allows, Lower copies; what LowestVersion does not, it refuses.
func TestVersionsAgreeWithLower(t *testing.T) {
	t.Parallel()
	for _, smp := range samples() {
		sum, err := NewScanner(bytes.NewReader(smp.file), Options{}).Scan()
		if err != nil {
			t.Fatal(err)
		}
		for version := lowestTarget; version <= min(sum.Version, newestRedis); version++ {
			var out bytes.Buffer
			_, err := Lower(bytes.NewReader(smp.file), &out, version)
			if version >= MinVersion(sum) && err != nil || errors.Is(err, ErrCannotLower) != (version < LowestVersion(sum)) && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s to %d: %v, though MinVersion is %d and LowestVersion %d", smp.name, version, err, MinVersion(sum), LowestVersion(sum))
			}
			if version >= MinVersion(sum) && body(out.Bytes()) != body(smp.file) {
				t.Errorf("%s to %d: records changed", smp.name, version)
			}
		}
	}
}

// What came with a version raises MinVersion to it, also where it is no type; what Lower leaves out does not raise LowestVersion.
func TestVersionsOfOpcodes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name        string
		file        *builder
		min, lowest int
	}{
		{"keys alone", newFile(12), 9, 9},
		{"a hint per slot", newFile(12).bytes(opSlotInfo).lengths(5, 1, 0), 12, 9},
		{"a hint per slot of Valkey", newFile(80).bytes(opSlotInfo).lengths(5, 1, 0), 12, 9},
		{"a hint per slot in an older file", newFile(9).bytes(opSlotInfo).lengths(5, 1, 0), 12, 9},
		{"a type that is newer than the file", newFile(10).key(typeSetListpack, "s").strings("p"), 11, 9},
		{"a library", newFile(12).bytes(opFunction).strings("#!lua name=a"), 10, 10},
		{"a library in an older file", newFile(9).bytes(opFunction).strings("#!lua name=a"), 10, 10},
		{"a slot import", newFile(80).bytes(opSlotImport).strings("j").lengths(0), 80, 80},
		{"what a module keeps", newFile(12).bytes(opModuleAux).module("tairhash-", 1).lengths(moduleUnsigned, 1, moduleEnd), 9, 9},
		{"what describes a key", newFile(12).bytes(opIdle).length(7).bytes(opFrequency, 7, opExpireMillis).le64(1 << 40), 9, 9},
		{"what a file tells of itself", newFile(12).aux("a", "b").selectDB(0).bytes(opResizeDB).lengths(1, 0), 9, 9},
		{"a file from before", newFile(8), 8, 8},
	}
	for _, c := range cases {
		sum, err := NewScanner(bytes.NewReader(c.file.set("k", "v").end()), Options{}).Scan()
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if m, l := MinVersion(sum), LowestVersion(sum); m != c.min || l != c.lowest {
			t.Errorf("%s: MinVersion %d, LowestVersion %d, want %d and %d", c.name, m, l, c.min, c.lowest)
		}
	}
}
