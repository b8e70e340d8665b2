package snapstore

import (
	"runtime"
	"sync/atomic"
	"time"
)

const (
	// zstdCost is the processor time that zstd takes for what s2 takes one of.
	zstdCost = 3
	// zstdShare is how much of the machine's processors compression by zstd may take before s2 takes over. The rest
	// belongs to the engine, to the reader of its stream, and to sealing and hashing.
	zstdShare = 0.25
)

// pace measures one part of the stream and chooses the codec of the next: zstd when the source is so slow that zstd costs it
// nothing, s2 when the source is the faster one.
type pace struct {
	start   time.Time
	blocked time.Duration // the source waited for us
	busy    atomic.Int64  // nanoseconds of compression
	codec   Codec
}

func (p *pace) begin() { p.start = time.Now() }

// choose ends a part's measurement; shards is how many streams share the machine.
func (p *pace) choose(shards int64) Codec {
	now := time.Now()
	next := decide(p.codec, now.Sub(p.start), p.blocked, time.Duration(p.busy.Swap(0)), shards, runtime.GOMAXPROCS(0))
	p.start, p.blocked, p.codec = now, 0, next
	return next
}

// decide is choose without a clock. last is empty for the first part.
func decide(last Codec, wall, blocked, busy time.Duration, shards int64, procs int) Codec {
	if last == "" || blocked > wall/20 {
		return S2
	}
	if last == S2 {
		busy *= zstdCost
	}
	if float64(busy)*float64(max(shards, 1)) > zstdShare*float64(procs)*float64(wall) {
		return S2
	}
	return Zstd
}
