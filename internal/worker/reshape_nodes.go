package worker

import (
	"context"
	"fmt"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// deploymentIn reads a cache that is in one of some states, and its nodes; errGone otherwise.
func (w *Worker) deploymentIn(ctx context.Context, id string, states ...resource.CacheStatus) (d *resource.Deployment, err error) {
	err = w.DB.View(ctx, func(tx *metastore.Tx) error {
		cache, err := cacheIn(tx, id, states...)
		if err == nil {
			d, err = tx.Deployment(cache)
		}
		return err
	})
	return d, err
}

// reviveAll makes sure that the nodes of a cache run.
func (w *Worker) reviveAll(ctx context.Context, r *job.Running, d *resource.Deployment) error {
	for _, n := range d.Nodes {
		if n.Status == resource.NodeCreating || n.Status == resource.NodeDeleting {
			continue
		}
		alive, err := w.Engines.Adopt(ctx, n.ID)
		if err == nil && !alive {
			err = fmt.Errorf("node %s does not run", n.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// handOver takes the role of primary away from nodes that go, where their shard stays.
func (w *Worker) handOver(ctx context.Context, r *job.Running, d *resource.Deployment, going []*resource.Node) error {
	return nil
}

// changeVersion
func (w *Worker) changeVersion(ctx context.Context, r *job.Running, d *resource.Deployment, choice engine.Choice) error {
	return nil
}
