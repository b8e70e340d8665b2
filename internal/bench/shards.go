package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/api/client"
	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// fanOut is the number of shards that one becomes.
const fanOut = 4

// Shards measures what a change of shape costs: dividing a file, restoring one shard to four through the API of a server, and what the
// engine's own tools take for the same.
func Shards(ctx context.Context, w io.Writer, o Options, program string) (err error) {
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
	rows, err := s.shards(ctx)
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	fmt.Fprintf(w, "One shard to %d: %s %s, %d keys, RDB of %d MB, medians of %d runs (of one for resharding), %d cores.\n\n",
		fanOut, s.Engine, s.Node.Binary.Version, s.Keys, s.Size/1e6, s.Runs, runtime.NumCPU())
	return Table(w, rows)
}

func (s *serverStage) shards(ctx context.Context) ([]Row, error) {
	var rows []Row
	for _, m := range []Measure{
		{Name: "split a file in four by slot, fsync", AnchorName: "cp and fsync", Anchor: s.CopyFsync, Ours: s.split, Limit: 2},
		{Name: "restore one shard to four, from the request to available", AnchorName: "the same file into one node by hand, to cluster_state:ok",
			Anchor: s.byHand, Ours: s.restoreGroup, Limit: 1.5, After: s.clear},
	} {
		row, err := s.Compare(ctx, m)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	addr, password, err := s.lopsided(ctx)
	if err != nil {
		return nil, err
	}
	once := *s
	once.Runs = 1
	row, err := once.Compare(ctx, Measure{Name: "restore one shard to four, from the request to available", AnchorName: s.cli() + " --cluster rebalance of one loaded node to four",
		Anchor: func(ctx context.Context) error { return s.rebalance(ctx, addr, password) }, Ours: once.restoreGroup, Limit: 0.1})
	s.n = once.n
	return append(rows, row), err
}

// split divides the RDB among four files on the same disk and syncs them.
func (s *Stage) split(context.Context) error {
	in, err := os.Open(s.RDB)
	if err != nil {
		return err
	}
	defer in.Close()
	var files []*os.File
	var outputs []rdb.Output
	for i, r := range resource.EqualSlots(fanOut) {
		f, err := os.Create(s.Temp(fmt.Sprintf("split-%d.rdb", i)))
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		defer f.Close()
		out := rdb.Output{W: f}
		out.Slots.Add(r.Start, r.End)
		files, outputs = append(files, f), append(outputs, out)
	}
	splitter, err := rdb.NewSplitter(rdb.SplitOptions{Version: 11}, outputs...)
	if err != nil {
		return err
	}
	if _, err := rdb.NewScanner(in, rdb.Options{Split: splitter}).Scan(); err != nil {
		return err
	}
	written, err := splitter.Close()
	if err != nil {
		return err
	}
	var keys int64
	for i, f := range files {
		keys += written[i].Keys
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if keys != s.Keys {
		return fmt.Errorf("the parts hold %d keys of %d", keys, s.Keys)
	}
	return nil
}

// restoreGroup makes a replication group of four shards from the snapshot.
func (s *serverStage) restoreGroup(ctx context.Context) error {
	name, snapshot, nodeType, shards, none := s.name("group"), "base", "cache.r7g.large", int32(fanOut), int32(0)
	family := string(s.Engine)
	if _, err := client.Call(ctx, s.b.api, ecapi.OpCreateReplicationGroup, &ecapi.CreateReplicationGroupInput{
		ReplicationGroupId: &name, ReplicationGroupDescription: &name, Engine: &family, CacheNodeType: &nodeType,
		NumNodeGroups: &shards, ReplicasPerNodeGroup: &none, ServerlessCacheSnapshotName: &snapshot}); err != nil {
		return err
	}
	return pollEvery(ctx, 25*time.Millisecond, func() (bool, error) {
		out, err := client.Call(ctx, s.b.api, ecapi.OpDescribeReplicationGroups, &ecapi.DescribeReplicationGroupsInput{ReplicationGroupId: &name})
		if err != nil {
			return false, err
		}
		status := *out.ReplicationGroups[0].Status
		if status == "create-failed" {
			return false, fmt.Errorf("group %s failed", name)
		}
		return status == "available", nil
	})
}

// clear removes the groups and the engines of the run before, so that they take no memory from the next.
func (s *serverStage) clear(ctx context.Context) error {
	out, err := client.Call(ctx, s.b.api, ecapi.OpDescribeReplicationGroups, &ecapi.DescribeReplicationGroupsInput{})
	if err != nil {
		return err
	}
	for _, g := range out.ReplicationGroups {
		if _, err := client.Call(ctx, s.b.api, ecapi.OpDeleteReplicationGroup, &ecapi.DeleteReplicationGroupInput{ReplicationGroupId: g.ReplicationGroupId}); err != nil {
			return err
		}
	}
	if s.sup != nil {
		for _, n := range s.sup.Nodes() {
			if err := s.sup.Remove(ctx, n.ID); err != nil {
				return err
			}
		}
	}
	return poll(ctx, func() (bool, error) {
		out, err := client.Call(ctx, s.b.api, ecapi.OpDescribeReplicationGroups, &ecapi.DescribeReplicationGroupsInput{})
		return err == nil && len(out.ReplicationGroups) == 0, err
	})
}

// lopsided is a cluster of four nodes, one of which has all slots and the data.
func (s *serverStage) lopsided(ctx context.Context) (addr string, password engine.Secret, err error) {
	var nodes []supervisor.Node
	var members []engine.ClusterNode
	for i := range fanOut {
		spec := s.Node.Spec
		spec.ID, spec.Shard, spec.Slots = s.name("lopsided"), fmt.Sprintf("%04d", i+1), nil
		if i == 0 {
			spec.Slots = resource.AllSlots
		}
		n, err := s.sup.Create(ctx, spec)
		if err != nil {
			return "", password, err
		}
		m, err := s.sup.ClusterNode(n.ID, true)
		if err != nil {
			return "", password, err
		}
		nodes, members = append(nodes, n), append(members, m)
	}
	if err := os.Link(s.RDB, s.sup.DataPath(nodes[0].ID)); err != nil {
		return "", password, err
	}
	for _, n := range nodes {
		if err := errors.Join(s.sup.SetCluster(ctx, n.ID, members), s.sup.Start(ctx, n.ID)); err != nil {
			return "", password, err
		}
	}
	for _, n := range nodes {
		if err := s.sup.WaitReady(ctx, n.ID, nil); err != nil {
			return "", password, err
		}
	}
	e := nodes[0].Endpoint()
	return e.Address + ":" + strconv.Itoa(e.Port), nodes[0].Password, nil
}

// rebalance has the engine's own tool move three quarters of the slots to the empty nodes.
func (s *serverStage) rebalance(ctx context.Context, addr string, password engine.Secret) error {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.cli(), "--user", engine.AdminUser, "--cluster", "rebalance", addr, "--cluster-use-empty-"+s.emptyPrimaries(), "--cluster-yes")
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+password.Reveal())
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %.300s ... %s", err, out, out[max(0, len(out)-300):])
	}
	return nil
}

// emptyPrimaries is what the tool calls nodes without slots.
func (s *serverStage) emptyPrimaries() string {
	if s.Engine == engine.Valkey {
		return "primaries"
	}
	return "masters"
}
