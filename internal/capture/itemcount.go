package capture

import (
	"time"

	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// NewItemCounter returns a Collector for CountItem. Created is when the capture began, as the header of the file says: in whole seconds.
// Separators are those of keyspace.Options; empty are the usual ones.
func NewItemCounter(created time.Time, separators string) *keyspace.Collector {
	return keyspace.NewCollector(keyspace.Options{At: time.Unix(created.Unix(), 0), Separators: separators})
}

// CountItem counts an item. Its bytes are those of key and value.
func CountItem(keys *keyspace.Collector, it *itemfile.Item) {
	keys.AddPlain(it.Key, int64(len(it.Key)+len(it.Value)), 1000*it.ExpireAt)
}

// ReportItems says what was counted. The summaries are those of the files.
func ReportItems(keys *keyspace.Collector, files ...*itemfile.Summary) *keyspace.Report {
	r := keys.Report()
	r.Engine = string(resource.Memcached)
	for _, f := range files {
		if r.FileBytes += f.Bytes; r.EngineVersion == "" {
			r.EngineVersion = f.Engine
		}
	}
	return r
}
