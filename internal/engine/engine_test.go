package engine_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

func TestSecretNeverPrints(t *testing.T) {
	t.Parallel()
	s := engine.NewSecret("hunter2")
	type holder struct {
		S engine.Secret
		p *engine.Secret
		s engine.Secret // into which package fmt looks without asking
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "s", s, "h", holder{s, &s, s})
	js, err := json.Marshal(holder{S: s})
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{log.String(), string(js), fmt.Sprintf("%v %+v %#v %s %q %x %X %d %t %08b", s, s, s, s, s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v", holder{S: s, s: s}, []engine.Secret{s}, map[string]engine.Secret{"a": s}), fmt.Sprint(errors.New(s.String())), fmt.Sprintf("%v %+v %#v", holder{s: s}, holder{s: s}, holder{s: s})} {
		for _, leak := range []string{"hunter2", "68756e746572", "104 117"} {
			if strings.Contains(shown, leak) {
				t.Errorf("leaks in %s", shown)
			}
		}
	}
	one, other := engine.RandomSecret(), engine.RandomSecret()
	if s.Reveal() != "hunter2" || one.Reveal() == other.Reveal() || !(engine.Secret{}).IsZero() {
		t.Error("secret is not what it should be")
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "8.", ".8", "a", "8.0.1.2", "-1", "8.-1", "99999999999", "x", "8 "} {
		if v, err := engine.ParseVersion(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, v)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.IntRange(0, 999), 1, 3).Draw(t, "parts")
		text := strings.Trim(strings.ReplaceAll(fmt.Sprint(parts), " ", "."), "[]")
		v, err := engine.ParseVersion(text)
		if err != nil || v.String() != text || v.Compare(v) != 0 {
			t.Fatalf("%s became %v, %v", text, v, err)
		}
	})
}

// The table of who loads what, from the engines' sources.
func TestWhoLoadsWhat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		engine  resource.Engine
		version string
		family  string
		rdb     int
		want    bool
	}{
		{engine.Redis, "7.0.15", "REDIS", 10, true}, {engine.Redis, "7.0.15", "REDIS", 11, false}, {engine.Redis, "7.2", "REDIS", 11, true},
		{engine.Redis, "7.4", "REDIS", 12, true}, {engine.Redis, "8.4", "REDIS", 12, true}, {engine.Redis, "8.4", "REDIS", 13, false},
		{engine.Redis, "7.4", "VALKEY", 80, false}, {engine.Valkey, "8.0.1", "REDIS", 11, true}, {engine.Valkey, "8.0.1", "REDIS", 12, false},
		{engine.Valkey, "8.1", "VALKEY", 80, false}, {engine.Valkey, "9.0", "VALKEY", 80, true}, {engine.Valkey, "9.0", "REDIS", 11, true},
		{engine.Valkey, "9.0", "REDIS", 12, false}, {engine.Valkey, "9.0", "VALKEY", 11, false}, {engine.Valkey, "9.0", "VALKEY", 81, false},
		{engine.Memcached, "1.6.18", "REDIS", 9, false}, {engine.Redis, "7.0", "REDIS", 0, false},
	} {
		v, _ := engine.ParseVersion(c.version)
		if got := engine.CanLoad(c.engine, v, c.family, c.rdb); got != c.want {
			t.Errorf("%s %s loads %s%d: %v", c.engine, c.version, c.family, c.rdb, got)
		}
	}
}

func catalog(t *testing.T, banners ...string) *engine.Catalog {
	c := &engine.Catalog{}
	for _, b := range banners {
		e, v, err := engine.ParseBanner(b)
		if err != nil {
			t.Fatal(err)
		}
		c.Installed = append(c.Installed, engine.Installed{Engine: e, Version: v, Path: "/bin/" + v.String()})
	}
	return c
}

func TestResolve(t *testing.T) {
	t.Parallel()
	debian := catalog(t, "Valkey server v=8.0.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=39f7", "Redis server v=7.0.15 sha=0", "memcached 1.6.18")
	many := catalog(t, "Valkey server v=7.2.8", "Valkey server v=8.1.3", "Valkey server v=9.0.0", "Redis server v=7.2.5", "Redis server v=7.0.15")
	for _, c := range []struct {
		in                         *engine.Catalog
		engine                     resource.Engine
		asked, version, full, fail string
	}{
		{debian, engine.Valkey, "", "8.1", "8.0.1", ""},
		{debian, engine.Valkey, "8", "8.1", "8.0.1", ""},
		{debian, engine.Valkey, "7", "7.2", "8.0.1", ""},
		{debian, engine.Valkey, "8.0", "8.0", "8.0.1", ""},
		{debian, engine.Valkey, "8.0.0", "8.0", "8.0.1", ""},
		{debian, engine.Valkey, "9", "", "", "installed: 8.0.1"},
		{debian, engine.Valkey, "8.7", "", "", "Cannot find version 8.7 for valkey"},
		{debian, engine.Valkey, "eight", "", "", "Invalid engine version"},
		{debian, engine.Redis, "7", "7.1", "7.0.15", ""},
		{debian, engine.Redis, "7.1.0", "7.1", "7.0.15", ""},
		{debian, engine.Redis, "6.x", "", "", "cannot run here"},
		{debian, engine.Memcached, "1.6", "1.6.22", "1.6.18", ""},
		{debian, engine.Memcached, "1.6.12", "1.6.12", "1.6.18", ""},
		{debian, "oracle", "", "", "", "Invalid cache engine"},
		{many, engine.Valkey, "7", "7.2", "7.2.8", ""},
		{many, engine.Valkey, "8", "8.1", "8.1.3", ""},
		{many, engine.Valkey, "8.0", "8.0", "8.1.3", ""},
		{many, engine.Valkey, "", "9.0", "9.0.0", ""},
		{many, engine.Redis, "7.1", "7.1", "7.0.15", ""},
		{many, engine.Memcached, "1.6", "", "", "Debian package memcached"},
		{catalog(t), engine.Valkey, "8", "", "", "Debian package valkey-server"},
	} {
		got, err := c.in.Resolve(c.engine, c.asked)
		if c.fail != "" {
			var re *resource.Error
			if !errors.As(err, &re) || !strings.Contains(err.Error(), c.fail) {
				t.Errorf("%s %q: got %v, want an error about %q", c.engine, c.asked, err, c.fail)
			}
			continue
		}
		if err != nil || got.Version != c.version || got.FullVersion != c.full {
			t.Errorf("%s %q: got %s on %s, %v; want %s on %s", c.engine, c.asked, got.Version, got.FullVersion, err, c.version, c.full)
		}
	}
	if m := debian.DefaultMajor(engine.Valkey); m != "8" {
		t.Errorf("default major is %q", m)
	}
	families := map[string]bool{}
	for _, o := range debian.Offers("") {
		families[o.Family] = true
		if _, err := debian.Resolve(o.Engine, o.Version); err != nil {
			t.Errorf("offered but refused: %v", err)
		}
	}
	if want := map[string]bool{"memcached1.6": true, "redis7": true, "valkey7": true, "valkey8": true}; fmt.Sprint(families) != fmt.Sprint(want) {
		t.Errorf("families are %v", families)
	}
}

