package dataset

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
	"pgregory.net/rapid"
)

// small is quick, and has keys of every kind.
func small(seed uint64) Spec { return Spec{Keys: 3000, Seed: seed, Functions: true} }

func server(t *testing.T, n *kftest.Node) Server {
	return Server{Address: n.Addr(), User: engine.AdminUser, Password: n.Password, TLS: n.TLSConfig(t)}
}

func fill(t *testing.T, srv Server, spec Spec) Stats {
	t.Helper()
	st, err := Fill(kftest.Context(t), srv, spec)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func digest(t *testing.T, srv Server) Digest {
	t.Helper()
	d, err := DigestOf(kftest.Context(t), srv, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSameSeedSameDigestOnEveryEngine(t *testing.T) {
	t.Parallel()
	engines := map[string]*kftest.Node{
		"valkey":         kftest.Engine(t, engine.Valkey),
		"redis":          kftest.Engine(t, engine.Redis),
		"valkey cluster": kftest.Engine(t, engine.Valkey, kftest.InCluster(), kftest.WithTLS()),
		// Other encodings, same data.
		"flat": kftest.Engine(t, engine.Valkey, kftest.Parameter("hash-max-listpack-entries", "2"), kftest.Parameter("set-max-intset-entries", "2"),
			kftest.Parameter("zset-max-listpack-entries", "2"), kftest.Parameter("list-max-listpack-size", "3")),
	}
	var want Digest
	for name, n := range engines {
		st := fill(t, server(t, n), small(7))
		got := digest(t, server(t, n))
		if got.Keys != st.Keys || got.Expiring == 0 || got.Functions == (Sum{}) {
			t.Errorf("%s: wrote %d keys, digested %v", name, st.Keys, got)
		}
		if want == (Digest{}) {
			want = got
		}
		if got != want {
			t.Errorf("%s: %v, another engine has %v", name, got, want)
		}
	}
	n := engines["redis"]
	n.Do(t, "FLUSHALL")
	fill(t, server(t, n), small(8))
	if got := digest(t, server(t, n)); got.Data == want.Data {
		t.Error("another seed made the same data")
	}
}

func TestShardsAddUp(t *testing.T) {
	t.Parallel()
	whole, even, odd := kftest.Engine(t, engine.Valkey), kftest.Engine(t, engine.Valkey), kftest.Engine(t, engine.Redis)
	spec := small(3)
	fill(t, server(t, whole), spec)
	spec.Owns = func(key []byte) bool { return key[len(key)-1]%2 == 0 }
	fill(t, server(t, even), spec)
	spec.Owns = func(key []byte) bool { return key[len(key)-1]%2 != 0 }
	fill(t, server(t, odd), spec)
	got, want := digest(t, server(t, even)).Plus(digest(t, server(t, odd))), digest(t, server(t, whole))
	if got != want {
		t.Fatalf("shards hold %v, the whole %v", got, want)
	}
}

func TestDigestSeesEveryChange(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey)
	srv := server(t, n)
	do := func(line string) { n.Do(t, strings.Fields(line)...) }
	for _, line := range []string{
		"SET s value", "SET e value PXAT 4102444800000", "RPUSH l a b c", "SADD st a b", "SADD i 1 2 3", "HSET h f v g w", "ZADD z 1.5 a 2 b",
		"XADD x 1-1 f v", "XADD x 2-1 f v", "XGROUP CREATE x g 0", "XCLAIM x g anna 0 1-1 TIME 1000 FORCE JUSTID",
	} {
		do(line)
	}
	before := digest(t, srv)
	for change, undo := range map[string]string{
		"SET s valuf":                    "SET s value",
		"RENAME s t":                     "RENAME t s",
		"PEXPIREAT e 4102444800001":      "PEXPIREAT e 4102444800000",
		"PEXPIREAT s 4102444800001":      "PERSIST s",
		"LSET l 1 c":                     "LSET l 1 b",
		"RPUSH l a":                      "RPOP l",
		"SADD st c":                      "SREM st c",
		"SADD i 4":                       "SREM i 4",
		"HSET h f w":                     "HSET h f v",
		"ZADD z 1.75 a":                  "ZADD z 1.5 a",
		"XACK x g 1-1":                   "XCLAIM x g anna 0 1-1 TIME 1000 FORCE JUSTID",
		"XCLAIM x g anna 0 1-1 TIME 999": "XCLAIM x g anna 0 1-1 TIME 1000 RETRYCOUNT 1",
		"XGROUP CREATECONSUMER x g bob":  "XGROUP DELCONSUMER x g bob",
		"XGROUP CREATE x other 1-1":      "XGROUP DESTROY x other",
	} {
		do(change)
		if digest(t, srv).Data == before.Data {
			t.Errorf("%s: not seen", change)
		}
		do(undo)
		if change == "XCLAIM x g anna 0 1-1 TIME 999" || change == "XACK x g 1-1" {
			before = digest(t, srv) // the delivery count has changed
		}
		if digest(t, srv) != before {
			t.Errorf("%s: did not undo %s", undo, change)
			before = digest(t, srv)
		}
	}
	// What is the same key in another database is another key.
	n.Do(t, "MOVE", "s", "3")
	if digest(t, srv).Data == before.Data {
		t.Error("MOVE to another database: not seen")
	}
}

func TestDigestLeavesOutWhatExpires(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Redis)
	srv := server(t, n)
	fill(t, srv, small(1))
	want := digest(t, srv)
	at := time.Now().Add(time.Hour)
	n.Do(t, "SET", "soon", "v", "PXAT", fmt.Sprint(at.UnixMilli()))
	for instant, same := range map[time.Time]bool{at.Add(time.Millisecond): true, at: false} {
		got, err := DigestOf(kftest.Context(t), srv, instant)
		if err != nil {
			t.Fatal(err)
		}
		if (got == want) != same {
			t.Errorf("ignoring up to %v: equal is %v", instant, got == want)
		}
	}
}

func TestFillSpreadsOverDatabases(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey, kftest.Parameter("databases", "4"))
	spec := small(1)
	spec.Databases, spec.TTLShare, spec.Prefix = 3, -1, "p:"
	st := fill(t, server(t, n), spec)
	d := digest(t, server(t, n))
	info, err := n.Admin(t).Info(kftest.Context(t), "keyspace")
	if err != nil {
		t.Fatal(err)
	}
	if d.Keys != st.Keys || d.Expiring != 0 || len(info) != 3 {
		t.Fatalf("wrote %d keys, digested %v of %v", st.Keys, d, info)
	}
}

