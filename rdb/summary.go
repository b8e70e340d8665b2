package rdb

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

// Checksum says what is known about a file's checksum.
type Checksum string

const (
	// ChecksumVerified: the trailer holds the checksum of the bytes.
	ChecksumVerified Checksum = "verified"
	// ChecksumAbsent: the writer made none (rdbchecksum no, or a version before 5).
	ChecksumAbsent Checksum = "absent"
)

// Summary is what a whole file holds.
type Summary struct {
	Version   int    // 1 to 12 under REDIS, 80 under VALKEY
	Family    string // FamilyRedis or FamilyValkey
	Bytes     int64  // from the magic through the trailer
	CRC       uint64 // of everything before the trailer, computed even if the file holds none
	Checksum  Checksum
	Keys      int64
	Expiring  int64            // keys that carry an expiry, passed or not
	Databases map[uint64]int64 // keys of each database that has any
	Types     [256]int64       // keys by type byte; see TypeName
	Functions int              // function libraries
	EmptyKeys int64            // collections without elements, which engines leave out when they load; counted only by Options.Deep
	Modules   []string         // names of the modules whose data is in the file, sorted

	SlotInfos   int64 // per-slot size hints (opcode 244)
	SlotImports int64 // slot migrations under way (opcode 243 of Valkey)

	Aux Aux
}

// Aux is what the writer says about itself, in fields that a reader may ignore.
// What the file does not say, or says unintelligibly, is zero.
type Aux struct {
	Engine        string // "redis" or "valkey"
	EngineVersion string // such as "8.0.1"
	Bits          int    // 32 or 64
	CreatedAt     time.Time
	UsedMemory    int64  // bytes
	ReplID        string // 40 hexadecimal digits: the history of writes the file belongs to,
	ReplOffset    int64  // the point in it,
	ReplDB        int64  // and the database selected there; all three only if ReplID is not empty
	AOFBase       bool   // the file is the base of an append-only file
}

// Aux returns what the file has said about itself so far. Writers say it before
// the first record, so it is complete when OnRecord or OnValue is called.
func (s *Scanner) Aux() Aux { return s.sum.Aux }

// auxLimit is the most that is read of a field's name or value.
const auxLimit = 256

// readAux consumes an auxiliary field.
func (s *Scanner) readAux() error {
	name, err := s.readPrefix(s.auxName, auxLimit)
	if err != nil {
		return err
	}
	s.auxName = name
	value, err := s.readPrefix(s.auxValue, auxLimit)
	if err != nil {
		return err
	}
	s.auxValue = value
	s.sum.Aux.set(name, value)
	return nil
}

func (a *Aux) set(name, value []byte) {
	switch string(name) {
	case "redis-ver":
		a.Engine, a.EngineVersion = "redis", string(value)
	case "valkey-ver":
		a.Engine, a.EngineVersion = "valkey", string(value)
	case "redis-bits":
		a.Bits = int(number(value))
	case "ctime":
		if n := number(value); n > 0 {
			a.CreatedAt = time.Unix(n, 0).UTC()
		}
	case "used-mem":
		a.UsedMemory = number(value)
	case "repl-id":
		a.ReplID = string(value)
	case "repl-offset":
		a.ReplOffset = number(value)
	case "repl-stream-db":
		a.ReplDB = number(value)
	case "aof-base", "aof-preamble":
		a.AOFBase = number(value) != 0
	}
}

// number is 0 for anything that is none, as the engines have it.
func number(p []byte) int64 {
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// finish completes the summary at the end of the file.
func (s *Scanner) finish() {
	s.countDB()
	s.sum.Family, s.sum.Version = s.family.String(), s.version
	s.sum.Bytes, s.sum.CRC = s.offset(), s.crc
	s.sum.Keys = s.records()
	s.sum.Modules = slices.Sorted(maps.Keys(s.modules))
}

// records counts those that were walked.
func (s *Scanner) records() (n int64) {
	for _, k := range s.sum.Types {
		n += k
	}
	return n
}
