package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

func allFamilies() []engine.Family {
	return append(engine.Families("elasticache"), engine.Families("memorydb")...)
}

func groupOf(f engine.Family, values map[string]string) *resource.ParameterGroup {
	return &resource.ParameterGroup{Service: f.Service, Name: "g", Family: f.Name, Values: values}
}

// runs is the installed version that stands in for engines of a family.
func runs(t *testing.T, e resource.Engine) engine.Version {
	choice, err := kftest.Catalog(t).Resolve(e, "")
	if err != nil {
		t.Fatal(err)
	}
	return choice.Binary.Version
}

func parameters(d engine.Directives) []kftest.Option {
	var opts []kftest.Option
	for name, value := range d.Settings {
		opts = append(opts, kftest.Parameter(name, value))
	}
	return opts
}

func admin(t *testing.T, n *kftest.Node) *resp.Conn {
	c, err := n.Sup.Admin(kftest.Context(t), n.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Every family's defaults start a real engine, which then has exactly these settings.
func TestDefaultsStartEngines(t *testing.T) {
	t.Parallel()
	for _, g := range append(engine.DefaultGroups("elasticache"), engine.DefaultGroups("memorydb")...) {
		f, ok := engine.FindFamily(g.Service, g.Family)
		if !ok {
			t.Fatalf("%s is of no family", g.Name)
		}
		t.Run(g.Name, func(t *testing.T) {
			t.Parallel()
			d := engine.Parameters(g, f.Engine, runs(t, f.Engine))
			if f.Engine == engine.Memcached {
				kftest.Engine(t, f.Engine, append(parameters(d), kftest.MaxMemory(64<<20))...)
				return
			}
			opts := append(parameters(d), kftest.MaxMemory(64<<20))
			if engine.ClusterModeOf(g) {
				opts = append(opts, kftest.InCluster())
			}
			n := kftest.Engine(t, f.Engine, opts...)
			c := admin(t, n)
			for name, want := range d.Settings {
				v, err := c.Do(kftest.Context(t), "CONFIG", "GET", name)
				got, stringsErr := v.Strings()
				if err != nil || stringsErr != nil || len(got) != 2 {
					t.Fatalf("%s: %q, %v, %v", name, got, err, stringsErr)
				}
				if name == "client-output-buffer-limit" { // the engine tells of replicas as well
					normal, pubsub, _ := strings.Cut(want, " pubsub")
					if !strings.Contains(got[1], normal) || !strings.HasSuffix(got[1], pubsub) {
						t.Errorf("%s is %q, not %q", name, got[1], want)
					}
				} else if got[1] != want && (name != "notify-keyspace-events" || got[1] != "") {
					t.Errorf("%s is %q, not %q", name, got[1], want)
				}
			}
		})
	}
}

// extremes are the least and greatest values that a parameter may have, and all of a list.
func extremes(p engine.Parameter) (values []string) {
	if p.Type == "string" || p.Type == "boolean" {
		if p.Name == "notify-keyspace-events" {
			return []string{"", "KEA", "KEg$lshzxetmdn"}
		}
		return strings.Split(p.Allowed, ",")
	}
	if p.Type == "float" {
		return []string{"1.01", "100.00"}
	}
	for _, low := range []int64{-1 << 31, -5, -1, 0, 1, 20, 1024, 16384, 1 << 20} {
		if s := strconv.FormatInt(low, 10); p.Valid(s) {
			values = append(values, s)
			break
		}
	}
	for _, high := range []int64{1 << 46, 1073741824, 536870912, 1<<31 - 1, 134217728, 100000000, 1200000, 1000000, 262144, 100000, 86400, 65000, 60000, 16000, 10000, 1024, 100, 75, 64, 10, 2} {
		if s := strconv.FormatInt(high, 10); p.Valid(s) {
			return append(values, s)
		}
	}
	return values
}

// What a group may say, an engine takes: at the ends of every range, and while it runs.
func TestEnginesTakeWhatIsValid(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			c := admin(t, kftest.Engine(t, e, kftest.InCluster()))
			tried := map[string]bool{}
			for _, f := range allFamilies() {
				if f.Engine != e {
					continue
				}
				for _, p := range f.Parameters() {
					values := extremes(p)
					if p.Modifiable && len(values) == 0 {
						t.Errorf("%s: no value of %s is valid", f.Name, p.Name)
					}
					if !p.Modifiable {
						continue
					}
					for _, value := range values {
						for name, set := range engine.Parameters(groupOf(f, map[string]string{p.Name: value}), e, runs(t, e)).Settings {
							if engine.AtStart(name) || tried[name+set] {
								continue
							}
							tried[name+set] = true
							if _, err := c.Do(kftest.Context(t), "CONFIG", "SET", name, set); err != nil {
								t.Errorf("%s: %s=%s: CONFIG SET %s %q: %v", f.Name, p.Name, value, name, set, err)
							}
						}
					}
				}
			}
			if len(tried) < 60 {
				t.Errorf("only %d values were tried", len(tried))
			}
		})
	}
}

