package engine

import (
	"cmp"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// NodeType is a node type as AWS publishes it, in what matters on one's own machines.
type NodeType struct {
	Name      string // "cache.r7g.large", "db.r7g.large"
	MaxMemory int64  // bytes: maxmemory as AWS documents it
	Memcached int64  // bytes: max_cache_memory; 0 where memcached does not run
	Threads   int    // memcached's num_threads
}

// published are AWS's tables of node-type specific parameters.
var published = []struct {
	name      string
	maxMemory int64 // bytes
	memcached int64 // MiB
	threads   int
	memoryDB  bool // MemoryDB has it as well
}{
	{"t2.micro", 581959680, 555, 1, false},
	{"t2.small", 1665138688, 1588, 1, false},
	{"t2.medium", 3461349376, 3301, 2, false},
	{"t3.micro", 536870912, 512, 2, false},
	{"t3.small", 1471026299, 1402, 2, false},
	{"t3.medium", 3317862236, 3164, 2, false},
	{"t4g.micro", 536870912, 512, 2, false},
	{"t4g.small", 1471026299, 1402, 2, true},
	{"t4g.medium", 3317862236, 3164, 2, true},
	{"m1.small", 943718400, 1300, 1, false},
	{"m1.medium", 3093299200, 3350, 1, false},
	{"m1.large", 7025459200, 7100, 2, false},
	{"m1.xlarge", 14889779200, 14600, 4, false},
	{"m2.xlarge", 17091788800, 16700, 2, false},
	{"m2.2xlarge", 35022438400, 33800, 4, false},
	{"m2.4xlarge", 70883737600, 68000, 8, false},
	{"m3.medium", 2988441600, 2850, 1, false},
	{"m3.large", 6501171200, 6200, 2, false},
	{"m3.xlarge", 14260633600, 13600, 4, false},
	{"m3.2xlarge", 29989273600, 28600, 8, false},
	{"m4.large", 6892593152, 6573, 2, false},
	{"m4.xlarge", 15328501760, 14618, 4, false},
	{"m4.2xlarge", 31889126359, 30412, 8, false},
	{"m4.4xlarge", 65257290629, 62234, 16, false},
	{"m4.10xlarge", 166047614239, 158355, 40, false},
	{"m5.large", 6854542746, 6537, 2, false},
	{"m5.xlarge", 13891921715, 13248, 4, false},
	{"m5.2xlarge", 27966669210, 26671, 8, false},
	{"m5.4xlarge", 56116178125, 53516, 16, false},
	{"m5.12xlarge", 168715971994, 160900, 48, false},
	{"m5.24xlarge", 337500562842, 321865, 96, false},
	{"m6g.large", 6854542746, 6537, 2, false},
	{"m6g.xlarge", 13891921715, 13248, 4, false},
	{"m6g.2xlarge", 27966669210, 26671, 8, false},
	{"m6g.4xlarge", 56116178125, 53516, 16, false},
	{"m6g.8xlarge", 111325552312, 107000, 32, false},
	{"m6g.12xlarge", 168715971994, 160900, 48, false},
	{"m6g.16xlarge", 225000375228, 214577, 64, false},
	{"m7g.large", 6854542746, 6537, 2, false},
	{"m7g.xlarge", 13891921715, 13248, 4, false},
	{"m7g.2xlarge", 27966669210, 26671, 8, false},
	{"m7g.4xlarge", 56116178125, 53516, 16, false},
	{"m7g.8xlarge", 111325552312, 107000, 32, false},
	{"m7g.12xlarge", 168715971994, 160900, 48, false},
	{"m7g.16xlarge", 225000375228, 214577, 64, false},
	{"m8g.large", 7294178820, 6956, 2, false},
	{"m8g.xlarge", 15222495510, 14517, 4, false},
	{"m8g.2xlarge", 31866224640, 30390, 8, false},
	{"m8g.4xlarge", 65856864256, 62806, 16, false},
	{"m8g.8xlarge", 133838143488, 127638, 32, false},
	{"m8g.12xlarge", 201819422720, 192470, 48, false},
	{"m8g.16xlarge", 269800701952, 257302, 64, false},
	{"c1.xlarge", 6501171200, 6600, 8, false},
	{"r3.large", 14470348800, 13800, 2, false},
	{"r3.xlarge", 30513561600, 29100, 4, false},
	{"r3.2xlarge", 62495129600, 59600, 8, false},
	{"r3.4xlarge", 126458265600, 120600, 16, false},
	{"r3.8xlarge", 254384537600, 242600, 32, false},
	{"r4.large", 13201781556, 12590, 2, false},
	{"r4.xlarge", 26898228839, 25652, 4, false},
	{"r4.2xlarge", 54197537997, 51686, 8, false},
	{"r4.4xlarge", 108858546586, 103815, 16, false},
	{"r4.8xlarge", 218255432090, 208144, 32, false},
	{"r4.16xlarge", 437021573120, 416776, 64, false},
	{"r5.large", 14037181030, 13387, 2, false},
	{"r5.xlarge", 28261849702, 26953, 4, false},
	{"r5.2xlarge", 56711183565, 54084, 8, false},
	{"r5.4xlarge", 113609865216, 108347, 16, false},
	{"r5.12xlarge", 341206346547, 325400, 48, false},
	{"r5.24xlarge", 682485973811, 650869, 96, false},
	{"r6g.large", 14037181030, 13387, 2, true},
	{"r6g.xlarge", 28261849702, 26953, 4, true},
	{"r6g.2xlarge", 56711183565, 54084, 8, true},
	{"r6g.4xlarge", 113609865216, 108347, 16, true},
	{"r6g.8xlarge", 225000375228, 214577, 32, true},
	{"r6g.12xlarge", 341206346547, 325400, 48, true},
	{"r6g.16xlarge", 450000750456, 429154, 64, true},
	{"r6gd.xlarge", 28261849702, 0, 0, true},
	{"r6gd.2xlarge", 56711183565, 0, 0, true},
	{"r6gd.4xlarge", 113609865216, 0, 0, true},
	{"r6gd.8xlarge", 225000375228, 0, 0, true},
	{"r6gd.12xlarge", 341206346547, 0, 0, true},
	{"r6gd.16xlarge", 450000750456, 0, 0, true},
	{"r7g.large", 14037181030, 13387, 2, true},
	{"r7g.xlarge", 28261849702, 26953, 4, true},
	{"r7g.2xlarge", 56711183565, 54084, 8, true},
	{"r7g.4xlarge", 113609865216, 108347, 16, true},
	{"r7g.8xlarge", 225000375228, 214577, 32, true},
	{"r7g.12xlarge", 341206346547, 325400, 48, true},
	{"r7g.16xlarge", 450000750456, 429154, 64, true},
	{"r8g.large", 15222495510, 14517, 2, false},
	{"r8g.xlarge", 31866224640, 30390, 4, false},
	{"r8g.2xlarge", 65856864256, 62806, 8, false},
	{"r8g.4xlarge", 133838143488, 127638, 16, false},
	{"r8g.8xlarge", 269800701952, 257302, 32, false},
	{"r8g.12xlarge", 405763260416, 386966, 48, false},
	{"r8g.16xlarge", 541725818880, 516630, 64, false},
	{"c7gn.large", 3317862236, 3164, 2, false},
	{"c7gn.xlarge", 6854542746, 6537, 4, false},
	{"c7gn.2xlarge", 13891921715, 13248, 8, false},
	{"c7gn.4xlarge", 27966669210, 26671, 16, false},
	{"c7gn.8xlarge", 56116178125, 53516, 32, false},
	{"c7gn.12xlarge", 84357985997, 80450, 48, false},
	{"c7gn.16xlarge", 113609865216, 108347, 64, false},
	{"c8gn.large", 3330020474, 3176, 2, false},
	{"c8gn.xlarge", 7294178820, 6956, 4, false},
	{"c8gn.2xlarge", 15222495510, 14517, 8, false},
	{"c8gn.4xlarge", 31866224640, 30390, 16, false},
	{"c8gn.8xlarge", 65856864256, 62806, 32, false},
	{"c8gn.12xlarge", 99847503872, 95222, 48, false},
	{"c8gn.16xlarge", 133838143488, 127638, 64, false},
}

var prefixes = map[string]string{elastiCache: "cache.", memoryDB: "db."}

// NodeTypes lists the node types of a service that run here, by generation and size.
func NodeTypes(service string) (types []NodeType) {
	for _, p := range published {
		if (service == elastiCache || p.memoryDB) && !tiered(p.name) {
			types = append(types, NodeType{prefixes[service] + p.name, p.maxMemory, p.memcached << 20, p.threads})
		}
	}
	return types
}

// tiered tells whether nodes of the type keep part of their data on disks.
func tiered(name string) bool { return strings.Contains(name, "gd.") }

// NodeTypeOf finds a node type of a service. The error is a *resource.Error for the client.
func NodeTypeOf(service, name string) (NodeType, error) {
	for _, t := range NodeTypes(service) {
		if t.Name == name {
			return t, nil
		}
	}
	param := "CacheNodeType"
	if service == memoryDB {
		param = "NodeType"
	}
	bare, ours := strings.CutPrefix(name, prefixes[service])
	for _, p := range published {
		if ours && p.name == bare && tiered(bare) && (service == elastiCache || p.memoryDB) {
			return NodeType{}, resource.Errorf(resource.Unsupported, resource.TypeParameter, param,
				"%s moves data between memory and disks, which needs an engine of AWS's own; node types without data tiering are available.", name)
		}
	}
	return NodeType{}, resource.Errorf(resource.InvalidValue, resource.TypeParameter, param, "Invalid %s: %s", param, clipped(name))
}

// clipped shortens what a user sent before it stands in a message.
func clipped(s string) string {
	if len(s) <= 64 {
		return s
	}
	return strings.ToValidUTF8(s[:64], "") + "..."
}

// Rescale lists the names of the node types that nodes of type t can change to: those with more memory and those with less, but
// enough for used bytes. Types with as much memory count as larger.
func (t NodeType) Rescale(service string, e resource.Engine, used int64) (up, down []string) {
	for _, o := range NodeTypes(service) {
		if o.Name == t.Name || e == Memcached && o.Memcached == 0 {
			continue
		}
		switch {
		case o.MaxMemory >= t.MaxMemory:
			up = append(up, o.Name)
		case o.MaxMemory >= used:
			down = append(down, o.Name)
		}
	}
	slices.SortStableFunc(up, cmp.Compare)
	slices.SortStableFunc(down, cmp.Compare)
	return up, down
}
