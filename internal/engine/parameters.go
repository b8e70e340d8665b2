package engine

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// Parameter is one parameter of a family.
type Parameter struct {
	Name        string
	Default     string
	Description string
	Type        string // string, integer, boolean or float
	Allowed     string // in AWS's notation: "yes,no", "0-", "0,20-", "-" for every integer; empty for any text
	Modifiable  bool
	AtCreation  bool   // can be modified while no cache uses the group: it is fixed when a cache is created
	Reboot      bool   // a change becomes effective when a node starts
	Since       string // oldest engine version that has it

	row row
}

// What a row of the catalog says beyond words and numbers.
type flags uint16

const (
	modifiable flags = 1 << iota
	atCreation
	reboot
	inMemoryDB   // MemoryDB has it as well
	onlyMemoryDB // only MemoryDB has it so
	inert        // kept and shown; a stock engine has no such setting
	ifSet        // the engine is told only what a group sets: the value that we give it otherwise is the more careful one
	bytes        // may be as large as memory; other numbers end at 2^31-1
)

// A row is a parameter of the families between two generations.
type row struct {
	name, value, allowed string
	kind                 string
	first, last          int // generations: 50 for Redis 5.0, 72 for Valkey 7.2; 14 for memcached 1.4
	flags                flags
	since                string // empty: the family's
	text                 string
}

var generations = map[string]int{
	"memcached1.4": 14, "memcached1.5": 15, "memcached1.6": 16,
	"redis5.0": 50, "redis6.x": 60, "redis7": 70, "valkey7": 72, "valkey8": 80, "valkey9": 90,
	"memorydb_redis6": 60, "memorydb_redis7": 70, "memorydb_valkey7": 72, "memorydb_valkey8": 80, "memorydb_valkey9": 90,
}

