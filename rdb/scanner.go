package rdb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/rdb/packed"
)

// Options say what a Scanner does besides walking. The zero value walks,
// verifies and counts, as fast as it can.
type Options struct {
	// Tee receives exactly the file's bytes, magic through trailer, in large
	// pieces and in order. It has them all when Scan returns without an error, and
	// some prefix of them otherwise. It must not keep the slices, unless it is an
	// Exchanger.
	Tee io.Writer

	// Keys asks for the keys and cluster slots of records.
	Keys bool

	// NoSlots spares the slots that Keys asks for and nothing else needs.
	NoSlots bool

	// Slots, if not nil, are the only cluster slots that a record may belong to: a
	// SlotError ends the scan at the first other one. Keys are hashed for it, but
	// not kept, which is cheaper than Keys.
	Slots *SlotSet

	// Split, if not nil, receives the records.
	Split *Splitter

	// Deep verifies every value, not only its lengths: LZF, packed blobs, streams,
	// scores, and that the members of a collection differ, the first million and a
	// half of them from each other and from the rest; of the consumers of a group, half
	// as many. It refuses what an engine with sanitize-dump-payload refuses, and what
	// that does not see: scores that are no numbers, and streams that contradict
	// themselves.
	//
	// Memory holds one packed blob, compressed and not, as its bytes arrive, of at
	// most 1 GiB as in the engines, and up to 32 MiB to compare members.
	// Values that OnValue reads are checked only as far as reading does.
	Deep bool

	// OnRecord is called after each record was walked. Its error ends the scan and
	// is returned as it is.
	OnRecord func(*Record) error

	// OnValue is called when a record's key has been read and its value not yet,
	// with Record.Size 0. It may read the Value; what it leaves unread is skipped.
	// Its error ends the scan and is returned as it is. Records is the same as a loop.
	OnValue func(*Record, *Value) error

	// OnFunction is called for each function library with its source, from its "#!"
	// on, which is good until it returns. A source of more than 16 MiB is refused with
	// ErrUnsupported. Its error ends the scan and is returned as it is.
	OnFunction func(source []byte) error
}

// An Exchanger is a Tee that takes buffers over, so that their bytes need not be
// copied. Some bytes are written to it all the same, those at the end among them.
type Exchanger interface {
	io.Writer

	// Exchange takes over buf, whose first n bytes are the next of the file, and
	// returns a buffer to go on with, no shorter, which may be buf if its bytes are
	// done with. Those of buf must stay as they are until it is returned.
	Exchange(buf []byte, n int) ([]byte, error)
}

// A Lender is a source that lends its buffers, so that their bytes need not be
// copied. With Options.Deep or Split it is read like any other reader.
type Lender interface {
	io.Reader

	// Lend takes back the buffer that it lent before, and lends one whose bytes from
	// LendRoom on are the source's next, at least one of them. What is before may be
	// written to. Read goes on behind what was lent. An error comes with no buffer.
	Lend() ([]byte, error)
}

// LendRoom is what a Lender leaves free in front of its bytes.
const LendRoom = 4 << 10

// Record is one key with its value, as it lies in the file. The Scanner reuses
// it: nothing of it may be kept after OnRecord returns, and Key must not be written to.
type Record struct {
	Offset   int64  // of its first byte, counted from the magic
	Size     int64  // bytes, with the opcodes for expiry and access statistics that belong to it
	DB       uint64 // database
	Type     byte   // how the value is stored; see TypeName
	Key      []byte // the key's text; nil unless Options.Keys
	Slot     int    // cluster slot of the key; -1 unless Options.Keys or Options.Slots
	ExpireAt int64  // Unix time in milliseconds; 0 if it never expires
	Idle     int64  // seconds since the last use, from an engine that evicts by LRU; -1 if not told
	Freq     int    // counter of uses, 0 to 255, from an engine that evicts by LFU; -1 if not told

	// Elements is the number of elements in a list, set or sorted set, fields in a
	// hash, or entries in a stream, as the value itself says. -1 means that it is not
	// known without reading the value, and stands for strings and modules too. Before
	// the value is walked it is Value.Len.
	Elements int64

	// Value is set where the value can be read: in OnValue and in Records.
	Value *Value
}

