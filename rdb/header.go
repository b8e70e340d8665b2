package rdb

import (
	"bytes"
	"strconv"
)

// Families of RDB files, by their magic.
const (
	FamilyRedis  = "REDIS"
	FamilyValkey = "VALKEY"
)

// headerSize is the length of magic and version together, in either family.
const headerSize = 9

// Versions this package reads, and where the checksum began.
const (
	newestRedis   = 12
	onlyValkey    = 80
	checksumSince = 5
)

// family decides what types from 22 and opcodes 242 and 243 mean.
type family byte

const (
	redis family = iota
	valkey
)

func (f family) String() string {
	if f == valkey {
		return FamilyValkey
	}
	return FamilyRedis
}

// readHeader consumes the magic and the version.
func (s *Scanner) readHeader() error {
	// The compressed envelope is shorter than a header: look before asking for more.
	if err := s.need(3); err != nil {
		return err
	}
	if bytes.HasPrefix(s.buf[s.pos:s.end], []byte("VCS")) {
		return s.unsupportedAt(0, "a compressed envelope (VCS); save with rdbcompression yes or no")
	}
	if err := s.need(headerSize); err != nil {
		return err
	}
	head := s.buf[s.pos : s.pos+headerSize]
	var digits []byte
	if rest, ok := bytes.CutPrefix(head, []byte(FamilyRedis)); ok {
		digits = rest
	} else if rest, ok := bytes.CutPrefix(head, []byte(FamilyValkey)); ok {
		s.family, digits = valkey, rest
	} else {
		return s.corruptAt(0, "%q is not the start of an RDB file", head)
	}
	version, err := strconv.ParseUint(string(digits), 10, 16)
	if err != nil || version == 0 {
		return s.corruptAt(int64(headerSize-len(digits)), "%q is not a version", digits)
	}
	s.version = int(version)
	if s.family == redis && s.version > newestRedis {
		return s.unsupportedAt(5, "REDIS version %d; versions 1 to %d are read", version, newestRedis)
	}
	if s.family == valkey && s.version != onlyValkey {
		return s.unsupportedAt(6, "VALKEY version %d; only version %d is read", version, onlyValkey)
	}
	s.pos += headerSize
	return nil
}
