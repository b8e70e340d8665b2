package app

import (
	"context"
	"time"

	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/metastore"
)

// startTicks does what is due by the clock: automated snapshots, sweeping, pruning.
func (a *App) startTicks(ctx context.Context) {
	ctx, a.stopTicks = context.WithCancel(context.WithoutCancel(ctx))
	a.every(ctx, time.Minute, "schedule", a.control.Schedule)
	a.every(ctx, 5*time.Second, "watch", a.worker.Watch)
	a.every(ctx, a.Config.SweepEvery, "sweep", a.worker.Sweep)
	a.every(ctx, time.Hour, "prune", a.prune)
}

// every runs do at once and then again and again, each time after a pause.
func (a *App) every(ctx context.Context, pause time.Duration, name string, do func(context.Context) error) {
	a.ticks.Go(func() {
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			if err := do(ctx); err != nil && ctx.Err() == nil {
				a.log.Error("periodic work failed and will be tried again", "work", name, "err", err)
			}
			timer.Reset(pause)
		}
	})
}

// prune forgets what nobody may ask for any more.
func (a *App) prune(ctx context.Context) error {
	return a.stores.DB.Update(ctx, func(tx *metastore.Tx) error {
		if _, err := tx.PruneEvents(time.Now().Add(-control.EventsKept)); err != nil {
			return err
		}
		_, err := tx.PruneTaken(time.Now().Add(-25 * time.Hour))
		return err
	})
}
