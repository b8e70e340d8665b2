package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/api/client"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
)

// Server measures the main job through the API of a real server process, from the request until the answer says available.
func Server(ctx context.Context, w io.Writer, o Options, program string) (err error) {
	o = o.withDefaults()
	temp, err := os.MkdirTemp(o.Dir, "keyframe-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	b, err := boot(program, filepath.Join(temp, "data"))
	if err != nil {
		return err
	}
	s := &serverStage{b: b, program: program, Stage: Stage{Options: o, temp: temp, serverPID: b.cmd.Process.Pid}}
	defer func() { err = errors.Join(err, b.close(), s.closeEngines()) }()
	if err := s.prepare(ctx); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	var rows []Row
	for _, m := range s.measures() {
		row, err := s.Compare(ctx, m)
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		rows = append(rows, row)
	}
	fmt.Fprintf(w, "Through the API of a server: %s %s, %d keys, RDB of %d MB, medians of %d runs, %d cores.\n\n",
		s.Engine, s.Node.Binary.Version, s.Keys, s.Size/1e6, s.Runs, runtime.NumCPU())
	if err := Table(w, rows); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nMemory of the server (resident, at most) grew by %d MB while it captured; promised: less than 64 MiB.\n", s.grown/1e6)
	small, large, err := s.copies(ctx)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	fmt.Fprintf(w, "A copy of %d MB took %v, a copy of 1 MB %v (medians and ranges of %d).\n", s.Size/1e6, large, small, len(large))
	return nil
}

// serverStage is a server with a filled cache and one snapshot of it.
type serverStage struct {
	Stage
	b       *booted
	program string
	n       int // names made so far
	grown   int64
}

func (s *serverStage) name(what string) string {
	s.n++
	return fmt.Sprintf("%s-%d", what, s.n)
}

func (s *serverStage) prepare(ctx context.Context) error {
	if err := s.createCache(ctx, "source", ""); err != nil {
		return err
	}
	var err error
	if s.Node, err = s.b.node(); err != nil {
		return err
	}
	e := s.Node.Endpoint()
	s.Source = capture.Source{Address: e.Address + ":" + strconv.Itoa(e.Port), User: engine.AdminUser, Password: s.Node.Password}
	s.Server = dataset.Server{Address: s.Source.Address}
	stats, err := dataset.Fill(ctx, s.Server, dataset.Sized(s.Bytes, 1))
	if err != nil {
		return err
	}
	s.Keys = stats.Keys
	s.RDB = s.Temp("dump.rdb")
	if err := s.CaptureTo(ctx, s.RDB); err != nil {
		return err
	}
	info, err := os.Stat(s.RDB)
	if err != nil {
		return err
	}
	s.Size = info.Size()
	answer, err := s.b.api.S3(ctx, http.MethodPut, "/bench-exports")
	if err != nil {
		return err
	}
	answer.Body.Close()
	return s.createSnapshot(ctx, "base")
}

func (s *serverStage) measures() []Measure {
	return []Measure{
		{Name: "snapshot, from the request to available", AnchorName: s.cli() + " --rdb /dev/null", Anchor: s.CLI(os.DevNull), Limit: 1.15,
			Ours: func(ctx context.Context) error { return s.createSnapshot(ctx, s.name("snap")) }},
		{Name: "verify of the stored snapshot", AnchorName: s.check() + " on the plain file", Anchor: s.Check, Limit: 1, Ours: s.verify},
		{Name: "restore, from the request to available", AnchorName: "the same engine and file by hand, to cluster_state:ok", Anchor: s.byHand, Limit: 1.25,
			Ours: s.restore},
		{Name: "export, from the request to available", AnchorName: "cp and fsync", Anchor: s.CopyFsync, Limit: 2, Ours: s.export},
	}
}

func (s *serverStage) createCache(ctx context.Context, name, fromARN string) error {
	family := string(s.Engine)
	in := &ecapi.CreateServerlessCacheInput{ServerlessCacheName: &name, Engine: &family}
	if fromARN != "" {
		in.SnapshotArnsToRestore = []string{fromARN}
	}
	if _, err := client.Call(ctx, s.b.api, ecapi.OpCreateServerlessCache, in); err != nil {
		return err
	}
	return poll(ctx, func() (bool, error) {
		out, err := client.Call(ctx, s.b.api, ecapi.OpDescribeServerlessCaches, &ecapi.DescribeServerlessCachesInput{ServerlessCacheName: &name})
		if err != nil {
			return false, err
		}
		status := *out.ServerlessCaches[0].Status
		if status == "create-failed" {
			return false, fmt.Errorf("cache %s failed", name)
		}
		return status == "available", nil
	})
}

// createSnapshot takes a snapshot, and watches how the server's memory grows.
func (s *serverStage) createSnapshot(ctx context.Context, name string) error {
	before := s.resident()
	cache := "source"
	if _, err := client.Call(ctx, s.b.api, ecapi.OpCreateServerlessCacheSnapshot, &ecapi.CreateServerlessCacheSnapshotInput{
		ServerlessCacheName: &cache, ServerlessCacheSnapshotName: &name}); err != nil {
		return err
	}
	return s.settled(ctx, name, func() { s.grown = max(s.grown, s.resident()-before) })
}

// settled waits until a snapshot is available.
func (s *serverStage) settled(ctx context.Context, name string, meanwhile func()) error {
	return poll(ctx, func() (bool, error) {
		meanwhile()
		out, err := client.Call(ctx, s.b.api, ecapi.OpDescribeServerlessCacheSnapshots, &ecapi.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: &name})
		if err != nil {
			return false, err
		}
		status := *out.ServerlessCacheSnapshots[0].Status
		if status == "failed" {
			return false, fmt.Errorf("snapshot %s failed", name)
		}
		return status == "available", nil
	})
}

