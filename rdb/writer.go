package rdb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
)

// WriterOptions say what a Writer writes.
type WriterOptions struct {
	// Version of the file: 9 to 12 under the REDIS magic, or 80 under VALKEY. What
	// it does not have is refused with ErrCannotLower.
	Version int

	// Unpacked writes collections element by element, never as packed blobs. That is
	// larger, and every engine packs what it loads by its own configuration anyway.
	Unpacked bool

	// Uncompressed writes no LZF.
	Uncompressed bool
}

// encoder returns an encoder for values, or an error if there is no such version.
func (o WriterOptions) encoder() (encoder, error) {
	e := encoder{version: o.Version, unpacked: o.Unpacked, uncompressed: o.Uncompressed}
	switch {
	case o.Version == onlyValkey:
		e.family = valkey
	case o.Version < lowestTarget || o.Version > newestRedis:
		return e, fmt.Errorf("rdb: files of version %d cannot be written: only %d to %d and %d", o.Version, lowestTarget, newestRedis, onlyValkey)
	}
	return e, nil
}

// Meta is what a record says of its key besides the value.
type Meta struct {
	Key      []byte
	ExpireAt int64 // Unix time in milliseconds; 0 if it never expires

	HasIdle bool
	Idle    int64 // seconds since the last use, for engines that evict by LRU; written if HasIdle
	HasFreq bool
	Freq    int // counter of uses, 0 to 255, for engines that evict by LFU; written if HasFreq
}

// Meta returns what a Writer needs of a record that was read. Its key is that of
// the record, and as short-lived.
func (r *Record) Meta() Meta {
	return Meta{Key: r.Key, ExpireAt: r.ExpireAt, HasIdle: r.Idle >= 0, Idle: max(r.Idle, 0), HasFreq: r.Freq >= 0, Freq: max(r.Freq, 0)}
}

// Writer writes one RDB file. Fields about the writer come first, then function
// libraries, then the records of each database, then Close.
//
//	w, err := rdb.NewWriter(f, rdb.WriterOptions{Version: 11})
//	...
//	err = w.Write(rdb.Meta{Key: []byte("greeting")}, rdb.String("hello"))
//	...
//	written, err := w.Close()
//
// A method that refuses what it is given leaves the file as it was. After any
// other error the file is lost: all methods return that error then, and so does
// Close. No key may be written twice into a database: engines refuse such files,
// and a Writer does not remember keys.
//
// A Writer collects some 64 KiB before it writes, and must not be used by several
// goroutines at once.
type Writer struct {
	enc      encoder
	out      summing
	selected bool
	lost     error
	closed   bool
	written  Written
}

// NewWriter begins a file on w.
func NewWriter(w io.Writer, o WriterOptions) (*Writer, error) {
	enc, err := o.encoder()
	if err != nil {
		return nil, err
	}
	header := fmt.Sprintf("%s%04d", FamilyRedis, o.Version)
	if enc.family == valkey {
		header = fmt.Sprintf("%s%03d", FamilyValkey, o.Version)
	}
	nw := &Writer{enc: enc, out: summing{w: w}}
	nw.enc.out = &nw.out
	nw.enc.b = append(make([]byte, 0, pieces+4<<10), header...)
	return nw, nil
}

// usable returns why nothing more can be written.
func (w *Writer) usable() error {
	if w.closed && w.lost == nil {
		return errors.New("rdb: Writer is closed")
	}
	return w.lost
}

// settle ends a method: what was begun must come to its end.
func (w *Writer) settle(err error) error {
	w.enc.spill()
	if err == nil && w.enc.err != nil {
		err = fmt.Errorf("rdb: write: %w", w.enc.err)
	}
	w.lost = err
	return err
}

// Aux writes a field about the writer, which readers may ignore: "redis-ver",
// "ctime" and so on.
func (w *Writer) Aux(name, value string) error {
	if err := w.usable(); err != nil {
		return err
	}
	w.enc.b = append(w.enc.b, opAux)
	w.enc.text([]byte(name))
	w.enc.text([]byte(value))
	return w.settle(nil)
}

// Function writes the source of a function library, from its "#!" on.
func (w *Writer) Function(source []byte) error {
	if err := w.usable(); err != nil {
		return err
	}
	if w.enc.version < 10 {
		return fmt.Errorf("%w to version %d: a function library needs version 10", ErrCannotLower, w.enc.version)
	}
	w.enc.b = append(w.enc.b, opFunction)
	w.enc.text(source)
	w.written.Functions++
	return w.settle(nil)
}

// Select goes on in another database. keys and expiring are how many records
// will come, and how many of them expire: if keys is not 0, they are written as
// the hints by which engines size their tables. Records before any Select go to
// database 0.
func (w *Writer) Select(db, keys, expiring uint64) error {
	if err := w.usable(); err != nil {
		return err
	}
	if db > maxDatabaseIndex {
		return fmt.Errorf("rdb: database %d cannot exist", db)
	}
	w.selected = true
	w.enc.b = append(w.enc.b, opSelectDB)
	w.enc.length(db)
	if keys > 0 {
		w.enc.b = append(w.enc.b, opResizeDB)
		w.enc.lengths(keys, expiring)
	}
	return w.settle(nil)
}

// check refuses records that cannot be read back.
func (w *Writer) check(m Meta) error {
	switch {
	case len(m.Key) > MaxKey:
		return fmt.Errorf("rdb: a key of %d bytes is longer than %d", len(m.Key), MaxKey)
	case m.HasIdle && m.Idle < 0:
		return fmt.Errorf("rdb: key %.60q cannot have been idle for %d seconds", m.Key, m.Idle)
	case m.HasFreq && (m.Freq < 0 || m.Freq > math.MaxUint8):
		return fmt.Errorf("rdb: key %.60q cannot have the access frequency %d", m.Key, m.Freq)
	}
	return w.usable()
}

// begin writes a record up to its value.
func (w *Writer) begin(m Meta, t byte) {
	e := &w.enc
	if !w.selected {
		w.selected = true
		e.b = append(e.b, opSelectDB, 0)
	}
	if m.ExpireAt != 0 {
		e.b = append(e.b, opExpireMillis)
		e.fixed64(uint64(m.ExpireAt))
		w.written.Expiring++
	}
	if m.HasIdle {
		e.b = append(e.b, opIdle)
		e.length(uint64(m.Idle))
	}
	if m.HasFreq {
		e.b = append(e.b, opFrequency, byte(m.Freq))
	}
	e.b = append(e.b, t)
	e.text(m.Key)
	w.written.Keys++
}

// Close ends the file and tells what is in it. It does not close what it was
// written to.
func (w *Writer) Close() (Written, error) {
	if err := w.usable(); err != nil {
		w.closed = true
		return Written{}, err
	}
	w.closed = true
	w.enc.b = append(w.enc.b, opEOF)
	w.enc.flush()
	w.written.CRC = w.out.crc
	w.enc.b = binary.LittleEndian.AppendUint64(w.enc.b, w.out.crc)
	w.enc.flush()
	if err := w.settle(nil); err != nil {
		return Written{}, err
	}
	w.written.Bytes = w.out.n
	return w.written, nil
}
