package engine

import "github.com/keyframe/keyframe/internal/resource"

// Directives are what the parameters of a group mean to an engine of a version.
type Directives struct {
	// Settings go into Config.Parameters when an engine starts, and into CONFIG SET while it runs. Those of memcached are
	// the names and values of its command line.
	Settings map[string]string

	Reserved int64 // bytes of the node type's memory that maxmemory leaves out
	Percent  int   // the same as a share of it; both count
}

// Parameters translates the values of a group into directives: the family's defaults where AWS's differ from the engine's, and the
// values that the group sets. Names and values that an engine of this version does not know are left out.
func Parameters(g *resource.ParameterGroup, v Version) Directives { return Directives{} }

// Limit is the maxmemory of a node of this type.
func (d Directives) Limit(t NodeType) int64 { return t.MaxMemory*int64(100-d.Percent)/100 - d.Reserved }

// NeedsReboot tells whether a change of a parameter becomes effective only when a node starts.
func NeedsReboot(family, name string) bool { return false }
