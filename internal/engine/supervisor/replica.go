package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/resource"
)

// SetReplicaOf has a node outside of cluster mode follow a primary, or be one if that is zero: at once if it runs, and at every
// later start.
func (s *Supervisor) SetReplicaOf(ctx context.Context, id string, primary resource.Endpoint) error {
	n, err := s.find(id)
	if err != nil {
		return err
	}
	if n.snapshot(s).ReplicaOf != primary {
		if err := s.update(n, func(spec *Spec) { spec.ReplicaOf = primary }); err != nil {
			return err
		}
	}
	if !s.Running(id) {
		return nil
	}
	if primary.Address == "" {
		return s.command(ctx, id, "REPLICAOF", "NO", "ONE")
	}
	return s.command(ctx, id, "REPLICAOF", primary.Address, strconv.Itoa(primary.Port)) // "already connected" is fine too
}

// ResetCluster tells a node that does not run who the nodes of its cluster are, as SetCluster does, whatever it knew before.
func (s *Supervisor) ResetCluster(id string, nodes []engine.ClusterNode) error {
	return s.idleInCluster(id, func(n Node) error { return s.writeNodesConf(n, nodes) })
}

// RejoinCluster makes a node that does not run a replica of the member primaryID from its next start on, whatever it was
// before. Members are the cluster as a live node of it sees it; shardOf names the shard of a member by its cluster ID.
func (s *Supervisor) RejoinCluster(id, primaryID string, members []engine.Member, shardOf func(id string) string) error {
	return s.idleInCluster(id, func(n Node) error {
		text, err := engine.RejoinConf(n.Binary.Version, n.Engine, s.clusterNode(n, false), primaryID, members, shardOf, n.TLS)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(n.Dir, engine.NodesFile), []byte(text))
	})
}

// LastRole tells what a node in cluster mode last knew of itself, from its cluster state file: nil before its first start.
func (s *Supervisor) LastRole(id string) (*engine.Member, error) {
	n, err := s.Node(id)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(n.Dir, engine.NodesFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return engine.ParseSelf(string(text))
}

// idleInCluster lets change work on a node in cluster mode that does not run.
func (s *Supervisor) idleInCluster(id string, change func(Node) error) error {
	n, err := s.take(id)
	if err != nil {
		return err
	}
	defer n.op.Unlock()
	node := n.snapshot(s)
	if !node.Cluster {
		return fmt.Errorf("node %s is not in cluster mode", id)
	}
	if p := n.process(); p != nil && p.running() {
		return fmt.Errorf("node %s runs, and keeps its view of the cluster itself", id)
	}
	return change(node)
}

// Kill ends a node's process at once, also one that hears nothing, and waits until it is gone: nobody can read old data from it
// any more. A node that does not run is left alone.
func (s *Supervisor) Kill(ctx context.Context, id string) error {
	n, err := s.take(id)
	if err != nil {
		return err
	}
	defer n.op.Unlock()
	return s.kill(ctx, id)
}

// Started tells whether there was a first start of the node.
func (s *Supervisor) Started(id string) bool {
	return exists(filepath.Join(s.nodeDir(id), startedFile))
}

// SetAOF turns a node's append-only file on or off. On a node that runs it is turned on: the file is whole when SetAOF
// returns, and only then do later starts rely on it.
func (s *Supervisor) SetAOF(ctx context.Context, id string, on bool) error {
	n, err := s.find(id)
	if err != nil {
		return err
	}
	if n.snapshot(s).AOF == on {
		return nil
	}
	if s.Running(id) {
		if !on {
			return fmt.Errorf("node %s runs: its append-only file stays", id)
		}
		if err := s.writeAOF(ctx, id); err != nil {
			return err
		}
	}
	return s.update(n, func(spec *Spec) { spec.AOF = on })
}

// writeAOF has a running node write its first append-only file.
func (s *Supervisor) writeAOF(ctx context.Context, id string) error {
	c, err := s.Admin(ctx, id)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Do(ctx, "CONFIG", "SET", "appendonly", "yes"); err != nil {
		return fmt.Errorf("node %s: turn its append-only file on: %w", id, err)
	}
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		info, err := c.Info(ctx, "persistence")
		if err != nil {
			return fmt.Errorf("node %s: %w", id, err)
		}
		switch {
		case info["aof_rewrite_in_progress"] != "0" || info["aof_rewrite_scheduled"] != "0":
		case info["aof_last_bgrewrite_status"] != "ok":
			return fmt.Errorf("node %s could not write its append-only file:\n%s", id, s.LogTail(id, 5))
		case info["aof_enabled"] == "1":
			return nil
		}
		if err := pause(ctx, wait); err != nil {
			return context.Cause(ctx)
		}
	}
}

// link says what is still missing until a replica is in step with its primary; nil for a primary.
func link(ctx context.Context, c *resp.Conn) error {
	info, err := c.Info(ctx, "replication")
	if err != nil {
		return err
	}
	if info["role"] == "slave" && info["master_link_status"] != "up" {
		return fmt.Errorf("its link to the primary %s:%s is %s", info["master_host"], info["master_port"], info["master_link_status"])
	}
	return nil
}
