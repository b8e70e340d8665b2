package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/rdb/packed"
)

// deepValue is a value as the bytes behind the key.
type deepValue struct {
	name  string
	typ   byte
	value []byte
}

// deepValues are small values of every type but streams and modules.
func deepValues() (list []deepValue) {
	add := func(name string, typ byte, f *builder) {
		list = append(list, deepValue{name, typ, f.b})
	}
	blob := func(p []byte) *builder { return new(builder).strings(string(p)) }
	lp := func(texts ...string) []byte {
		var b packed.ListpackBuilder
		for _, t := range texts {
			b.Add([]byte(t))
		}
		return b.Bytes()
	}
	zl := func(texts ...string) []byte {
		var b packed.ZiplistBuilder
		for _, t := range texts {
			b.Add([]byte(t))
		}
		return b.Bytes()
	}
	long := strings.Repeat("l", 70)
	mixed := []string{"field", "v", "7", "-70", "70000", "-9000000", "5000000000", "x", long, "1000"}
	add("hash listpack", typeHashListpack, blob(lp(mixed...)))
	add("zset listpack", typeZsetListpack, blob(lp("a", "1", "b", "2.5", "77", "300", "c", "inf")))
	add("set listpack", typeSetListpack, blob(lp("a", "12", "bcd", long, "-5000")))
	add("long listpack", typeHashListpack, blob(lp("f", strings.Repeat("m", 5000), "g", "1")))
	add("intset 2", typeSetIntset, blob(packed.AppendIntset(nil, []int64{-5, 0, 7, 1000})))
	add("intset 4", typeSetIntset, blob(packed.AppendIntset(nil, []int64{-70000, 0, 70000})))
	add("intset 8", typeSetIntset, blob(packed.AppendIntset(nil, []int64{-5, math.MaxInt64})))
	add("list ziplist", typeListZiplist, blob(zl(mixed...)))
	add("hash ziplist", typeHashZiplist, blob(zl(mixed...)))
	add("zset ziplist", typeZsetZiplist, blob(zl("a", "1", "b", "2.5", "77", "300", "c", "inf")))
	add("long ziplist", typeHashZiplist, blob(zl("f", strings.Repeat("m", 300), "g", "1")))
	add("zipmap", typeHashZipmap, blob([]byte("\x02\x03abc\x02\x03xy---\x01d\x02\x00zz\xff")))
	add("ziplists", typeListQuicklist, new(builder).length(2).strings(string(zl("a", "12")), string(zl("b"))))
	add("listpacks", typeListQuicklist2, new(builder).length(3).length(2).strings(string(lp("a", "12"))).length(1).strings("plain").length(2).strings(string(lp("b"))))
	add("packed LZF", typeHashListpack, new(builder).lzf(string(lp("f", strings.Repeat("a", 40), "g", strings.Repeat("b", 40)))))
	add("string LZF", typeString, new(builder).lzf("abc"+strings.Repeat("d", 40)+"efg"))
	add("set", typeSet, new(builder).length(4).strings("a", "b").bytes(stringInt8, 5).lzf(strings.Repeat("s", 30)))
	add("list", typeList, new(builder).length(3).strings("a", "a").bytes(stringInt8, 5))
	add("hash", typeHash, new(builder).length(2).strings("f", "v", "g", "v"))
	add("zset 2", typeZset2, new(builder).length(2).strings("a").le64(math.Float64bits(1.5)).strings("b").le64(math.Float64bits(-2)))
	add("zset", typeZset, new(builder).length(4).strings("a").strings("1.5").strings("b").strings("-17").strings("c").bytes(254).strings("d").strings("1e10"))
	return list
}

// accepts is what the engine says to a value: nil, or why not.
func (e *engine) accepts(typ byte, value []byte, version int) error {
	e.t.Helper()
	payload := AppendDump(nil, typ, value, version)
	var b strings.Builder
	fmt.Fprintf(&b, "*5\r\n$7\r\nRESTORE\r\n$1\r\nk\r\n$1\r\n0\r\n$%d\r\n%s\r\n$7\r\nREPLACE\r\n", len(payload), payload)
	if _, err := io.WriteString(e.conn, b.String()); err != nil {
		e.t.Fatal(err)
	}
	_, err := e.read()
	return err
}

var errSeen = errors.New("seen")

// verifies is what we say to a value. One without elements is none to RESTORE,
// which takes what follows the value in the payload for a part of it if that
// is cut.
func verifies(typ byte, value []byte, version int) error {
	file := append(newFile(version).key(typ, "k").b, AppendDump(nil, typ, value, version)[1:]...)
	s := NewScanner(bytes.NewReader(file), Options{Deep: true, OnRecord: func(*Record) error { return errSeen }})
	_, err := s.Scan()
	if err == errSeen {
		if s.sum.EmptyKeys > 0 {
			return errors.New("empty")
		}
		return nil
	}
	return err
}

// stricter are our reasons to refuse what the engines take over unseen: scores
// that are read as 0, numbers whose encoding they do not look at, compression
// that claims to hold nothing.
var stricter = []string{"score that is no number", "starts no length", "LZF that does not hold the 0 bytes"}