// Scanner walks one RDB file. It must not be used by several goroutines at once.
type Scanner struct {
	src      io.Reader
	lender   Lender // src, if it is one
	tee      io.Writer
	keys     bool
	noSlots  bool
	slots    *SlotSet
	onRecord func(*Record) error
	onValue  func(*Record, *Value) error
	onLib    func([]byte) error

	buf               []byte
	pos, end, flushed int
	passed            int   // in the window: what is before has gone to tee
	base              int64 // offset in the file of buf[0]
	readErr           error
	crc               uint64
	omitting          bool // what is consumed does not go on, to tee or feed

	stage    stage
	op       byte // the opcode or type last read
	family   family
	version  int
	lowerTo  int       // version to which the file is being lowered; 0 if it is not
	ceiling  int       // nothing may pass that came with a later version; 0 is no bound
	older    [256]byte // by type: the type to write instead, or 0
	scanned  bool
	complete bool

	db, module        uint64
	slot              int // of the record's key; -1 if nobody asked
	split             *Splitter
	feed              *feeder // to split, while it is being scanned
	taken             int     // in the window: what is before has gone to feed
	holdMax           int     // bytes that feed may hold back
	dbKeys            int64
	expireAt, idle    int64
	freq              int
	elements          int64 // of the value being walked; -1 if not known
	value             Value
	tap               io.Writer // receives what is consumed from the window,
	tapped            int       // but for what is before
	tapErr            error
	deep              *deep // to verify values; nil if nobody asked
	key, packed       []byte
	fresh             []byte // of a value that is being rewritten
	ziplist           packed.ZiplistBuilder
	streamForm        int // to which a stream is being rewritten, or 0
	auxName, auxValue []byte
	modules           map[string]struct{}
	sum               *Summary
	record            Record
}

// NewScanner returns a Scanner that reads a file from r, which must stand at the
// magic, and may be a Lender.
func NewScanner(r io.Reader, o Options) *Scanner {
	return newScanner(r, o, windowSize)
}

func newScanner(r io.Reader, o Options, window int) *Scanner {
	lender, ok := r.(Lender)
	if ok = ok && !o.Deep && o.Split == nil; ok {
		window = 0
	} else {
		lender = nil // they look further ahead than LendRoom
	}
	return &Scanner{
		src: r, lender: lender, tee: o.Tee, keys: o.Keys, slots: o.Slots, split: o.Split, onRecord: o.OnRecord, onValue: o.OnValue, onLib: o.OnFunction,
		noSlots: o.NoSlots && o.Slots == nil && o.Split == nil, buf: make([]byte, window), slot: -1,
		sum:  &Summary{Databases: make(map[uint64]int64)},
		deep: newDeep(o.Deep),
	}
}

// Scan walks the file to its end and returns what it holds. It may be called
// once. It never waits for bytes behind the trailer, but may read ahead of it;
// see Rest.
//
// Errors match ErrCorrupt if they are about the bytes. Others come from the
// reader, from Tee, from an output of Split or from OnRecord, and wrap what those
// returned.
func (s *Scanner) Scan() (*Summary, error) {
	if s.scanned {
		return nil, errors.New("rdb: Scan called twice")
	}
	s.scanned = true
	if s.split != nil {
		feed, err := newFeeder(s.split)
		if err != nil {
			return nil, err
		}
		s.feed, s.ceiling = feed, s.split.version
	}
	err := s.scan()
	if s.feed != nil {
		err = s.feed.close(err)
	}
	if err != nil {
		return nil, err
	}
	s.complete = true
	return s.sum, nil
}

