package snapstore

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/keyframe/keyframe/internal/resource"
)

// Stream names what the decoded bytes of a shard are.
type Stream string

const (
	RDB       Stream = "rdb"       // a Redis or Valkey dump
	Memcached Stream = "memcached" // a file of package itemfile
)

// Consistency says what instants the shards show.
type Consistency string

const (
	Instant  Consistency = "instant" // one instant for all shards
	PerShard Consistency = "shard"   // each shard its own; before format 4, of memcached, none

	NoInstant Consistency = "none" // of memcached: see Items; format 4
)

// Manifest is what a snapshot is: everything that a stranger needs to restore it without the database.
type Manifest struct {
	Format     int                   `json:"format"` // 1 or, with members or a consistency that it did not have, 2 to 4
	SnapshotID string                `json:"snapshot_id"`
	CaptureID  string                `json:"capture_id"`
	CopiedFrom string                `json:"copied_from,omitempty"` // ID of the snapshot that this is a copy of
	Kind       resource.Kind         `json:"kind"`
	Account    string                `json:"account"`
	Region     string                `json:"region"`
	Name       string                `json:"name"`
	Type       resource.SnapshotType `json:"type"`

	RequestedAt time.Time `json:"requested_at"`
	CapturedAt  time.Time `json:"captured_at"`         // the instant of the data
	ExpiresAt   time.Time `json:"expires_at,omitzero"` // automated snapshots only

	Engine        resource.Engine `json:"engine"`
	EngineVersion string          `json:"engine_version"` // of the binary that wrote the data
	RDBVersion    int             `json:"rdb_version,omitempty"`
	Stream        Stream          `json:"stream"`
	Consistency   Consistency     `json:"consistency"`
	Cut           *Cut            `json:"cut,omitempty"` // how several shards were cut; format 2

	Source resource.Cache `json:"source"` // the cache as it was; a reader ignores members that it does not know
	Tags   []resource.Tag `json:"tags,omitempty"`

	Key    WrappedKey    `json:"key"`
	Shards []Shard       `json:"shards"`
	Report *SealedReport `json:"report,omitempty"` // what the keys are and take; format 3

	body, mac []byte // as read
}

// Cut tells what it took to cut several shards.
type Cut struct {
	PauseMicros int64  `json:"pause_us"`         // for which clients' writes were held, on all shards
	ForkMicros  int64  `json:"fork_us"`          // of that the slowest shard's fork
	Tries       int    `json:"tries"`            // until it was had, or given up
	Reason      string `json:"reason,omitempty"` // why the shards do not show one instant, if they do not
}

// WrappedKey is the data key as the key service sealed it.
type WrappedKey struct {
	ARN     string            `json:"arn"`
	Default bool              `json:"default,omitempty"` // the service's default key was taken: APIs show no key then
	Context map[string]string `json:"context"`           // to be given when it is unwrapped
	Wrapped []byte            `json:"wrapped"`           // base64 in JSON
}

// Shard is the data of one shard.
type Shard struct {
	Name          string               `json:"name"`
	Slots         []resource.SlotRange `json:"slots,omitempty"`
	ReplicationID string               `json:"replication_id,omitempty"`
	Offset        int64                `json:"offset,omitempty"` // of replication, at the instant
	Keys          int64                `json:"keys"`
	Expiring      int64                `json:"expiring"` // of Keys
	Bytes         int64                `json:"bytes"`    // of the stream
	CRC64         string               `json:"crc64,omitempty"`
	Types         map[int]int64        `json:"types,omitempty"` // records by RDB type
	Functions     int                  `json:"functions,omitempty"`
	Databases     map[uint64]int64     `json:"databases,omitempty"` // keys by database number
	Node          string               `json:"node,omitempty"`      // name of the member that the data was taken from; format 2
	CutAt         time.Time            `json:"cut_at,omitzero"`     // when its engine forked; format 2
	Items         *Items               `json:"items,omitempty"`     // of a shard of memcached; format 3
	Parts         []Part               `json:"parts"`
}

// Items is what there is to say of the items of a memcached shard. They were read one after the other while clients went on, and show no
// instant.
type Items struct {
	Content  string    `json:"content"` // sum of the hashes of keys, flags and values, 32 hexadecimal digits
	Expiry   string    `json:"expiry"`  // sum of their expiries, each times what belongs to the item, 16 hexadecimal digits
	From     time.Time `json:"from"`    // between from and to the items were read
	To       time.Time `json:"to"`
	Vanished int64     `json:"vanished"` // items that were listed and not there any more when their turn came
	Changed  int64     `json:"changed"`  // items that were written between these moments, and are as they were then
}

// Part is one sealed object. Parts are numbered from 1 without gaps.
type Part struct {
	Number      int    `json:"number"`
	Codec       Codec  `json:"codec"`
	PlainBytes  int64  `json:"plain_bytes"`  // of the stream
	StoredBytes int64  `json:"stored_bytes"` // of the object
	SHA256      string `json:"sha256"`       // of the object, hexadecimal
}

// Scope is where the snapshot belongs.
func (m *Manifest) Scope() resource.Scope {
	return resource.Scope{Account: m.Account, Region: m.Region}
}

// Bytes is the size of all streams.
func (m *Manifest) Bytes() (n int64) {
	for i := range m.Shards {
		n += m.Shards[i].Bytes
	}
	return n
}

// StoredBytes is the size of all parts.
func (m *Manifest) StoredBytes() (n int64) {
	for i := range m.Shards {
		for _, p := range m.Shards[i].Parts {
			n += p.StoredBytes
		}
	}
	return n
}