func TestFillReportsRefusals(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey)
	n.Do(t, "SET", "hash:"+fmt.Sprint(firstOf(small(1), kHash)), "in the way")
	if _, err := Fill(kftest.Context(t), server(t, n), small(1)); err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
		t.Errorf("key of another type: %v", err)
	}
	wrong := server(t, n)
	wrong.Password = engine.NewSecret("wrong")
	if _, err := Fill(kftest.Context(t), wrong, small(1)); err == nil || !strings.Contains(err.Error(), "WRONGPASS") {
		t.Errorf("wrong password: %v", err)
	}
	for _, bad := range []Spec{{Keys: -1}, {ValueMin: 5, ValueMax: 4}, {TTLShare: 2}, {Mix: Mix{Strings: -1}}, {Workers: 100}} {
		if _, err := Fill(kftest.Context(t), server(t, n), bad); err == nil || !strings.Contains(err.Error(), "dataset: ") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	ctx, cancel := context.WithCancel(kftest.Context(t))
	cancel()
	if _, err := Fill(ctx, server(t, n), small(1)); err == nil {
		t.Error("a cancelled Fill succeeded")
	}
}

// firstOf is the number of the first key of a kind.
func firstOf(s Spec, k kind) int {
	for _, sp := range s.withDefaults().plan() {
		if sp.kind == k {
			return sp.from
		}
	}
	return -1
}

func TestMutateWritesUntilItsContextEnds(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, engine.Valkey, kftest.InCluster())
	srv := server(t, n)
	fill(t, srv, small(1))
	before := digest(t, srv)
	ctx, cancel := context.WithCancel(kftest.Context(t))
	started := make(chan struct{})
	type end struct {
		n   int64
		err error
	}
	ended := make(chan end, 1)
	go func() {
		n, err := Mutate(ctx, srv, small(1), started)
		ended <- end{n, err}
	}()
	select {
	case <-started:
	case e := <-ended:
		t.Fatal(e.err)
	}
	cancel()
	if e := kftest.Receive(t, "the end of Mutate", ended); e.err != nil || e.n < 50 {
		t.Fatalf("%d commands, %v", e.n, e.err)
	}
	if digest(t, srv) == before {
		t.Fatal("nothing changed")
	}
}

func TestPlanCoversEveryKeyOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := Spec{Keys: rapid.IntRange(1, 5000).Draw(t, "keys"), Databases: rapid.IntRange(1, 16).Draw(t, "databases")}.withDefaults()
		next := 0
		for _, sp := range s.plan() {
			if sp.from != next || sp.to <= sp.from || sp.db < 0 || sp.db >= s.Databases {
				t.Fatalf("span %+v after key %d", sp, next)
			}
			next = sp.to
		}
		if next < s.Keys-len(kindNames) || next > s.Keys+len(kindNames) {
			t.Fatalf("%d keys, want about %d", next, s.Keys)
		}
	})
}

func TestValuesHaveTheirSize(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := keyed(rapid.Uint64().Draw(t, "seed"), rapid.Int().Draw(t, "key"))
		n := rapid.IntRange(0, 3000).Draw(t, "n")
		for name, make := range map[string]func([]byte, int) []byte{"json": r.json, "text": r.text, "bytes": r.bytes} {
			// No spare capacity, in which what was there before could show.
			got := make([]byte("x")[:1:1], n)
			if len(got) != n+1 || got[0] != 'x' {
				t.Fatalf("%s of %d bytes has %d", name, n, len(got)-1)
			}
		}
	})
}

func TestSumIgnoresOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hashes := rapid.SliceOf(rapid.Map(rapid.SliceOfN(rapid.Byte(), 32, 32), func(b []byte) [32]byte { return [32]byte(b) })).Draw(t, "hashes")
		var a, b Sum
		for i := range hashes {
			a.addHash(hashes[i])
			b.addHash(hashes[len(hashes)-1-i])
		}
		if a != b {
			t.Fatalf("%x and %x", a, b)
		}
	})
}

func FuzzSkip(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "-ERR no\r\n", "$3\r\nabc\r\n", "*2\r\n:1\r\n$-1\r\n", "*99999999999\r\n", "$99999999\r\n", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		p := &pipeline{r: bufio.NewReader(bytes.NewReader(in))}
		if err := p.skip(0); err == nil && len(in) < 3 {
			t.Fatalf("%q passed for a reply", in)
		}
	})
}

func BenchmarkFill(b *testing.B) {
	n := kftest.Engine(b, engine.Valkey)
	srv := Server{Address: n.Addr(), User: engine.AdminUser, Password: n.Password}
	spec := Sized(20_000_000, 1)
	for b.Loop() {
		st, err := Fill(b.Context(), srv, spec)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(st.Bytes)
	}
}
