// Package keydiff tells which keys two sets of RDB files do not have in common, or have with different values, in memory that does
// not grow with them.
//
// Every key of both sides becomes an entry of a few dozen bytes: a hash of the key, a digest of its value, its size, and its
// name. Entries are divided among partitions by the hash of their key, into a temporary file when they are many; then the two
// sides are joined partition by partition. One that is still too large is divided again.
//
// A key is changed when what a client can read of it is: its value, its type or its expiry. How the value is stored, the order of
// what has none (sets, hashes, sorted sets), and when it was last used do not count. So files of different engines, versions and
// numbers of shards can be compared.
package keydiff

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"

	"github.com/keyframe/keyframe/rdb"
)

// Options tune a comparison. The zero value is good.
type Options struct {
	Dir        string // for temporary files; the system's if empty. They are for the owner only, and never left behind.
	Memory     int64  // bytes that a comparison may take, roughly; 64 MiB
	Workers    int    // partitions joined at the same time; 2
	Separators string // bytes that end a prefix; ":/|."
	Depth      int    // separators that a prefix goes through; 1
	Prefixes   int    // prefixes that are counted; what comes when there are so many is counted together; 10000
	Biggest    int    // of the changes that the report lists; 10

	fanOut int // partitions; tests take few
	block  int // bytes of a partition in memory before they go to the file
}

func (o Options) withDefaults() Options {
	set := func(p *int, d int) {
		if *p <= 0 {
			*p = d
		}
	}
	if o.Memory <= 0 {
		o.Memory = 64 << 20
	}
	if o.Separators == "" {
		o.Separators = ":/|."
	}
	set(&o.Workers, 2)
	set(&o.Depth, 1)
	set(&o.Prefixes, 10000)
	set(&o.Biggest, 10)
	set(&o.fanOut, 64)
	set(&o.block, 64<<10)
	return o
}

// Side is one of the two that are compared.
type Side int

// The sides.
const (
	A Side = iota // before
	B             // after
)

// Diff is one comparison: Scan options for every file of both sides, then Compare, then Close.
type Diff struct {
	o     Options
	seeds [2]maphash.Seed
	spill *spill
	sides [2]struct {
		mu   sync.Mutex
		all  *partitions
		size Count
	}
}

// New begins a comparison.
func New(o Options) *Diff {
	d := &Diff{o: o.withDefaults(), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	d.spill = &spill{dir: d.o.Dir}
	for i := range d.sides {
		d.sides[i].all = newPartitions(d.spill, d.o, 0)
	}
	return d
}

// Scan returns options that make an rdb.Scanner add a file's keys to a side. Every scanner needs its own; several may run at the
// same time.
func (d *Diff) Scan(side Side) rdb.Options {
	h := &hasher{seeds: d.seeds}
	var e entry
	var line []byte
	into := &d.sides[side]
	return rdb.Options{
		Keys: true,
		OnValue: func(r *rdb.Record, v *rdb.Value) (err error) {
			e = entry{id: h.key(r.DB, r.Key), db: r.DB, kind: v.Kind(), expireAt: r.ExpireAt, keyLen: int64(len(r.Key))}
			e.digest, err = h.value(v)
			return err
		},
		OnRecord: func(r *rdb.Record) error {
			e.size, e.key = r.Size, r.Key[:min(len(r.Key), keptKey)]
			line = e.append(line[:0])
			into.mu.Lock()
			defer into.mu.Unlock()
			into.size.add(e.size)
			return into.all.add(e.id, line)
		},
	}
}

// Compare joins the sides. Every change is handed to each, which may be nil, in no order; its error ends the comparison. It may be
// called once.
func (d *Diff) Compare(ctx context.Context, each func(Change) error) (*Report, error) {
	if d.sides[A].all == nil {
		return nil, errors.New("keydiff: compared twice")
	}
	j := &join{d: d, each: each, sum: newReport(d.o)}
	a, b := d.sides[A].all, d.sides[B].all
	d.sides[A].all, d.sides[B].all = nil, nil
	if err := j.all(ctx, a, b); err != nil {
		return nil, err
	}
	j.sum.A, j.sum.B = d.sides[A].size, d.sides[B].size
	j.sum.finish()
	return j.sum, nil
}

// Close gives the temporary file up.
func (d *Diff) Close() error { return d.spill.close() }
