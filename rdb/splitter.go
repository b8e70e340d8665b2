package rdb

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// SplitOptions say what files a Splitter writes.
type SplitOptions struct {
	// Version of the files: 9 to 12 under the REDIS magic, or 80 under VALKEY. Records
	// that came with a later version are rewritten, as Lower does it, where an older
	// type holds the same, and refused with ErrCannotLower where none does; those of
	// earlier ones are part of every later one. Hashes whose fields expire are
	// rewritten for the other family.
	Version int

	// Modules lets the data of modules pass: their keys like others, and what they
	// keep beside the keys to every file. It is refused with ErrUnsupported otherwise.
	Modules bool
}

// Output is one file that a Splitter writes.
type Output struct {
	// W receives the file in pieces of many records, from one goroutine at a time. It
	// must not keep the slices.
	W io.Writer

	// Slots are those whose records go here.
	Slots SlotSet
}

// Written is what a Splitter wrote to one output.
type Written struct {
	Keys      int64
	Expiring  int64 // of Keys
	Functions int   // libraries
	Bytes     int64 // from the magic through the trailer
	CRC       uint64
}

// Splitter writes new files out of the records of others, each record, as the
// bytes that it is, to the output that has its slot. The sources are scanned with
// Options.Split, one after the other or at the same time, each once:
//
//	splitter, err := rdb.NewSplitter(rdb.SplitOptions{Version: 11}, left, right)
//	...
//	for _, source := range sources {
//		summary, err := rdb.NewScanner(source, rdb.Options{Split: splitter}).Scan()
//		...
//	}
//	written, err := splitter.Close()
//
// One output makes one file out of many. Values are not decoded, unless an older
// version needs them in another form, and memory does not grow with them: a source
// takes some 2 MiB, or 4 KiB for each output if that is more, and one key, one packed
// blob or the first few MiB of a hash that are rewritten, or one function library or
// what one module keeps beside the keys, of at most 16 MiB, twice. Of these two, 4096
// different ones pass; a file with more is refused with ErrUnsupported, as are keys in
// more than 65536 databases together.
//
// Every output is a file of its own: header, records, end, checksum. Each record stays
// in its database. Function libraries go to all of them, each once. What only described
// a source is left out: fields about its writer, sizes, slot hints, migrations under way.
//
// A key must not be in two sources in the same database: engines refuse files with
// such keys. Sources with disjoint Options.Slots cannot have any.
type Splitter struct {
	target  family
	version int
	modules bool
	outs    []*output
	owner   [Slots]uint16 // output of each slot, from 1; 0 is none
	batch   int           // bytes that a source collects for an output before it writes them

	failure atomic.Pointer[error] // the first; there will be no files

	mu        sync.Mutex
	closed    bool
	active    int                          // sources being scanned
	placed    map[string][sha256.Size]byte // what went to every output, by name
	databases map[uint64]struct{}          // with keys
}

// maxPlaced bounds what goes to every output: function libraries, and what
// modules keep beside the keys.
const maxPlaced = 4096

var errPlaced = fmt.Errorf("with it there are more than %d different function libraries and data of modules beside the keys", maxPlaced)

// output is a file being written. Who holds mu may write whole records.
type output struct {
	mu sync.Mutex
	summing
	index int
	db    uint64 // that is selected at its end
	Written
}

// batchBudget is what a source may hold back for all outputs together.
const batchBudget = 2 << 20

// Bounds of what is held back for one output.
const (
	smallestBatch = 4 << 10
	largestBatch  = 128 << 10
)