func FuzzParseBanner(f *testing.F) {
	f.Add("Valkey server v=8.0.1 sha=0")
	f.Add("memcached 1.6.18")
	f.Fuzz(func(t *testing.T, s string) {
		if e, v, err := engine.ParseBanner(s); err == nil && (v.Major < 0 || e == "") {
			t.Fatalf("%q became %s %v", s, e, v)
		}
	})
}

// unquote reads an argument as the engines do.
func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	var b strings.Builder
	for in := s[1 : len(s)-1]; in != ""; {
		var x byte
		switch {
		case in[0] == '"':
			return "", false
		case strings.HasPrefix(in, `\x`):
			if n, err := fmt.Sscanf(in[2:4], "%02x", &x); n != 1 || err != nil {
				return "", false
			}
			in = in[4:]
		case in[0] == '\\':
			x, in = in[1], in[2:]
		default:
			x, in = in[0], in[1:]
		}
		b.WriteByte(x)
	}
	return b.String(), true
}

func TestQuoteCannotBeLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "in"))
		q := engine.Quote(in)
		if strings.ContainsAny(q, "\r\n\x00") {
			t.Fatalf("%q ends the line", q)
		}
		if out, ok := unquote(q); !ok || out != in {
			t.Fatalf("%q came back as %q", in, out)
		}
	})
}

func TestConfigRefusesWhatIsOurs(t *testing.T) {
	t.Parallel()
	good := engine.Config{Engine: engine.Valkey, Dir: "/d", Address: "127.0.0.1", Port: 1, Admin: engine.NewSecret("p")}
	text, err := good.File()
	if err != nil || !strings.Contains(text, "maxmemory-policy \"volatile-lru\"\n") {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, name := range []string{"port", "REQUIREPASS", "aclfile", "maxmemory", "a\nport 1", "", "lo admodule"} {
		c := good
		c.Parameters = map[string]string{name: "1"}
		if _, err := c.File(); err == nil {
			t.Errorf("parameter %q is taken", name)
		}
	}
	for i, c := range []engine.Config{
		{Engine: engine.Valkey, Dir: "/d", Address: "127.0.0.1", Port: 1},
		{Engine: engine.Valkey, Dir: "/d", Address: "127.0.0.1", Port: 70000, Admin: good.Admin},
		{Engine: engine.Valkey, Dir: "/d", Address: "127.0.0.1", Port: 1, Cluster: true, Admin: good.Admin},
		{Engine: engine.Memcached, Dir: "/d", Address: "127.0.0.1", Port: 1, Admin: good.Admin},
	} {
		if _, err := c.File(); err == nil {
			t.Errorf("configuration %d is taken", i)
		}
	}
}

func TestNodesConfRefusesBadTopologies(t *testing.T) {
	t.Parallel()
	r := func(a, b int) []resource.SlotRange { return []resource.SlotRange{{Start: a, End: b}} }
	p := func(id, shard string, slots []resource.SlotRange) engine.ClusterNode {
		return engine.ClusterNode{ID: id, Shard: shard, Address: "127.0.0.1", Port: 1, BusPort: 2, Primary: true, Slots: slots}
	}
	for name, nodes := range map[string][]engine.ClusterNode{
		"a slot without owner":     {p("a", "1", r(0, 16382))},
		"a slot with two":          {p("a", "1", r(0, 8192)), p("b", "2", r(8192, 16383))},
		"a slot out of range":      {p("a", "1", r(0, 16384))},
		"two primaries":            {p("a", "1", r(0, 8191)), p("b", "1", r(8192, 16383))},
		"a replica of nobody":      {p("a", "1", r(0, 16383)), {ID: "b", Shard: "2"}},
		"a replica with slots":     {p("a", "1", r(0, 16383)), {ID: "b", Shard: "1", Slots: r(0, 1)}},
		"a cluster without itself": {p("z", "1", r(0, 16383))},
		"a backward range":         {p("a", "1", r(5, 4))},
	} {
		if text, err := engine.NodesConf(engine.Version{Major: 8}, engine.Valkey, "a", nodes, false); err == nil {
			t.Errorf("%s is taken:\n%s", name, text)
		}
	}
	if err := engine.CheckSlots(resource.AllSlots); err != nil {
		t.Error(err)
	}
}
