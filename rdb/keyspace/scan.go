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
func Collect(r io.Reader, o Options) (c *Collector, s *rdb.Scanner, err error) {
	scan := func(r io.Reader) {
		begin := func() {
			if o.At.IsZero() {
				o.At = s.Aux().CreatedAt
			}
			c = NewCollector(o)
		}
		s = rdb.NewScanner(r, rdb.Options{Keys: true, NoSlots: !o.Slots, OnRecord: func(rec *rdb.Record) error {
			if c == nil {
				begin()
			}
			return c.Add(rec)
		}})
		if _, err = s.Scan(); c == nil {
			begin()
		}
	}
	if runtime.GOMAXPROCS(0) > 1 && (o.ReadAhead || ends(r)) {
		relayed(r, func(l rdb.Lender) { scan(l) })
	} else {
		scan(r)
	}
	return c, s, err
}