// memcached starts with every valid value, though it knows rules between its sizes that parameters do not.
func TestMemcachedTakesWhatIsValid(t *testing.T) {
	t.Parallel()
	f, _ := engine.FindFamily("elasticache", "memcached1.6")
	sets := []map[string]string{}
	low, high := map[string]string{}, map[string]string{}
	for _, p := range f.Parameters() {
		if !p.Modifiable {
			continue
		}
		values := extremes(p)
		low[p.Name], high[p.Name] = values[0], values[len(values)-1]
	}
	odd := map[string]string{"max_item_size": "1500000", "slab_chunk_max": "300000", "chunk_size": "1024", "chunk_size_growth_factor": "1.01"}
	tiny := map[string]string{"max_item_size": "1024", "chunk_size": "1", "chunk_size_growth_factor": "1.01"}
	sets = append(sets, low, high, odd, tiny)
	for i, values := range sets {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			for name, v := range values {
				if p, ok := f.Parameter(name); !ok || !p.Valid(v) {
					t.Errorf("%s=%s is not valid", name, v)
				}
			}
			d := engine.Parameters(groupOf(f, values), f.Engine, runs(t, f.Engine))
			kftest.Engine(t, f.Engine, append(parameters(d), kftest.MaxMemory(300<<20))...)
		})
	}
}

