package keyspace

import (
	"bytes"
	"math/bits"
	"time"

	"github.com/keyframe/keyframe/rdb"
)

// keptKey is how many bytes of a key are looked at.
const keptKey = 4096

// Bounds on what is held of prefixes and hash tags.
const (
	prefixRoom, prefixCells = 4096, 16384
	prefixTop               = 256 // that are always held, of those with one separator
	tagRoom, tagCells       = 1024, 4096
)

// Options say what is counted. The zero value is good.
type Options struct {
	// At is the instant that the data shows; what expires before it is expired.
	// [Scan and Collect: what the file says; NewCollector, and a file that does not
	// say: now]
	At time.Time

	// Slots counts by cluster slot too. It makes sense for shards of a cluster.
	Slots bool

	// Separators are bytes that end a prefix. [":/|", and "._-" in keys that have
	// none of these]
	Separators string

	// ReadAhead lets Scan and Collect read while they count, if there is a second
	// processor, in turns in two goroutines. It is for sources that do not keep a reader
	// waiting; it is always done with regular files.
	ReadAhead bool
}

// Collector counts records. It must not be used by several goroutines at once.
type Collector struct {
	o     Options
	at    int64 // Options.At in Unix milliseconds
	files int   // that were merged

	types     [256]typeCount
	plain     Count // keys without a type
	databases map[uint64]*Count
	db        uint64 // the database of the last record
	inDB      *Count // its count; nil before the first
	slots     *[rdb.Slots]Count
	expiry    [expiryClasses]Count
	sizes     [65]Count // by the length of the size in bits
	biggest   biggest
	cutter    *separators
	prefixes  *sketch
	tags      *sketch // nil until there is one
	tagged    Count
}

type typeCount struct {
	Count
	elements int64 // of keys whose number of elements is known
	unknown  int64 // keys of which it is not
}

// NewCollector returns a Collector that has counted nothing.
func NewCollector(o Options) *Collector {
	if o.At.IsZero() {
		o.At = time.Now()
	}
	c := &Collector{o: o, at: o.At.UnixMilli(), files: 1, databases: make(map[uint64]*Count), cutter: newSeparators(o.Separators),
		prefixes: newSketch(prefixRoom, prefixCells, prefixTop)}
	if o.Slots {
		c.slots = new([rdb.Slots]Count)
	}
	return c
}

// Add counts a record, of which it keeps nothing but a copy. It needs the key, so
// rdb.Options.Keys. It always returns nil, so that it may be rdb.Options.OnRecord.
func (c *Collector) Add(r *rdb.Record) error {
	c.add(r, r.Key[:min(len(r.Key), keptKey)], len(r.Key))
	return nil
}

// add counts a record with the beginning of its key, and the length of all of it.
func (c *Collector) add(r *rdb.Record, key []byte, length int) {
	size := max(r.Size, 0)
	t := &c.types[r.Type]
	t.one(size)
	if r.Elements >= 0 {
		t.elements += r.Elements
	} else {
		t.unknown++
	}
	if r.DB != c.db || c.inDB == nil {
		c.enter(r.DB)
	}
	c.inDB.one(size)
	if c.slots != nil && uint(r.Slot) < rdb.Slots {
		c.slots[r.Slot].one(size)
	}
	if size >= c.biggest.least {
		c.biggest.take(&large{size: size, name: key[:min(len(key), maxName)], length: length, db: r.DB, typ: r.Type, slot: r.Slot,
			expireAt: r.ExpireAt, elements: r.Elements})
	}
	open := c.key(key, size, r.ExpireAt)
	if open < 0 && len(key) > maxPrefix {
		open = bytes.IndexByte(key, '{')
	}
	if open >= 0 {
		c.tag(key[open+1:], size)
	}
}

// AddPlain counts a key that has a size and an expiry, but no type, database or
// slot, such as an item of Memcached. Size is in bytes, expireAt in Unix
// milliseconds, 0 for never. Of key it keeps nothing but a copy. Hash tags mean
// nothing where there are no slots, and are not counted.
func (c *Collector) AddPlain(key []byte, size, expireAt int64) {
	size = max(size, 0)
	c.plain.one(size)
	if size >= c.biggest.least {
		c.biggest.take(&large{size: size, name: key[:min(len(key), maxName)], length: len(key), plain: true, slot: -1, expireAt: expireAt, elements: -1})
	}
	c.key(key[:min(len(key), keptKey)], size, expireAt)
}

// key counts what all keys have. It returns where a brace is, -1 if the beginning of
// the key has none.
func (c *Collector) key(key []byte, size, expireAt int64) (open int) {
	c.expiry[expiryClass(expireAt, c.at)].one(size)
	c.sizes[bits.Len64(uint64(size))].one(size)
	var cut cuts
	open = c.cutter.cut(&cut, key)
	c.prefixes.add(key, &cut, Count{1, size})
	return open
}

// tag counts by the text up to the first '}', as clusters hash it. Longer ones
// than prefixes may be are left out.
func (c *Collector) tag(rest []byte, size int64) {
	n := bytes.IndexByte(rest[:min(len(rest), maxPrefix)], '}')
	if n <= 0 {
		return
	}
	if c.tags == nil {
		c.tags = newSketch(tagRoom, tagCells, 0)
	}
	c.tagged.one(size)
	c.tags.add(rest, &cuts{n: 1, ends: [maxDepth]uint8{uint8(n)}}, Count{1, size})
}

func (c *Collector) enter(db uint64) {
	c.db, c.inDB = db, c.databases[db]
	if c.inDB == nil {
		c.inDB = new(Count)
		c.databases[db] = c.inDB
	}
}

// Merge adds what other has counted, which is of other files of the same snapshot.
// The result is that of one Collector that met all records, but for errors of
// prefixes and tags, which add up. other must not be used any more. Both should
// have been made with the same Options: slots count only if both counted them.
func (c *Collector) Merge(other *Collector) {
	c.files += other.files
	for i := range c.types {
		t, o := &c.types[i], &other.types[i]
		t.add(o.Count)
		t.elements += o.elements
		t.unknown += o.unknown
	}
	c.plain.add(other.plain)
	for db, n := range other.databases {
		c.enter(db)
		c.inDB.add(*n)
	}
	if c.slots != nil && other.slots != nil {
		for i := range c.slots {
			c.slots[i].add(other.slots[i])
		}
	} else {
		c.slots = nil
	}
	for i := range c.expiry {
		c.expiry[i].add(other.expiry[i])
	}
	for i := range c.sizes {
		c.sizes[i].add(other.sizes[i])
	}
	for i := range other.biggest.kept {
		c.biggest.take(&other.biggest.kept[i])
	}
	c.prefixes.merge(other.prefixes)
	if other.tags != nil {
		if c.tags == nil {
			c.tags = newSketch(tagRoom, tagCells, 0)
		}
		c.tags.merge(other.tags)
	}
	c.tagged.add(other.tagged)
}