// Keys is the number of keys of all shards.
func (m *Manifest) Keys() (n int64) {
	for i := range m.Shards {
		n += m.Shards[i].Keys
	}
	return n
}

// Shard finds a shard by name, or nil.
func (m *Manifest) Shard(name string) *Shard {
	for i := range m.Shards {
		if m.Shards[i].Name == name {
			return &m.Shards[i]
		}
	}
	return nil
}

// format is the oldest version that has all members of the manifest, and its consistency.
func (m *Manifest) format() int {
	if m.Consistency == NoInstant {
		return 4
	}
	if m.Report != nil || slices.ContainsFunc(m.Shards, func(s Shard) bool { return s.Items != nil }) {
		return 3
	}
	if m.Cut != nil || slices.ContainsFunc(m.Shards, func(s Shard) bool { return s.Node != "" || !s.CutAt.IsZero() }) {
		return 2
	}
	return 1
}

// check refuses what cannot be a snapshot. It runs before every write and after every read.
func (m *Manifest) check() error {
	if m.Format < m.format() || m.Format > FormatVersion {
		return fmt.Errorf("format %d, with members of format %d; this build knows %d", m.Format, m.format(), FormatVersion)
	}
	if err := errors.Join(checkID("snapshot", m.SnapshotID), checkID("capture", m.CaptureID)); err != nil {
		return err
	}
	other := Instant // than each shard its own
	if m.Stream == Memcached {
		other = NoInstant
	}
	if m.Consistency != PerShard && m.Consistency != other {
		return fmt.Errorf("consistency %q of the stream %q", m.Consistency, m.Stream)
	}
	if m.Stream == "" || m.Kind == "" || m.Engine == "" || m.Account == "" || m.Region == "" || m.Name == "" {
		return errors.New("stream, kind, engine, account, region or name is missing")
	}
	if len(m.Shards) == 0 || len(m.Shards) > maxShards {
		return fmt.Errorf("%d shards", len(m.Shards))
	}
	seen := map[string]bool{}
	for i := range m.Shards {
		s := &m.Shards[i]
		if seen[s.Name] {
			return fmt.Errorf("shard %q twice", s.Name)
		}
		seen[s.Name] = true
		if err := s.check(); err != nil {
			return fmt.Errorf("shard %q: %w", s.Name, err)
		}
		if (s.Items != nil) != (m.Stream == Memcached) {
			return fmt.Errorf("shard %q: items belong to the stream memcached, and this one is %s", s.Name, m.Stream)
		}
	}
	if m.Report != nil {
		if err := m.Report.check(m.Shards); err != nil {
			return err
		}
	}
	return m.checkSlots()
}

// checkSlots wants every slot exactly once. A stream without slots (Memcached, or one shard outside cluster mode) has none.
func (m *Manifest) checkSlots() error {
	var all []resource.SlotRange
	without := 0
	for i := range m.Shards {
		if len(m.Shards[i].Slots) == 0 {
			without++
		}
		all = append(all, m.Shards[i].Slots...)
		if len(all) > 16384 {
			return errors.New("more slot ranges than slots")
		}
	}
	if len(all) == 0 && (m.Stream != RDB || len(m.Shards) == 1) {
		return nil
	}
	slices.SortFunc(all, func(a, b resource.SlotRange) int { return a.Start - b.Start })
	next := 0
	for _, r := range all {
		if r.Start != next || r.End < r.Start {
			return fmt.Errorf("slots %d-%d after %d", r.Start, r.End, next-1)
		}
		next = r.End + 1
	}
	if next != 16384 {
		return fmt.Errorf("slots end at %d", next-1)
	}
	return nil
}

func (s *Shard) check() error {
	if !shardPattern.MatchString(s.Name) {
		return errors.New("not a shard name")
	}
	if s.Keys < 0 || s.Expiring < 0 || s.Expiring > s.Keys || s.Functions < 0 {
		return fmt.Errorf("%d keys, %d expiring, %d functions", s.Keys, s.Expiring, s.Functions)
	}
	if i := s.Items; i != nil && (!isHex(i.Content, 32) || !isHex(i.Expiry, 16) || i.Vanished < 0 || i.Changed < 0 || i.To.Before(i.From)) {
		return fmt.Errorf("items of content %.40q and expiry %.40q", i.Content, i.Expiry)
	}
	if len(s.Parts) == 0 || len(s.Parts) > maxParts {
		return fmt.Errorf("%d parts", len(s.Parts))
	}
	var sum int64
	for i, p := range s.Parts {
		_, known := codecBytes[p.Codec]
		switch {
		case p.Number != i+1:
			return fmt.Errorf("part %d where %d belongs", p.Number, i+1)
		case !known:
			return fmt.Errorf("part %d: codec %q", p.Number, p.Codec)
		case p.PlainBytes < 0, p.PlainBytes > partSize, p.PlainBytes == 0 && len(s.Parts) > 1:
			return fmt.Errorf("part %d: %d bytes of stream", p.Number, p.PlainBytes)
		case p.StoredBytes < minStored, p.StoredBytes > maxStored:
			return fmt.Errorf("part %d: %d stored bytes", p.Number, p.StoredBytes)
		case !isHex(p.SHA256, 64):
			return fmt.Errorf("part %d: no SHA-256", p.Number)
		}
		sum += p.PlainBytes
	}
	if sum != s.Bytes {
		return fmt.Errorf("%d bytes, its parts have %d", s.Bytes, sum)
	}
	return nil
}

func isHex(s string, digits int) bool {
	if len(s) != digits {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
