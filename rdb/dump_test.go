package rdb

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the engines' dumps to testdata")

// engines are the servers that dumps are taken from, and the types that the
// populations below must bring out of each.
var engines = []struct {
	server, name string
	version      int
	types        []byte
}{
	{"redis-server", "redis-7.0", 10, []byte{typeString, typeSet, typeHash, typeZset2, typeSetIntset,
		typeHashListpack, typeZsetListpack, typeListQuicklist2, typeStream2}},
	{"valkey-server", "valkey-8.0", 11, []byte{typeString, typeSet, typeHash, typeZset2, typeSetIntset,
		typeHashListpack, typeZsetListpack, typeListQuicklist2, typeSetListpack, typeStream3}},
}

// populate writes what every version since 7.0 stores alike.
func populate(e *engine) {
	e.t.Helper()
	for i, v := range []any{0, -1, 127, 128, -32768, 32768, 2147483647, -2147483648, int64(2147483648), "007", "1.5", ""} {
		e.do("SET", fmt.Sprintf("int:%d", i), v)
	}
	for _, key := range []string{"123", "-5", "70000", "-2147483648", "0123", "{tag}one", "{tag}two", "{}", "bin\x00\xff\r\n", strings.Repeat("key", 5000)} {
		e.do("SET", key, "v")
	}
	e.do("SET", "lzf", strings.Repeat("compress me ", 200))
	e.do("SET", "big", strings.Repeat("0123456789", 70000))
	for i := range 1000 {
		e.do("SET", fmt.Sprintf("{%d}:n", i), i)
		e.do("HSET", "hash:big", fmt.Sprintf("f%d", i), fmt.Sprintf("%d of many values", i))
		e.do("SADD", "set:big", fmt.Sprintf("m%d", i))
		e.do("ZADD", "zset:big", float64(i)/8, fmt.Sprintf("m%d", i))
		e.do("RPUSH", "list:big", fmt.Sprintf("element %d", i))
	}
	e.line("HSET hash:small f v n 12 negative -70000")
	e.line("SADD set:ints 1 2 3 70000")
	e.line("SADD set:wide 1 9223372036854775807")
	e.line("ZADD zset:small 1 a 2.5 b -inf c +inf d")
	e.line("RPUSH list:small a b c 1 2 3")
	e.line("DEBUG QUICKLIST-PACKED-THRESHOLD 300b")
	e.do("RPUSH", "list:plain", strings.Repeat("p", 1000), "small", strings.Repeat("q", 1000))
	e.line("CONFIG SET list-compress-depth 1")
	for i := range 3000 {
		e.do("RPUSH", "list:compressed", fmt.Sprintf("the same words again and again %d", i%3))
	}
	now := time.Now().UnixMilli()
	e.line("SET ttl:far v")
	e.do("PEXPIREAT", "ttl:far", now+86400_000*365*100)
	e.do("PEXPIREAT", "hash:small", now+86400_123)
	e.do("PEXPIREAT", "{0}:n", now+3600_000)
	e.line("SELECT 5")
	e.line("SET in:five v")
	e.line("RPUSH list:five v")
	e.line("SELECT 15")
	e.line("SET in:fifteen v EX 10000")
	e.line("SELECT 0")
	e.do("FUNCTION", "LOAD", "#!lua name=lib1\nredis.register_function('one', function(keys, args) return 1 end)")
	e.do("FUNCTION", "LOAD", "#!lua name=lib2\nredis.register_function('two', function(keys, args) return '"+strings.Repeat("x", 500)+"' end)")
}

// populateNewer writes what later versions store in later types.
func populateNewer(e *engine) {
	e.t.Helper()
	e.line("SADD set:small a b c")
	for i := range 300 {
		e.do("XADD", "stream", fmt.Sprintf("%d-1", i+1), "field", i, "other", strings.Repeat("v", i))
	}
	e.line("XDEL stream 5-1 100-1")
	e.line("XGROUP CREATE stream g1 0")
	e.line("XGROUP CREATE stream g2 10-1")
	e.line("XGROUP CREATECONSUMER stream g1 idle")
	e.line("XREADGROUP GROUP g1 alice COUNT 20 STREAMS stream >")
	e.line("XREADGROUP GROUP g1 bob COUNT 70 STREAMS stream >")
	e.line("XACK stream g1 1-1 2-1")
	e.line("XREADGROUP GROUP g2 carol COUNT 3 STREAMS stream >")
	e.line("XADD stream:empty 1-1 a b")
	e.line("XTRIM stream:empty MAXLEN 0")
}