// NewSplitter begins a file on each output. No slot may have two of them.
func NewSplitter(o SplitOptions, outputs ...Output) (*Splitter, error) {
	s := &Splitter{version: o.Version, modules: o.Modules, placed: make(map[string][sha256.Size]byte), databases: make(map[uint64]struct{})}
	header := fmt.Sprintf("%s%04d", FamilyRedis, o.Version)
	switch {
	case o.Version == onlyValkey:
		s.target = valkey
		header = fmt.Sprintf("%s%03d", FamilyValkey, o.Version)
	case o.Version < lowestTarget || o.Version > newestRedis:
		return nil, fmt.Errorf("rdb: files of version %d cannot be written: only %d to %d and %d", o.Version, lowestTarget, newestRedis, onlyValkey)
	}
	if len(outputs) == 0 || len(outputs) > Slots {
		return nil, fmt.Errorf("rdb: %d outputs for %d slots", len(outputs), Slots)
	}
	for i := range outputs {
		for slot := range s.owner {
			if !outputs[i].Slots.Has(slot) {
				continue
			}
			if s.owner[slot] != 0 {
				return nil, fmt.Errorf("rdb: slot %d has two outputs, %d and %d", slot, s.owner[slot]-1, i)
			}
			s.owner[slot] = uint16(i + 1)
		}
		s.outs = append(s.outs, &output{summing: summing{w: outputs[i].W}, index: i})
	}
	s.batch = min(max(batchBudget/len(outputs), smallestBatch), largestBatch)
	// The width of pointers is all that a reader could want to know of us.
	header += string([]byte{opAux, 10}) + "redis-bits" + string([]byte{stringInt8, 64, opSelectDB, 0})
	for _, out := range s.outs {
		if err := out.write([]byte(header)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close ends the files and tells what is in each. It fails, and the files remain
// without an end, if any source or output did, or if a source is still being
// scanned.
func (s *Splitter) Close() ([]Written, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("rdb: Splitter closed twice")
	}
	s.closed = true
	if s.active > 0 {
		s.fail(fmt.Errorf("rdb: Splitter closed while %d sources are being scanned", s.active))
	}
	if err := s.failed(); err != nil {
		return nil, err
	}
	var all []Written
	for _, out := range s.outs {
		if err := out.write([]byte{opEOF}); err != nil {
			return nil, err
		}
		out.CRC = out.crc
		if err := out.write(binary.LittleEndian.AppendUint64(nil, out.crc)); err != nil {
			return nil, err
		}
		out.Bytes = out.n
		all = append(all, out.Written)
	}
	return all, nil
}

// fail keeps the first error: a file that lacks something must not get an end.
func (s *Splitter) fail(err error) { s.failure.CompareAndSwap(nil, &err) }

func (s *Splitter) failed() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// begin admits a source.
func (s *Splitter) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("rdb: Splitter is closed")
	}
	if err := s.failed(); err != nil {
		return err
	}
	s.active++
	return nil
}

// end takes leave of a source.
func (s *Splitter) end(err error) {
	if err != nil {
		s.fail(err)
	}
	s.mu.Lock()
	s.active--
	s.mu.Unlock()
}

// everywhere writes p to every output, unless the same was written before. What
// has a name must be the same in all sources.
func (s *Splitter) everywhere(name string, p []byte, libraries int) error {
	sum := sha256.Sum256(p)
	if name == "" {
		name = string(sum[:])
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if before, ok := s.placed[name]; ok {
		if before != sum {
			return fmt.Errorf("rdb: the sources have different versions of %s", name)
		}
		return nil
	}
	if len(s.placed) == maxPlaced {
		return errPlaced
	}
	s.placed[name] = sum
	for _, out := range s.outs {
		out.mu.Lock()
		err := s.failed()
		if err == nil {
			err = out.write(p)
		}
		out.Functions += libraries
		out.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// admitDB tells whether a database is not one more than a file may have.
func (s *Splitter) admitDB(db uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.databases[db] = struct{}{}
	return len(s.databases) <= maxDatabases
}

// selectDB makes a database the one of what is written next.
func (o *output) selectDB(db uint64) error {
	if o.db == db {
		return nil
	}
	o.db = db
	return o.write(appendLength([]byte{opSelectDB}, db))
}

func (o *output) write(p []byte) error {
	n, err := o.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return &OutputError{Output: o.index, Err: err}
	}
	return nil
}

// OutputError says which output of a Splitter could not be written.
type OutputError struct {
	Output int // from 0, in the order of NewSplitter
	Err    error
}

func (e *OutputError) Error() string { return fmt.Sprintf("rdb: write output %d: %v", e.Output, e.Err) }

// Unwrap returns what W did.
func (e *OutputError) Unwrap() error { return e.Err }