// Every default is valid where it can be changed, every name is there once, and no setting that is ours is among the directives.
func TestCatalogOfParameters(t *testing.T) {
	t.Parallel()
	for _, f := range allFamilies() {
		list := f.Parameters()
		if len(list) < 20 {
			t.Errorf("%s has only %d parameters", f.Name, len(list))
		}
		for i, p := range list {
			if i > 0 && list[i-1].Name >= p.Name {
				t.Errorf("%s: %s comes after %s", f.Name, p.Name, list[i-1].Name)
			}
			if p.Modifiable && !p.Valid(p.Default) {
				t.Errorf("%s: the default %q of %s is not valid (%s)", f.Name, p.Default, p.Name, p.Allowed)
			}
			if p.Description == "" || p.Since == "" || p.Type == "" {
				t.Errorf("%s: %+v", f.Name, p)
			}
		}
		if f.Engine == engine.Memcached {
			continue
		}
		everything := map[string]string{}
		for _, p := range list {
			if values := extremes(p); len(values) > 0 {
				everything[p.Name] = values[0]
			}
		}
		c := engine.Config{Engine: f.Engine, Dir: "/d", Address: "127.0.0.1", Port: 1, Admin: engine.NewSecret("p"),
			Parameters: engine.Parameters(groupOf(f, everything), f.Engine, engine.Version{Major: 99}).Settings}
		if _, err := c.File(); err != nil {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	f, _ := engine.FindFamily("elasticache", "redis6.x")
	m, _ := engine.FindFamily("elasticache", "memcached1.6")
	for _, c := range []struct {
		family engine.Family
		name   string
		good   string
		bad    string
	}{
		{f, "timeout", "0 20 21 2147483647", "1 19 -1 2147483648 x 020 +20 1e3"},
		{f, "maxmemory-policy", "noeviction allkeys-lfu", "lru NOEVICTION volatile-lru,allkeys-lru"},
		{f, "active-defrag-cycle-max", "1 75", "0 76 7.5"},
		{f, "slowlog-log-slower-than", "-1 0 10000", "- --1"},
		{f, "notify-keyspace-events", "KEA Ex K", "KQ KK K,E"},
		{f, "activedefrag", "yes no", "YES true 1"},
		{f, "repl-backlog-size", "16384 1099511627776", "16383 -1 9223372036854775808"},
		{m, "chunk_size_growth_factor", "1.01 1.25 2 100.00", "1.00 100.01 .5 1e1 NaN Inf -2"},
		{m, "slab_automove", "0 1 2", "3"},
	} {
		p, ok := c.family.Parameter(c.name)
		if !ok {
			t.Fatalf("%s has no %s", c.family.Name, c.name)
		}
		for _, v := range strings.Fields(c.good) {
			if !p.Valid(v) {
				t.Errorf("%s=%s is refused", c.name, v)
			}
		}
		for _, v := range strings.Fields(c.bad) {
			if p.Valid(v) {
				t.Errorf("%s=%s is taken", c.name, v)
			}
		}
		if c.name != "notify-keyspace-events" && p.Valid("") {
			t.Errorf("%s takes nothing", c.name)
		}
	}
}

// Whatever a client sends as a value, what is taken is short, printable, and one argument in a configuration file.
func FuzzParameterValue(f *testing.F) {
	for _, s := range []string{"", "yes", "-1", "0", "KEA", "1.25", "volatile-lru", "a\nport 1", "9223372036854775808", "1e9"} {
		f.Add(s)
	}
	families := allFamilies()
	lists := make([][]engine.Parameter, len(families))
	for i, family := range families {
		lists[i] = family.Parameters()
	}
	f.Fuzz(func(t *testing.T, s string) {
		for i, family := range families {
			for _, p := range lists[i] {
				if !p.Valid(s) {
					continue
				}
				if len(s) > 256 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Fatalf("%s takes %q", p.Name, s)
				}
				for name, value := range engine.Parameters(groupOf(family, map[string]string{p.Name: s}), family.Engine, engine.Version{Major: 99}).Settings {
					if back, ok := unquote(engine.Quote(value)); !ok || back != value {
						t.Fatalf("%s=%q becomes %s=%q", p.Name, s, name, value)
					}
				}
			}
		}
	})
}

// Of an integer parameter with a range, exactly the numbers in it are valid.
func TestRanges(t *testing.T) {
	t.Parallel()
	f, _ := engine.FindFamily("elasticache", "valkey8")
	var ranged []engine.Parameter
	for _, p := range f.Parameters() {
		if low, high, ok := strings.Cut(p.Allowed, "-"); ok && low != "" && high != "" && p.Type == "integer" && !strings.Contains(p.Allowed, ",") {
			ranged = append(ranged, p)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(ranged).Draw(t, "parameter")
		var low, high int64
		if _, err := fmt.Sscanf(p.Allowed, "%d-%d", &low, &high); err != nil {
			t.Fatal(p.Allowed, err)
		}
		n := rapid.OneOf(rapid.Int64(), rapid.Int64Range(low-2, low+2), rapid.Int64Range(high-2, high+2)).Draw(t, "n")
		if got, want := p.Valid(strconv.FormatInt(n, 10)), n >= low && n <= high; got != want {
			t.Fatalf("%s (%s): %d is valid: %v", p.Name, p.Allowed, n, got)
		}
	})
}

func TestNodeTypes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		service, name string
		bytes         int64
	}{
		{"elasticache", "cache.t3.micro", 536870912}, {"elasticache", "cache.r7g.16xlarge", 450000750456}, {"memorydb", "db.r6g.large", 14037181030},
		{"memorydb", "db.t4g.small", 1471026299},
	} {
		if n, err := engine.NodeTypeOf(c.service, c.name); err != nil || n.MaxMemory != c.bytes {
			t.Errorf("%s: %+v, %v", c.name, n, err)
		}
	}
	for service, names := range map[string]string{"elasticache": "db.r6g.large cache.r6g cache.x1.large t3.micro cache.r6gd.xlarge CACHE.T3.MICRO",
		"memorydb": "cache.t3.micro db.t4g.micro db.m5.large db.r6gd.xlarge"} {
		for _, name := range append(strings.Fields(names), "") {
			if n, err := engine.NodeTypeOf(service, name); err == nil {
				t.Errorf("%s has %q: %+v", service, name, n)
			}
		}
	}
	r5, _ := engine.NodeTypeOf("elasticache", "cache.r5.large")
	up, down := r5.Rescale("elasticache", engine.Valkey, 3<<30)
	if !slices.Contains(up, "cache.r6g.large") || !slices.Contains(up, "cache.r5.xlarge") || slices.Contains(up, "cache.r5.large") ||
		!slices.Contains(down, "cache.m5.large") || slices.Contains(down, "cache.t3.micro") || !slices.IsSorted(up) || !slices.IsSorted(down) {
		t.Errorf("up %v\ndown %v", up, down)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	r5, _ := engine.NodeTypeOf("elasticache", "cache.r5.large")
	for _, c := range []struct {
		family string
		engine resource.Engine
		values map[string]string
		bytes  int64
	}{
		{"valkey8", engine.Valkey, nil, 140371810 * 75},
		{"valkey8", engine.Valkey, map[string]string{"reserved-memory-percent": "0"}, 140371810 * 100},
		{"valkey8", engine.Valkey, map[string]string{"reserved-memory-percent": "100"}, 1 << 20},
		{"memcached1.6", engine.Memcached, nil, (13387 - 100) << 20},
		{"memcached1.6", engine.Memcached, map[string]string{"memcached_connections_overhead": "100000"}, 8 << 20},
	} {
		f, _ := engine.FindFamily("elasticache", c.family)
		if got := engine.Parameters(groupOf(f, c.values), c.engine, engine.Version{Major: 8}).Limit(c.engine, r5); got != c.bytes {
			t.Errorf("%s %v: %d bytes", c.family, c.values, got)
		}
	}
}

