package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

const inspectLong = `Tell what is in the key space: types, the heaviest prefixes, expiries, sizes and the biggest keys.

Bytes are those of the stored records, keys included. An engine needs more memory for the same data; what it used in all, as it
said itself, stands next to them. Of items of Memcached it is the bytes of keys and values. With --output json everything is shown
that was counted. A name that is not UTF-8 is {"base64": "…"} there.`

// inspected is what inspect shows as JSON.
type inspected struct {
	Name    string `json:"name"`
	Counted string `json:"counted"` // "at capture", or "now"
	*keyspace.Report
}

// inspection is what the flags of inspect say.
type inspection struct {
	top        int
	anew       bool
	slots      bool
	separators string
}

func (s *session) inspectCommand(cmd *cobra.Command, open opener) *cobra.Command {
	cmd.Short, cmd.Long = "Tell what takes the bytes: types, prefixes, expiries, the biggest keys", inspectLong
	var in inspection
	cmd.Flags().IntVar(&in.top, "top", 10, "lines of each table")
	cmd.Flags().BoolVar(&in.anew, "scan", false, "count anew, even if there is a report from the capture")
	cmd.Flags().BoolVar(&in.slots, "slots", false, "count cluster slots too; always done for a cluster's snapshot")
	cmd.Flags().StringVar(&in.separators, "separators", "", `bytes that end a prefix, such as ":/" (counts anew) [":/|", and "._-" in keys without these]`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return open(cmd.Context(), args, func(all []*records) error {
			r := all[0]
			if err := in.check(r); err != nil {
				return err
			}
			x, err := s.inspect(cmd.Context(), r, in)
			if err != nil {
				return err
			}
			return s.print(x, func(t *table) { showReport(t, x, max(in.top, 1)) })
		})
	}
	return cmd
}

// check refuses what cannot be counted.
func (in *inspection) check(r *records) error {
	switch {
	case !r.itemsOnly() && r.rdbOnly() != nil:
		return fmt.Errorf("%s holds items of Memcached and data of Redis or Valkey, which do not count together", r.name)
	case r.itemsOnly() && in.slots:
		return usageError{errors.New("items of memcached have no slots")}
	}
	return nil
}

// inspect takes the report of the capture, or makes one.
func (s *session) inspect(ctx context.Context, r *records, in inspection) (*inspected, error) {
	if r.report != nil && !in.anew && !in.slots && in.separators == "" {
		report, err := r.report(ctx)
		return &inspected{r.name, "at capture", report}, err
	}
	m := s.meter("inspect "+r.name, r)
	defer m.bar.end()
	if r.itemsOnly() {
		report, err := countItems(ctx, r, m, in.separators)
		return &inspected{r.name, "now", report}, err
	}
	o := keyspace.Options{Slots: in.slots, Separators: in.separators, ReadAhead: true}
	for _, st := range r.streams {
		o.Slots = o.Slots || st.slots != nil
	}
	if r.manifest != nil {
		o.At = r.manifest.CapturedAt
	}
	var mu sync.Mutex
	var all *keyspace.Collector
	var sums []*rdb.Summary
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2) // each keeps about two processors busy
	for _, st := range r.streams {
		g.Go(func() error {
			var c *keyspace.Collector
			sum, err := st.walk(ctx, m.step, func(r io.Reader) (sc *rdb.Scanner, sum *rdb.Summary, err error) {
				if c, sc, err = keyspace.Collect(r, o); err != nil {
					return nil, nil, err
				}
				return sc, sc.Summary(), nil
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if sums = append(sums, sum); all == nil {
				all = c
			} else {
				all.Merge(c)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if all == nil {
		return nil, fmt.Errorf("%s holds nothing", r.name)
	}
	return &inspected{r.name, "now", all.Report(sums...)}, nil
}
