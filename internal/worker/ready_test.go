package worker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// A node does not serve while its shard has no primary, nor in cluster mode while another shard has none. Who waits for it ends then, so that the
// next run of the job heals that. In a cache that is being created nodes that were started count as well.
func TestReadinessEndsWithAPrimary(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cluster          bool
		shards, replicas int
		fresh            bool
	}{"cluster": {true, 2, 0, false}, "new cluster": {true, 2, 0, true}, "group": {false, 1, 1, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHall(t)
			d := h.group(engine.Valkey, c.cluster, c.shards, c.replicas)
			n, dies := d.Nodes[0], d.Nodes[1]
			if !c.cluster {
				n, dies = d.Reader("0001"), d.Primary("0001")
			}
			for _, n := range d.Nodes {
				if c.fresh {
					n.Status = resource.NodeCreating
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), agreement/2)
			defer cancel()
			h.must(h.ready(ctx, d, n))
			h.must(h.Engines.Kill(ctx, dies.ID))
			err := h.ready(ctx, d, n)
			for err == nil { // the other has not noticed
				h.must(sleep(ctx, 10*time.Millisecond))
				err = h.ready(ctx, d, n)
			}
			if !errors.Is(err, errPrimaryDied) {
				t.Errorf("the wait ended with %v", err)
			}
		})
	}
}

// A primary of a new cluster that serves already ends while another does not: that one would wait for it for ever.
func TestCreateEndsWithAPrimary(t *testing.T) {
	t.Parallel()
	var body func(ctx context.Context, r *job.Running)
	h := newHall(t, func(o *Options) {
		o.Queue.Register("wait", job.Kind{Run: func(ctx context.Context, r *job.Running) error { body(ctx, r); return nil }})
	})
	d := h.group(engine.Valkey, true, 2, 0)
	for _, n := range d.Nodes {
		n.Status = resource.NodeCreating
	}
	serves, joins := d.Nodes[0], d.Nodes[1]
	h.must(h.command(t.Context(), joins.ID, "CLUSTER", "DELSLOTS", "16383")) // which the other does not take for a failure
	ended := make(chan error, 1)
	body = func(ctx context.Context, r *job.Running) { ended <- h.awaitPrimaries(ctx, r, d, false) }
	h.must(h.DB.Update(t.Context(), func(tx *metastore.Tx) error {
		_, err := h.Queue.Enqueue(tx, job.NewSpec("wait", d.ID, nil))
		return err
	}))
	kftest.Eventually(t, "a wait for one primary alone", func() error {
		if h.polled(serves) || !h.polled(joins) {
			return errors.New("it waits for both, or for none")
		}
		return nil
	})
	h.must(h.Engines.Kill(t.Context(), serves.ID))
	if err := kftest.Receive(t, "the end of the wait", ended); !errors.Is(err, errPrimaryDied) {
		t.Errorf("the wait ended with %v", err)
	}
}

// While the job that undoes a change waits for a new replica, the primary dies or hangs whose data it gets, or that of another shard: the replica
// is not to blame, and stays when the primary is back.
func TestUndoDoesNotWaitForTheDead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		shards int
		sig    syscall.Signal
		reason string
	}{"group": {1, syscall.SIGKILL, ""}, "cluster": {2, syscall.SIGKILL, "a primary ended"}, "silence": {1, syscall.SIGSTOP, "does not answer"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, shards := newHall(t), c.shards
			h.hung = time.Second
			d := h.group(engine.Valkey, shards > 1, shards, 1)
			n, lead, dies := d.Reader("0001"), d.Primary("0001"), d.Primary("0001")
			var other *resource.Node // replica of the other shard
			if shards > 1 {
				dies, other = d.Primary("0002"), d.Reader("0002")
			}
			// It is to be a new replica that gets no data yet.
			h.must(h.Engines.Kill(t.Context(), n.ID))
			h.must(h.Engines.RemoveData(t.Context(), n.ID))
			h.must(h.command(t.Context(), lead.ID, "CONFIG", "SET", "repl-diskless-sync-delay", "3600"))
			h.must(h.Engines.Start(t.Context(), n.ID))
			kftest.Guard(t, h.Engines.PID(n.ID))
			kftest.Eventually(t, "a replica that waits for its data", func() error {
				if s := h.lookAt(t.Context(), d, n); !s.answers || s.leads || s.linked {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
			var id string
			h.must(h.DB.Update(t.Context(), func(tx *metastore.Tx) (err error) {
				d.Status, n.Status = resource.CacheModifying, resource.NodeCreating
				if err := errors.Join(tx.UpdateCache(d.Cache), tx.UpdateNode(n)); err != nil {
					return err
				}
				spec := job.NewSpec(resource.TaskModifyCache, d.ID, resource.ModifyCacheTask{CacheID: d.ID, Accept: true})
				spec.MaxAttempts = 20
				id, err = h.Queue.Enqueue(tx, spec)
				return err
			}))
			kftest.Eventually(t, "the job to wait for the replica", func() error {
				if !h.polled(n) {
					return errors.New("nobody does")
				}
				return nil
			})
			if other != nil {
				h.must(h.Engines.Kill(t.Context(), other.ID)) // it must not be elected
			}
			pid := h.Engines.PID(dies.ID)
			h.must(syscall.Kill(pid, c.sig))
			if c.reason != "" { // nothing else can end it
				kftest.Eventually(t, "the wait to end", func() error {
					return h.DB.View(t.Context(), func(tx *metastore.Tx) error {
						j, err := job.Get(tx, id)
						if err == nil && !strings.Contains(j.LastError, c.reason) {
							err = errors.New("it goes on: " + j.LastError)
						}
						return err
					})
				})
			}
			if dies != lead {
				h.must(h.command(t.Context(), lead.ID, "CONFIG", "SET", "repl-diskless-sync-delay", "0"))
			} else if c.sig == syscall.SIGSTOP {
				h.must(syscall.Kill(pid, syscall.SIGKILL))
			}
			j, err := job.Wait(kftest.Context(t), h.DB, id)
			h.must(err)
			d = h.look(d.ID)
			for _, n := range d.Nodes {
				kftest.Guard(t, h.Engines.PID(n.ID))
			}
			if j.State != job.StateCompleted || d.Status != resource.CacheAvailable || len(d.Nodes) != 2*shards {
				t.Errorf("the job is %s (%s), the cache is %s and has %d nodes", j.State, j.LastError, d.Status, len(d.Nodes))
			}
		})
	}
}

// polling matches a connection that is a second old and asks for what WaitReady asks.
var polling = regexp.MustCompile(`age=[1-9]\d* .* cmd=(info|cluster\|info) user=` + engine.AdminUser + ` `)

// polled tells whether somebody waits for a node.
func (h *hall) polled(n *resource.Node) bool {
	h.t.Helper()
	c, err := h.Engines.Admin(h.t.Context(), n.ID)
	h.must(err)
	defer c.Close()
	v, err := c.Do(h.t.Context(), "CLIENT", "LIST", "TYPE", "NORMAL")
	h.must(err)
	return polling.MatchString(v.Str)
}
