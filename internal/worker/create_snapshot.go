package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/keyframe/keyframe/internal/blob"
	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// createSnapshot takes a snapshot and makes it available.
func (w *Worker) createSnapshot(ctx context.Context, r *job.Running, t resource.SnapshotTask) error {
	return done(w.takeSnapshot(ctx, r, t.SnapshotID, r.Close))
}

// captured is the checkpoint of a capture: the parts of this capture are ours to remove if the run does not end well.
type captured struct{ CaptureID string }

// takeSnapshot captures the cache into the store and then, in one transaction run by finish, makes the snapshot available.
// It is announced only when every part is durable and verified and the manifest is written.
func (w *Worker) takeSnapshot(ctx context.Context, r *job.Running, id string, finish func(context.Context, func(*metastore.Tx) error) error) error {
	s, err := w.snapshotIn(ctx, id, resource.SnapshotCreating)
	if err != nil {
		return err
	}
	m, err := w.written(ctx, s.ID)
	switch {
	case errors.Is(err, blob.ErrNotFound):
		m, err = w.capture(ctx, r, s)
		if is(err, resource.InvalidKey) {
			return job.Cancel(err)
		}
		if err != nil {
			return err // also of a damaged transfer: the engine still has the data, and the next one may be sound
		}
	case err != nil:
		return hopeless(err)
	}
	failpoint.Hit("create-snapshot.manifest")
	return finish(ctx, func(tx *metastore.Tx) error {
		s, err := snapshotIn(tx, id, resource.SnapshotCreating)
		if err != nil {
			return done(err)
		}
		s.Status, s.CreatedAt, s.CaptureID, s.Bytes, s.Keys = resource.SnapshotAvailable, m.CapturedAt, m.CaptureID, m.Bytes(), m.Keys()
		if err := tx.UpdateSnapshot(s); err != nil {
			return err
		}
		return w.tell(tx, s, "Snapshot %s created for cache %s.", s.Name, s.Source.Name)
	})
}

// written is the manifest that an earlier run wrote: then only the last transaction is missing. One whose parts are gone is the
// work of a run that had lost its lease while the next one cleared up; it never was a snapshot.
func (w *Worker) written(ctx context.Context, id string) (*snapstore.Manifest, error) {
	m, err := w.Store.ReadManifest(ctx, id)
	if err != nil {
		return nil, err
	}
	if err = w.Store.Confirm(ctx, m); errors.Is(err, snapstore.ErrCorrupt) {
		w.Log.Warn("a manifest without its parts is removed, and the snapshot taken again", "snapshot", id, "err", err)
		if err = w.Store.DeleteManifest(ctx, id); err == nil {
			err = blob.ErrNotFound
		}
	}
	return m, err
}

// capture cuts the cache, writes the parts and then the manifest.
func (w *Worker) capture(ctx context.Context, r *job.Running, s *resource.Snapshot) (*snapstore.Manifest, error) {
	if err := w.forget(ctx, r); err != nil {
		return nil, err
	}
	if err := w.Keys.Check(ctx, s.KMSKeyID); err != nil {
		return nil, err
	}
	c := captured{ulid.Make().String()}
	if err := r.Save(ctx, c); err != nil {
		return nil, err
	}
	failpoint.Hit("create-snapshot.begun")
	node, tags, err := w.sourceNode(ctx, s)
	if err != nil {
		return nil, err
	}
	key := snapstore.NewDataKey()
	parts, err := w.Store.NewCapture(ctx, c.CaptureID, key)
	if err != nil {
		return nil, err
	}
	shard, err := parts.Shard(node.Shard)
	if err != nil {
		return nil, err
	}
	cut, stored, err := w.store(ctx, r, s, node, shard)
	if err != nil {
		// At once, whatever becomes of the job: on a full disk even the word that it failed needs the room.
		if derr := w.Store.DeleteCapture(context.WithoutCancel(ctx), c.CaptureID); derr != nil {
			w.Log.Warn("the parts of a capture that failed stay until they are swept", "capture", c.CaptureID, "err", derr)
		}
		return nil, err
	}
	failpoint.Hit("create-snapshot.captured")
	m := &snapstore.Manifest{
		SnapshotID: s.ID, CaptureID: c.CaptureID, Kind: s.Kind, Account: s.Account, Region: s.Region, Name: s.Name, Type: s.Type,
		RequestedAt: s.RequestedAt, CapturedAt: cut.CutAt.UTC().Truncate(time.Millisecond), ExpiresAt: s.ExpiresAt,
		Engine: s.Source.Engine, EngineVersion: cut.EngineVersion, RDBVersion: cut.Summary.Version,
		Stream: snapstore.RDB, Consistency: snapstore.Instant, Source: s.Source, Tags: tags,
		Shards: []snapstore.Shard{describe(node, cut, stored)},
	}
	m.Key.ARN, m.Key.Default = s.KMSKeyID, s.KMSDefault
	return m, w.Store.WriteManifest(ctx, m, key)
}

