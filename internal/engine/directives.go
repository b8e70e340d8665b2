package engine

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// Directives are what the parameters of a group mean to an engine.
type Directives struct {
	// Settings are for Config.Parameters when an engine starts and, without those of AtStart, for CONFIG SET while it runs. Those of
	// memcached keep the names of their parameters: MemcachedArgs makes its command line of them.
	Settings map[string]string

	percent  int   // of the memory of the node that data may not take
	overhead int64 // bytes of the same, for memcached
}

// bufferLimits is the one setting behind the parameters with this prefix.
const bufferLimits = "client-output-buffer-limit"

// Parameters translates a group into directives for an engine of this version: the values that the group sets, and else AWS's
// defaults. What an engine of this version does not know is left out.
func Parameters(g *resource.ParameterGroup, e resource.Engine, v Version) Directives {
	d := Directives{Settings: map[string]string{}}
	f, ok := FindFamily(g.Service, g.Family)
	if !ok {
		return d
	}
	limits := map[string]string{}
	for _, p := range f.Parameters() {
		value, set := g.Values[p.Name]
		if !set {
			value = p.Default
		}
		switch {
		case p.Name == "reserved-memory-percent":
			d.percent, _ = strconv.Atoi(value)
		case p.Name == "memcached_connections_overhead":
			n, _ := strconv.ParseInt(value, 10, 64)
			d.overhead = n << 20
		case p.Name == databases && ClusterModeOf(g): // there is one
		case p.row.flags&inert != 0 || p.row.flags&ifSet != 0 && !set || !understands(e, v, p.Name):
		case strings.HasPrefix(p.Name, bufferLimits):
			limits[strings.TrimPrefix(p.Name, bufferLimits+"-")] = value
		default:
			d.Settings[p.Name] = bounded(e, v, p.Name, value)
		}
	}
	if len(limits) > 0 {
		d.Settings[bufferLimits] = bufferLimit("normal", limits) + " " + bufferLimit("pubsub", limits)
	}
	if f.Service == elastiCache && f.Engine != Memcached && d.Settings[channels] == "" && understands(e, v, channels) {
		d.Settings[channels] = "allchannels" // before the parameter came, nothing else was possible
	}
	return d
}

const channels = "acl-pubsub-default"

func bufferLimit(class string, limits map[string]string) string {
	return class + " " + limits[class+"-hard-limit"] + " " + limits[class+"-soft-limit"] + " " + limits[class+"-soft-seconds"]
}

// came says since when engines know a setting, where that is later than the oldest version that runs here.
var came = map[string]struct{ redis, valkey Version }{
	channels:                              {redis: Version{6, 2, 0}},
	"hash-max-listpack-entries":           {redis: Version{7, 0, 0}},
	"hash-max-listpack-value":             {redis: Version{7, 0, 0}},
	"zset-max-listpack-entries":           {redis: Version{7, 0, 0}},
	"zset-max-listpack-value":             {redis: Version{7, 0, 0}},
	"latency-tracking":                    {redis: Version{7, 0, 0}},
	"cluster-allow-pubsubshard-when-down": {redis: Version{7, 0, 0}},
	"extended-redis-compatibility":        {valkey: Version{8, 0, 0}},
	"commandlog-large-reply-max-len":      {valkey: Version{8, 1, 0}},
	"commandlog-large-request-max-len":    {valkey: Version{8, 1, 0}},
	"commandlog-reply-larger-than":        {valkey: Version{8, 1, 0}},
	"commandlog-request-larger-than":      {valkey: Version{8, 1, 0}},
}

// understands tells whether an engine of this version has the setting. Families meet engines older and newer than they are.
func understands(e resource.Engine, v Version, name string) bool {
	since := came[name].redis
	if e == Valkey {
		since = came[name].valkey
	}
	return v.Compare(since) >= 0
}

// bounded keeps a value within the bounds that engines draw more narrowly than families do.
func bounded(e resource.Engine, v Version, name, value string) string {
	n, err := strconv.ParseInt(value, 10, 64)
	switch {
	case err != nil:
	case name == "maxmemory-samples" && e == Valkey && v.AtLeast(8, 0):
		return strconv.FormatInt(min(n, 64), 10)
	case name == "slowlog-log-slower-than" || strings.HasPrefix(name, "commandlog-"):
		return strconv.FormatInt(max(n, -1), 10) // every negative number means never
	}
	return value
}

// Limit is how many bytes the data of a node of this type may take.
func (d Directives) Limit(e resource.Engine, t NodeType) int64 {
	if e == Memcached {
		return max(t.Memcached-d.overhead, 8<<20)
	}
	return max(t.MaxMemory/100*int64(100-d.percent), 1<<20) // 0 would be no limit
}

// AtStart tells whether a setting can be given to an engine only when it starts.
func AtStart(setting string) bool { return setting == databases }

const databases = "databases"

// MemcachedArgs is the part of memcached's command line that its parameters make, on a node with this limit in bytes.
func MemcachedArgs(settings map[string]string, limit int64) (args []string) {
	if len(settings) == 0 {
		return nil
	}
	on := func(name string) bool { return settings[name] == "1" }
	option := func(format string, values ...any) { args = append(args, "-o", fmt.Sprintf(format, values...)) }
	if on("no_modern") {
		option("no_modern") // first: what comes later overrides it
	}
	for _, name := range []string{"lru_crawler", "lru_maintainer", "maxconns_fast", "slab_reassign"} {
		if on(name) {
			option("%s", name)
		} else {
			option("no_%s", name)
		}
	}
	// worker_logbuf_size is left out: memcached 1.6 takes its value for slab_sizes as well.
	for _, name := range []string{"hash_algorithm", "idle_timeout", "slab_automove", "watcher_logbuf_size"} {
		if value := settings[name]; value != "" {
			option("%s=%s", name, value)
		}
	}
	if on("track_sizes") {
		option("track_sizes")
	}
	item, chunk := memcachedSizes(settings, limit)
	option("slab_chunk_max=%d", chunk)
	args = append(args, "-I", strconv.FormatInt(item, 10))
	for _, f := range [][2]string{{"binding_protocol", "-B"}, {"chunk_size", "-n"}, {"chunk_size_growth_factor", "-f"}} {
		if value := settings[f[0]]; value != "" {
			args = append(args, f[1], value)
		}
	}
	for _, f := range [][2]string{{"cas_disabled", "-C"}, {"disable_flush_all", "-F"}, {"error_on_memory_exhausted", "-M"}} {
		if on(f[0]) {
			args = append(args, f[1])
		}
	}
	return args
}

// memcachedSizes are the greatest sizes of an item and of its chunks as memcached takes them: a chunk divides a megabyte and the
// item, which takes no more than half of the memory.
func memcachedSizes(settings map[string]string, limit int64) (item, chunk int64) {
	number := func(name string, otherwise int64) int64 {
		if n, err := strconv.ParseInt(settings[name], 10, 64); err == nil {
			return n
		}
		return otherwise
	}
	item, chunk = number("max_item_size", 1<<20), 1<<20
	if limit > 0 {
		item = min(item, limit/2>>20<<20)
	}
	item = max(item, 1024)
	for most := min(number("slab_chunk_max", 1<<19), item); chunk > most; {
		chunk /= 2
	}
	return (item + chunk - 1) / chunk * chunk, chunk
}
