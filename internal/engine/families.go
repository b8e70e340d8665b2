package engine

import (
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// Services, under their signing names.
const (
	elastiCache = "elasticache"
	memoryDB    = "memorydb"
)

// Family is a parameter group family: the parameters that an engine's major version has in a service.
type Family struct {
	Name    string // "valkey8", "memorydb_redis7"
	Service string // elasticache or memorydb
	Engine  resource.Engine
	Since   string // oldest version that AWS names for its parameters: "7.2.6"
}

// families in the order in which AWS lists their default groups.
var families = []Family{
	{"memcached1.4", elastiCache, Memcached, "1.4.5"},
	{"memcached1.5", elastiCache, Memcached, "1.5.10"},
	{"memcached1.6", elastiCache, Memcached, "1.6.6"},
	{"redis5.0", elastiCache, Redis, "5.0.0"},
	{"redis6.x", elastiCache, Redis, "6.0.5"},
	{"redis7", elastiCache, Redis, "7.0.4"},
	{"valkey7", elastiCache, Valkey, "7.2.6"},
	{"valkey8", elastiCache, Valkey, "8.0.1"},
	{"valkey9", elastiCache, Valkey, "9.0.0"},
	{"memorydb_redis6", memoryDB, Redis, "6.2.4"},
	{"memorydb_redis7", memoryDB, Redis, "7.0.4"},
	{"memorydb_valkey7", memoryDB, Valkey, "7.2.6"},
	{"memorydb_valkey8", memoryDB, Valkey, "8.0.1"},
	{"memorydb_valkey9", memoryDB, Valkey, "9.0.0"},
}

// Families lists the families of a service.
func Families(service string) (of []Family) {
	for _, f := range families {
		if f.Service == service {
			of = append(of, f)
		}
	}
	return of
}

// FindFamily finds a family of a service by name, in any case.
func FindFamily(service, name string) (Family, bool) {
	for _, f := range families {
		if f.Service == service && strings.EqualFold(f.Name, name) {
			return f, true
		}
	}
	return Family{}, false
}

// FamilyOf is the name of the family that an offered version belongs to in a service.
func FamilyOf(service string, o Offer) string {
	if service == memoryDB {
		return "memorydb_" + string(o.Engine) + o.Major
	}
	return o.Family
}

// cluster tells whether the family has a second default group, with cluster mode on.
func (f Family) cluster() bool { return f.Service == elastiCache && f.Engine != Memcached }

const (
	defaultPrefix = "default."
	clusterSuffix = ".cluster.on"
)

// DefaultGroup is the name of a family's default parameter group. Those of MemoryDB always have cluster mode.
func DefaultGroup(family string, clusterMode bool) string {
	name := defaultPrefix + strings.ReplaceAll(family, "memorydb_", "memorydb-")
	if clusterMode && !strings.HasPrefix(family, "memorydb_") && !strings.HasPrefix(family, "memcached") {
		name += clusterSuffix
	}
	return name
}

// DefaultGroups lists the parameter groups of a service that exist without a record, by name.
func DefaultGroups(service string) (groups []*resource.ParameterGroup) {
	for _, f := range Families(service) {
		g := resource.ParameterGroup{Service: service, Name: DefaultGroup(f.Name, false), Family: f.Name, Description: "Default parameter group for " + f.Name}
		groups = append(groups, &g)
		if f.cluster() {
			on := g
			on.Name, on.Values = DefaultGroup(f.Name, true), map[string]string{clusterEnabled: "yes"}
			on.Description = "Customized default parameter group for " + f.Name + " with cluster mode on"
			groups = append(groups, &on)
		}
	}
	return groups
}

// DefaultParameterGroup finds the parameter group of a service that has this name without a record. It has no scope.
func DefaultParameterGroup(service, name string) (*resource.ParameterGroup, bool) {
	for _, g := range DefaultGroups(service) {
		if g.Name == name {
			return g, true
		}
	}
	return nil, false
}

// IsDefaultGroup tells whether a name is reserved for groups that exist without a record.
func IsDefaultGroup(name string) bool { return strings.HasPrefix(name, defaultPrefix) }

const clusterEnabled = "cluster-enabled"

// ClusterModeOf tells whether caches that use a parameter group run with cluster mode.
func ClusterModeOf(g *resource.ParameterGroup) bool {
	return g.Service == memoryDB || g.Values[clusterEnabled] == "yes"
}