// Rest returns what follows the file: bytes that were read beyond its end, then
// the reader. Before a successful Scan it is empty.
func (s *Scanner) Rest() io.Reader {
	if !s.complete {
		return bytes.NewReader(nil)
	}
	ahead := bytes.NewReader(s.buf[s.pos:s.end])
	switch {
	case s.readErr == nil && s.pos == s.end:
		return s.src
	case s.readErr == nil:
		return io.MultiReader(ahead, s.src)
	case s.readErr == io.EOF:
		return ahead
	}
	return io.MultiReader(ahead, failing{s.readErr})
}

// failing delivers again an error that came along with the last bytes.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (s *Scanner) scan() error {
	s.stage = inHeader
	if s.lowerTo != 0 {
		s.omitting = true // Lower writes another one
	}
	if err := s.readHeader(); err != nil {
		return err
	}
	if s.lowerTo != 0 {
		if err := s.beginLowering(); err != nil {
			return err
		}
	}
	if err := s.readBody(); err != nil {
		return err
	}
	if err := s.flush(); err != nil {
		return err
	}
	if s.lowerTo != 0 {
		s.omitting = true
	}
	s.stage = inTrailer
	if err := s.readTrailer(); err != nil {
		return err
	}
	s.finish()
	return nil
}

// readBody consumes everything up to and including the end opcode.
func (s *Scanner) readBody() error {
	visible := s.feed == nil && s.deep == nil && s.onValue == nil && s.lowerTo == 0 && s.version >= checksumSince
	for {
		if visible {
			if err := s.passVisible(); err != nil {
				return err
			}
		}
		start := s.offset()
		s.expireAt, s.idle, s.freq = 0, -1, -1
		s.stage = inBody
		if err := s.need(1); err != nil {
			return err
		}
		if s.feed != nil {
			s.await()
		}
		s.op = s.buf[s.pos]
		s.pos++
		if s.op >= lowestOpcode && s.op < opExpireMillis && s.version < checksumSince {
			return s.corruptAt(start, "opcode %s in a file of version %d", opcodeName(s.op), s.version)
		}
		if s.op >= opIdle && s.op != opEOF {
			if err := s.readKeyOpcodes(); err != nil {
				return err
			}
		}
		var err error
		switch {
		case s.op < lowestOpcode:
			err = s.readRecord(start)
		case s.op == opEOF:
			return nil
		default:
			s.stage = inOpcode
			err = s.skipOpcode(start)
		}
		if err != nil {
			return err
		}
	}
}

func (s *Scanner) isKeyOpcode() bool {
	switch s.op {
	case opIdle, opFrequency, opExpireMillis, opExpireSeconds:
		return true
	}
	return false
}

// readKeyOpcodes consumes the opcodes in front of a key, if s.op is one, and
// leaves the key's type in s.op.
func (s *Scanner) readKeyOpcodes() error {
	described := false
	for s.isKeyOpcode() {
		described = true
		s.stage = inOpcode
		if err := s.readKeyOpcode(); err != nil {
			return err
		}
		s.stage = inBody
		if err := s.need(1); err != nil {
			return err
		}
		s.op = s.buf[s.pos]
		s.pos++
	}
	if described && s.op >= lowestOpcode {
		return s.corruptAt(s.offset()-1, "opcode %s where the key should be that the opcodes before describe", opcodeName(s.op))
	}
	return nil
}

