package worker

import (
	"context"
	"fmt"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// placeNode gives a node of d, which is on record, its directory, its address and what it is to run with: the settings of its cache, and
// the admin password that all nodes of the cache share. The record, and n, have host, address and port afterwards; nothing is
// started. It may be repeated: a node that exists stays as it is.
func (w *Worker) placeNode(ctx context.Context, r *job.Running, d *resource.Deployment, n *resource.Node, binary engine.Choice) (supervisor.Node, error) {
	var s settings
	err := r.Update(ctx, func(tx *metastore.Tx) (err error) {
		if s, err = w.settingsOf(tx, d.Cache); err != nil || n.Host == w.Host {
			return err
		}
		n.Host = w.Host
		return editNode(tx, n, func(n *resource.Node) { n.Host = w.Host })
	})
	if err != nil {
		return supervisor.Node{}, err
	}
	failpoint.Hit("create-cache.recorded")
	spec := supervisor.Spec{ID: n.ID, Engine: d.Engine, Binary: binary.Binary, Cluster: inClusterMode(d.Cache), Shard: n.Shard, Slots: n.Slots,
		TLS: w.TLS, Users: s.Users, Parameters: s.Parameters, MaxMemory: s.MaxMemory}
	if l := d.Layout; l != nil {
		spec.Port, spec.TLS, spec.AOF = l.Port, d.TLS, l.DurableLog
	}
	if d.Engine != engine.Memcached {
		spec.Password = w.passwordOf(d)
	}
	placed, err := w.Engines.Create(ctx, spec)
	if err != nil {
		return placed, err
	}
	failpoint.Hit("create-cache.created")
	at := placed.Endpoint()
	if n.Endpoint() == at {
		return placed, nil
	}
	n.Address, n.Port = at.Address, at.Port
	return placed, r.Update(ctx, func(tx *metastore.Tx) error {
		return editNode(tx, n, func(n *resource.Node) { n.Address, n.Port = at.Address, at.Port })
	})
}

// passwordOf is the admin password of a cache: that of a node that exists already, else a new one.
func (w *Worker) passwordOf(d *resource.Deployment) engine.Secret {
	for _, n := range d.Nodes {
		if have, err := w.Engines.Node(n.ID); err == nil && !have.Password.IsZero() {
			return have.Password
		}
	}
	return engine.RandomSecret()
}

// inClusterMode tells whether a cache's engines run in cluster mode. Those of serverless caches always do, but for memcached, which has none.
func inClusterMode(c *resource.Cache) bool {
	if c.Layout == nil {
		return c.Engine != resource.Memcached
	}
	return c.Layout.ClusterMode
}

// editNode changes what is on record of a node at this moment: others may have changed it since n was read.
func editNode(tx *metastore.Tx, n *resource.Node, change func(*resource.Node)) error {
	nodes, err := tx.NodesOf(n.CacheID)
	if err != nil {
		return err
	}
	for _, now := range nodes {
		if now.ID == n.ID {
			change(now)
			return tx.UpdateNode(now)
		}
	}
	return fmt.Errorf("node %s is not on record any more", n.ID)
}

// tellMember appends a line to the story of a node of a cache.
func (w *Worker) tellMember(tx *metastore.Tx, c *resource.Cache, n *resource.Node, format string, args ...any) error {
	e := c.Event(w.Now(), fmt.Sprintf(format, args...))
	if n.Name != "" {
		e.SourceID, e.SourceType = n.Name, "cache-cluster"
		if c.Kind == resource.MemoryDBCluster {
			e.SourceType = "node"
		}
	}
	return tx.AppendEvent(e)
}
