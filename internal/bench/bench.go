// Package bench measures Keyframe side by side with the engines' own tools and the disk, on one machine and one data set. What it reports are
// ratios: an absolute time says more about the machine than about the program.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/resource"
)

// Options say what to measure. The zero value is the benchmark of the README.
type Options struct {
	Engine resource.Engine // [Valkey]
	Bytes  int64           // of the RDB, about [850 MB]
	Runs   int             // of each measure; the medians are shown [3]
	Dir    string          // where the data goes: the disk to measure [a temporary directory]
	Log    io.Writer       // what goes on [nowhere]
}

func (o Options) withDefaults() Options {
	if o.Engine == "" {
		o.Engine = engine.Valkey
	}
	if o.Bytes == 0 {
		o.Bytes = 850_000_000
	}
	if o.Runs == 0 {
		o.Runs = 3
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	return o
}

// Stage is what the measures share: an engine that holds the data set, and its RDB in a file.
type Stage struct {
	Options
	Node   supervisor.Node
	Source capture.Source
	Server dataset.Server
	RDB    string // path
	Size   int64  // of the RDB, bytes
	Keys   int64

	sup       *supervisor.Supervisor
	temp      string
	serverPID int // of the server that is measured; 0 for none
}

// Open starts the engine, fills it and captures its RDB into a file. The caller closes the stage.
func Open(ctx context.Context, o Options) (_ *Stage, err error) {
	o = o.withDefaults()
	s := &Stage{Options: o}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("bench: %w", err), s.Close())
		}
	}()
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return nil, err
		}
	}
	if s.temp, err = os.MkdirTemp(o.Dir, "keyframe-bench-"); err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	st, err := dataset.Fill(ctx, s.Server, dataset.Sized(o.Bytes, 1))
	if err != nil {
		return nil, err
	}
	s.Keys = st.Keys
	fmt.Fprintf(o.Log, "filled %s %s: %d keys, %d MB, %.0f MB/s\n", o.Engine, s.Node.Binary.Version, st.Keys, st.Bytes/1e6, float64(st.Bytes)/1e6/st.Duration.Seconds())
	s.RDB = filepath.Join(s.temp, "dump.rdb")
	if err := s.CaptureTo(ctx, s.RDB); err != nil {
		return nil, err
	}
	info, err := os.Stat(s.RDB)
	if err != nil {
		return nil, err
	}
	s.Size = info.Size()
	return s, nil
}

func (s *Stage) start(ctx context.Context) error {
	catalog, err := supervisor.Discover(ctx)
	if err != nil {
		return err
	}
	choice, err := catalog.Resolve(s.Engine, "")
	if err != nil {
		return err
	}
	if s.sup, err = supervisor.New(supervisor.Options{Dir: filepath.Join(s.temp, "engine")}); err != nil {
		return err
	}
	s.Node, err = s.sup.Create(ctx, supervisor.Spec{ID: "bench", Engine: s.Engine, Binary: choice.Binary, Password: engine.RandomSecret()})
	if err != nil {
		return err
	}
	if err := s.sup.Start(ctx, s.Node.ID); err != nil {
		return err
	}
	if err := s.sup.WaitReady(ctx, s.Node.ID, nil); err != nil {
		return err
	}
	e := s.Node.Endpoint()
	addr := fmt.Sprintf("%s:%d", e.Address, e.Port)
	s.Source = capture.Source{Address: addr, User: engine.AdminUser, Password: s.Node.Password}
	s.Server = dataset.Server{Address: addr, User: engine.AdminUser, Password: s.Node.Password}
	return nil
}

// Temp is a path in the stage's directory, which goes away with it.
func (s *Stage) Temp(name string) string { return filepath.Join(s.temp, name) }

// Close ends the engine and removes everything. It may be repeated.
func (s *Stage) Close() error {
	var err error
	if s.sup != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, n := range s.sup.Nodes() {
			err = errors.Join(err, s.sup.Remove(ctx, n.ID))
		}
		err = errors.Join(err, s.sup.Close())
	}
	if s.temp != "" {
		err = errors.Join(err, os.RemoveAll(s.temp))
	}
	s.sup, s.temp = nil, ""
	return err
}

// Run measures what lies below the store and writes a Markdown table of the ratios to w. More adds rows on the same stage.
func Run(ctx context.Context, w io.Writer, o Options, more ...func(context.Context, *Stage) ([]Row, error)) error {
	s, err := Open(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	rows, err := s.basics(ctx)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	for _, f := range more {
		extra, err := f(ctx, s)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		rows = append(rows, extra...)
	}
	fmt.Fprintf(w, "%s %s, %d keys, RDB of %d MB, medians of %d runs (three times as many where both are close), %d cores.\n\n", s.Engine, s.Node.Binary.Version, s.Keys, s.Size/1e6, s.Runs, runtime.NumCPU())
	if err := Table(w, rows); err != nil {
		return err
	}
	return s.Close()
}

// basics are the rows of this package: capture and scan.
func (s *Stage) basics(ctx context.Context) ([]Row, error) {
	var rows []Row
	for _, m := range []Measure{
		{Name: "capture", Anchor: s.CLI("/dev/null"), AnchorName: s.cli() + " --rdb /dev/null", Ours: s.Capture, Limit: 1.15},
		{Name: "capture that counts what is in the key space", Anchor: s.Capture, AnchorName: "capture that does not", Ours: s.CaptureCounted, Limit: 1.05, Close: true},
		{Name: "capture to a file, fsync", Anchor: s.CLI(s.Temp("cli.rdb")), AnchorName: s.cli() + " --rdb FILE",
			Ours: func(ctx context.Context) error { return s.CaptureTo(ctx, s.Temp("capture.rdb")) }, Limit: 1.15},
		{Name: "verify an RDB: CRC64, every record", Anchor: s.Check, AnchorName: s.check(), Ours: s.Scan, Limit: 1},
		{Name: "verify an RDB: CRC64, every record", Anchor: s.CopyFsync, AnchorName: "cp and fsync", Ours: s.Scan},
	} {
		row, err := s.Compare(ctx, m)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}