// readRecord consumes a record from behind its type byte. start is where it
// began.
func (s *Scanner) readRecord(start int64) error {
	if s.sum.Types[s.op] == 0 {
		if err := s.admit(s.offset() - 1); err != nil {
			return err
		}
	}
	older := s.older[s.op]
	if older != 0 {
		if err := s.replaceType(older); err != nil {
			return err
		}
	}
	s.stage = inKey
	s.holdMax += MaxKey
	var err error
	switch {
	case s.keys:
		err = s.readKey()
		if !s.noSlots {
			s.slot = KeySlot(s.key)
		}
	case s.slots != nil || s.feed != nil:
		err = s.readSlot()
	default:
		err = s.skipKey()
	}
	if err != nil {
		return err
	}
	if s.slots != nil && !s.slots.Has(s.slot) {
		return &SlotError{Offset: start, Record: s.records() + 1, Slot: s.slot}
	}
	if s.feed != nil {
		if err := s.direct(start); err != nil {
			return err
		}
	}
	s.stage = inValue
	s.elements = -1
	switch {
	case older != 0:
		err = s.rewriteValue(older)
	case s.onValue != nil:
		err = s.offer(start)
	default:
		err = s.passValue()
	}
	if err != nil {
		return err
	}
	if s.feed != nil {
		if err := s.feed.end(s.buf[s.taken:s.pos], s.expireAt != 0); err != nil {
			return err
		}
		s.taken = s.pos
	}
	return s.counted(start)
}

// counted counts the record that was just walked, and tells OnRecord of it.
func (s *Scanner) counted(start int64) error {
	s.sum.Types[s.op]++
	s.dbKeys++
	if s.expireAt != 0 {
		s.sum.Expiring++
	}
	if s.onRecord == nil {
		return nil
	}
	return s.report(start)
}

// report tells OnRecord of the record that was just walked.
func (s *Scanner) report(start int64) error {
	s.describe(start)
	s.record.Size, s.record.Elements = s.offset()-start, s.elements
	return s.onRecord(&s.record)
}

// describe fills s.record with what is known before the value.
func (s *Scanner) describe(start int64) {
	// Field by field: a whole one would be built elsewhere and copied.
	r := &s.record
	r.Offset, r.Size, r.DB, r.Type, r.Slot = start, 0, s.db, s.op, s.slot
	r.ExpireAt, r.Idle, r.Freq = s.expireAt, s.idle, s.freq
	if s.keys {
		r.Key = s.key
	}
	if r.Value != nil {
		r.Value = nil
	}
}

// admit decides whether a type that was not met before can be walked. Shared
// types may be newer than the header says, as tools do that; but not in files
// without a checksum, or a damaged version digit could pass for one of those.
func (s *Scanner) admit(at int64) error {
	l := s.family.layout(s.op)
	switch {
	case l.name == "":
		return s.corruptAt(at, "type %d does not exist", s.op)
	case l.refused != "":
		return s.unsupportedAt(at, "type %d (%s): %s", s.op, l.name, l.refused)
	case l.since > s.version && (s.op >= typeFamilySpecific || s.version < checksumSince):
		return s.corruptAt(at, "type %d (%s) in a file of version %d", s.op, l.name, s.version)
	}
	other, since := byte(0), l.since
	if s.crosses() {
		if other, since = crossedType(s.op, s.target()); other == 0 {
			return fmt.Errorf("%w to %s version %d: %s at offset %d exists only in files of %s", ErrCannotLower, s.target(), s.ceiling, l.name, at, s.family)
		}
	} else if s.ceiling != 0 && since > s.ceiling {
		if older, ok := olderType(s.op, s.ceiling); ok {
			other, since = older, 0
		}
	}
	s.older[s.op] = other
	return s.lowerAllows(since, at, l.name)
}

// readTrailer consumes the checksum, if the version has one, and compares it.
func (s *Scanner) readTrailer() error {
	s.sum.Checksum = ChecksumAbsent
	if s.version < checksumSince {
		return nil
	}
	at := s.offset()
	if err := s.need(8); err != nil {
		return err
	}
	stored := binary.LittleEndian.Uint64(s.buf[s.pos:])
	s.pos += 8
	if stored != 0 {
		if stored != s.crc {
			return s.corruptAt(at, "the checksum is %016x, but that of the bytes is %016x", stored, s.crc)
		}
		s.sum.Checksum = ChecksumVerified
	}
	return s.flush()
}