// store cuts one engine and makes its parts durable.
func (w *Worker) store(ctx context.Context, r *job.Running, s *resource.Snapshot, node supervisor.Node, shard *snapstore.ShardWriter) (*capture.Result, snapstore.ShardBytes, error) {
	cut, err := w.cut(ctx, r, node, shard)
	if err != nil {
		shard.Abort()
		return nil, snapstore.ShardBytes{}, err
	}
	failpoint.Hit("create-snapshot.cut")
	stored, err := shard.Close()
	if err == nil && stored.PlainBytes != cut.Summary.Bytes {
		err = fmt.Errorf("%d bytes were stored, and the engine sent %d", stored.PlainBytes, cut.Summary.Bytes)
	}
	if err == nil {
		// The engine may have ended after it was looked up, and what was cut is the empty one that took its place.
		_, _, err = w.sourceNode(ctx, s)
	}
	return cut, stored, err
}

// describe is the manifest's account of one shard.
func describe(node supervisor.Node, cut *capture.Result, stored snapstore.ShardBytes) snapstore.Shard {
	sum, types := cut.Summary, map[int]int64{}
	for t, n := range sum.Types {
		if n > 0 {
			types[t] = n
		}
	}
	return snapstore.Shard{
		Name: node.Shard, Slots: node.Slots, ReplicationID: cut.ReplID, Offset: cut.Offset,
		Keys: sum.Keys, Expiring: sum.Expiring, Bytes: stored.PlainBytes, CRC64: snapstore.CRC64(sum.CRC),
		Types: types, Functions: sum.Functions, Databases: sum.Databases, Parts: stored.Parts,
	}
}

// cut captures one engine into a shard's parts.
func (w *Worker) cut(ctx context.Context, r *job.Running, node supervisor.Node, shard *snapstore.ShardWriter) (*capture.Result, error) {
	tls, err := w.Engines.ClientTLS(node.ID)
	if err != nil {
		return nil, err
	}
	at := node.Endpoint()
	return capture.Shard(ctx, capture.Source{
		Address: net.JoinHostPort(at.Address, strconv.Itoa(at.Port)), TLS: tls,
		User: engine.AdminUser, Password: node.Password,
	}, shard, capture.Options{
		SpoolDir:   w.Spool,
		OnProgress: func(bytes, total int64) { r.Progress(ctx, copied{bytes, total}) }, //nolint:errcheck // a lost lease ends the context
	})
}

// sourceNode finds the primary of the cache that is to be captured, and the tags of the snapshot.
func (w *Worker) sourceNode(ctx context.Context, s *resource.Snapshot) (node supervisor.Node, tags []resource.Tag, err error) {
	var nodes []*resource.Node
	err = w.DB.View(ctx, func(tx *metastore.Tx) (err error) {
		cache, err := tx.CacheByID(s.Source.ID)
		if err != nil {
			return err
		}
		if cache.Restarts != s.Source.Restarts {
			return job.Cancel(errors.New("the engine ended after the snapshot was asked for, and the data that was to be kept is lost"))
		}
		if nodes, err = tx.NodesOf(s.Source.ID); err != nil {
			return err
		}
		tags, err = tx.Tags(s.ARN())
		return err
	})
	if err != nil {
		return node, nil, err
	}
	if len(nodes) == 0 {
		return node, nil, job.Cancel(fmt.Errorf("cache %s has no node", s.Source.Name))
	}
	node, err = w.Engines.Node(nodes[0].ID)
	return node, tags, err
}

// forget removes what an earlier run of the job captured: its bytes are worthless without a manifest.
func (w *Worker) forget(ctx context.Context, r *job.Running) error {
	var before captured
	if found, err := r.Load(&before); err != nil || !found || before.CaptureID == "" {
		return err
	}
	return w.Store.DeleteCapture(ctx, before.CaptureID)
}

// createSnapshotFailed ends a snapshot that was given up in failed. It does not count towards the daily quota. Parts that a run
// left are no snapshot's, and the next sweep removes them.
func (w *Worker) createSnapshotFailed(tx *metastore.Tx, _ job.Job, t resource.SnapshotTask, cause error) error {
	s, err := snapshotIn(tx, t.SnapshotID, resource.SnapshotCreating)
	if err != nil {
		return done(err)
	}
	s.Status, s.StatusReason = resource.SnapshotFailed, cause.Error()
	if err := tx.UpdateSnapshot(s); err != nil {
		return err
	}
	if err := tx.ForgetTaken(s.ID); err != nil {
		return err
	}
	return w.tell(tx, s, "Failed to create snapshot for cache %s. Snapshot %s creation failed because %v.", s.Source.Name, s.Name, cause)
}