// stricterOfStreams are those to refuse streams that contradict themselves.
var stricterOfStreams = []string{
	"a stream of ", "a stream with the entry ", "a stream node ", "the entries of a stream are not in ascending order",
	"the counts of a stream's node do not agree", "the pending entry ", "pending entries of a group are not",
	"the header of the listpack says",
}

func isStricter(kind Kind, err error) bool {
	for _, reason := range stricter {
		if strings.Contains(err.Error(), reason) {
			return true
		}
	}
	for _, reason := range stricterOfStreams {
		if kind == KindStream && strings.Contains(err.Error(), reason) {
			return true
		}
	}
	return false
}

// streamValue is a stream with groups, as the engine dumps it.
func streamValue(t *testing.T, e *engine) (typ byte, value []byte) {
	t.Helper()
	for i := range 7 {
		e.do("XADD", "s", fmt.Sprintf("%d-1", 1000+i), "field", i, "other", strings.Repeat("v", i))
	}
	e.line("XADD s 2000-5 different fields than 70000")
	e.line("XDEL s 1003-1")
	e.line("XGROUP CREATE s g 0")
	e.line("XGROUP CREATE s h 1001-1")
	e.line("XREADGROUP GROUP g alice COUNT 2 STREAMS s >")
	e.line("XREADGROUP GROUP g bob COUNT 2 STREAMS s >")
	d, err := ParseDump([]byte(e.line("DUMP s").(string)))
	if err != nil {
		t.Fatal(err)
	}
	return d.Type, d.Raw
}

// Whatever byte of a value is changed, we refuse what a sanitizing engine does,
// and accept what it accepts, but for what we are stricter about.
func TestDeepAgreesWithEngines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		server  string
		version int
	}{{"redis-server", 10}, {"valkey-server", 11}} {
		t.Run(c.server, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, c.server, t.TempDir(), "--sanitize-dump-payload", "yes", "--rdbcompression", "no")
			values := deepValues()
			typ, value := streamValue(t, e)
			values = append(values, deepValue{"stream", typ, value})
			for _, v := range values {
				if sharedLayouts[v.typ].since <= c.version {
					compareWithEngine(t, e, v, c.version)
				}
			}
		})
	}
}

func compareWithEngine(t *testing.T, e *engine, v deepValue, version int) {
	accepted, refused, more := 0, 0, 0
	check := func(p []byte, what string) {
		theirs, ours := e.accepts(v.typ, p, version), verifies(v.typ, p, version)
		switch {
		case theirs == nil && ours == nil:
			accepted++
		case theirs != nil && ours != nil:
			refused++
		case theirs == nil && isStricter(redis.kind(v.typ), ours):
			more++
		default:
			t.Errorf("%s, %s: engine %v, we %v; %x", v.name, what, theirs, ours, p)
		}
	}
	check(v.value, "whole")
	if accepted != 1 {
		t.Errorf("%s is refused", v.name)
		return
	}
	rng := rand.New(rand.NewPCG(uint64(len(v.value)), 1))
	for i := range v.value {
		if i > 250 && i < len(v.value)-20 {
			continue
		}
		for _, x := range []byte{1, 2, 16, 64, 128, 255, byte(rng.IntN(256))} {
			p := bytes.Clone(v.value)
			p[i] ^= x
			check(p, fmt.Sprintf("byte %d changed", i))
			if rng.IntN(4) == 0 {
				p[rng.IntN(len(p))] ^= 1 << rng.IntN(8)
				check(p, "two bytes changed")
			}
		}
		check(slices.Delete(bytes.Clone(v.value), i, i+1), fmt.Sprintf("byte %d left out", i))
		check(slices.Insert(bytes.Clone(v.value), i, byte(rng.IntN(256))), fmt.Sprintf("a byte before %d", i))
	}
	if refused == 0 {
		t.Errorf("%s: nothing was refused", v.name)
	}
	t.Logf("%s: %d accepted, %d refused, %d by us alone", v.name, accepted, refused, more)
}

// Engines take, from payloads and from files, what older ones made of streams whose
// last ID went back behind deleted entries.
func TestEnginesTakeBackwards(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"redis-server", "valkey-server"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			dir, f := t.TempDir(), newFile(9).selectDB(0)
			for name, b := range allBackwards {
				f.key(typeStream1, name).raw(b.value())
			}
			if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), f.end(), 0o600); err != nil {
				t.Fatal(err)
			}
			e := startEngine(t, server, dir, "--sanitize-dump-payload", "yes")
			for name, b := range allBackwards {
				for _, key := range []string{name, "k"} {
					if key == "k" {
						if err := e.accepts(typeStream1, []byte(b.value()), 9); err != nil {
							t.Errorf("%s: %v", name, err)
							continue
						}
					}
					n := e.do("XLEN", key)
					added := e.do("XADD", key, fmt.Sprintf("%d-99", b.last), "f", "v")
					if n != int64(len(b.entries)) || added != fmt.Sprintf("%d-99", b.last) {
						t.Errorf("%s: %v entries, and %v", name, n, added)
					}
					d, err := ParseDump([]byte(e.do("DUMP", key).(string)))
					if err == nil {
						err = d.Verify()
					}
					if err != nil {
						t.Errorf("%s, as the engine dumps it: %v", name, err)
					}
				}
			}
		})
	}
}
