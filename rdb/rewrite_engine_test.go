package rdb

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/rdb/lzf"
)

// What a newer engine wrote, an older one loads in every lower version, and holds
// the same by the engines' own digest of all keys and values.
func TestOlderEngineLoadsRewritten(t *testing.T) {
	t.Parallel()
	e := startEngine(t, "valkey-server", t.TempDir())
	populate(e)
	populateNewer(e)
	for i := range 100 {
		for j := range i {
			e.do("SADD", fmt.Sprint("set:", i), fmt.Sprint("member", j*j), j*1000-7)
			e.do("HSET", fmt.Sprint("hash:", i), fmt.Sprint("f", j), strings.Repeat("v", j))
			// Engines print, and digest, numbers with long fractions differently.
			e.do("ZADD", fmt.Sprint("zset:", i), float64(j)/4, fmt.Sprint("m", j))
		}
	}
	e.line("XINFO STREAM stream FULL")
	e.line("FUNCTION FLUSH")
	file, err := os.ReadFile(e.save())
	if err != nil {
		t.Fatal(err)
	}
	want := e.line("DEBUG DIGEST")
	sum, err := NewScanner(bytes.NewReader(file), Options{}).Scan()
	if err != nil || LowestVersion(sum) != 9 {
		t.Fatalf("lowest version %d, %v", LowestVersion(sum), err)
	}
	for _, typ := range []byte{typeSetListpack, typeStream3, typeHashListpack, typeZsetListpack, typeListQuicklist2} {
		if sum.Types[typ] == 0 {
			t.Errorf("no %s in the dump", TypeName(FamilyRedis, typ))
		}
	}
	for version := 9; version <= 10; version++ {
		dir := t.TempDir()
		var out bytes.Buffer
		lowered, err := Lower(bytes.NewReader(file), &out, version)
		if err != nil {
			t.Fatal(err)
		}
		if MinVersion(lowered) > version || lowered.Keys != sum.Keys {
			t.Errorf("version %d: %+v", version, lowered)
		}
		if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		old := startEngine(t, "redis-server", dir)
		if got := old.line("DEBUG DIGEST"); got != want {
			t.Errorf("version %d: digest %v, want %v", version, got, want)
		}
		if got, want := fmt.Sprint(old.line("XPENDING stream g1 - + 1000")), fmt.Sprint(e.line("XPENDING stream g1 - + 1000")); len(got) != len(want) {
			t.Errorf("version %d: pending %.300s, want %.300s", version, got, want)
		}
	}
}

// Engines unpack what lzf packs.
func TestEnginesUnpack(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	texts := []string{strings.Repeat("a", 1000), strings.Repeat("0123456789", 5000)}
	for i := range 300 {
		var b strings.Builder
		for range 1 + rng.IntN(40) {
			b.WriteString(strings.Repeat(string(rune('a'+rng.IntN(26))), rng.IntN(400)))
			fmt.Fprintf(&b, "%d", i)
		}
		texts = append(texts, b.String())
	}
	f := newFile(9).selectDB(0)
	for i, text := range texts {
		packed := lzf.Append(nil, []byte(text))
		f.key(typeString, fmt.Sprint("key:", i)).bytes(stringLZF).lengths(uint64(len(packed)), uint64(len(text))).raw(string(packed))
	}
	file := f.end()
	for _, server := range []string{"valkey-server", "redis-server"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		e := startEngine(t, server, dir)
		for i, text := range texts {
			if got := e.do("GET", fmt.Sprint("key:", i)); got != text {
				t.Fatalf("%s: key %d holds %.100q, want %.100q", server, i, got, text)
			}
		}
	}
}