// compare checks a dump against what the engine that wrote it says.
func compare(t *testing.T, e *engine, file []byte) *Summary {
	t.Helper()
	type place struct {
		db  uint64
		key string
	}
	records := map[place]int64{} // when they expire
	bytesSeen := int64(0)
	s := NewScanner(bytes.NewReader(file), Options{Keys: true, OnRecord: func(r *Record) error {
		records[place{r.DB, string(r.Key)}] = r.ExpireAt
		bytesSeen += r.Size
		return nil
	}})
	sum, err := s.Scan()
	if err != nil {
		t.Fatal(err)
	}
	if sum.Bytes != int64(len(file)) || bytesSeen >= sum.Bytes || bytesSeen < sum.Bytes-4096 {
		t.Errorf("file of %d bytes: %d in all, %d in records", len(file), sum.Bytes, bytesSeen)
	}
	if int64(len(records)) != sum.Keys {
		t.Errorf("%d keys, but %d different ones", sum.Keys, len(records))
	}
	expiring := int64(0)
	for db := range uint64(16) {
		e.do("SELECT", db)
		if size := e.do("DBSIZE").(int64); sum.Databases[db] != size {
			t.Errorf("database %d: %d keys, the engine says %d", db, sum.Databases[db], size)
		}
		for _, key := range e.do("KEYS", "*").([]any) {
			at := max(0, e.do("PEXPIRETIME", key).(int64))
			if at > 0 {
				expiring++
			}
			if got, ok := records[place{db, key.(string)}]; !ok || got != at {
				t.Errorf("database %d, key %.40q: found %v, expires %d; the engine says %d", db, key, ok, got, at)
			}
		}
	}
	e.do("SELECT", 0)
	if sum.Expiring != expiring {
		t.Errorf("%d keys expire, the engine says %d", sum.Expiring, expiring)
	}
	if libraries := len(e.do("FUNCTION", "LIST").([]any)); sum.Functions != libraries {
		t.Errorf("%d libraries, the engine says %d", sum.Functions, libraries)
	}
	return sum
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestEngineDumps(t *testing.T) {
	t.Parallel()
	for _, eng := range engines {
		t.Run(eng.name, func(t *testing.T) {
			t.Parallel()
			e := startEngine(t, eng.server, t.TempDir())
			populate(e)
			populateNewer(e)
			for _, compression := range []string{"yes", "no"} {
				for _, policy := range []string{"noeviction", "allkeys-lru", "allkeys-lfu"} {
					e.do("CONFIG", "SET", "rdbcompression", compression)
					e.do("CONFIG", "SET", "maxmemory-policy", policy)
					checkDump(t, e, eng.version, eng.types)
				}
			}
		})
	}
}

func checkDump(t *testing.T, e *engine, version int, types []byte) {
	t.Helper()
	before := time.Now().Add(-time.Second)
	sum := compare(t, e, readFile(t, e.save()))
	if sum.Version != version || sum.Family != FamilyRedis || sum.Checksum != ChecksumVerified {
		t.Errorf("%s version %d, checksum %s", sum.Family, sum.Version, sum.Checksum)
	}
	for _, typ := range types {
		if sum.Types[typ] == 0 {
			t.Errorf("no value of type %d (%s)", typ, TypeName(sum.Family, typ))
		}
	}
	info := e.do("INFO", "server").(string)
	if a := sum.Aux; !strings.Contains(info, a.Engine+"_version:"+a.EngineVersion) || a.Bits != 64 || a.UsedMemory < 1<<16 ||
		a.CreatedAt.Before(before.Truncate(time.Second)) || a.CreatedAt.After(time.Now()) {
		t.Errorf("auxiliary fields %+v", a)
	}
}

// A primary with a backlog says in the file which point of its history it holds.
func TestEngineReplicationPoint(t *testing.T) {
	t.Parallel()
	for _, eng := range engines {
		t.Run(eng.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			primary := startEngine(t, eng.server, dir, "--rdbchecksum", "no")
			primary.line("SET k v")
			sum := compare(t, primary, readFile(t, primary.save()))
			if sum.Checksum != ChecksumAbsent || sum.CRC == 0 {
				t.Errorf("checksum %s, %x, though the engine writes none", sum.Checksum, sum.CRC)
			}
			file := requestSnapshot(t, primary)
			sum, err := NewScanner(bytes.NewReader(file), Options{}).Scan()
			if err != nil {
				t.Fatal(err)
			}
			info := primary.do("INFO", "replication").(string)
			if a := sum.Aux; len(a.ReplID) != 40 || !strings.Contains(info, "master_replid:"+a.ReplID) || a.AOFBase {
				t.Errorf("replication %q at %d; the engine says\n%s", a.ReplID, a.ReplOffset, info)
			}
		})
	}
}

