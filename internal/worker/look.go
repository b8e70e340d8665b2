package worker

import (
	"context"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/resource"
)

// sight is what a look at a node found.
type sight struct {
	runs    bool // its process does, as far as is known
	answers bool // it said something in time
	busy    bool // it answers, and says nothing of its role: it loads, or a script holds it

	leads   bool  // it is a primary by its own account
	slots   bool  // and serves slots, or is the only one that can, without cluster mode
	epoch   int64 // of its slots
	follows resource.Endpoint
	linked  bool  // with the primary that it follows
	syncing bool  // it has not got all data from its primary
	alone   int64 // seconds for which a replica has been without its primary; -1: its process has never been with it
	writing bool  // its append-only file anew, or about to: until then the old one is what would return
	offset  int64 // how much of the primary's writes it has
}

// lookAt asks a node what it is. One that does not answer within patience is mute.
func (w *Worker) lookAt(ctx context.Context, d *resource.Deployment, n *resource.Node) (s sight) {
	s.runs = w.Engines.Running(n.ID)
	if !s.runs {
		return s
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := w.Engines.Admin(ctx, n.ID)
	if err != nil {
		s.answers = resp.IsCode(err, "LOADING") || resp.IsCode(err, "BUSY")
		s.busy = s.answers
		return s
	}
	defer c.Close()
	info, err := c.Info(ctx, "replication")
	if err != nil {
		s.answers = resp.IsCode(err, "BUSY")
		s.busy = s.answers
		return s
	}
	s.answers, s.leads = true, info["role"] == "master"
	s.linked, s.syncing = info["master_link_status"] == "up", info["master_sync_in_progress"] == "1"
	if down, ok := info["master_link_down_since_seconds"]; ok && !s.linked {
		s.alone, _ = strconv.ParseInt(down, 10, 64)
	}
	s.follows.Address = info["master_host"]
	s.follows.Port, _ = strconv.Atoi(info["master_port"])
	s.offset, _ = strconv.ParseInt(info["slave_repl_offset"], 10, 64)
	if s.leads {
		s.offset, _ = strconv.ParseInt(info["master_repl_offset"], 10, 64)
	}
	if info, err = c.Info(ctx, "persistence"); err != nil || info["loading"] != "0" {
		s.busy = true
	}
	s.writing = info["aof_rewrite_in_progress"] == "1" || info["aof_rewrite_scheduled"] == "1"
	s.slots = s.leads
	if !inClusterMode(d.Cache) {
		return s
	}
	v, err := c.Do(ctx, "CLUSTER", "NODES")
	if err != nil {
		s.busy = true
		return s
	}
	text, _ := v.Text()
	seen, _ := engine.ParseMembers(text)
	for _, m := range seen {
		if m.Myself {
			s.leads, s.epoch = m.Primary, m.Epoch
			s.slots = m.Primary && len(m.Slots) > 0
		}
	}
	return s
}

// lookAround asks all nodes of a cache at once. The result is by node ID.
func (w *Worker) lookAround(ctx context.Context, d *resource.Deployment) map[string]sight {
	var mu sync.Mutex
	all := make(map[string]sight, len(d.Nodes))
	var g errgroup.Group
	g.SetLimit(16)
	for _, n := range d.Nodes {
		g.Go(func() error {
			s := w.lookAt(ctx, d, n)
			mu.Lock()
			defer mu.Unlock()
			all[n.ID] = s
			return nil
		})
	}
	g.Wait() //nolint:errcheck // a node that does not answer is a finding
	return all
}
