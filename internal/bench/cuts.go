package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/resource"
)

// cutShards is the number of shards that are cut at one instant, cutRuns how often the pause is measured.
const (
	cutShards = 3
	cutRuns   = 20
)

// Cuts measures captures of several shards: the time beside the engine's own client, once per shard at the same time, and for how long clients'
// writes are held.
func Cuts(ctx context.Context, w io.Writer, o Options) (err error) {
	s := &cutStage{Stage: Stage{Options: o.withDefaults()}}
	if s.temp, err = os.MkdirTemp(o.Dir, "keyframe-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := s.start(ctx); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	stats, err := s.cluster.Fill(ctx, dataset.Sized(s.Bytes, 1))
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	s.Keys = stats.Keys
	row, err := s.Compare(ctx, Measure{Name: fmt.Sprintf("capture of %d shards at one instant", cutShards), Ours: s.capture, Limit: 1.15,
		AnchorName: fmt.Sprintf("%d times %s --rdb /dev/null at once", cutShards, s.cli()), Anchor: s.clients})
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	counted, err := s.Compare(ctx, Measure{Name: "the same, counting what is in the key space", Ours: s.counted, Limit: 1.05, Close: true, AnchorName: "without counting", Anchor: s.capture})
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	row.Size, counted.Size = s.Size, s.Size // known since the first capture
	fmt.Fprintf(w, "%d shards: %s %s, %d keys, RDBs of %d MB together, medians of %d runs (three times as many where both are close), %d cores.\n\n",
		cutShards, s.Engine, s.Node.Binary.Version, s.Keys, s.Size/1e6, s.Runs, runtime.NumCPU())
	if err := Table(w, []Row{row, counted}); err != nil {
		return err
	}
	fmt.Fprint(w, "\n| writes held | pause | slowest fork | pause less slowest fork | promised |\n|---|---|---|---|---|\n")
	if err := s.pauses(ctx, w, "no clients", "at most 5 ms"); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return s.underWrites(ctx, func(ctx context.Context) error {
		return s.pauses(ctx, w, "clients that write as fast as they can", "-")
	})
}

// cutStage is a cluster that holds the data set.
type cutStage struct {
	Stage
	nodes   []supervisor.Node
	cluster dataset.Cluster
}

func (s *cutStage) start(ctx context.Context) error {
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
	password := engine.RandomSecret()
	var members []engine.ClusterNode
	for i, slots := range resource.EqualSlots(cutShards) {
		n, err := s.sup.Create(ctx, supervisor.Spec{ID: "bench-" + strconv.Itoa(i), Engine: s.Engine, Binary: choice.Binary, Password: password, Cluster: true,
			Shard: fmt.Sprintf("%04d", i+1), Slots: []resource.SlotRange{slots}})
		if err != nil {
			return err
		}
		m, err := s.sup.ClusterNode(n.ID, true)
		if err != nil {
			return err
		}
		s.nodes, members = append(s.nodes, n), append(members, m)
	}
	for _, n := range s.nodes {
		if err := errors.Join(s.sup.SetCluster(ctx, n.ID, members), s.sup.Start(ctx, n.ID)); err != nil {
			return err
		}
	}
	for _, n := range s.nodes {
		if err := s.sup.WaitReady(ctx, n.ID, nil); err != nil {
			return err
		}
	}
	s.Node = s.nodes[0]
	s.cluster, err = dataset.ClusterAt(ctx, dataset.Server{Address: address(s.Node), User: engine.AdminUser, Password: password})
	return err
}

func address(n supervisor.Node) string {
	e := n.Endpoint()
	return net.JoinHostPort(e.Address, strconv.Itoa(e.Port))
}

// clients are the engine's own, one for each shard.
func (s *cutStage) clients(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, n := range s.nodes {
		one := s.Stage
		one.Node, one.Source = n, capture.Source{User: engine.AdminUser, Password: n.Password}
		g.Go(func() error { return one.CLI(os.DevNull)(ctx) })
	}
	return g.Wait()
}

func (s *cutStage) capture(ctx context.Context) error {
	_, err := s.cut(ctx)
	return err
}

// counted captures as snapshots do, which tell what is in them.
func (s *cutStage) counted(ctx context.Context) error {
	_, err := s.cutWith(ctx, capture.Options{SpoolDir: s.temp, Count: true})
	return err
}

func (s *cutStage) cut(ctx context.Context) (*capture.Cut, error) {
	return s.cutWith(ctx, capture.Options{SpoolDir: s.temp})
}

// cutWith captures all shards and drops the data.
func (s *cutStage) cutWith(ctx context.Context, o capture.Options) (*capture.Cut, error) {
	var targets []capture.Target
	for _, n := range s.nodes {
		source := capture.Source{Address: address(n), User: engine.AdminUser, Password: n.Password}
		targets = append(targets, capture.Target{Primary: source, Slots: n.Slots, W: io.Discard})
	}
	cut, err := capture.Capture(ctx, targets, o)
	if err != nil {
		return nil, err
	}
	s.Size = 0
	for _, r := range cut.Shards {
		s.Size += r.Summary.Bytes
	}
	if !cut.Instant {
		err = fmt.Errorf("no instant: %s", cut.Reason)
	}
	return cut, err
}

// pauses writes a row of the table of pauses.
func (s *cutStage) pauses(ctx context.Context, w io.Writer, clients, promised string) error {
	var whole, fork, added Times
	for range cutRuns {
		cut, err := s.cut(ctx)
		if err != nil {
			return err
		}
		whole, fork, added = append(whole, cut.Pause), append(fork, cut.Fork), append(added, cut.Added())
		fmt.Fprintf(s.Log, "pause %v, slowest fork %v, %d tries\n", cut.Pause, cut.Fork, cut.Tries)
	}
	_, err := fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", clients, whole.millis(), fork.millis(), added.millis(), promised)
	return err
}

// underWrites runs f while clients write.
func (s *cutStage) underWrites(ctx context.Context, f func(context.Context) error) error {
	writing, stop := context.WithCancel(ctx)
	defer stop()
	started, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := s.cluster.Write(writing, started)
		ended <- err
	}()
	var err error
	select {
	case <-started:
		err = f(ctx)
	case <-time.After(time.Minute):
		err = errors.New("the writers do not begin")
	}
	stop()
	return errors.Join(err, <-ended)
}

func (t Times) millis() string {
	return fmt.Sprintf("%.1f ms (%.1f-%.1f)", ms(t.Median()), ms(slices.Min(t)), ms(slices.Max(t)))
}
