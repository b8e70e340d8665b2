package keyspace

import (
	"io"
	"runtime"

	"github.com/keyframe/keyframe/rdb"
)

// Scan reads an RDB file and reports what is in it, and the summary of the file.
// The file is verified as rdb.Scanner does it, and errors are those of
// rdb.Scanner.Scan. A second processor is used if there is one.
func Scan(r io.Reader, o Options) (*Report, *rdb.Summary, error) {
	c, s, err := Collect(r, o)
	if err != nil {
		return nil, nil, err
	}
	return c.Report(s.Summary()), s.Summary(), nil
}

// Collect is Scan for one of several files, whose Collectors merge. The scanner
// that it returns has come to the end of the file: it has the summary and the rest.
func Collect(r io.Reader, o Options) (*Collector, *rdb.Scanner, error) {
	var c *Collector
	var s *rdb.Scanner
	begin := func() {
		if o.At.IsZero() {
			o.At = s.Aux().CreatedAt
		}
		c = NewCollector(o)
	}
	if runtime.GOMAXPROCS(0) == 1 {
		s = rdb.NewScanner(r, rdb.Options{Keys: true, NoSlots: !o.Slots, OnRecord: func(rec *rdb.Record) error {
			if c == nil {
				begin()
			}
			return c.Add(rec)
		}})
		_, err := s.Scan()
		if c == nil {
			begin()
		}
		return c, s, err
	}
	if o.ReadAhead || ends(r) {
		a := readAhead(r)
		defer a.stop()
		r = a
	}
	w := newBatches()
	s = rdb.NewScanner(r, rdb.Options{Keys: true, NoSlots: !o.Slots, OnRecord: func(rec *rdb.Record) error {
		if c == nil {
			begin()
			go w.count(c)
		}
		w.add(rec)
		return nil
	}})
	_, err := s.Scan()
	if c == nil {
		begin()
	} else {
		w.end()
	}
	return c, s, err
}

// Records travel to the goroutine that counts them in batches of so many, or of so
// many bytes of keys.
const (
	batchRecords = 512
	batchKeys    = 64 << 10
)

// batch is a number of records with copies of the beginnings of their keys.
type batch struct {
	records []rdb.Record // without keys, which may be of any size
	lengths []int        // of the keys
	ends    []int        // of what is in keys of each
	keys    []byte
}

// batches take records from the goroutine that scans to the one that counts.
type batches struct {
	cur        *batch
	full, free chan *batch
	done       chan struct{}
}

func newBatches() *batches {
	w := &batches{full: make(chan *batch, 4), free: make(chan *batch, 4), done: make(chan struct{})}
	for range cap(w.free) {
		w.free <- &batch{records: make([]rdb.Record, 0, batchRecords), lengths: make([]int, 0, batchRecords), ends: make([]int, 0, batchRecords)}
	}
	w.cur = <-w.free
	return w
}

func (w *batches) add(r *rdb.Record) {
	b := w.cur
	b.keys = append(b.keys, r.Key[:min(len(r.Key), keptKey)]...)
	b.ends = append(b.ends, len(b.keys))
	b.lengths = append(b.lengths, len(r.Key))
	b.records = append(b.records, *r)
	b.records[len(b.records)-1].Key = nil
	if len(b.records) == batchRecords || len(b.keys) >= batchKeys {
		w.full <- b
		w.cur = <-w.free
	}
}

func (w *batches) end() {
	w.full <- w.cur
	close(w.full)
	<-w.done
}

// count adds all records to c.
func (w *batches) count(c *Collector) {
	defer close(w.done)
	for b := range w.full {
		from := 0
		for i := range b.records {
			r := &b.records[i]
			c.add(r, b.keys[from:b.ends[i]], b.lengths[i])
			from = b.ends[i]
		}
		b.records, b.lengths, b.ends, b.keys = b.records[:0], b.lengths[:0], b.ends[:0], b.keys[:0]
		w.free <- b
	}
}
