// Package rdb reads the snapshot files of Redis and Valkey as they stream by.
//
// A [Scanner] walks every record of a file without decoding values: it checks
// that lengths, types and opcodes fit together, that the file ends exactly where
// it says it does, and that the checksum is right. It works from any io.Reader,
// in a window of fixed size, so a file may be larger than memory and may still
// be arriving. What it learned is in the [Summary]: how many keys in which
// databases, of which types, who wrote the file and at which replication offset.
//
//	f, err := os.Open("dump.rdb")
//	...
//	summary, err := rdb.NewScanner(f, rdb.Options{}).Scan()
//	if errors.Is(err, rdb.ErrCorrupt) { ... }
//
// While it scans, Options.Tee receives the same bytes, and Options.OnRecord is
// told where each record lies, when it expires and, on request, its key and
// cluster slot. [Lower] rewrites a file for an older engine. A [Splitter] divides
// the records of files by cluster slot among new files: as many as wanted, from as
// many as there are.
//
// # What is read
//
// Files of version 1 to 12 under the REDIS magic (every Redis up to 8.4, Valkey
// up to 8.1) and of version 80 under the VALKEY magic (Valkey 9.0 and 9.1). The
// two families give different meanings to type 22 and opcode 243; the magic
// decides. Later versions, release candidates' types and compressed envelopes are
// refused with [ErrUnsupported], because what has no known length cannot be walked.
//
// # Untrusted input
//
// Any bytes may be fed to this package. It answers with a [CorruptError] that
// names the offset, and neither panics nor allocates more than it was sent:
// besides the window it holds one key, of at most [MaxKey] bytes, and only when
// keys are asked for.
package rdb