// resident is the memory of the server process in bytes.
func (s *serverStage) resident() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.b.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kilobytes, _ := strconv.ParseInt(fields[0], 10, 64) //nolint:errcheck // the kernel writes a number
	return kilobytes << 10
}

func (s *serverStage) verify(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, s.program, "snapshot", "verify", "base", "--data", s.b.data).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %.300s", err, out)
	}
	return nil
}

// restore makes a cache from the snapshot; it is deleted outside the measure of the next run.
func (s *serverStage) restore(ctx context.Context) error {
	return s.createCache(ctx, s.name("restored"), s.arn("base"))
}

func (s *serverStage) arn(name string) string {
	return "arn:aws:elasticache:" + region + ":" + iamAccount + ":serverlesscachesnapshot:" + name
}

// iamAccount is the account of a server that was told nothing.
const iamAccount = "123456789012"

// byHand starts the engine on the plain file, with the settings that a cache has.
func (s *serverStage) byHand(ctx context.Context) error {
	if s.sup == nil {
		var err error
		if s.sup, err = supervisor.New(supervisor.Options{Dir: s.Temp("byhand")}); err != nil {
			return err
		}
	}
	spec := s.Node.Spec
	spec.ID = s.name("byhand")
	node, err := s.sup.Create(ctx, spec)
	if err != nil {
		return err
	}
	if err := os.Link(s.RDB, s.sup.DataPath(node.ID)); err != nil {
		return err
	}
	if err := s.sup.Start(ctx, node.ID); err != nil {
		return err
	}
	return s.sup.WaitReady(ctx, node.ID, nil)
}

func (s *serverStage) closeEngines() error {
	if s.sup == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var err error
	for _, n := range s.sup.Nodes() {
		err = errors.Join(err, s.sup.Remove(ctx, n.ID))
	}
	return errors.Join(err, s.sup.Close())
}

// export writes the snapshot into a bucket under a name of its own, by way of a copy, which takes no time.
func (s *serverStage) export(ctx context.Context) error {
	name, source, bucket := s.name("out"), "base", "bench-exports"
	if _, err := client.Call(ctx, s.b.api, ecapi.OpCopyServerlessCacheSnapshot, &ecapi.CopyServerlessCacheSnapshotInput{
		SourceServerlessCacheSnapshotName: &source, TargetServerlessCacheSnapshotName: &name}); err != nil {
		return err
	}
	if err := s.settled(ctx, name, func() {}); err != nil {
		return err
	}
	if _, err := client.Call(ctx, s.b.api, ecapi.OpExportServerlessCacheSnapshot, &ecapi.ExportServerlessCacheSnapshotInput{
		ServerlessCacheSnapshotName: &name, S3BucketName: &bucket}); err != nil {
		return err
	}
	return s.settled(ctx, name, func() {})
}

// copies times copies of a snapshot of one megabyte and of the whole data set.
func (s *serverStage) copies(ctx context.Context) (small, large Times, err error) {
	tiny := "tiny"
	if err := s.createCache(ctx, tiny, ""); err != nil {
		return nil, nil, err
	}
	out, err := client.Call(ctx, s.b.api, ecapi.OpDescribeServerlessCaches, &ecapi.DescribeServerlessCachesInput{ServerlessCacheName: &tiny})
	if err != nil {
		return nil, nil, err
	}
	e := out.ServerlessCaches[0].Endpoint
	if _, err := dataset.Fill(ctx, dataset.At(*e.Address+":"+strconv.Itoa(int(*e.Port))), dataset.Sized(1_000_000, 2)); err != nil {
		return nil, nil, err
	}
	if _, err := client.Call(ctx, s.b.api, ecapi.OpCreateServerlessCacheSnapshot, &ecapi.CreateServerlessCacheSnapshotInput{
		ServerlessCacheName: &tiny, ServerlessCacheSnapshotName: &tiny}); err != nil {
		return nil, nil, err
	}
	if err := s.settled(ctx, tiny, func() {}); err != nil {
		return nil, nil, err
	}
	for range 20 {
		for source, times := range map[string]*Times{tiny: &small, "base": &large} {
			start, name := time.Now(), s.name("copy")
			if _, err := client.Call(ctx, s.b.api, ecapi.OpCopyServerlessCacheSnapshot, &ecapi.CopyServerlessCacheSnapshotInput{
				SourceServerlessCacheSnapshotName: &source, TargetServerlessCacheSnapshotName: &name}); err != nil {
				return nil, nil, err
			}
			if err := s.settled(ctx, name, func() {}); err != nil {
				return nil, nil, err
			}
			*times = append(*times, time.Since(start))
		}
	}
	return small, large, nil
}
