package metastore

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

var (
	entropyMu sync.Mutex
	entropy   = ulid.Monotonic(rand.Reader, 0)
)

// NewID makes a ULID for a thing that came to be at t. IDs sort by time, and within one millisecond by the order of the calls. A time
// that a ULID cannot hold (before 1970, after 10889) counts as the nearest that it can.
func NewID(t time.Time) string {
	entropyMu.Lock()
	defer entropyMu.Unlock()
	ms := idTime(t)
	id, err := ulid.New(ms, entropy)
	if err != nil { // the monotonic counter overflowed, once in 2^79: start afresh
		entropy = ulid.Monotonic(rand.Reader, 0)
		id = ulid.MustNew(ms, entropy)
	}
	return id.String()
}

func idTime(t time.Time) uint64 {
	return uint64(min(max(t.UnixMilli(), 0), int64(ulid.MaxTime())))
}

// millis is a time as columns hold it.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
