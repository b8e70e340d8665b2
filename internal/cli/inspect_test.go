package cli

import (
	stdbytes "bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// shop is a key space with a shape: sessions take the most, one tag gathers too much, and names try to command the terminal.
func shop() (all []pair) {
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte { // does not compress
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for i := range 300 {
		all = append(all, pair{fmt.Sprintf("app:session:%d", i), far, rdb.String(noise(500))},
			pair{fmt.Sprintf("app:user:%d", i), 0, rdb.Hash{{Name: []byte("name"), Value: []byte("x")}}})
	}
	for i := range 60 {
		all = append(all, pair{fmt.Sprintf("{all}:%d", i), 0, rdb.String("y")})
	}
	return append(all, pair{"\x1b[2J\xff:evil", 0, rdb.String(noise(3000))}, pair{strings.Repeat("long", 200), 0, rdb.List{noise(5000), []byte("b")}})
}

func TestInspectFiles(t *testing.T) {
	t.Parallel()
	path := put(t, "a.rdb", file(t, 11, shop()...))
	out := want(t, 0, []string{"662 keys", "counted now", "Without expiry: 54.7% of the keys",
		"string 361", "hash 300", "app:* 600", "app:session:* 300", `\x1b[2J\xff:* 1`, "all other keys 1", "5.0 kB", "longlong", "… (800 bytes long)", "{all}", "keeps its keys in one slot",
		"EXPIRES IN", "never", "under 1 KiB", "under 8 KiB"}, "rdb", "inspect", path)
	if strings.Contains(out, "\x1b") || strings.Contains(out, "\xff") {
		t.Errorf("a key commands the terminal: %q", out)
	}
	if strings.Contains(out, "16,384 slots") || strings.Contains(out, "DATABASE") {
		t.Errorf("slots or databases of a file with none:\n%s", out)
	}
	want(t, 0, []string{"of 16,384 slots have keys"}, "rdb", "inspect", "--slots", path)
	want(t, 0, []string{"app:sess* 300"}, "rdb", "inspect", "--separators", "s", path)
	var got inspected
	if err := json.Unmarshal([]byte(want(t, 0, nil, "rdb", "inspect", "-o", "json", path)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Counted != "now" || got.Keys != 662 || len(got.Biggest) != 100 || got.Biggest[0].NameBytes != 800 || string(got.Biggest[1].Name) != "\x1b[2J\xff:evil" {
		t.Errorf("%+v", got.Report)
	}
	// Several files are one key space.
	other := put(t, "b.rdb", file(t, 11, pair{"app:user:x", 0, rdb.String("1")}))
	want(t, 0, []string{"663 keys", "app:* 601"}, "rdb", "inspect", path, other)
	want(t, 0, []string{"0 keys"}, "rdb", "inspect", put(t, "c.rdb", file(t, 11)))
	want(t, 1, []string{"offset 0"}, "rdb", "inspect", put(t, "d.rdb", []byte("hello")))
	data := file(t, 11, shop()...)
	want(t, 1, []string{"truncated"}, "rdb", "inspect", put(t, "e.rdb", data[:len(data)-9]), path)
}

func TestInspectSnapshots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stored(t, dir, "daily", snapstore.RDB, sharded(t, shop()))
	// One that was captured without a report is read.
	want(t, 0, []string{"daily: 662 keys", "counted now", "app:session:* 300", "of 16,384 slots have keys"}, "snapshot", "inspect", "daily", "--data", dir)
	want(t, 1, []string{"no snapshot is called"}, "snapshot", "inspect", "weekly", "--data", dir)
	// One that has a report is not read, unless that is asked for.
	report, _, err := keyspace.Scan(stdbytes.NewReader(file(t, 11, shop()...)), keyspace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	r := &records{name: "daily", report: func(context.Context) (*keyspace.Report, error) { return report, nil },
		streams: []*stream{{opened: nil, kind: snapstore.RDB}}}
	s := &session{output: "table"}
	for _, in := range []inspection{{}, {top: 3}} {
		if x, err := s.inspect(t.Context(), r, in); err != nil || x.Counted != "at capture" || x.Report != report {
			t.Errorf("%+v, %v", x, err)
		}
	}
	files := s.fileOpener()
	err = files(t.Context(), []string{put(t, "a.rdb", file(t, 11, shop()...))}, func(all []*records) error {
		all[0].report = func(context.Context) (*keyspace.Report, error) { reads++; return report, nil }
		for _, in := range []inspection{{anew: true}, {slots: true}, {separators: ":"}} {
			if x, err := s.inspect(t.Context(), all[0], in); err != nil || x.Counted != "now" || x.Keys != 662 {
				t.Errorf("%+v, %v", x, err)
			}
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.inspect(ended, all[0], inspection{anew: true}); err == nil {
			t.Error("it went on after it was interrupted")
		}
		return nil
	})
	if err != nil || reads != 0 {
		t.Errorf("%d reports were read: %v", reads, err)
	}
}

// Items of Memcached are told of in their own words: no types, databases or slots.
func TestInspectItems(t *testing.T) {
	t.Parallel()
	path := put(t, "a.items", itemsFile(t, 300))
	dir := t.TempDir()
	stored(t, dir, "items", snapstore.Memcached, map[string][]byte{"": itemsFile(t, 300)})
	for _, args := range [][]string{{"rdb", "inspect", path}, {"snapshot", "inspect", "items", "--data", dir}} {
		out := want(t, 0, []string{"300 items, 35 kB in keys and values", "Read one after the other from 2030-03-17 17:46:40 UTC on; memcached 1.6.18, counted now", "Without expiry: 50.0% of the items",
			"PREFIX ITEMS", "page:* 200", "session:* 100", "BIGGEST SHARE EXPIRES KEY", `5.0 kB 14.5% - page:\x00\xff`, "EXPIRES IN ITEMS", "under 1 hour 150", "ITEMS OF ITEMS",
			"under 8 KiB 1"}, args...)
		for _, word := range []string{"TYPE", "ENCODING", "ELEMENTS", "DATABASE", "slot", "SLOT", "KEYS", "keys,", "RECORDS", "TAG", "\xff"} {
			if strings.Contains(out, word) {
				t.Errorf("%s of items:\n%s", word, out)
			}
		}
		var got inspected
		if err := json.Unmarshal([]byte(want(t, 0, []string{`"base64"`}, append(args, "-o", "json")...)), &got); err != nil {
			t.Fatal(err)
		}
		if got.Keys != 300 || got.Expiring != 150 || got.FileBytes != int64(len(itemsFile(t, 300))) || got.At.Unix() != 1_900_000_000 || got.Engine != "memcached" || got.Types != nil ||
			string(got.Biggest[0].Name) != "page:\x00\xff" {
			t.Errorf("%+v", got.Report)
		}
		want(t, 0, []string{"page* 200"}, append(args, "--separators", "e", "--scan")...)
		want(t, 2, []string{"no slots"}, append(args, "--slots")...)
	}
	want(t, 0, []string{"303 items", "page:* 202"}, "rdb", "inspect", path, put(t, "b.items", itemsFile(t, 3)))
	want(t, 0, []string{"0 items"}, "rdb", "inspect", put(t, "c.items", itemsFile(t, 0)))
	want(t, 1, []string{"do not count together"}, "rdb", "inspect", path, put(t, "d.rdb", file(t, 11, shop()...)))
	cut := itemsFile(t, 300)
	want(t, 1, []string{"truncated"}, "rdb", "inspect", put(t, "e.items", cut[:len(cut)-1]))
	want(t, 1, []string{"header"}, "rdb", "inspect", put(t, "f.items", cut[:10]))
}

// itemsFile is a file of n items of two kinds, every other of which expires half an hour after the capture began.
func itemsFile(t *testing.T, n int) []byte {
	t.Helper()
	const began = 1_900_000_000
	var b stdbytes.Buffer
	w, err := itemfile.NewWriter(&b, itemfile.Header{Created: time.Unix(began, 0), Engine: "1.6.18"})
	for i := 0; err == nil && i < n; i++ {
		it := itemfile.Item{Key: fmt.Appendf(nil, "page:%d", i), Flags: 1, ExpireAt: int64(i%2) * (began + 1800), Value: make([]byte, 90)}
		if i%3 == 2 {
			it.Key = fmt.Appendf(nil, "session:%d", i)
		}
		if i == 0 {
			it.Key, it.Value = []byte("page:\x00\xff"), make([]byte, 5000)
		}
		err = w.Write(&it)
	}
	if err == nil {
		_, err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A prefix that says no more than a longer one stands back, and what is shown side by side does not overlap.
func TestForest(t *testing.T) {
	t.Parallel()
	of := func(p string, keys, bytes int64) keyspace.Prefix {
		return keyspace.Prefix{Prefix: keyspace.Name(p), Count: keyspace.Count{Keys: keys, Bytes: bytes}}
	}
	list := []keyspace.Prefix{of("a:", 100, 1000), of("a:b:", 100, 1000), of("a:b:c:", 60, 600), of("x:", 50, 500), of("a:b:d:", 40, 400), of("x:y:", 30, 300), of("z:", 1, 1)}
	var draw func(list []*branch) string
	draw = func(list []*branch) string {
		var all []string
		for _, b := range list {
			all = append(all, string(b.entry.Prefix)+draw(b.below))
		}
		if len(all) == 0 {
			return ""
		}
		return "(" + strings.Join(all, " ") + ")"
	}
	for n, want := range map[int]string{20: "(a:b:(a:b:c: a:b:d:) x:(x:y:))", 2: "(a:b:(a:b:c:))", 0: ""} {
		if got := draw(forest(list, 2000, n)); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// What a report says may be nonsense if its maker was: drawing it must not fail.
func TestShowNonsense(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"format":1}`, `{"format":1,"keys":1}`, `{"format":1,"keys":-5,"bytes":-9,"types":[{"type":"x","keys":-1,"bytes":5}]}`,
		`{"format":1,"keys":1,"expiry":[{"left":"never","keys":9223372036854775807,"bytes":-9223372036854775808}],"sizes":[{"from":-1,"to":-1}],"slots":{"used":9},
		"databases":[{"database":18446744073709551615},{}],"biggest":[{"name":{"base64":"/w=="},"bytes":-1,"name_bytes":-7,"elements":-1}],
		"prefixes":{"heaviest":[{"prefix":"","keys":1,"bytes":1},{"prefix":"a"},{"prefix":"a"}]},"hash_tags":{"heaviest":[{"tag":"","keys":9,"bytes":9}]}}`,
	} {
		r, err := keyspace.ParseReport([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, top := range []int{1, 100} {
			var out stdbytes.Buffer
			s := &session{output: "table", out: &out}
			if err := s.print(nil, func(t *table) { showReport(t, &inspected{"x", "now", r}, top) }); err != nil || out.Len() == 0 {
				t.Errorf("%q, %v", out.String(), err)
			}
		}
	}
}
