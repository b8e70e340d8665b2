package rdb

import (
	"encoding/binary"
	"strings"
)

// Where the bytes under the scanner belong.
const (
	nowhere   = -1 // they are left out
	undecided = -2 // they are held until a slot is known
)

// noDatabase is none that a key can be in.
const noDatabase = maxDatabaseIndex + 1

// longestSelect is how many bytes it takes to select any database.
const longestSelect = 6

// Bounds on what is held of one source.
const (
	maxOpcodes = 1 << 20  // bytes of opcodes before a key
	maxLibrary = 16 << 20 // bytes of a function library, or of what a module keeps beside the keys
)

// feeder takes the records of one source to the outputs of a Splitter. It
// collects them first: what reaches an output is large and made of whole records.
type feeder struct {
	to      *Splitter
	batches []batch // by output
	dest    int     // index of an output, nowhere or undecided
	held    []byte  // of what is undecided
	db      uint64  // of the last record, or noDatabase

	open      int  // bytes at the end of the batch that are of a record without end
	streaming bool // a record is larger than the batch: the output is ours until its end
}

// batch is what was collected for one output.
type batch struct {
	p              []byte
	from, db       uint64 // databases of its first and of its last record
	keys, expiring int64
}

func newFeeder(s *Splitter) (*feeder, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	return &feeder{to: s, batches: make([]batch, len(s.outs)), db: noDatabase}, nil
}

// more takes bytes that are not the last of what they belong to.
func (f *feeder) more(p []byte) error {
	if len(p) == 0 || f.dest == nowhere {
		return nil
	}
	if f.dest == undecided {
		f.held = append(f.held, p...)
		return nil
	}
	b := &f.batches[f.dest]
	if !f.streaming && len(b.p)+len(p) <= f.to.batch {
		b.p = append(b.p, p...)
		f.open += len(p)
		return nil
	}
	if !f.streaming {
		if err := f.lock(); err != nil {
			return err
		}
		f.streaming = true
		if err := f.drain(f.dest); err != nil {
			return err
		}
	}
	return f.to.outs[f.dest].write(p)
}

// decide sends what is held, and the rest of the record, to an output, behind
// what selects the record's database where that is not the one of its last.
func (f *feeder) decide(dest int, db uint64) error {
	f.dest = dest
	b := &f.batches[dest]
	switch {
	case len(b.p) == 0:
		b.from = db
	case b.db != db:
		b.p = appendLength(append(b.p, opSelectDB), db)
	}
	b.db = db
	p := f.held
	f.held = f.held[:0]
	err := f.more(p)
	if cap(f.held) > keepKey {
		f.held = nil
	}
	return err
}

// end takes the last bytes of a record.
func (f *feeder) end(p []byte, expiring bool) error {
	b := &f.batches[f.dest]
	b.keys++
	if expiring {
		b.expiring++
	}
	if !f.streaming && len(b.p)+len(p) <= f.to.batch {
		if b.p == nil {
			b.p = make([]byte, 0, f.to.batch+longestSelect)
		}
		b.p = append(b.p, p...)
		f.open = 0
		return nil
	}
	whole := f.open == 0 && !f.streaming && len(p) <= f.to.batch
	if !f.streaming {
		if err := f.lock(); err != nil {
			return err
		}
		f.streaming = true
		if err := f.drain(f.dest); err != nil {
			return err
		}
	}
	f.open = 0
	if whole {
		b.p = append(b.p, p...)
	} else if err := f.to.outs[f.dest].write(p); err != nil {
		return err
	}
	f.unlock()
	return nil
}

// lock takes the output of the record.
func (f *feeder) lock() error {
	out := f.to.outs[f.dest]
	out.mu.Lock()
	if err := f.to.failed(); err != nil {
		out.mu.Unlock()
		return err
	}
	return nil
}

func (f *feeder) unlock() {
	f.streaming = false
	f.to.outs[f.dest].mu.Unlock()
}

// drain writes what was collected for an output, which must be locked, and leaves
// it in the database of the record at hand.
func (f *feeder) drain(dest int) error {
	b, out := &f.batches[dest], f.to.outs[dest]
	out.Keys += b.keys
	out.Expiring += b.expiring
	b.keys, b.expiring = 0, 0
	if len(b.p) == 0 && !f.streaming {
		return nil
	}
	if err := out.selectDB(b.from); err != nil {
		return err
	}
	out.db, b.from = b.db, b.db
	if len(b.p) == 0 {
		return nil
	}
	err := out.write(b.p)
	b.p = b.p[:0]
	return err
}

