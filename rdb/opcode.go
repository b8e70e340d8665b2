package rdb

import (
	"encoding/binary"
	"math"
)

// Bytes in the place of a type that start something else. Those below
// opSlotInfo mean different things in the two families.
const (
	lowestOpcode    = 242
	opSlotImport    = 243 // Valkey only
	opSlotInfo      = 244
	opFunction      = 245
	opFunctionPreGA = 246
	opModuleAux     = 247
	opIdle          = 248
	opFrequency     = 249
	opAux           = 250
	opResizeDB      = 251
	opExpireMillis  = 252
	opExpireSeconds = 253
	opSelectDB      = 254
	opEOF           = 255
)

func opcodeName(op byte) string {
	switch op {
	case opSlotImport:
		return "243 (slot import)"
	case opSlotInfo:
		return "244 (slot info)"
	case opFunction:
		return "245 (function library)"
	case opFunctionPreGA:
		return "246 (function of release candidates)"
	case opModuleAux:
		return "247 (module data)"
	case opIdle:
		return "248 (idle time)"
	case opFrequency:
		return "249 (access frequency)"
	case opAux:
		return "250 (auxiliary field)"
	case opResizeDB:
		return "251 (database size)"
	case opExpireMillis:
		return "252 (expiry in ms)"
	case opExpireSeconds:
		return "253 (expiry in s)"
	case opSelectDB:
		return "254 (select database)"
	case opEOF:
		return "255 (end)"
	}
	return "242 (template or update)"
}

// Bounds on databases, far above what engines allow.
const (
	maxDatabases     = 1 << 16 // distinct ones in one file
	maxDatabaseIndex = 1<<31 - 1
)

// skipOpcode consumes what follows the opcode in s.op, at start, when it belongs
// to no key.
func (s *Scanner) skipOpcode(start int64) error {
	if s.feed != nil && s.op != opModuleAux {
		s.feed.dest = nowhere
	}
	switch s.op {
	case opSelectDB:
		db, err := s.readLength()
		if err != nil {
			return err
		}
		return s.selectDB(db)
	case opResizeDB:
		return s.skipLengths(2)
	case opAux:
		return s.readAux()
	case opFunction:
		s.sum.Functions++
		if err := s.lowerAllows(10, start, "a function library"); err != nil {
			return err
		}
		if s.deep != nil && s.feed == nil && s.onLib == nil {
			return s.verifyLibrary()
		}
		if s.feed != nil || s.onLib != nil {
			return s.readLibrary()
		}
		return s.skipString()
	case opModuleAux:
		if s.feed != nil {
			return s.placeModuleAux()
		}
		return s.skipModuleAux()
	case opSlotInfo:
		return s.skipSlotInfo(start)
	case opSlotImport:
		if s.family == valkey {
			return s.skipSlotImport(start)
		}
	}
	return s.unsupportedAt(start, "%s", notVerified)
}

// skipSlotInfo consumes slot, keys and expiries: hints that only engines from
// version 12 know, so that they do not survive lowering.
func (s *Scanner) skipSlotInfo(start int64) error {
	s.sum.SlotInfos++
	if s.lowerTo == 0 || s.lowerTo >= 12 {
		return s.skipLengths(3)
	}
	s.pos-- // the opcode goes too
	return s.leaveOut(func() error {
		s.pos++
		return s.skipLengths(3)
	})
}

// skipSlotImport consumes the slot ranges of a migration that was under way.
func (s *Scanner) skipSlotImport(start int64) error {
	s.sum.SlotImports++
	if s.feed == nil { // or it is left out
		if err := s.lowerAllows(onlyValkey, start, "a slot import"); err != nil {
			return err
		}
	}
	if err := s.skipString(); err != nil {
		return err
	}
	ranges, err := s.readLength()
	if err != nil {
		return err
	}
	for ; ranges > 0; ranges-- {
		if err := s.skipLengths(2); err != nil {
			return err
		}
	}
	return nil
}

// readKeyOpcode consumes an opcode that describes the key to come.
func (s *Scanner) readKeyOpcode() error {
	switch s.op {
	case opExpireMillis:
		if err := s.need(8); err != nil {
			return err
		}
		s.setExpiry(int64(binary.LittleEndian.Uint64(s.buf[s.pos:])))
		s.pos += 8
		return nil
	case opExpireSeconds:
		if err := s.need(4); err != nil {
			return err
		}
		s.setExpiry(int64(int32(binary.LittleEndian.Uint32(s.buf[s.pos:]))) * 1000)
		s.pos += 4
		return nil
	case opFrequency:
		if err := s.need(1); err != nil {
			return err
		}
		s.freq = int(s.buf[s.pos])
		s.pos++
		return nil
	default: // opIdle
		idle, err := s.readLength()
		s.idle = int64(min(idle, math.MaxInt64))
		return err
	}
}

func (s *Scanner) setExpiry(ms int64) { s.expireAt = notZero(ms) }

// notZero keeps 0 free to mean that something never expires: the first instant
// of 1970 has passed just as well a millisecond later.
func notZero(ms int64) int64 {
	if ms == 0 {
		return 1
	}
	return ms
}

// selectDB closes the count of one database and opens another.
func (s *Scanner) selectDB(db uint64) error {
	if db > maxDatabaseIndex {
		return s.corrupt("database %d cannot exist", db)
	}
	s.countDB()
	if len(s.sum.Databases) > maxDatabases {
		return s.corrupt("keys in more than %d databases", maxDatabases)
	}
	s.db = db
	return nil
}

func (s *Scanner) countDB() {
	if s.dbKeys > 0 {
		s.sum.Databases[s.db] += s.dbKeys
		s.dbKeys = 0
	}
}
