package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/rdb"
)

const getLong = `Show the value of one key.

A string is written to a terminal with \n, \r, \t and \xHH for what cannot be printed, and to a file or pipe byte by byte. What has
elements is written one a line, its parts divided by tabs, always escaped so. With --output json, a text that is not UTF-8 is
{"base64": "…"}, so nothing is lost. With --dump, the payload that the command RESTORE takes is written, escaped on a terminal.

Values of any size pass through in little memory; of what has elements, one is held whole, and with its text takes several times its
size. Reading ends at the key. Of a snapshot in shards only the shard of the key is read. The exit code is 1 when there is no such key.`

type getFlags struct {
	db            int64
	dump, escaped bool
}

// getCommand shows a value: the last argument is the key, those before it are what open takes.
func (s *session) getCommand(cmd *cobra.Command, open opener) *cobra.Command {
	cmd.Short, cmd.Long = "Show the value of a key", getLong
	var o getFlags
	f := cmd.Flags()
	f.Int64Var(&o.db, "db", 0, "database")
	f.BoolVar(&o.dump, "dump", false, "write the payload for RESTORE")
	f.BoolVar(&o.escaped, "escaped", false, `the key is written as keys lists it, with \n, \xHH and \\`)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		key, err := []byte(args[len(args)-1]), error(nil)
		if o.escaped {
			if key, err = unescaped(args[len(args)-1]); err != nil {
				return usageError{fmt.Errorf("key %q: %w", args[len(args)-1], err)}
			}
		}
		return open(cmd.Context(), args[:len(args)-1], func(all []*records) error {
			if all[0].itemsOnly() {
				return s.getItem(cmd.Context(), all[0], key, o)
			}
			if err := all[0].rdbOnly(); err != nil {
				return err
			}
			return s.get(cmd.Context(), all[0], key, o)
		})
	}
	return cmd
}

// stoppable ends writes with the context: a few bytes of a file can stand for many to write.
type stoppable struct {
	ctx context.Context
	w   io.Writer
}

func (s *stoppable) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.w.Write(p)
}

// errFound ends the scan that found the key.
var errFound = errors.New("found")

func (s *session) get(ctx context.Context, r *records, key []byte, o getFlags) error {
	out := bufio.NewWriterSize(&stoppable{ctx, s.out}, 64<<10)
	slot := rdb.KeySlot(key)
	some := &records{}
	for _, st := range r.streams {
		if st.slots == nil || st.slots.Has(slot) {
			some.streams = append(some.streams, st)
		}
	}
	m := s.meter("look for "+shortened(key, 40), some)
	defer m.bar.end()
	for _, st := range some.streams {
		_, err := st.scan(ctx, m.step, rdb.Options{Keys: true, OnValue: func(rec *rdb.Record, v *rdb.Value) error {
			if int64(rec.DB) != o.db || string(rec.Key) != string(key) {
				return nil
			}
			m.bar.end()
			if err := s.show(out, rec, v, o); err != nil {
				return err
			}
			return errFound
		}})
		if errors.Is(err, errFound) {
			return out.Flush()
		} else if err != nil {
			out.Flush() //nolint:errcheck // the first error tells more
			return err
		}
	}
	where := r.name
	if len(some.streams) == 1 {
		where = some.streams[0].name
	}
	return fmt.Errorf("%s has no key %s in database %d", where, shortened(key, 200), o.db)
}

func (s *session) show(out *bufio.Writer, r *rdb.Record, v *rdb.Value, o getFlags) error {
	f, file := s.out.(*os.File)
	screen := file && terminal(f)
	switch {
	case o.dump && screen:
		e := &escaping{w: out}
		if err := writeDump(e, r, v); err != nil {
			return err
		}
		return e.close()
	case o.dump:
		return writeDump(out, r, v)
	case s.output == "json":
		return showJSON(out, r, v)
	}
	return showText(out, r, v, screen)
}
