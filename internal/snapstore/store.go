// Package snapstore keeps snapshots in an object store: sealed parts of captured streams, and manifests that name them.
// docs/snapshot-format.md is the format's specification.
//
//	captures/<capture>/<shard>/<part>    the bytes of one capture
//	captures/<capture>/report            what its keys are and take
//	snapshots/<snapshot>/manifest.json   a snapshot; it names its capture
//
// A snapshot exists when its manifest does. Several snapshots (copies) may name one capture.
package snapstore

import (
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/kms"
)

// ErrCorrupt marks stored bytes that are not what was written: errors.Is finds it in every *CorruptError.
var ErrCorrupt = errors.New("snapshot is corrupt")

// CorruptError says which stored bytes are damaged. Shard is empty and Part is 0 when the manifest itself is meant.
type CorruptError struct {
	Snapshot string // when known
	Capture  string
	Shard    string
	Part     int // from 1
	Reason   string
	Cause    error
}

func (e *CorruptError) Error() string {
	where := "snapshot " + e.Snapshot
	switch {
	case e.Part > 0:
		where = fmt.Sprintf("capture %s, shard %s, part %d", e.Capture, e.Shard, e.Part)
	case e.Shard != "":
		where = fmt.Sprintf("capture %s, shard %s", e.Capture, e.Shard)
	}
	if e.Cause != nil {
		return fmt.Sprintf("%s is corrupt: %s: %v", where, e.Reason, e.Cause)
	}
	return fmt.Sprintf("%s is corrupt: %s", where, e.Reason)
}

// Is makes errors.Is(err, ErrCorrupt) true.
func (e *CorruptError) Is(target error) bool { return target == ErrCorrupt }

func (e *CorruptError) Unwrap() error { return e.Cause }

// Options tune a store. The zero value is what a server uses.
type Options struct {
	// Codec compresses every part with this codec instead of the one that suits the machine's load.
	Codec Codec
	// Scan walks a decoded stream, by the manifest's Stream; RDB and Memcached are built in. A stream without a scanner is verified as bytes only.
	Scan map[Stream]ScanFunc
}

// Store is safe for concurrent use.
type Store struct {
	bucket blob.Bucket
	keys   kms.Provider
	o      Options
	active atomic.Int64 // shards being written now: they share the processors
	part   int64        // stream bytes of a full part, whole blocks; tests take less than partSize
}

// New makes a store on a bucket; keys wraps its data keys.
func New(bucket blob.Bucket, keys kms.Provider, o Options) *Store {
	return &Store{bucket: bucket, keys: keys, o: o, part: partSize}
}

const (
	captures  = "captures/"
	snapshots = "snapshots/"
)

var (
	idPattern    = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]{0,63}$`)
	shardPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$`)
)

// PartKey is where a part lies in the bucket.
func PartKey(capture, shard string, number int) string {
	return fmt.Sprintf("%s%s/%s/%06d", captures, capture, shard, number)
}

// ManifestKey is where a snapshot's manifest lies in the bucket.
func ManifestKey(snapshot string) string { return snapshots + snapshot + "/manifest.json" }

func checkID(what, id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%s id %q is not one", what, id)
	}
	return nil
}
