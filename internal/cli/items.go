package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// itemsOnly tells whether records are items of Memcached, which have keys, flags, expiries and values, but no types or databases.
func (r *records) itemsOnly() bool {
	for _, st := range r.streams {
		if st.kind != snapstore.Memcached {
			return false
		}
	}
	return len(r.streams) > 0
}

// items hands over every item of a stream.
func (st *stream) items(ctx context.Context, step func(int), each func(*itemfile.Item) error) (*itemfile.Summary, error) {
	return st.itemsWith(ctx, step, func(itemfile.Header) func(*itemfile.Item) error { return each })
}

// itemsWith is items for who wants to know the header first.
func (st *stream) itemsWith(ctx context.Context, step func(int), begin func(itemfile.Header) func(*itemfile.Item) error) (*itemfile.Summary, error) {
	in, err := st.open(ctx, step)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.name, err)
	}
	defer in.Close()
	r, err := itemfile.NewReader(in, itemfile.Options{})
	var each func(*itemfile.Item) error
	if err == nil {
		each = begin(r.Header())
	}
	for err == nil {
		var it *itemfile.Item
		if it, err = r.Next(); err == nil {
			err = each(it)
		}
	}
	switch {
	case errors.Is(err, io.EOF) && r != nil && r.Summary() != nil:
		return r.Summary(), nil
	case in.err != nil:
		err = in.err
	}
	return nil, fmt.Errorf("%s: %w", st.name, err)
}

// foundItem is a line of keys with --output json, for items of Memcached.
type foundItem struct {
	Key       jsonText
	Flags     uint32
	Size      int64     // of key and value
	ExpiresAt time.Time `json:",omitzero"`
}

func describeItem(it *itemfile.Item) foundItem {
	return foundItem{it.Key, it.Flags, int64(len(it.Key) + len(it.Value)), expiry(1000 * it.ExpireAt)}
}

// itemFilter refuses what items do not have.
func itemFilter(k *keyFilter) error {
	if k.of != rdb.KindUnknown || k.slot >= 0 || k.db > 0 {
		return usageError{errors.New("items of memcached have no types, slots or databases")}
	}
	return nil
}

func (k *keyFilter) item(it *itemfile.Item) bool {
	ms := 1000 * it.ExpireAt
	return int64(len(it.Key)+len(it.Value)) >= k.size && !(k.forever && ms != 0) && !(k.deadline != 0 && (ms == 0 || ms >= k.deadline)) && k.match.Match(it.Key)
}

// itemLine is a line of the table.
func itemLine(it *itemfile.Item) string {
	expires := "-"
	if it.ExpireAt != 0 {
		expires = moment(expiry(1000 * it.ExpireAt))
	}
	return fmt.Sprintf("%10d %10s  %-19s  %s\n", it.Flags, bytes(int64(len(it.Key)+len(it.Value))), expires, escaped(it.Key))
}

// countItems is inspect for items.
func countItems(ctx context.Context, r *records, m *meter, separators string) (*keyspace.Report, error) {
	var all *keyspace.Collector
	var sums []*itemfile.Summary
	for _, st := range r.streams {
		var c *keyspace.Collector
		sum, err := st.itemsWith(ctx, m.step, func(h itemfile.Header) func(*itemfile.Item) error {
			c = capture.NewItemCounter(h.Created, separators)
			return func(it *itemfile.Item) error {
				capture.CountItem(c, it)
				return nil
			}
		})
		if err != nil {
			return nil, err
		}
		if sums = append(sums, sum); all == nil {
			all = c
		} else {
			all.Merge(c)
		}
	}
	return capture.ReportItems(all, sums...), nil
}

// getItem shows the value of an item.
func (s *session) getItem(ctx context.Context, r *records, key []byte, o getFlags) error {
	if o.dump || o.db != 0 {
		return usageError{errors.New("items of memcached have no payload for RESTORE, and no databases")}
	}
	out := bufio.NewWriterSize(s.out, 64<<10)
	m := s.meter("look for "+shortened(key, 40), r)
	defer m.bar.end()
	for _, st := range r.streams {
		_, err := st.items(ctx, m.step, func(it *itemfile.Item) error {
			if string(it.Key) != string(key) {
				return nil
			}
			m.bar.end()
			if err := s.showItem(out, it); err != nil {
				return err
			}
			return errFound
		})
		if errors.Is(err, errFound) {
			return out.Flush()
		} else if err != nil {
			return err
		}
	}
	return fmt.Errorf("%s has no key %s", r.name, shortened(key, 200))
}

func (s *session) showItem(out *bufio.Writer, it *itemfile.Item) error {
	switch {
	case s.output == "json":
		return json.NewEncoder(out).Encode(struct {
			foundItem
			Value jsonText
		}{describeItem(it), it.Value})
	case terminal(s.out):
		_, err := fmt.Fprintf(out, "# flags %d, expires %s\n%s\n", it.Flags, moment(expiry(1000*it.ExpireAt)), escaped(it.Value))
		return err
	}
	_, err := out.Write(it.Value)
	return err
}
