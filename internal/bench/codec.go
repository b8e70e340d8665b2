package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// Codec measures package rdb and the commands that stand on it: how many times faster than the engine's own checker a file is scanned, verified and
// analysed, how fast it is divided, how much memory that takes, and the rates of the checksum and of LZF. The program is for the memory.
func Codec(ctx context.Context, w io.Writer, o Options, program string) (err error) {
	s, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for _, compressed := range []bool{false, true} {
		how := "without LZF, as Keyframe's own engines write it"
		if compressed {
			how = "with LZF, as engines write it by themselves"
			if err := s.compress(ctx); err != nil {
				return fmt.Errorf("bench: %w", err)
			}
		}
		rows, err := s.codec(ctx, compressed)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		fmt.Fprintf(w, "%s %s, %d keys, RDB of %d MB %s, medians of %d runs (three times as many where both are close), %d cores.\n\n", s.Engine, s.Node.Binary.Version, s.Keys, s.Size/1e6, how, s.Runs, runtime.NumCPU())
		if err := Speeds(w, rows); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	if err := s.memory(ctx, w, program); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return s.rates(w)
}

// codec are the rows on one file.
func (s *Stage) codec(ctx context.Context, compressed bool) ([]Row, error) {
	measures := []Measure{
		{Name: "scan: every record and key, CRC64", AnchorName: s.check(), Anchor: s.Check, Limit: 1.0 / 12,
			Ours: oneCore(s.scanWith(rdb.Options{Keys: true, NoSlots: true, OnRecord: func(*rdb.Record) error { return nil }}))},
		{Name: "deep verify: every value too", AnchorName: s.check(), Anchor: s.Check, Limit: 1.0 / 3, Ours: oneCore(s.scanWith(rdb.Options{Deep: true}))},
		{Name: "analysis on one core", AnchorName: s.check(), Anchor: s.Check, Limit: 1.0 / 5, Ours: oneCore(s.analyse)},
	}
	if !compressed {
		measures = append(measures,
			Measure{Name: "analysis on all cores", AnchorName: "analysis on one core", Anchor: oneCore(s.analyse), Ours: s.analyse, Limit: 1 / 1.25, Close: true},
			Measure{Name: "split in four by slot, fsync", AnchorName: "cp and fsync", Anchor: s.CopyFsync, Ours: s.split, Limit: 2},
			Measure{Name: "lower to version 10", AnchorName: "cp and fsync", Anchor: s.CopyFsync, Ours: s.lower})
	}
	var rows []Row
	for _, m := range measures {
		row, err := s.Compare(ctx, m)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// oneCore runs f on one core.
func oneCore(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
		return f(ctx)
	}
}

// compress replaces the stage's RDB by one whose strings are compressed.
func (s *Stage) compress(ctx context.Context) error {
	c, err := s.sup.Admin(ctx, s.Node.ID)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Do(ctx, "CONFIG", "SET", "rdbcompression", "yes"); err != nil {
		return err
	}
	if err := s.CaptureTo(ctx, s.RDB); err != nil {
		return err
	}
	info, err := os.Stat(s.RDB)
	if err == nil {
		s.Size = info.Size()
	}
	return err
}

// scanWith scans the RDB and looks whether everything is there.
func (s *Stage) scanWith(o rdb.Options) func(context.Context) error {
	return func(context.Context) error {
		return s.read(func(f *os.File) (*rdb.Summary, error) { return rdb.NewScanner(f, o).Scan() })
	}
}

// analyse counts what is in the key space.
func (s *Stage) analyse(context.Context) error {
	return s.read(func(f *os.File) (*rdb.Summary, error) {
		_, sum, err := keyspace.Scan(f, keyspace.Options{})
		return sum, err
	})
}

// lower rewrites the RDB for engines of version 10, and syncs it.
func (s *Stage) lower(context.Context) error {
	out := s.Temp("lowered.rdb")
	defer os.Remove(out)
	return create(out, func(to *os.File) error {
		from, err := os.Open(s.RDB)
		if err != nil {
			return err
		}
		defer from.Close()
		sum, err := rdb.Lower(from, to, 10)
		if err == nil && sum.Keys != s.Keys {
			err = fmt.Errorf("%d keys of %d", sum.Keys, s.Keys)
		}
		return err
	})
}

func (s *Stage) read(f func(*os.File) (*rdb.Summary, error)) error {
	in, err := os.Open(s.RDB)
	if err != nil {
		return err
	}
	defer in.Close()
	sum, err := f(in)
	if err == nil && (sum.Bytes != s.Size || sum.Checksum != rdb.ChecksumVerified || sum.Keys != s.Keys) {
		err = fmt.Errorf("read %d bytes and %d keys, checksum %s", sum.Bytes, sum.Keys, sum.Checksum)
	}
	return err
}

// Speeds writes rows as Markdown: how many times as fast as the anchor Keyframe is, by the clock, and by the processor time of the quickest runs, which
// means something on a busy machine too.
func Speeds(w io.Writer, rows []Row) error {
	var b strings.Builder
	b.WriteString("| what | Keyframe | MB/s | CPU | compared with | its time | its CPU | times as fast | by CPU | promised |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		promised := "-"
		if r.Limit > 0 {
			promised = fmt.Sprintf("at least %.3g", 1/r.Limit)
		}
		ours, anchor := slices.Min(r.OurCPU), slices.Min(r.AnchorCPU)
		fmt.Fprintf(&b, "| %s | %v | %.0f | %.2f s | %s | %v | %.2f s | %.2f | %.2f | %s |\n", r.Name, r.OurTime, float64(r.Size)/1e6/r.OurTime.Median().Seconds(),
			ours.Seconds(), r.AnchorName, r.AnchorTime, anchor.Seconds(), 1/r.Ratio(), seconds(anchor)/seconds(ours), promised)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// seconds is at least a clock tick, so that ratios of tiny runs are numbers.
func seconds(d time.Duration) float64 { return max(d, time.Millisecond).Seconds() }
