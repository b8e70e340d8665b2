package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/keyframe/keyframe/internal/app"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// records are what the verbs that look inside work on: the shards of a snapshot, or files.
type records struct {
	name     string // for people
	streams  []*stream
	manifest *snapstore.Manifest                             // nil for files
	report   func(context.Context) (*keyspace.Report, error) // what was counted at the capture; nil if nothing was
}

// stream is the data of one shard, or one file.
type stream struct {
	name   string // for people, such as "shard 0001 of daily" or a path
	kind   snapstore.Stream
	bytes  int64        // from the first to the last; -1 if that is not known before the end
	keys   int64        // -1 if not known
	slots  *rdb.SlotSet // whose keys can be in it; nil: all
	opened func(context.Context) (io.ReadCloser, error)
}

// opener opens what arguments name for the time of use: one records for each argument, in order.
type opener func(ctx context.Context, args []string, use func([]*records) error) error

// snapshotOpener opens snapshots by name, ARN or ID. It gives the command the flags of the configuration.
func (s *session) snapshotOpener(cmd *cobra.Command) opener {
	settings := s.settings(cmd)
	return func(ctx context.Context, args []string, use func([]*records) error) error {
		c, err := settings()
		if err != nil {
			return err
		}
		return withStores(ctx, c, func(stores *app.Stores) error {
			var all []*records
			for _, name := range args {
				r, err := snapshotRecords(ctx, stores, name)
				if err != nil {
					return err
				}
				all = append(all, r)
			}
			return use(all)
		})
	}
}

// snapshotRecords finds a snapshot and unlocks its data key. Nothing of its data is read yet.
func snapshotRecords(ctx context.Context, stores *app.Stores, name string) (*records, error) {
	x, err := named(ctx, stores, name)
	if err != nil {
		return nil, err
	}
	m, err := stores.Snapshots.ReadManifest(ctx, x.ID)
	if err != nil {
		return nil, fmt.Errorf("snapshot %s is %s and has no manifest: %w", x.Name, x.Status, err)
	}
	key, err := stores.Snapshots.Unlock(ctx, m)
	if err != nil {
		return nil, err
	}
	r := &records{name: x.Name, manifest: m}
	if m.Report != nil {
		r.report = func(ctx context.Context) (*keyspace.Report, error) { return stores.Snapshots.ReadReport(ctx, m, key) }
	}
	for i := range m.Shards {
		sh := &m.Shards[i]
		st := &stream{name: x.Name, kind: m.Stream, bytes: sh.Bytes, keys: sh.Keys,
			opened: func(ctx context.Context) (io.ReadCloser, error) { return stores.Snapshots.Open(ctx, m, key, sh.Name) }}
		if len(m.Shards) > 1 {
			st.name = "shard " + sh.Name + " of " + x.Name
		}
		if len(sh.Slots) > 0 {
			st.slots = new(rdb.SlotSet)
			for _, r := range sh.Slots {
				st.slots.Add(r.Start, r.End)
			}
		}
		r.streams = append(r.streams, st)
	}
	return r, nil
}

// bytes is the size of all streams, -1 if one of them does not tell.
func (r *records) bytes() (n int64) {
	for _, st := range r.streams {
		if st.bytes < 0 {
			return -1
		}
		n += st.bytes
	}
	return n
}

// rdbOnly refuses what holds no RDB.
func (r *records) rdbOnly() error {
	for _, st := range r.streams {
		if st.kind != snapstore.RDB {
			return fmt.Errorf("%s holds data of %s, not of Redis or Valkey: this command cannot read it", st.name, st.kind)
		}
	}
	return nil
}

// meter adds up what several streams have passed, for one bar.
type meter struct {
	bar   *bar
	done  atomic.Int64
	total int64 // -1 if not known
}

func (s *session) meter(what string, all ...*records) *meter {
	m := &meter{bar: s.progress(what)}
	for _, r := range all {
		n := r.bytes()
		if n < 0 {
			m.total = -1
			break
		}
		m.total += n
	}
	return m
}

func (m *meter) step(n int) {
	d := m.done.Add(int64(n))
	m.bar.set(d, m.total)
}

// open reads the stream from its start. Reads end with the context, and are counted by step, which may be nil.
func (st *stream) open(ctx context.Context, step func(int)) (*streamReader, error) {
	rc, err := st.opened(ctx)
	if err != nil {
		return nil, err
	}
	return &streamReader{ctx: ctx, rc: rc, step: step}, nil
}

type streamReader struct {
	ctx  context.Context
	rc   io.ReadCloser
	step func(int)
	err  error // of the source, not io.EOF
}

func (r *streamReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		r.err = err
		return 0, err
	}
	n, err := r.rc.Read(p)
	if n > 0 && r.step != nil {
		r.step(n)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

func (r *streamReader) Close() error { return r.rc.Close() }

// scan walks all of a stream, and refuses what follows its end. Errors name the stream; of a source that failed they are the
// source's.
func (st *stream) scan(ctx context.Context, step func(int), o rdb.Options) (*rdb.Summary, error) {
	return st.walk(ctx, step, func(r io.Reader) (*rdb.Scanner, *rdb.Summary, error) {
		sc := rdb.NewScanner(r, o)
		sum, err := sc.Scan()
		return sc, sum, err
	})
}

// walk is scan for a scanner of one's own, such as one that is ranged over.
func (st *stream) walk(ctx context.Context, step func(int), do func(io.Reader) (*rdb.Scanner, *rdb.Summary, error)) (*rdb.Summary, error) {
	r, err := st.open(ctx, step)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", st.name, err)
	}
	defer r.Close()
	sc, sum, err := do(r)
	if err == nil {
		err = nothingFollows(sum.Bytes, sc.Rest())
	}
	switch {
	case r.err != nil && !errors.Is(err, r.err):
		return nil, fmt.Errorf("%s: %w", st.name, r.err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", st.name, err)
	}
	return sum, nil
}

// nothingFollows reads on to the end, where a snapshot's last seal is checked, and wants nothing there.
func nothingFollows(end int64, rest io.Reader) error {
	var first [1]byte
	n, err := io.ReadFull(rest, first[:])
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case n > 0 && first[0] == '*':
		return fmt.Errorf("commands follow the RDB, which ends at offset %d: this is an append-only file with a preamble, and what its commands did later is not in the records", end)
	}
	return fmt.Errorf("something follows the RDB, which ends at offset %d", end)
}