// close ends the source: everything that was collected is written if it was
// sound, and given up otherwise.
func (f *feeder) close(err error) error {
	if f.streaming {
		f.unlock()
	}
	if err == nil {
		for f.dest = range f.batches {
			if err = f.lock(); err != nil {
				break
			}
			err = f.drain(f.dest)
			f.unlock()
			if err != nil {
				break
			}
		}
	}
	f.to.end(err)
	return err
}

// handOver passes on the consumed bytes of a record before the window moves.
func (s *Scanner) handOver() error {
	p := s.buf[s.taken:s.pos]
	s.taken = s.pos
	if s.omitting {
		return nil
	}
	if err := s.feed.more(p); err != nil {
		return err
	}
	if n := len(s.feed.held); n > s.holdMax {
		return s.unsupportedAt(s.offset(), "%d bytes before a value", n)
	}
	return nil
}

// direct finds the output of the record whose key was just read.
func (s *Scanner) direct(start int64) error {
	if f := s.feed; s.db != f.db {
		if !f.to.admitDB(s.db) {
			return s.unsupportedAt(start, "with database %d there are keys in more than %d databases", s.db, maxDatabases)
		}
		f.db = s.db
	}
	dest := int(s.feed.to.owner[s.slot]) - 1
	if dest < 0 {
		return &SlotError{Offset: start, Record: s.records() + 1, Slot: s.slot}
	}
	return s.feed.decide(dest, s.db)
}

// await holds what comes from the next byte on until it is decided about.
func (s *Scanner) await() {
	s.taken, s.feed.dest, s.holdMax = s.pos, undecided, maxOpcodes
}

// crosses tells whether the new file is one of the other family, which gives the
// type another meaning.
func (s *Scanner) crosses() bool {
	if s.op < typeFamilySpecific || s.ceiling == 0 {
		return false
	}
	return s.family != s.target()
}

// target is the family of the new file.
func (s *Scanner) target() family {
	if s.feed != nil {
		return s.feed.to.target
	}
	return redis
}

// readLibrary reads a function library, tells OnFunction of it, and sends it to
// every output.
func (s *Scanner) readLibrary() error {
	start := s.offset()
	head, err := s.readStringHead()
	if err != nil {
		return err
	}
	if n := max(head.stored, head.length); n > maxLibrary {
		return s.unsupportedAt(start, "a function library of %d bytes is longer than %d", n, maxLibrary)
	}
	text, err := s.readText(nil, head, start)
	if err != nil {
		return err
	}
	if s.deep != nil {
		if err := s.verifyFirstLine(text[:min(len(text), libraryLine)], start); err != nil {
			return err
		}
	}
	if s.onLib != nil {
		if err := s.onLib(text); err != nil {
			return err
		}
	}
	if s.feed == nil {
		return nil
	}
	p := binary.BigEndian.AppendUint32([]byte{opFunction, length32}, uint32(len(text)))
	return s.place(start, "function library "+libraryName(text), append(p, text...), 1)
}

// place sends what was read from start on to every output.
func (s *Scanner) place(start int64, name string, p []byte, libraries int) error {
	err := s.feed.to.everywhere(name, p, libraries)
	if err == errPlaced {
		err = s.unsupportedAt(start, "%v", err)
	}
	return err
}

// libraryName is the name in the first line of a library, as in "#!lua
// name=mylib", or that line if it has none.
func libraryName(text []byte) string {
	line, _, _ := strings.Cut(string(text[:min(len(text), auxLimit)]), "\n")
	for _, word := range strings.Fields(line) {
		if name, ok := strings.CutPrefix(word, "name="); ok {
			return name
		}
	}
	return line
}

// placeModuleAux sends what a module keeps beside the keys to every output.
func (s *Scanner) placeModuleAux() error {
	start := s.offset() - 1
	s.holdMax += maxLibrary
	if err := s.skipModuleAux(); err != nil {
		return err
	}
	if err := s.handOver(); err != nil {
		return err
	}
	p := s.feed.held
	s.feed.held, s.feed.dest = nil, nowhere
	return s.place(start, "", p, 0)
}