// requestSnapshot asks for a snapshot as a replica does, and returns what is
// sent between the marks.
func requestSnapshot(t *testing.T, e *engine) []byte {
	t.Helper()
	e.line("CONFIG SET repl-diskless-sync-delay 0")
	e.line("REPLCONF capa eof capa psync2")
	e.line("REPLCONF rdb-only 1")
	if answer := e.line("PSYNC ? -1").(string); !strings.HasPrefix(answer, "FULLRESYNC ") {
		t.Fatal(answer)
	}
	head := "\n"
	for head == "\n" {
		var err error
		if head, err = e.in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	mark, ok := strings.CutPrefix(strings.TrimSpace(head), "$EOF:")
	if !ok {
		t.Fatalf("%q", head)
	}
	var file bytes.Buffer
	s := NewScanner(e.in, Options{Tee: &file})
	if _, err := s.Scan(); err != nil {
		t.Fatal(err)
	}
	end := make([]byte, len(mark))
	if n, err := io.ReadFull(s.Rest(), end); err != nil || string(end) != mark {
		t.Fatalf("after the file %q (%d), %v; want the mark %q", end, n, err, mark)
	}
	e.connect() // the engine closes the replica's connection
	return file.Bytes()
}

// An older engine must load what Lower makes of a newer one's file, and hold
// exactly the same data.
func TestEngineLoadsLoweredFile(t *testing.T) {
	t.Parallel()
	newer := startEngine(t, "valkey-server", t.TempDir())
	populate(newer)
	file := readFile(t, newer.save())
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "dump.rdb"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := Lower(bytes.NewReader(file), out, 10)
	if err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	if sum.Version != 10 || MinVersion(sum) != 10 {
		t.Errorf("version %d, needs %d", sum.Version, MinVersion(sum))
	}
	older := startEngine(t, "redis-server", dir)
	compare(t, older, readFile(t, filepath.Join(dir, "dump.rdb")))
	for db := range 16 {
		newer.do("SELECT", db)
		older.do("SELECT", db)
		for _, key := range newer.do("KEYS", "*").([]any) {
			a, b := newer.do("DEBUG", "DIGEST-VALUE", key), older.do("DEBUG", "DIGEST-VALUE", key)
			if fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("database %d, key %.40q: %v in one, %v in the other", db, key, a, b)
			}
		}
	}
}

// TestGoldenDumps reads the dumps in testdata, which real engines wrote, at every
// truncation. Run it with -update where the engines are installed to renew them.
func TestGoldenDumps(t *testing.T) {
	t.Parallel()
	for _, eng := range engines {
		t.Run(eng.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join("testdata", eng.name+".rdb")
			if *update {
				e := startEngine(t, eng.server, t.TempDir())
				populateGolden(e)
				if err := os.WriteFile(name, readFile(t, e.save()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			file := readFile(t, name)
			sum, err := NewScanner(bytes.NewReader(file), Options{}).Scan()
			if err != nil {
				t.Fatal(err)
			}
			if sum.Version != eng.version || sum.Keys != 12 || sum.Expiring != 2 || sum.Functions != 1 || sum.Databases[3] != 1 {
				t.Errorf("%+v", sum)
			}
			for n := range file {
				if _, err := newScanner(bytes.NewReader(file[:n]), Options{Keys: true, OnRecord: ignore}, 128).Scan(); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Fatalf("first %d of %d bytes: %v", n, len(file), err)
				}
			}
			for i := range file {
				file[i] ^= 0x55
				if _, err := newScanner(bytes.NewReader(file), Options{}, 4096).Scan(); err == nil {
					t.Fatalf("byte %d xor 0x55 went unnoticed", i)
				}
				file[i] ^= 0x55
			}
		})
	}
}

// populateGolden writes 12 keys of many types, few bytes each.
func populateGolden(e *engine) {
	e.t.Helper()
	e.do("SET", "string", "value")
	e.do("SET", "123", -70000)
	e.do("SET", strings.Repeat("k", 100), strings.Repeat("v", 1000))
	e.line("HSET hash f v g 1")
	e.line("SADD ints 1 2 3")
	e.line("SADD set a b c")
	e.line("ZADD zset 1 a 2.5 b")
	e.line("RPUSH list a b 3")
	e.line("CONFIG SET hash-max-listpack-entries 1")
	e.line("CONFIG SET zset-max-listpack-entries 1")
	e.line("HSET hash:table f v g 1")
	e.line("ZADD zset:skiplist 1 a 2.5 b")
	e.line("XADD stream 1-1 f v")
	e.line("XADD stream 2-1 f w")
	e.line("XGROUP CREATE stream g 0")
	e.line("XREADGROUP GROUP g c COUNT 1 STREAMS stream >")
	e.do("PEXPIREAT", "string", int64(4000000000123))
	e.do("FUNCTION", "LOAD", "#!lua name=lib\nredis.register_function('f', function(keys, args) return 1 end)")
	e.line("SELECT 3")
	e.line("SET three v PXAT 4000000000000")
}
