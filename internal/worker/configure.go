package worker

import (
	"context"
	"errors"
	"maps"
	"reflect"

	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// configureCache brings users, parameters and memory limits of the nodes in line with the records. Nodes that are down have them at
// their next start.
func (w *Worker) configureCache(ctx context.Context, r *job.Running, t resource.ConfigureCacheTask) error {
	for {
		d, s, err := w.configured(ctx, t.CacheID, func(*resource.Cache) {})
		if is(err, resource.NotFound) {
			return nil // the end of a cache settles what was waiting for it
		}
		if err != nil {
			return err
		}
		pending, err := w.apply(ctx, d, s)
		if err != nil {
			return err
		}
		failpoint.Hit("configure-cache.applied")
		err = r.Close(ctx, func(tx *metastore.Tx) error {
			cache, err := tx.CacheByID(t.CacheID)
			if is(err, resource.NotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			if err := w.inForce(tx, cache, s, pending); err != nil {
				return err
			}
			return tx.UpdateCache(cache)
		})
		if !errors.Is(err, errStale) {
			return err
		}
	}
}

// configured reads a cache, has change alter it, and tells what its nodes shall have then.
func (w *Worker) configured(ctx context.Context, id string, change func(*resource.Cache)) (d *resource.Deployment, s settings, err error) {
	err = w.DB.View(ctx, func(tx *metastore.Tx) error {
		cache, err := tx.CacheByID(id)
		if err != nil {
			return err
		}
		change(cache)
		if d, err = tx.Deployment(cache); err != nil {
			return err
		}
		s, err = w.settingsOf(tx, cache)
		return err
	})
	return d, s, err
}

// apply gives settings to all nodes that exist, and tells whether some take effect only when they start. A node that does not answer
// keeps no other from them.
func (w *Worker) apply(ctx context.Context, d *resource.Deployment, s settings) (pending bool, err error) {
	var failed []error
	for _, n := range d.Nodes {
		if _, err := w.Engines.Node(n.ID); err != nil {
			continue // not placed yet, or gone
		}
		left, err := w.applyTo(ctx, n, s)
		if err != nil {
			failed = append(failed, err)
		}
		pending = pending || left
	}
	return pending, errors.Join(failed...)
}

func (w *Worker) applyTo(ctx context.Context, n *resource.Node, s settings) (pending bool, err error) {
	if _, err := w.Engines.Adopt(ctx, n.ID); err != nil {
		return false, err
	}
	node, err := w.Engines.Node(n.ID)
	if err != nil {
		return false, err
	}
	if node.Engine != resource.Memcached {
		if err := w.Engines.SetUsers(ctx, n.ID, s.Users); err != nil {
			return false, err
		}
	}
	left, err := w.Engines.SetParameters(ctx, n.ID, s.Parameters)
	if err != nil {
		return false, err
	}
	return len(left) > 0, w.Engines.SetMaxMemory(ctx, n.ID, s.MaxMemory)
}

// inForce notes in a closing transaction that the nodes of a cache have these settings; errStale if they are not those of the records any
// more. The caller writes the cache.
func (w *Worker) inForce(tx *metastore.Tx, cache *resource.Cache, s settings, pending bool) error {
	now, err := w.settingsOf(tx, cache)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(now.Users, s.Users) || !maps.Equal(now.Parameters, s.Parameters) || now.MaxMemory != s.MaxMemory {
		return errStale
	}
	if cache.Layout != nil {
		cache.Layout.ParameterStatus = resource.ParametersInSync
		if pending {
			cache.Layout.ParameterStatus = resource.ParametersPendingReboot
		}
	}
	return tx.SettleAccess(cache.Scope, cache.Kind.Service(), cache.ID)
}

// configureCacheFailed lets users go on whose change some node did not take.
func (w *Worker) configureCacheFailed(tx *metastore.Tx, _ job.Job, t resource.ConfigureCacheTask, cause error) error {
	cache, err := tx.CacheByID(t.CacheID)
	if is(err, resource.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.SettleAccess(cache.Scope, cache.Kind.Service(), cache.ID); err != nil {
		return err
	}
	if cache.Layout != nil && cache.Layout.ParameterStatus == resource.ParametersApplying {
		cache.Layout.ParameterStatus = resource.ParametersPendingReboot
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
	}
	return w.tell(tx, cache, "Some nodes of %s will have their new settings only after a restart: %v.", cache.Name, cause)
}
