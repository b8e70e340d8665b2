package capture

import (
	"time"

	"github.com/keyframe/keyframe/internal/itemfile"
)

// ItemsResult describes a capture of the items of a Memcached cache that succeeded.
type ItemsResult struct {
	*itemfile.Summary           // of the file: items, bytes, expiring ones, content hash
	From              string    // address of the engine
	Began, Ended      time.Time // items are each of some moment between these: it is not one instant
	Vanished          int64     // items that were listed and then gone: deleted or evicted meanwhile
	Expired           int64     // items whose time was up before their turn came; not in the file
	Changed           int64     // items that were written between listing and reading; the file has them as they were read
	Duration          time.Duration
	Spooled           int64 // bytes of the list of keys that went through the spool
}

// LoadOptions tune LoadItems. The zero value is good.
type LoadOptions struct {
	ProgressTimeout time.Duration // fails a load during which the engine did not answer for so long [60 s]
	// OnProgress is told how many items and bytes of the file were sent. It is called about ten times a second and must not block.
	OnProgress func(items, bytes int64)
	MaxValue   int // greatest value in bytes that is accepted from the file [1 GiB]
}

// LoadResult describes items that were loaded and read back equal.
type LoadResult struct {
	*itemfile.Summary       // of the file
	Loaded            int64 // items stored
	Expired           int64 // items of the file whose time was up already
	EngineVersion     string
	Duration          time.Duration // all of it
	Verifying         time.Duration // of it, reading back
}
