// Package rdb reads, checks, divides, lowers and writes the snapshot files of
// Redis and Valkey, and the payloads of their commands DUMP and RESTORE.
//
// It works on streams: in a window of fixed size, so that a file may be larger
// than memory and may still be arriving, and at speeds at which a disk or a
// network is what one waits for. It needs only the standard library.
//
//	to ...                                  use
//	walk a file and verify its checksum     NewScanner, Scanner.Scan
//	see keys, expiries, sizes               Options.OnRecord
//	read values                             Scanner.Records, Value
//	read function libraries                 Options.OnFunction
//	find every damaged byte                 Options.Deep
//	divide by cluster slot, or join         NewSplitter
//	make a file for an older engine         Lower
//	write a file                            NewWriter
//	give one value to an engine             Value.Dump, EncodeDump
//	read what DUMP answered                 ParseDump
//
// # Reading
//
// A [Scanner] walks every record of a file. Without being told more it looks at
// no value: it checks that lengths, types and opcodes fit together, that the file
// ends exactly where it says it does, and that the checksum is right. What it
// learned is in the [Summary]: how many keys in which databases, of which types,
// who wrote the file and at which replication offset.
//
//	f, err := os.Open("dump.rdb")
//	...
//	summary, err := rdb.NewScanner(f, rdb.Options{}).Scan()
//	if errors.Is(err, rdb.ErrCorrupt) { ... }
//
// Options.Tee receives the same bytes while they are walked, so that a file can be
// verified while it is copied. Options.OnFunction receives the sources of function
// libraries. What follows the file in its stream is left in [Scanner.Rest].
//
// # Keys
//
// Options.OnRecord is told of each record behind its value: where it lies and how
// many bytes it takes, its database, when it expires, how it was used, how many
// elements it has, and, with Options.Keys, its key and cluster slot. Keys are
// always text: engines store the key 123 as a number, and compress long ones, but
// that does not show. [KeySlot] is the slot of any key.
//
// # Values
//
// [Scanner.Records] is a loop over records whose values can be read:
//
//	scanner := rdb.NewScanner(f, rdb.Options{})
//	for record, err := range scanner.Records() {
//		if err != nil {
//			return err // comes last
//		}
//		if record.Value.Kind() != rdb.KindHash {
//			continue // what is not read is skipped, at the speed of a walk
//		}
//		for field, err := range record.Value.Elements() {
//			...
//		}
//	}
//
// A [Value] is read from front to back, once, with the method for its [Kind]: Text
// or Reader for strings, Elements for lists, sets, sorted sets and hashes,
// Entries and then StateParts or State for streams, Items for what modules save. Each
// gives the same whatever the form in the file, of which there are up to six for one
// kind.
// Decode makes any of them a [Data] in memory, within a limit; Raw copies its
// bytes.
//
// Sizes are no matter: strings come as streams, collections element by element.
// Nothing of a record may be kept until the next one, and nothing of an element
// until the next element, but what Decode returns.
//
// Times are Unix milliseconds, and 0 is never: expiries of keys and of fields are
// absolute. Whether they have passed is for the reader to decide; engines leave
// out expired keys when they load, unless they are replicas.
//
// # Verifying
//
// The checksum proves that a file is what was written. It proves nothing about
// files without one, about memory that was damaged before the engine wrote, and
// about files that somebody made. Options.Deep looks at everything that an
// engine would trip over: every compressed string decompresses to the length
// it claims; every listpack, ziplist, intset and zipmap holds together, entry by
// entry, backwards too; scores are numbers; members and fields are there once;
// entries of streams ascend, are as many as the stream says, and pending ones have
// one consumer each; function libraries begin as they must. [Dump.Verify] does the
// same for a payload. Collections without elements, which engines leave out, are
// counted in Summary.EmptyKeys.
//
// # Dividing and joining
//
// A [Splitter] writes the records of files, as the bytes that they are, to new
// files by cluster slot: as many as wanted, from as many as there are. One output
// makes one file of many. Every record stays in its database, of which an engine in
// cluster mode may have only one: [Summary] tells of which there are.
//
// # Lowering
//
// [Lower] rewrites a file for an older engine: under an older version, with the
// values in older types where that is all it takes. [MinVersion] tells which
// engines load a file as it is, and [LowestVersion] which could load what Lower
// makes of it. Hashes whose fields expire, which each family stores in its own way,
// cross over. What an older engine does not have, such as just these, is refused
// with [ErrCannotLower].
//
// # Writing
//
// A [Writer] makes files out of values in memory (Write), out of streams of
// elements whose number is known ahead (WriteString, WriteCollection, WriteStream),
// out of values that are being read (Copy) and out of raw bytes (WriteRaw). It
// chooses among the forms as engines do: integers, compression, packed blobs for
// small collections. What an engine would not load is refused before a byte of it
// is written; only that no key and no member comes twice is the caller's promise.
//
// # DUMP and RESTORE
//
// The command DUMP answers a value in the form in which a file holds it, with a
// version and a checksum behind. [ParseDump] checks such a payload, and its Value
// is read like one of a file. [Value.Dump] makes a payload out of a value of a file,
// [AppendDump] out of its raw bytes, [EncodeDump] out of a Data. With them, chosen keys of a file go into a
// running engine. Neither key nor expiry is in a payload: RESTORE takes them as
// arguments.
//
// # Versions
//
//	version   magic    written by                     new in it
//	1-8       REDIS    Redis up to 4.0                checksum (5), modules and binary scores (8)
//	9         REDIS    Redis 5.0, 6.0, 6.2            streams, access statistics
//	10        REDIS    Redis 7.0                      functions, listpacks
//	11        REDIS    Redis 7.2, Valkey 7.2 to 8.1   sets in listpacks, times in streams
//	12        REDIS    Redis 7.4 to 8.4               fields that expire, sizes of slots
//	80        VALKEY   Valkey 9.0, 9.1                fields that expire, slots that migrate
//
// An engine loads its own version and earlier ones of its own magic; from 80 on,
// Valkey loads the REDIS magic up to 11 too. The two families give different
// meanings to type 22 and opcode 243: the magic decides, and in payloads, which
// have none, the version.
//
// All these are read; 9 to 12 and 80 are written. Later versions, the types of
// release candidates and compressed envelopes (VCS) are refused with
// [ErrUnsupported], because what has no known length cannot be walked.
//
// # Untrusted input
//
// Any bytes may be fed to this package. Time is linear in what is read. It does
// not panic, and answers with a [CorruptError] that names the offset, the part of
// the file and the reason; a [SlotError] wraps one. Only what may be sound but is too
// large to be held is refused with [ErrTooLarge]. Memory grows with bytes that
// arrived, never with what a length claims.
//
// Errors in the frame of a file end the scan, for there is no telling where the
// next record begins. Errors inside a compressed string or a packed blob end only
// the reading of that value: the loop goes on if the caller lets it, and a damaged
// file gives up all that is sound in it.
//
// # Memory
//
//   - A scan: the window of 256 KiB, and with Options.Keys one key of at most
//     [MaxKey] bytes.
//   - Text and Decode: at most some two times their limit. Reader: 40 KiB if the string is
//     compressed.
//   - Elements, Entries, StateParts, Items: one element or one packed blob, of at
//     most [MaxElement] bytes, and as much again if it is compressed. Engines make
//     blobs of some kilobytes.
//   - State: 48 bytes for each pending entry, and up to two and a quarter times that
//     while it reads them. OnFunction: one library of at most 16 MiB.
//   - Options.Deep: up to 32 MiB to find members that come twice, and one packed
//     blob of at most 1 GiB, compressed and not.
//   - A Splitter: for each source some 2 MiB, or 4 KiB for each output if that is
//     more, and the key at hand, the blob that is rewritten, or twice the function
//     library or data of a module beside the keys, of at most 16 MiB; some 2 MiB to know
//     the 4096 libraries and the like that may go to all outputs, and some 3 MiB to know the
//     65536 databases. A Writer and Lower: some 64 KiB, and the element or blob at hand.
//     Splitter and Lower: an element that is rewritten twice, and some 12 MiB for a hash
//     of Valkey whose fields expire if it becomes one of Redis.
//
// # Packages below
//
// Package lzf is the compression, package packed the packed blobs, package crc64
// the checksum, and package keyspace answers what takes up the space in a file.
package rdb