// Parameters lists the parameters of the family by name.
func (f Family) Parameters() (list []Parameter) {
	rows, generation := engineRows, generations[f.Name]
	if f.Engine == Memcached {
		rows = memcachedRows
	}
	for _, r := range rows {
		in := r.flags&onlyMemoryDB == 0
		if f.Service == memoryDB {
			in = r.flags&(inMemoryDB|onlyMemoryDB) != 0
		}
		if !in || generation < r.first || generation > r.last {
			continue
		}
		list = append(list, Parameter{
			Name: r.name, Default: r.value, Description: r.text, Type: r.kind, Allowed: r.allowed, Since: cmp.Or(r.since, f.Since),
			Modifiable: r.flags&(modifiable|atCreation) != 0, AtCreation: r.flags&atCreation != 0, Reboot: r.flags&reboot != 0, row: r,
		})
	}
	slices.SortFunc(list, func(a, b Parameter) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Parameter finds a parameter of the family.
func (f Family) Parameter(name string) (Parameter, bool) {
	for _, p := range f.Parameters() {
		if p.Name == name {
			return p, true
		}
	}
	return Parameter{}, false
}

// most are the greatest integers that a parameter without an upper bound takes.
const (
	mostNumber = 1<<31 - 1
	mostBytes  = 1 << 46
)

// longestValue bounds texts, in bytes.
const longestValue = 256

// Valid tells whether the parameter may have this value.
func (p Parameter) Valid(value string) bool {
	if len(value) > longestValue {
		return false
	}
	switch p.Type {
	case "integer":
		n, err := strconv.ParseInt(value, 10, 64)
		most := int64(mostNumber)
		if p.row.flags&bytes != 0 {
			most = mostBytes
		}
		return err == nil && strconv.FormatInt(n, 10) == value && n >= -most-1 && n <= most && inRanges(p.Allowed, float64(n))
	case "float":
		x, err := strconv.ParseFloat(value, 64)
		return err == nil && decimal(value) && inRanges(p.Allowed, x)
	}
	if p.Name == "notify-keyspace-events" {
		return onlyOf(value, "KEg$lshzxetmdnA")
	}
	if p.Allowed == "" {
		return onlyOf(value, "")
	}
	return slices.Contains(strings.Split(p.Allowed, ","), value)
}

// onlyOf tells whether s consists of characters of set, each at most once.
func onlyOf(s, set string) bool {
	for i, r := range s {
		if !strings.ContainsRune(set, r) || strings.ContainsRune(s[:i], r) {
			return false
		}
	}
	return true
}

// decimal tells whether s is a plain decimal number, as 1.25: the engines read no exponents.
func decimal(s string) bool {
	whole, part, _ := strings.Cut(s, ".")
	digits := func(s string) bool { return strings.Trim(s, "0123456789") == "" }
	return whole != "" && digits(whole) && digits(part)
}

// inRanges tells whether a number lies in one of the ranges that AWS writes as "0,20-", "-5,-4,1-" or "1.01-100.00".
func inRanges(allowed string, x float64) bool {
	for _, item := range strings.Split(allowed, ",") {
		if exact, err := strconv.ParseFloat(item, 64); err == nil {
			if x == exact {
				return true
			}
			continue
		}
		dash := strings.LastIndexByte(item, '-')
		if dash < 0 {
			continue
		}
		low, lowErr := strconv.ParseFloat(item[:dash], 64)
		high, highErr := strconv.ParseFloat(item[dash+1:], 64)
		if (item[:dash] == "" || lowErr == nil && x >= low) && (item[dash+1:] == "" || highErr == nil && x <= high) {
			return true
		}
	}
	return false
}

// NeedsReboot tells whether a change of a family's parameter becomes effective only when a node starts.
func NeedsReboot(family, name string) bool {
	for _, f := range families {
		if f.Name == family {
			p, _ := f.Parameter(name)
			return p.Reboot
		}
	}
	return false
}

// FixedDifference names a parameter that is fixed when a cache is created and has different values in two groups, so that a cache
// of the one cannot take the other; empty if there is none.
func FixedDifference(a, b *resource.ParameterGroup) string {
	f, ok := FindFamily(a.Service, a.Family)
	if !ok {
		return ""
	}
	for _, p := range f.Parameters() {
		if p.AtCreation && cmp.Or(a.Values[p.Name], p.Default) != cmp.Or(b.Values[p.Name], p.Default) {
			return p.Name
		}
	}
	return ""
}

// NodeTypeParameter is a parameter whose value follows from the node type. None can be modified.
type NodeTypeParameter struct {
	Parameter
	Values []NodeTypeValue // in the order of NodeTypes
}

// NodeTypeValue is the value of a parameter on nodes of a type.
type NodeTypeValue struct{ NodeType, Value string }

// NodeTypeParameters lists the family's parameters whose values follow from the node type.
func (f Family) NodeTypeParameters() []NodeTypeParameter {
	if f.Service == memoryDB {
		return nil // whose API does not show them
	}
	integer := func(name, text string, reboot bool, value func(NodeType) int64) NodeTypeParameter {
		p := NodeTypeParameter{Parameter: Parameter{Name: name, Description: text, Type: "integer", Allowed: "0-", Reboot: reboot, Since: f.Since}}
		for _, t := range NodeTypes(f.Service) {
			if v := value(t); v > 0 {
				p.Values = append(p.Values, NodeTypeValue{t.Name, strconv.FormatInt(v, 10)})
			}
		}
		return p
	}
	if f.Engine == Memcached {
		return []NodeTypeParameter{
			integer("max_cache_memory", "Megabytes of a node, for items and for what connections take.", true, func(t NodeType) int64 { return t.Memcached >> 20 }),
			integer("num_threads", "Threads that serve requests.", true, func(t NodeType) int64 { return int64(t.Threads) }),
		}
	}
	return []NodeTypeParameter{integer("maxmemory", "Bytes of a node, for data and for what is reserved.", false, func(t NodeType) int64 { return t.MaxMemory })}
}
