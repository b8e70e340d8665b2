package worker

import (
	"context"
	"fmt"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
)

// changing is the checkpoint of jobs that change the nodes of a cache.
type changing struct {
	// Saved are nodes, by ID, that wrote their data and ended, and have not proved since that they have it again: how many keys it is.
	Saved map[string]int64 `json:",omitempty"`

	Added, Removed bool            // nodes came or went
	Done           map[string]bool `json:",omitempty"` // by ID: nodes that were restarted
}

func loadChanging(r *job.Running) (*changing, error) {
	c := &changing{}
	if _, err := r.Load(c); err != nil {
		return nil, err
	}
	if c.Saved == nil {
		c.Saved = make(map[string]int64)
	}
	if c.Done == nil {
		c.Done = make(map[string]bool)
	}
	return c, nil
}

// restart is a restart of one node with its own data.
type restart struct {
	node     string
	replicas bool                         // the node has replicas, which it must not empty
	binary   *engine.Installed            // to run from now on; nil: the one that it has
	prepare  func() error                 // done while the node is down; may be nil
	emptied  func(tx *metastore.Tx) error // told when the node had ended before it could save anything
}

// restartWithData has a node write its data, end, and start on it. No write is lost: the engine saves when it has stopped to serve. An
// earlier run may have come to any point of it.
func (w *Worker) restartWithData(ctx context.Context, r *job.Running, c *changing, a restart) error {
	path := w.Engines.DataPath(a.node)
	if _, saved := c.Saved[a.node]; !saved {
		if err := w.Engines.SaveAndStop(ctx, a.node); err != nil {
			return fmt.Errorf("save the data of the old engine: %w", err)
		}
		failpoint.Hit("modify-cache.saved")
		keys, err := countKeys(path)
		if err != nil {
			return err
		}
		lost := !exists(path)
		if lost && a.replicas {
			return fmt.Errorf("node %s ended before it could save its data, and a replica has to take its place", a.node)
		}
		c.Saved[a.node] = keys
		err = r.Update(ctx, func(tx *metastore.Tx) error {
			if lost && a.emptied != nil {
				if err := a.emptied(tx); err != nil {
					return err
				}
			}
			return r.SaveIn(tx, c)
		})
		if err != nil {
			delete(c.Saved, a.node)
			return err
		}
	}
	failpoint.Hit("modify-cache.counted")
	if a.binary != nil {
		if err := w.Engines.SetBinary(a.node, *a.binary); err != nil {
			return err
		}
	}
	if a.prepare != nil {
		if err := a.prepare(); err != nil {
			return err
		}
	}
	failpoint.Hit("modify-cache.switched")
	if err := w.Engines.Start(ctx, a.node); err != nil {
		return err
	}
	failpoint.Hit("modify-cache.started")
	if err := w.Engines.WaitUp(ctx, a.node); err != nil {
		return err
	}
	loaded, err := w.Engines.Loaded(ctx, a.node)
	if err != nil {
		return err
	}
	if got := loaded.Keys + loaded.Expired; got != c.Saved[a.node] {
		// What the old engine saved must survive, for the old engine.
		if err := w.Engines.Stop(ctx, a.node); err != nil {
			return err
		}
		return job.Cancel(fmt.Errorf("the new engine loaded %d keys and the old one saved %d", got, c.Saved[a.node]))
	}
	if err := w.Engines.RemoveData(ctx, a.node); err != nil {
		return err
	}
	delete(c.Saved, a.node)
	return r.Save(ctx, c)
}
