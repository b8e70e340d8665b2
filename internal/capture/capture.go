// Package capture takes a consistent cut out of live engines over the replication protocol: it poses as a replica that wants the RDB and
// nothing after it, walks every record as the bytes arrive, and passes them on to a writer.
//
// A capture succeeds only if the engine sent a whole RDB: the scanner found its end and its checksum right, and the transfer ended
// at the same byte. Whatever else happens is an error, and what the writer has received until then is worthless.
package capture

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// Source is an engine to capture: a primary, or a replica that is in step with one.
type Source struct {
	Address  string      // ip:port
	TLS      *tls.Config // nil is plain TCP
	User     string      // empty logs in with the password alone; a user needs +ping +replconf +psync, and +info for the fork's cost
	Password engine.Secret
}

// Options tune a capture. The zero value is good.
type Options struct {
	// ProgressTimeout fails a capture during which not one byte arrived for so long [60 s]. Engines that are busy with another child send a
	// newline every second, so a long wait for the fork does not count.
	ProgressTimeout time.Duration
	// OnProgress is told how many bytes of the RDB have arrived, and of how many; 0 is unknown, as in diskless transfers. It is called about ten
	// times a second, from the goroutine that reads, and must not block.
	OnProgress func(bytes, total int64)
	// Announce is the engine version that we pose as [9.1.0]. Newer primaries choose the RDB version by it.
	Announce string

	Buffer   int64         // bytes in memory between engine and writer [8 MiB]
	SpoolDir string        // directory of the spool file [the system's temporary directory]
	SpoolMax int64         // bytes in the spool file, 0 is no limit; negative never spools: a slow writer slows the engine down
	Patience time.Duration // how long the engine may be kept waiting for the writer, in all, before the spool takes over [5 s]

	Count      bool // what is in the key space: Result.Keys, ItemsResult.Keys
	CountSlots bool // if so, by slot even where a target names no slots

	// Of captures of several shards:
	Pause    time.Duration // how long writes may be held; the engines lift the pause by then whatever happens [2 s]
	Tries    int           // attempts at one instant [5]
	ChildMax time.Duration // how long to wait for another child of an engine, such as a rewrite of its append-only file [10 min]

	// Of captures of items:
	Name  string // what the file says that it is from, at most 255 bytes
	Batch int    // keys that are asked for at once [512]

	test hooks
}

// hooks are for tests.
type hooks struct {
	noPause bool
	psync   func(shard int) // called before the shard is asked for its data
	paused  func()          // called when the pause is in force everywhere
}

func (o Options) withDefaults() Options {
	if o.ProgressTimeout <= 0 {
		o.ProgressTimeout = time.Minute
	}
	if o.Announce == "" {
		o.Announce = "9.1.0"
	}
	if o.Buffer <= 0 {
		o.Buffer = 8 << 20
	}
	if o.Patience <= 0 {
		o.Patience = 5 * time.Second
	}
	if o.Pause <= 0 {
		o.Pause = 2 * time.Second
	}
	if o.Tries <= 0 {
		o.Tries = 5
	}
	if o.ChildMax <= 0 {
		o.ChildMax = 10 * time.Minute
	}
	if o.Batch <= 0 {
		o.Batch = 512
	}
	return o
}

// Framing is how the engine delimited the RDB.
type Framing string

const (
	Diskless Framing = "diskless" // streamed by the child as it saved, between two copies of a random mark
	Disk     Framing = "disk"     // saved to a file first, sent with its length
)

// Result describes a capture that succeeded.
type Result struct {
	Source string // address of the engine that it was taken from

	ReplID string // replication id and offset: the point in the command stream at which the cut lies
	Offset int64
	CutAt  time.Time // when the engine announced the fork

	Framing       Framing
	Summary       *rdb.Summary
	Keys          *keyspace.Collector // that has met all records, by slot too if the target has slots or Options.CountSlots; nil unless Options.Count
	EngineVersion string              // from INFO, else from the RDB
	ForkMicros    int64               // what the fork cost the engine, in microseconds; 0 if it would not say
	Duration      time.Duration       // from connecting to the writer's last byte
	Transfer      time.Duration       // from connecting to the last byte received; the engine was rid of us then
	Spooled       int64               // bytes that went through the spool because the writer was slower than the engine
}

// Target is a shard to capture and where its RDB goes.
type Target struct {
	Primary Source
	Replica *Source              // taken instead of the primary if it is in step with it; nil for none
	Slots   []resource.SlotRange // that the shard has in its cluster; nil outside of cluster mode: then no layout is checked
	// W gets large writes, from one goroutine; it must return by itself when the capture's context ends, because nothing else can
	// interrupt it.
	W io.Writer
}

// Cut is what Capture took.
type Cut struct {
	Shards  []*Result     // as the targets
	Instant bool          // all shards show one instant
	Reason  string        // why they do not; empty otherwise
	At      time.Time     // the instant; without one the moment of the last shard
	Pause   time.Duration // for which clients' writes were held, 0 if they were not
	Fork    time.Duration // the slowest shard's, as its engine reports it; that of a replica may outlast the pause
	Tries   int           // that it took, from 1
}

// Added is what the pause cost beyond the slowest fork, which a snapshot of a single shard costs too.
func (c *Cut) Added() time.Duration { return max(c.Pause-c.Fork, 0) }

// Capture takes one cut through all shards. With one shard the cut is an instant by itself, and nothing is paused. With several, writes are
// held on all primaries while the engines fork; see docs/capture.md. If no attempt proves an instant, each shard shows its own, and the
// Cut says so. Writers have received nothing that counts unless it succeeds.
//
// ErrLayout: slots are moving, have moved, or are not those of the targets. Other errors are those of Shard, for any of the shards.
func Capture(ctx context.Context, shards []Target, o Options) (*Cut, error) {
	if len(shards) == 0 {
		return nil, errors.New("capture: no shards")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c := &cutter{o: o.withDefaults(), cut: &Cut{}}
	defer c.close()
	for i := range shards {
		c.shards = append(c.shards, newMember(&shards[i], len(shards) > 1))
	}
	if len(shards) > 1 {
		// Together they need no more memory than a few large ones.
		c.o.Buffer = max(c.o.Buffer*4/int64(max(len(shards), 4)), 1<<20)
	}
	if err := c.take(ctx); err != nil {
		return nil, err
	}
	if err := c.transfer(ctx); err != nil {
		return nil, err
	}
	return c.cut, nil
}
