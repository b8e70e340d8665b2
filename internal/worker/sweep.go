package worker

import (
	"context"
	"encoding/json"

	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// Sweep brings catalogue and store in line: snapshots without a manifest are not called available, and parts that no snapshot
// names and no job writes are removed: what captures that died have left.
func (w *Worker) Sweep(ctx context.Context) error {
	if err := w.compare(ctx); err != nil {
		return err
	}
	swept, err := w.Store.Sweep(ctx, func(captureID string) bool {
		needed, err := w.needed(ctx, captureID)
		return err != nil || needed
	})
	if swept.Captures > 0 {
		w.Log.Info("swept orphaned parts", "captures", swept.Captures, "objects", swept.Objects, "bytes", swept.Bytes)
	}
	return err
}

// needed tells whether a capture is that of a snapshot, or is being written by an unfinished job.
func (w *Worker) needed(ctx context.Context, captureID string) (needed bool, err error) {
	err = w.DB.View(ctx, func(tx *metastore.Tx) error {
		n, err := tx.CountOthersOfCapture(captureID, "")
		if needed = n > 0; err != nil || needed {
			return err
		}
		for _, kind := range []string{resource.TaskCreateSnapshot, resource.TaskDeleteCache} {
			jobs, err := job.List(tx, job.Filter{Kind: kind})
			if err != nil {
				return err
			}
			for _, j := range jobs {
				var c captured
				if !j.State.Finished() && json.Unmarshal(j.Checkpoint, &c) == nil && c.CaptureID == captureID {
					needed = true
				}
			}
		}
		return nil
	})
	return needed, err
}
