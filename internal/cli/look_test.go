package cli

import (
	"bufio"
	stdbytes "bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/app"
	"github.com/keyframe/keyframe/internal/config"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
)

// run is one command line.
func run(args ...string) (code int, out, err string) {
	var stdout, stderr stdbytes.Buffer
	code = Main("test", args, nil, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// want runs a command line and wants its code, and texts in what it says.
func want(t *testing.T, code int, parts []string, args ...string) string {
	t.Helper()
	got, out, err := run(args...)
	if got != code {
		t.Fatalf("%q: exit %d\n%s%s", args, got, out, err)
	}
	squeezed := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	for _, p := range parts {
		if !strings.Contains(squeezed(out+err), squeezed(p)) {
			t.Errorf("%q does not say %q:\n%s%s", args, p, out, err)
		}
	}
	return out
}

type pair struct {
	key string
	at  int64
	d   rdb.Data
}

func file(t *testing.T, version int, pairs ...pair) []byte {
	t.Helper()
	var b stdbytes.Buffer
	w, err := rdb.NewWriter(&b, rdb.WriterOptions{Version: version})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		if err := w.Write(rdb.Meta{Key: []byte(p.key), ExpireAt: p.at}, p.d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const far = 1999999999000

// everything has a value of each kind that a person meets.
func everything() []pair {
	return []pair{
		{"user:1:name", 0, rdb.String("Ada")}, {"user:2:name", far, rdb.String("\x00\xffé\n")},
		{"list", 0, rdb.List{[]byte("a"), []byte("b\t")}}, {"set", 0, rdb.Set{[]byte("x")}}, {"zset", 0, rdb.SortedSet{{Text: []byte("m"), Score: 1.5}}},
		{"hash", 0, rdb.Hash{{Name: []byte("f"), Value: []byte("\xff")}}},
		{"stream", 0, &rdb.Stream{Entries: []rdb.StreamEntry{{ID: rdb.StreamID{Ms: 5, Seq: 1}, Fields: []rdb.Pair{{Name: []byte("f"), Value: []byte("v")}}}}}},
		{"bin\xff\n", 0, rdb.String("b")},
	}
}

func TestKeysOfFiles(t *testing.T) {
	t.Parallel()
	path := put(t, "a.rdb", file(t, 11, everything()...))
	out := want(t, 0, []string{"TYPE", `bin\xff\n`, "2033-05-18 03:33:19  user:2:name"}, "rdb", "keys", path)
	if n := strings.Count(out, "\n"); n != 9 {
		t.Errorf("%d lines:\n%s", n, out)
	}
	names := func(args ...string) (all []string) {
		out := want(t, 0, nil, append([]string{"rdb", "keys", path, "-o", "json"}, args...)...)
		for line := range strings.Lines(out) {
			var k struct{ Key any }
			if err := json.Unmarshal([]byte(line), &k); err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprint(k.Key))
		}
		return all
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--match", "user:*"}, "[user:1:name user:2:name]"}, {[]string{"--type", "zset"}, "[zset]"}, {[]string{"--match", "[lz]*", "--limit", "1"}, "[list]"},
		{[]string{"--expires-before", "2035-01-01T00:00:00Z"}, "[user:2:name]"}, {[]string{"--expires-before", "1h"}, "[]"}, {[]string{"--no-expiry", "--match", "u*"}, "[user:1:name]"},
		{[]string{"--slot", fmt.Sprint(rdb.KeySlot([]byte("hash")))}, "[hash]"}, {[]string{"--min-size", "40"}, "[stream]"}, {[]string{"--match", "bin*"}, "[map[base64:Ymlu/wo=]]"},
		{[]string{"--db", "1"}, "[]"},
	} {
		if got := fmt.Sprint(names(c.args...)); got != c.want {
			t.Errorf("%v: %s, want %s", c.args, got, c.want)
		}
	}
	want(t, 0, []string{"KEYS", "8"}, "rdb", "keys", path, "--count")
	want(t, 2, []string{"none of string"}, "rdb", "keys", path, "--type", "array")
	want(t, 2, []string{"not a size"}, "rdb", "keys", path, "--min-size", "much")
}

func TestGetOfFiles(t *testing.T) {
	t.Parallel()
	path := put(t, "a.rdb", file(t, 11, everything()...))
	for _, c := range []struct{ key, text, json string }{
		{"user:1:name", "Ada", `"Ada"`}, {"user:2:name", "\x00\xffé\n", `{"base64":"AP/DqQo="}`}, {"list", "a\nb\\t\n", `["a","b\t"]`}, {"set", "x\n", `["x"]`},
		{"zset", "1.5\tm\n", `[{"Member":"m","Score":1.5}]`}, {"hash", "f\t\\xff\n", `[{"Field":"f","Value":{"base64":"/w=="}}]`},
		{"stream", "5-1\tf\tv\n# last ID 5-1, 1 entries\n", `{"Entries":[{"ID":"5-1","Fields":[["f","v"]]}],"LastID":"5-1","Groups":[]}`},
		{`bin\xff\n`, "b", `"b"`},
	} {
		if out := want(t, 0, nil, "rdb", "get", path, c.key, "--escaped"); out != c.text {
			t.Errorf("%s is %q", c.key, out)
		}
		var got struct{ Value json.RawMessage }
		out := want(t, 0, nil, "rdb", "get", path, c.key, "--escaped", "-o", "json")
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		var flat stdbytes.Buffer
		if err := json.Compact(&flat, got.Value); err != nil || flat.String() != c.json {
			t.Errorf("%s is %s, %v", c.key, flat.String(), err)
		}
		dump := want(t, 0, nil, "rdb", "get", path, c.key, "--escaped", "--dump")
		if d, err := rdb.ParseDump([]byte(dump)); err != nil || d.Checksum != rdb.ChecksumVerified {
			t.Errorf("dump of %s: %v", c.key, err)
		}
	}
	want(t, 1, []string{"has no key nobody in database 0"}, "rdb", "get", path, "nobody")
	want(t, 1, []string{"has no key list in database 1"}, "rdb", "get", path, "list", "--db", "1")
	want(t, 2, []string{"means nothing"}, "rdb", "get", path, `\q`, "--escaped")
}

func TestDiffOfFiles(t *testing.T) {
	t.Parallel()
	before := everything()
	a := put(t, "a.rdb", file(t, 11, before...))
	// The other side has two files, another version, another order, and three changes.
	after := append([]pair{{"user:3:name", 0, rdb.String("Grace")}, {"user:1:name", far, rdb.String("Ada")}}, before[3:]...)
	b := put(t, "1.rdb", file(t, 9, after[:3]...))
	b2 := put(t, "2.rdb", file(t, 9, append(after[3:], before[1])...))
	sides := []string{"rdb", "diff", a, b + "," + b2}
	want(t, 1, []string{"added 1 ", "removed 1 ", "changed 1 ", "only the expiry 1", "user:*"}, sides...)
	out := want(t, 1, []string{"expiry  user:1:name", "user:3:name", "list"}, append(sides, "--keys")...)
	if n := strings.Count(out, "\n"); n != 4 {
		t.Errorf("%d lines:\n%s", n, out)
	}
	want(t, 0, []string{"the same  8"}, "rdb", "diff", a, filepath.Dir(a))
	want(t, 2, []string{"no such file"}, "rdb", "diff", a, "nowhere.rdb")
	want(t, 2, []string{"accepts 2 arg"}, "rdb", "diff", a)
	want(t, 0, []string{"8 keys are in"}, "rdb", "diff", a+","+a, a)
	var d struct {
		Changes  struct{ Added, Removed, Changed struct{ Keys int } }
		Prefixes []struct {
			Prefix string
			Growth int
		}
		Biggest []struct{ Change, Key string }
	}
	out = want(t, 1, nil, append(sides, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.Changes.Added.Keys != 1 || len(d.Prefixes) != 2 || len(d.Biggest) != 3 {
		t.Errorf("%v:\n%s", err, out)
	}
}

func TestCheckConvertSplit(t *testing.T) {
	t.Parallel()
	path := put(t, "a.rdb", file(t, 11, everything()...))
	dir := filepath.Dir(path)
	want(t, 0, []string{"good", "REDIS 11", "verified", "8"}, "rdb", "check", path)
	old := filepath.Join(dir, "old.rdb")
	want(t, 0, []string{"REDIS 9"}, "rdb", "convert", path, "--for", "redis-6.2", "--to", old)
	if info, err := os.Stat(old); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	want(t, 0, nil, "rdb", "diff", path, old)
	want(t, 1, []string{"exists: --force"}, "rdb", "convert", path, "--for", "redis-6.2", "--to", old)
	want(t, 0, []string{"REDIS 10"}, "rdb", "convert", path, "--rdb-version", "10", "--to", old, "--force")
	out := want(t, 0, nil, "rdb", "convert", path, "--for", "valkey-8.0")
	if out != string(file(t, 11, everything()...)) {
		t.Error("what the engine reads as it is was changed")
	}
	want(t, 2, []string{"redis-7.0"}, "rdb", "convert", path, "--for", "memcached-1.6")
	want(t, 0, []string{`"To": "` + old + `"`, `"Format": "REDIS 9"`}, "rdb", "convert", path, "--for", "redis-6.2", "--to", old, "--force", "-o", "json")

	prefix := filepath.Join(dir, "part")
	want(t, 0, []string{"0-8191", "8192-16383"}, "rdb", "split", path, "--into", "2", "--to", prefix)
	want(t, 0, nil, "rdb", "diff", path, prefix+"-1.rdb,"+prefix+"-2.rdb")
	want(t, 0, nil, "rdb", "split", prefix+"-1.rdb", prefix+"-2.rdb", "--into", "1", "--to", filepath.Join(dir, "whole"))
	want(t, 0, nil, "rdb", "diff", path, filepath.Join(dir, "whole-1.rdb"))
	slot := fmt.Sprint(rdb.KeySlot([]byte("hash")))
	want(t, 2, []string{"--drop-rest"}, "rdb", "split", path, "--slots", slot, "--to", filepath.Join(dir, "one"))
	want(t, 0, []string{"one-1.rdb"}, "rdb", "split", path, "--slots", slot, "--drop-rest", "--to", filepath.Join(dir, "one"))
	want(t, 0, []string{"1"}, "rdb", "keys", filepath.Join(dir, "one-1.rdb"), "--count")

	several := put(t, "several.rdb", []byte("REDIS0011\x00\x01a\x01x\xfe\x03\x00\x01a\x01y\x00\x01b\x01z\xff"+strings.Repeat("\x00", 8)))
	want(t, 0, nil, "rdb", "split", several, "--into", "2", "--to", prefix, "--force")
	want(t, 0, nil, "rdb", "split", prefix+"-1.rdb", prefix+"-2.rdb", "--into", "1", "--to", prefix+"-again")
	want(t, 0, nil, "rdb", "diff", several, prefix+"-again-1.rdb")
	want(t, 1, nil, "rdb", "diff", path, prefix+"-again-1.rdb")

	// A source that is broken leaves nothing behind.
	broken := file(t, 11, everything()...)
	broken[len(broken)-1] ^= 1
	bad := put(t, "bad.rdb", broken)
	want(t, 1, []string{"bad.rdb", "checksum"}, "rdb", "split", bad, "--into", "2", "--to", filepath.Join(filepath.Dir(bad), "x"))
	want(t, 1, []string{"bad.rdb", "checksum"}, "rdb", "convert", bad, "--for", "redis-7.0", "--to", filepath.Join(filepath.Dir(bad), "x"))
	if left, err := os.ReadDir(filepath.Dir(bad)); err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

// Several files go into a directory: all of them or none.
func TestConvertSeveral(t *testing.T) {
	t.Parallel()
	one, two := put(t, "one.rdb", file(t, 11, everything()...)), put(t, "two.rdb", file(t, 11, everything()[:3]...))
	dir := t.TempDir()
	has := func(n int) {
		t.Helper()
		if left, err := os.ReadDir(dir); err != nil || len(left) != n {
			t.Errorf("the directory has %v, %v", left, err)
		}
	}
	to := func(args ...string) []string {
		return append([]string{"rdb", "convert", "--for", "redis-6.2", "--to", dir}, args...)
	}
	want(t, 2, []string{"--to DIR"}, "rdb", "convert", one, two, "--for", "redis-6.2")
	want(t, 2, []string{"--to DIR"}, "rdb", "convert", one, two, "--for", "redis-6.2", "--to", filepath.Join(dir, "none"))
	want(t, 2, []string{"would both become"}, to(one, one)...)
	want(t, 2, []string{"no name"}, to(one, "-")...)
	broken := file(t, 11, everything()...)
	broken[len(broken)-1] ^= 1
	want(t, 1, []string{"three.rdb", "checksum"}, to(one, two, put(t, "three.rdb", broken))...)
	has(0)
	want(t, 0, []string{"one.rdb", "two.rdb", "REDIS 9"}, to(one, two)...)
	has(2)
	for _, path := range []string{one, two} {
		want(t, 0, nil, "rdb", "diff", path, filepath.Join(dir, filepath.Base(path)))
	}
	want(t, 1, []string{"exists: --force"}, to(put(t, "zero.rdb", file(t, 11, everything()[:1]...)), one)...)
	has(2)
	var written []converted
	out := want(t, 0, nil, to(one, "--force", "-o", "json")...)
	if err := json.Unmarshal([]byte(out), &written); err != nil || len(written) != 1 || written[0].To != filepath.Join(dir, "one.rdb") {
		t.Errorf("%v: %s", err, out)
	}
	has(2)
}

// What each family stores in its own way becomes what the other one does.
func TestConvertFamilies(t *testing.T) {
	t.Parallel()
	fields := rdb.Hash{{Name: []byte("f"), Value: []byte("v"), ExpireAt: far}, {Name: []byte("g"), Value: []byte("w")}}
	pairs := append(everything(), pair{"fields", 0, fields})
	redis, valkey := put(t, "redis.rdb", file(t, 12, pairs...)), put(t, "valkey.rdb", file(t, 80, pairs...))
	dir := t.TempDir()
	for _, x := range []struct{ from, engine, format string }{
		{valkey, "redis-7.4", "REDIS 12"}, {valkey, "redis-8.0", "REDIS 12"}, {redis, "valkey-9.0", "VALKEY 80"}, {valkey, "valkey-9.0", "VALKEY 80"}, {redis, "redis-7.4", "REDIS 12"},
	} {
		to := filepath.Join(dir, x.engine+filepath.Base(x.from))
		want(t, 0, []string{x.format}, "rdb", "convert", x.from, "--for", x.engine, "--to", to)
		want(t, 0, []string{"good", x.format}, "rdb", "check", to)
		want(t, 0, nil, "rdb", "diff", x.from, to)
		want(t, 0, nil, "rdb", "diff", to, redis)
	}
	for _, x := range []struct{ from, engine string }{{valkey, "redis-7.2"}, {redis, "valkey-8.1"}, {valkey, "valkey-8.0"}, {redis, "redis-7.0"}} {
		want(t, 1, []string{filepath.Base(x.from), "hash with TTLs", "needs version 12"}, "rdb", "convert", x.from, "--for", x.engine, "--to", filepath.Join(dir, "none"))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 5 {
		t.Errorf("%v, %v", left, err)
	}
	// The engines that are here know no fields that expire; all else goes into them from both families.
	for i, x := range []struct {
		version int
		engine  string
		kind    resource.Engine
	}{{80, "redis-7.0", resource.Redis}, {80, "valkey-8.0", resource.Valkey}, {12, "valkey-8.0", resource.Valkey}, {12, "redis-7.0", resource.Redis}} {
		to := filepath.Join(dir, fmt.Sprint(i))
		want(t, 0, nil, "rdb", "convert", put(t, "a.rdb", file(t, x.version, everything()...)), "--for", x.engine, "--to", to)
		n := kftest.Engine(t, x.kind, kftest.Data(to))
		if size, set, at := n.Do(t, "DBSIZE").Int, n.Do(t, "SCARD", "set").Int, n.Do(t, "PEXPIRETIME", "user:2:name").Int; size != int64(len(everything())) || set != 1 || at != far {
			t.Errorf("%+v: %d keys, a set of %d, a key that expires at %d", x, size, set, at)
		}
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	good := file(t, 11, everything()...)
	for name, c := range map[string]struct {
		data []byte
		says string
	}{
		"empty":      {nil, "the file is empty"},
		"truncated":  {good[:len(good)-20], "truncated"},
		"text":       {[]byte("hello, world"), `"hello, wo" is not the start of an RDB file`},
		"aof":        {[]byte("*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n"), "append-only file of commands"},
		"preamble":   {append(good[:len(good):len(good)], "*1\r\n$4\r\nPING\r\n"...), "append-only file with a preamble"},
		"more":       {append(good[:len(good):len(good)], 0), "something follows the RDB"},
		"manifest":   {[]byte("file appendonly.aof.1.base.rdb seq 1 type b\n"), "manifest of an append-only file"},
		"envelope":   {[]byte("VCS\x01\x01\x00\x01 and so on, and so on"), "compressed envelope"},
		"gzip":       {[]byte("\x1f\x8b\x08 and so on, and so on"), "gunzip"},
		"future":     {[]byte("REDIS0099\xff12345678"), "REDIS version 99"},
		"short item": {[]byte("KFITEMS1"), "short item"},
	} {
		path := put(t, name, c.data)
		for _, verb := range [][]string{{"check"}, {"keys"}} {
			code, out, err := run(append(append([]string{"rdb"}, verb...), path)...)
			if code != 1 || !strings.Contains(out+err, c.says) || !strings.Contains(out+err, path) {
				t.Errorf("%s %s: exit %d, %s%s", verb, name, code, out, err)
			}
		}
	}
	want(t, 1, []string{"holds no *.rdb file"}, "rdb", "keys", t.TempDir())
	want(t, 1, []string{"there is none"}, "rdb", "check", "-")
}

func TestStandardInput(t *testing.T) {
	t.Parallel()
	var stdout, stderr stdbytes.Buffer
	code := Main("test", []string{"rdb", "keys", "-", "--count"}, stdbytes.NewReader(file(t, 11, everything()...)), &stdout, &stderr)
	if code != 0 || !strings.Contains(stdout.String(), "8") {
		t.Errorf("exit %d: %s%s", code, stdout.String(), stderr.String())
	}
}

// stored makes a data directory with a snapshot of shards, without a server.
func stored(t *testing.T, dir, name string, kind snapstore.Stream, shards map[string][]byte) {
	t.Helper()
	ctx := t.Context()
	c, err := config.Load("", nil, map[string]any{"data": dir})
	if err != nil {
		t.Fatal(err)
	}
	stores, err := app.OpenStores(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer stores.Close()
	scope := resource.Scope{Account: "123456789012", Region: "us-east-1"}
	arn, err := stores.Keys.Resolve(ctx, scope, "elasticache", "")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	m := &snapstore.Manifest{SnapshotID: "id-" + name, CaptureID: "cap-" + name, Kind: resource.Serverless, Account: scope.Account, Region: scope.Region, Name: name,
		Type: resource.Manual, RequestedAt: now, CapturedAt: now, Engine: resource.Valkey, EngineVersion: "8.0.1", RDBVersion: 11, Stream: kind,
		Consistency: snapstore.Instant, Source: resource.Cache{Name: "cache", Engine: resource.Valkey}, Key: snapstore.WrappedKey{ARN: arn}}
	if kind == snapstore.Memcached {
		m.Consistency, m.RDBVersion = snapstore.NoInstant, 0
	}
	key := snapstore.NewDataKey()
	capture, err := stores.Snapshots.NewCapture(ctx, m.CaptureID, key)
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	for shard, data := range shards {
		w, err := capture.Shard(fmt.Sprintf("%04d", i+1))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		got, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		sh := snapstore.Shard{Name: fmt.Sprintf("%04d", i+1), Bytes: got.PlainBytes, Parts: got.Parts}
		if kind == snapstore.Memcached {
			sum, err := itemfile.Scan(stdbytes.NewReader(data), itemfile.Options{})
			if err != nil {
				t.Fatal(err)
			}
			sh.Items = &snapstore.Items{From: now, To: now}
			sh.Items.Content, sh.Items.Expiry = snapstore.ItemSums(sum.Sum)
		}
		if shard != "" {
			if sh.Slots, err = resource.ParseSlots(shard); err != nil {
				t.Fatal(err)
			}
		}
		m.Shards = append(m.Shards, sh)
		i++
	}
	if err := stores.Snapshots.WriteManifest(ctx, m, key); err != nil {
		t.Fatal(err)
	}
	err = stores.DB.Update(ctx, func(tx *metastore.Tx) error {
		return tx.InsertSnapshot(&resource.Snapshot{ID: m.SnapshotID, Scope: scope, Name: name, Kind: resource.Serverless, Type: resource.Manual,
			Status: resource.SnapshotAvailable, Source: m.Source, CaptureID: m.CaptureID, RequestedAt: now, CreatedAt: now})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sharded divides pairs among the two halves of the slots.
func sharded(t *testing.T, pairs []pair) map[string][]byte {
	var low, high []pair
	for _, p := range pairs {
		if rdb.KeySlot([]byte(p.key)) < 8192 {
			low = append(low, p)
		} else {
			high = append(high, p)
		}
	}
	return map[string][]byte{"0-8191": file(t, 11, low...), "8192-16383": file(t, 11, high...)}
}

func TestLookIntoSnapshots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, dir, "yesterday", snapstore.RDB, map[string][]byte{"": file(t, 11, everything()...)})
	stored(t, dir, "today", snapstore.RDB, sharded(t, append(everything()[1:], pair{"cart:1", 0, rdb.String("full")})))
	at := func(args ...string) []string { return append(append([]string{"snapshot"}, args...), "--data", dir) }
	want(t, 0, []string{"user:1:name", "hash"}, at("keys", "yesterday")...)
	want(t, 0, []string{"8"}, at("keys", "today", "--count")...)
	if out := want(t, 0, nil, at("get", "today", "hash")...); out != "f\t\\xff\n" {
		t.Errorf("hash is %q", out)
	}
	want(t, 1, []string{"of today has no key nobody"}, at("get", "today", "nobody")...)
	want(t, 1, []string{"added 1 ", "removed 1 ", "cart:*", "the same  7"}, at("diff", "yesterday", "today")...)
	want(t, 0, []string{"the same  8"}, at("diff", "today", "today")...)
	want(t, 2, []string{"no snapshot is called"}, at("diff", "today", "tomorrow")...)

	// Only the shard of the key is read: the other one may be damaged.
	parts, err := filepath.Glob(filepath.Join(dir, "store", "captures", "cap-today", "*", "*"))
	if err != nil || len(parts) != 2 {
		t.Fatalf("%v, %v", parts, err)
	}
	damaged := 0
	for _, p := range parts {
		kept, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, make([]byte, len(kept)), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, _ := run(at("get", "today", "hash")...); code == 0 {
			damaged++
		}
		if err := os.WriteFile(p, kept, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if damaged != 1 {
		t.Errorf("with one of two shards damaged, %d times the key is not read", damaged)
	}
}

func TestLookIntoItems(t *testing.T) {
	t.Parallel()
	var b stdbytes.Buffer
	w, err := itemfile.NewWriter(&b, itemfile.Header{Created: time.Now(), Engine: "1.6.18"})
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range []itemfile.Item{{Key: []byte("k\x01"), Flags: 7, ExpireAt: far / 1000, Value: []byte("v\xff")}, {Key: []byte("other"), Value: []byte("text")}} {
		if err := w.Write(&it); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir, path := t.TempDir(), put(t, "items", b.Bytes())
	stored(t, dir, "items", snapstore.Memcached, map[string][]byte{"": b.Bytes()})
	for _, at := range [][]string{{"snapshot", "--data", dir, "%", "items"}, {"rdb", "%", path}} {
		with := func(verb string, more ...string) (args []string) {
			for _, a := range at {
				args = append(args, strings.ReplaceAll(a, "%", verb))
			}
			return append(args, more...)
		}
		want(t, 0, []string{"FLAGS", `7        4 B  2033-05-18 03:33:19  k\x01`, "other"}, with("keys")...)
		want(t, 0, []string{`{"Key":"k\u0001","Flags":7,"Size":4,"ExpiresAt":"2033-05-18T03:33:19Z"}`}, with("keys", "-o", "json", "--limit", "1")...)
		if out := want(t, 0, nil, with("get", `k\x01`, "--escaped")...); out != "v\xff" {
			t.Errorf("%q", out)
		}
		want(t, 0, []string{`"Value":"text"`}, with("get", "other", "-o", "json")...)
		want(t, 2, []string{"no types"}, with("keys", "--type", "string")...)
		want(t, 1, []string{"holds data of memcached"}, with("restore-keys", "--to", "127.0.0.1:1")...)
	}
	want(t, 2, []string{"holds data of memcached"}, "rdb", "diff", path, path)
	want(t, 0, []string{"good", "memcached 1.6.18"}, "rdb", "check", path)
}

func TestRestoreKeysFromSnapshot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, dir, "daily", snapstore.RDB, sharded(t, everything()))
	n := kftest.Engine(t, resource.Redis)
	state := filepath.Join(dir, "state")
	at := func(args ...string) []string {
		return append([]string{"snapshot", "restore-keys", "daily", "--data", dir, "--to", n.Addr()}, args...)
	}
	want(t, 0, []string{"would be restored  2"}, at("--match", "user:*", "--dry-run")...)
	if size := n.Do(t, "DBSIZE").Int; size != 0 {
		t.Fatalf("a dry run wrote %d keys", size)
	}
	want(t, 0, []string{"restored", "read back  2"}, at("--match", "user:*")...)
	want(t, 1, []string{"nothing was written"}, at()...)
	if size := n.Do(t, "DBSIZE").Int; size != 2 {
		t.Fatalf("%d keys", size)
	}
	want(t, 0, []string{`"Restored": 6`, `"Skipped": 2`, `"Converted": 2`}, at("--on-conflict", "skip", "--state", state, "-o", "json")...)
	want(t, 0, []string{"is complete"}, at("--on-conflict", "skip", "--state", state)...)
	want(t, 1, []string{"another restore"}, at("--on-conflict", "replace", "--state", state)...)
	if got := n.Do(t, "HGET", "hash", "f").Str; got != "\xff" {
		t.Errorf("%q", got)
	}
	if got := n.Do(t, "PEXPIRETIME", "user:2:name").Int; got != far {
		t.Errorf("expires at %d", got)
	}
	want(t, 2, []string{"none of fail, skip, replace"}, at("--on-conflict", "ask")...)
	want(t, 2, []string{"--rate"}, at("--rate", "fast")...)
	want(t, 1, []string{"refused"}, "snapshot", "restore-keys", "daily", "--data", dir, "--to", "127.0.0.1:1")
}

func TestEscaped(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "plain", "\x00\xff\n\r\t\\\"", "é\u202ex", "日本", "\xe6\x97"} {
		back, err := unescaped(escaped([]byte(s)))
		if err != nil || string(back) != s {
			t.Errorf("%q became %q, %v", s, back, err)
		}
		if strings.ContainsAny(escaped([]byte(s)), "\n\r\t\u202e") {
			t.Errorf("%q is shown as %q", s, escaped([]byte(s)))
		}
		for before := 16<<10 - 12; before < 16<<10+4; before++ { // in pieces, which end anywhere
			long := []byte(strings.Repeat("a", before) + s + s + s + strings.Repeat("\x80", 9) + s)
			var b stdbytes.Buffer
			out := bufio.NewWriter(&b)
			writeEscaped(out, long)
			if err := out.Flush(); err != nil || b.String() != escaped(long) {
				t.Errorf("%q behind %d bytes became %q, %v", s, before, b.String()[before:], err)
			}
		}
	}
}
