package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/rdb"
)

// foundKey is a line of keys with --output json.
type foundKey struct {
	Key       jsonText
	DB        uint64    `json:",omitempty"`
	Slot      int       // of a cluster
	Type      string    // as the command TYPE says it
	Encoding  string    // in the file
	Size      int64     // bytes in the file
	Elements  int64     // -1: not known without decoding
	ExpiresAt time.Time `json:",omitzero"`
}

const keysLong = `List the keys, in the order in which they are stored. With --output json, one JSON object a line; a key that is not UTF-8 is
{"base64": "…"} there. In the table, bytes that cannot be printed are written as \n, \r, \t or \xHH, and a backslash as two.

The size is that of the key with its value in the file, which is less than an engine needs for it.`

func (s *session) keysCommand(cmd *cobra.Command, open opener) *cobra.Command {
	cmd.Short, cmd.Long = "List keys by pattern, type, size or expiry", keysLong
	var filter keyFilter
	filter.flags(cmd)
	limit := cmd.Flags().Int64("limit", 0, "end after so many keys; 0: list all")
	count := cmd.Flags().Bool("count", false, "only count keys and bytes")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := filter.prepare(time.Now()); err != nil {
			return err
		}
		return open(cmd.Context(), args, func(all []*records) error {
			r := all[0]
			if err := r.rdbOnly(); err != nil && !r.itemsOnly() {
				return err
			} else if err != nil && itemFilter(&filter) != nil {
				return itemFilter(&filter)
			}
			return s.listKeys(cmd.Context(), r, &filter, *limit, *count)
		})
	}
	return cmd
}

// errEnough ends a scan that needs no more.
var errEnough = errors.New("enough")

// found counts what a listing showed.
type found struct{ Keys, Bytes int64 }

func (s *session) listKeys(ctx context.Context, r *records, filter *keyFilter, limit int64, count bool) error {
	items := r.itemsOnly()
	r = &records{name: r.name, streams: filter.streams(r.streams)}
	m := s.meter("keys of "+r.name, r)
	m.bar.live = m.bar.live && (count || !terminal(s.out)) // or it would stand between the lines
	out := bufio.NewWriterSize(s.out, 64<<10)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	if !count && s.output == "table" && items {
		fmt.Fprintf(out, "%10s %10s  %-19s  %s\n", "FLAGS", "SIZE", "EXPIRES", "KEY")
	} else if !count && s.output == "table" {
		fmt.Fprintf(out, "%-7s %-12s %10s %10s  %-19s  %s\n", "TYPE", "ENCODING", "SIZE", "ELEMENTS", "EXPIRES", "KEY")
	}
	var sum found
	show := func(size int64, line func() string, object func() any) error {
		sum.Keys++
		sum.Bytes += size
		var err error
		switch {
		case count:
		case s.output == "json":
			err = lines.Encode(object())
		default:
			_, err = out.WriteString(line())
		}
		if err == nil && sum.Keys == limit {
			err = errEnough
		}
		return err
	}
	each := func(rec *rdb.Record) error {
		if rec.Size < filter.size || !filter.key(rec) {
			return nil
		}
		return show(rec.Size, func() string { return keyLine(rec) }, func() any { return describeKey(rec) })
	}
	eachItem := func(it *itemfile.Item) error {
		if !filter.item(it) {
			return nil
		}
		return show(int64(len(it.Key)+len(it.Value)), func() string { return itemLine(it) }, func() any { return describeItem(it) })
	}
	var err error
	for _, st := range r.streams {
		if items {
			_, err = st.items(ctx, m.step, eachItem)
		} else {
			_, err = st.scan(ctx, m.step, rdb.Options{Keys: true, OnRecord: each})
		}
		if err != nil {
			break
		}
	}
	m.bar.end()
	if errors.Is(err, errEnough) {
		err = nil
	}
	if ferr := out.Flush(); err == nil {
		err = ferr
	}
	if err != nil || !count {
		return err
	}
	return s.print(sum, func(t *table) {
		t.row("KEYS", "SIZE")
		t.row(strconv.FormatInt(sum.Keys, 10), bytes(sum.Bytes))
	})
}

func describeKey(r *rdb.Record) foundKey {
	return foundKey{Key: r.Key, DB: r.DB, Slot: r.Slot, Type: kindOf(r.Type).String(), Encoding: encodingOf(r.Type), Size: r.Size, Elements: r.Elements, ExpiresAt: expiry(r.ExpireAt)}
}

// keyLine is a line of the table. Its key comes last, as it alone has no bounded width: so no line waits for others.
func keyLine(r *rdb.Record) string {
	elements, expires, name := "-", "-", escaped(r.Key)
	if r.Elements >= 0 {
		elements = strconv.FormatInt(r.Elements, 10)
	}
	if r.ExpireAt != 0 {
		expires = moment(expiry(r.ExpireAt))
	}
	if r.DB != 0 {
		name += fmt.Sprintf("  (database %d)", r.DB)
	}
	return fmt.Sprintf("%-7s %-12s %10s %10s  %-19s  %s\n", kindOf(r.Type), encodingOf(r.Type), bytes(r.Size), elements, expires, name)
}

// expiry is Unix milliseconds as an instant; 0 is none.
func expiry(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return instant(ms)
}

// instant is Unix milliseconds as an instant within the years 1 to 9999: engines accept others, JSON does not.
func instant(ms int64) time.Time {
	const first, last = -62135596800_000, 253402300799_999
	return time.UnixMilli(min(max(ms, first+1), last)).UTC()
}