func TestFamiliesOfVersions(t *testing.T) {
	t.Parallel()
	installed := catalog(t, "Valkey server v=8.0.1 sha=0", "Redis server v=7.0.15 sha=0", "memcached 1.6.18")
	got := map[string]string{}
	for _, service := range []string{"elasticache", "memorydb"} {
		for _, o := range installed.OffersOf(service, "") {
			got[service+" "+string(o.Engine)+" "+o.Version] = o.Family
		}
	}
	want := map[string]string{
		"elasticache memcached 1.6.6": "memcached1.6", "elasticache memcached 1.6.12": "memcached1.6", "elasticache memcached 1.6.17": "memcached1.6",
		"elasticache memcached 1.6.22": "memcached1.6", "elasticache redis 7.0": "redis7", "elasticache redis 7.1": "redis7",
		"elasticache valkey 7.2": "valkey7", "elasticache valkey 8.0": "valkey8", "elasticache valkey 8.1": "valkey8",
		"memorydb redis 7.0": "memorydb_redis7", "memorydb redis 7.1": "memorydb_redis7",
		"memorydb valkey 7.2": "memorydb_valkey7", "memorydb valkey 8.0": "memorydb_valkey8", "memorydb valkey 8.1": "memorydb_valkey8",
	}
	if !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
	for family, names := range map[string][2]string{"valkey8": {"default.valkey8", "default.valkey8.cluster.on"}, "memcached1.6": {"default.memcached1.6", "default.memcached1.6"},
		"memorydb_redis7": {"default.memorydb-redis7", "default.memorydb-redis7"}} {
		if a, b := engine.DefaultGroup(family, false), engine.DefaultGroup(family, true); a != names[0] || b != names[1] {
			t.Errorf("%s: %s, %s", family, a, b)
		}
	}
}
