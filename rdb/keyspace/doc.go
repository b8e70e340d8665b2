// Package keyspace tells what is in a key space: which types, prefixes, expiries
// and keys take how many bytes of an RDB file.
//
// A [Collector] counts records as a rdb.Scanner meets them; it is cheap enough to
// run while a snapshot is taken. [Scan] does all of it for a file:
//
//	f, err := os.Open("dump.rdb")
//	...
//	report, summary, err := keyspace.Scan(f, keyspace.Options{})
//	for _, p := range report.Prefixes.Heaviest {
//		fmt.Printf("%q: %d keys, %d bytes\n", p.Prefix, p.Keys, p.Bytes)
//	}
//
// Collectors of several files, such as the shards of a cluster, merge into one.
//
// # What is exact
//
// Everything is counted exactly but prefixes and hash tags, of which a file may
// have more than fit in memory. As long as fewer than four thousand prefixes are
// met these are exact too, and up to 256 of the first level always are. Beyond
// that a [Report] never says more than the truth. It says with every prefix how much
// less it may be, as a rule at most half a hundredth of the whole, and how heavy a
// prefix can be that is not listed. See [Prefixes].
//
// # What is a byte
//
// Bytes are those of the serialised records, expiry and key included. An engine
// takes more memory for the same data: how much depends on its version, its
// allocator and the encoding. Report.UsedMemory is what engines said that they
// used in all, and is not divided among keys.
//
// Keys that do not come from an RDB file count by [Collector.AddPlain], with the
// bytes that its caller says they have.
//
// # Untrusted input
//
// Keys may be any bytes of any length. Of a prefix no more than 128 bytes
// count, of the name of a large key 256 are kept, and the list says that the name
// was longer. A collector takes at most 4 MiB, and 4 MiB more if there are tens of
// thousands of databases. A report is at most [MaxReport] bytes of JSON. In JSON a
// name is text if it is valid UTF-8, and an object with the member base64 if it is
// not, so that no byte is lost; see [Name].
package keyspace
