package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// source is where one shard of a snapshot is to be taken from.
type source struct {
	shard   string
	slots   []resource.SlotRange // nil outside of cluster mode
	primary *resource.Node
	replica *resource.Node // taken instead if it is in step; nil for none
}

// sources are the shards of a snapshot as its cache has them now, and the snapshot's tags.
func (w *Worker) sources(ctx context.Context, s *resource.Snapshot) (all []source, tags []resource.Tag, err error) {
	err = w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		cache, err := tx.CacheByID(s.Source.ID)
		if err != nil {
			return err
		}
		if cache.Restarts != s.Source.Restarts {
			return job.Cancel(errors.New("the engine ended after the snapshot was asked for, and the data that was to be kept is lost"))
		}
		d, err := tx.Deployment(cache)
		if err != nil {
			return err
		}
		if all, err = sourcesOf(d, s.FromNode); err != nil {
			return err
		}
		tags, err = tx.Tags(s.ARN())
		return err
	})
	return all, tags, err
}

// sourcesOf chooses. Replicas spare their primaries the fork; a final snapshot is taken from the primaries, which have the newest data.
func sourcesOf(d *resource.Deployment, from string) ([]source, error) {
	if len(d.Nodes) == 0 {
		return nil, job.Cancel(fmt.Errorf("cache %s has no node", d.Name))
	}
	if d.Layout == nil {
		n := d.Nodes[0]
		return []source{{shard: n.Shard, primary: n}}, nil
	}
	var all []source
	for _, shard := range d.Layout.Shards {
		s := source{shard: shard.Name, primary: d.Primary(shard.Name)}
		if s.primary == nil || s.primary.Address == "" {
			return nil, fmt.Errorf("%w: shard %s of cache %s has no primary now", errMoved, shard.Name, d.Name)
		}
		if d.Layout.ClusterMode {
			s.slots = s.primary.Slots
		}
		if d.Status != resource.CacheDeleting {
			s.replica = d.Reader(shard.Name)
		}
		if asked := d.Member(from); asked != nil && asked.Shard == shard.Name && asked.Address != "" {
			s.replica = asked
		}
		if s.replica == s.primary {
			s.replica = nil
		}
		all = append(all, s)
	}
	return all, nil
}

// engineOf is how a node is captured.
func (w *Worker) engineOf(n *resource.Node) (capture.Source, error) {
	node, err := w.Engines.Node(n.ID)
	if err != nil {
		return capture.Source{}, err
	}
	tls, err := w.Engines.ClientTLS(n.ID)
	if err != nil {
		return capture.Source{}, err
	}
	at := node.Endpoint()
	return capture.Source{Address: net.JoinHostPort(at.Address, strconv.Itoa(at.Port)), TLS: tls, User: engine.AdminUser, Password: node.Password}, nil
}

// target is a source as the capture wants it.
func (w *Worker) target(s source) (t capture.Target, err error) {
	t.Slots = s.slots
	if t.Primary, err = w.engineOf(s.primary); err != nil || s.replica == nil {
		return t, err
	}
	replica, err := w.engineOf(s.replica)
	t.Replica = &replica
	return t, err
}

// same tells whether the cache still has the shards, with the same primaries, that were captured.
func same(before, after []source) bool {
	if len(before) != len(after) {
		return false
	}
	for i := range before {
		if before[i].shard != after[i].shard || before[i].primary.ID != after[i].primary.ID {
			return false
		}
	}
	return true
}
