package worker

import (
	"context"
	"encoding/json"

	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// Sweep removes parts that no snapshot names and no job writes: what captures that died have left.
func (w *Worker) Sweep(ctx context.Context) error {
	swept, err := w.Store.Sweep(ctx, func(captureID string) bool {
		writing, err := w.writing(ctx)
		return err != nil || writing[captureID]
	})
	if swept.Captures > 0 {
		w.Log.Info("swept orphaned parts", "captures", swept.Captures, "objects", swept.Objects, "bytes", swept.Bytes)
	}
	return err
}

// writing lists the captures that unfinished jobs have begun.
func (w *Worker) writing(ctx context.Context) (map[string]bool, error) {
	all := map[string]bool{}
	return all, w.DB.View(ctx, func(tx *metastore.Tx) error {
		for _, kind := range []string{resource.TaskCreateSnapshot, resource.TaskDeleteCache} {
			jobs, err := job.List(tx, job.Filter{Kind: kind})
			if err != nil {
				return err
			}
			for _, j := range jobs {
				var c captured
				if !j.State.Finished() && json.Unmarshal(j.Checkpoint, &c) == nil {
					all[c.CaptureID] = true
				}
			}
		}
		return nil
	})
}
