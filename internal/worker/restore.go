package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/itemfile"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
)

// filled is the checkpoint of a restore: every primary was given all its data, and these keys must come out of it.
type filled struct{ Keys map[string]int64 } // by node ID

// launch starts the primaries of a new cache whose nodes are placed: empty, or on the data of the source if the task names one. It returns how
// many keys each primary must then have loaded, by node ID; nil when the cache starts empty. Every byte is verified on its way: part hashes and
// seals, checksum, every record and its slot. WaitReady of each tells when the data is loaded.
func (w *Worker) launch(ctx context.Context, r *job.Running, t resource.CreateCacheTask, d *resource.Deployment, binary engine.Choice) (map[string]int64, error) {
	var primaries []*resource.Node
	for _, n := range d.Nodes {
		if n.Primary {
			primaries = append(primaries, n)
		}
	}
	if t.SnapshotID == "" && len(t.Objects) == 0 {
		for _, n := range primaries {
			if err := w.Engines.Start(ctx, n.ID); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}
	before, hungry, err := w.hungry(ctx, r, primaries)
	if err != nil || len(hungry) == 0 {
		return before, err
	}
	var keys map[string]int64
	if d.Engine == resource.Memcached {
		keys, err = w.loadItems(ctx, r, t, d)
	} else {
		var to *receiver
		if to, err = w.receiverOf(d, primaries, binary); err != nil {
			return nil, err
		}
		keys, err = w.feed(ctx, r, t, to, hungry)
	}
	if errors.Is(err, supervisor.ErrNotRunning) {
		return nil, job.Cancel(err) // the engine refused the data, and will do so again
	}
	if err != nil {
		return nil, hopeless(err)
	}
	failpoint.Hit("create-cache.fed")
	return keys, r.Save(ctx, filled{keys})
}

// hungry finds the primaries that need their data: all of them in a first run, those whose engine has died since in a later one. What the
// checkpoint says of all is returned too.
func (w *Worker) hungry(ctx context.Context, r *job.Running, primaries []*resource.Node) (keys map[string]int64, hungry map[string]bool, err error) {
	var before filled
	found, err := r.Load(&before)
	if err != nil {
		return nil, nil, err
	}
	hungry = make(map[string]bool)
	for _, n := range primaries {
		alive := false
		if found {
			if alive, err = w.Engines.Adopt(ctx, n.ID); err != nil {
				return nil, nil, err
			}
		}
		if !alive {
			hungry[n.ID] = true
		}
	}
	return before.Keys, hungry, nil
}

// feed brings the source's data to the primaries that are hungry, and returns the keys of all.
func (w *Worker) feed(ctx context.Context, r *job.Running, t resource.CreateCacheTask, to *receiver, hungry map[string]bool) (map[string]int64, error) {
	var from []dump
	var err error
	if len(t.Objects) > 0 {
		from, err = w.objectSources(ctx, r, t.Objects, to)
	} else {
		from, err = w.snapshotSources(ctx, t.SnapshotID, to)
	}
	if err != nil {
		return nil, err
	}
	p := &progress{run: r}
	for i := range from {
		p.size += from[i].size
	}
	if of := pairs(from, to); of != nil {
		return w.pour(ctx, of, to, hungry, p)
	}
	return w.spread(ctx, from, to, hungry, p)
}

// unlock reads a snapshot's manifest and its data key.
func (w *Worker) unlock(ctx context.Context, snapshotID string) (*snapstore.Manifest, snapstore.DataKey, error) {
	m, err := w.Store.ReadManifest(ctx, snapshotID)
	if err != nil {
		return nil, snapstore.DataKey{}, hopeless(err)
	}
	key, err := w.Store.Unlock(ctx, m)
	return m, key, hopeless(err)
}

// hopeless marks errors that another attempt would meet again: damage, and keys that cannot be used.
func hopeless(err error) error {
	if errors.Is(err, snapstore.ErrCorrupt) || errors.Is(err, rdb.ErrCorrupt) || errors.Is(err, itemfile.ErrCorrupt) || errors.Is(err, rdb.ErrCannotLower) || is(err, resource.InvalidKey) {
		return job.Cancel(err)
	}
	return err
}

// errKeys is a wrong number of keys.
func errKeys(got, want int64) error {
	return fmt.Errorf("%w: it should hold %d keys and holds %d", snapstore.ErrCorrupt, want, got)
}
