package keyspace

import (
	"encoding/json"
	"fmt"
	"time"
)

// MaxReport is the most bytes that a Report takes as JSON.
const MaxReport = 2 << 20

// reportFormat is the version of the JSON.
const reportFormat = 1

// Bounds on the lists of a Report.
const (
	listedPrefixes  = 200
	listedTags      = 50
	listedSlots     = 20
	listedDatabases = 1000
	listedModules   = 1024
)

// Report is what a Collector has found. It is JSON with stable names.
type Report struct {
	Format int       `json:"format"` // 1
	At     time.Time `json:"at"`     // the instant to which expiries are compared

	Engine        string `json:"engine,omitempty"` // "redis" or "valkey", as the files say; or whose the plain keys are, such as "memcached"
	EngineVersion string `json:"engine_version,omitempty"`
	RDBFamily     string `json:"rdb_family,omitempty"`
	RDBVersion    int    `json:"rdb_version,omitempty"`
	Files         int    `json:"files"`                 // that were counted together
	FileBytes     int64  `json:"file_bytes"`            // of the files, with what belongs to no key
	UsedMemory    int64  `json:"used_memory,omitempty"` // bytes, of all engines that said so when they wrote the files

	Keys     int64 `json:"keys"`
	Bytes    int64 `json:"bytes"`    // of all records; see the package on what a byte is
	Expiring int64 `json:"expiring"` // keys that carry an expiry, passed or not

	Types     []TypeCount     `json:"types"`     // heaviest first; plain keys have none, nor encodings and databases
	Encodings []EncodingCount `json:"encodings"` // heaviest first
	Databases []DatabaseCount `json:"databases"` // by number; the heaviest, if there are more than 1000
	Slots     *Slots          `json:"slots,omitempty"`
	Expiry    []ExpiryCount   `json:"expiry"` // soonest first, then "never"
	Sizes     []SizeCount     `json:"sizes"`  // smallest first, without gaps
	Biggest   []Key           `json:"biggest"`
	Prefixes  Prefixes        `json:"prefixes"`
	Tags      Tags            `json:"hash_tags"`
	Functions int             `json:"functions"` // libraries, in each file
	Modules   []string        `json:"modules,omitempty"`
}

// TypeCount is what one kind of value takes.
type TypeCount struct {
	Type string `json:"type"` // as the command TYPE names it: "string", "list", "set", "zset", "hash", "stream"; or "module"
	Count
	Elements int64 `json:"elements"` // of all values whose number of elements is known without reading them
	Counted  int64 `json:"counted"`  // of the keys, those that Elements is about
}

// EncodingCount is what one way to store a value takes.
type EncodingCount struct {
	Encoding string `json:"encoding"` // rdb.TypeName
	RDBType  int    `json:"rdb_type"` // the number in the file
	Count
}

// DatabaseCount is what one database takes.
type DatabaseCount struct {
	Database uint64 `json:"database"`
	Count
}

// ExpiryCount is what keys take that expire at about the same time.
type ExpiryCount struct {
	Left string `json:"left"` // "expired", "under 1 minute", "under 1 hour", "under 1 day", "under 7 days", "under 30 days", "later", "never"
	Count
}

// SizeCount is what keys take whose records are about as large.
type SizeCount struct {
	From int64 `json:"from"` // bytes, included
	To   int64 `json:"to"`   // not included
	Count
}

// Key is one of the biggest keys.
type Key struct {
	Name      Name      `json:"name"`           // its first 256 bytes
	NameBytes int       `json:"name_bytes"`     // of the whole name
	Type      string    `json:"type,omitempty"` // empty for a plain key, as is Encoding
	Encoding  string    `json:"encoding,omitempty"`
	Bytes     int64     `json:"bytes"`
	Elements  int64     `json:"elements"` // -1 if not known
	Database  uint64    `json:"database"`
	Slot      int       `json:"slot"` // -1 if slots were not counted
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Truncated tells that the key is longer than Name.
func (k *Key) Truncated() bool { return k.NameBytes > len(k.Name) }

// Slots summarises the counts of the cluster slots.
type Slots struct {
	Used     int         `json:"used"`     // that have keys, of 16384
	Heaviest []SlotCount `json:"heaviest"` // at most 20, by bytes
	Keys     Spread      `json:"keys"`     // per used slot
	Bytes    Spread      `json:"bytes"`    // likewise
	Each     []SlotRow   `json:"each"`     // every used slot, by number
}

// SlotRow is a slot, its keys and its bytes: a SlotCount without names, as a cluster
// has 16384 of them.
type SlotRow [3]int64

// SlotCount is what one slot takes.
type SlotCount struct {
	Slot int `json:"slot"`
	Count
}

// Spread tells how a number is distributed.
type Spread struct {
	Least  int64 `json:"least"`
	P10    int64 `json:"p10"`
	Median int64 `json:"median"`
	P90    int64 `json:"p90"`
	P99    int64 `json:"p99"`
	Most   int64 `json:"most"`
}

// Prefixes are parts of keys, each up to and with a separator, and what the keys
// take that start so. A key counts at each of its prefixes.
//
// Counts are never too high. True is at most the count and Lacks of the entry
// together. A prefix that is not in the list has at most Unlisted.
//
// Of a key the first 128 bytes are looked at, and the first 8 separators.
type Prefixes struct {
	Heaviest []Prefix `json:"heaviest"` // by bytes, shorter ones before longer ones that weigh the same; a few of them because of many keys
	Unlisted Count    `json:"unlisted"`
	Without  Count    `json:"without"` // keys without a separator; exact only if Exact
	Exact    bool     `json:"exact"`   // nothing was estimated: Lacks is 0 everywhere
}

// Prefix is what the keys with a prefix take.
type Prefix struct {
	Prefix Name `json:"prefix"`
	Depth  int  `json:"depth"` // separators in it that count
	Count
	Lacks Count `json:"lacks"` // the most that is missing from the count
}

// Tags are the hash tags of keys, the text between the first '{' and the next '}',
// by which a cluster puts keys into one slot. Bounds are as for Prefixes. Tags longer
// than 127 bytes, and those behind the first 4096 of a key, are left out.
type Tags struct {
	Tagged   Count `json:"tagged"`   // keys that have a tag, but for those left out; exact
	Heaviest []Tag `json:"heaviest"` // by bytes
	Unlisted Count `json:"unlisted"`
	Exact    bool  `json:"exact"`
}

// Tag is what the keys with a tag take.
type Tag struct {
	Tag  Name `json:"tag"`
	Slot int  `json:"slot"` // where all its keys are
	Count
	Lacks Count `json:"lacks"`
}

// Heavy tells that a tag gathers more than a slot should have to carry: more than a
// hundredth of all keys or bytes, where an even slot has a sixteen-thousandth.
func (r *Report) Heavy(t *Tag) bool {
	return t.Keys > 1 && (t.Bytes > r.Bytes/100 || t.Keys > r.Keys/100)
}

// ParseReport reads a Report from JSON. It refuses what is longer than MaxReport, and
// formats that it does not know.
func ParseReport(data []byte) (*Report, error) {
	if len(data) > MaxReport {
		return nil, fmt.Errorf("keyspace: a report of %d bytes; %d is the most", len(data), MaxReport)
	}
	r := new(Report)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("keyspace: %w", err)
	}
	if r.Format != reportFormat {
		return nil, fmt.Errorf("keyspace: a report of format %d; this build knows %d", r.Format, reportFormat)
	}
	return r, nil
}
