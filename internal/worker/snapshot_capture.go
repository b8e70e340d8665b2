package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
	"github.com/keyframe/keyframe/rdb"
	"github.com/keyframe/keyframe/rdb/keyspace"
)

// captured is the checkpoint of a capture: the parts of this capture are ours to remove if the run does not end well.
type captured struct {
	CaptureID string
	Troubled  time.Time `json:",omitzero"` // since when the cache's primaries or links fail
}

// errMoved says that the shards are not, or no more, where the records have them.
var errMoved = errors.New("the cache's shards or primaries have changed")

// capture cuts the cache, writes the parts and then the manifest.
func (w *Worker) capture(ctx context.Context, r *job.Running, s *resource.Snapshot) (*snapstore.Manifest, error) {
	c, err := w.clearCapture(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := w.Keys.Check(ctx, s.KMSKeyID); err != nil {
		return nil, err
	}
	c.CaptureID = ulid.Make().String()
	if err := r.Save(ctx, c); err != nil {
		return nil, err
	}
	failpoint.Hit("create-snapshot.begun")
	from, tags, err := w.sources(ctx, s)
	if err != nil {
		return nil, err
	}
	key := snapstore.NewDataKey()
	parts, err := w.Store.NewCapture(ctx, c.CaptureID, key)
	if err != nil {
		return nil, err
	}
	m := &snapstore.Manifest{
		SnapshotID: s.ID, CaptureID: c.CaptureID, Kind: s.Kind, Account: s.Account, Region: s.Region, Name: s.Name, Type: s.Type,
		RequestedAt: s.RequestedAt, ExpiresAt: s.ExpiresAt, Engine: s.Source.Engine, Source: s.Source, Tags: tags,
	}
	m.Key.ARN, m.Key.Default = s.KMSKeyID, s.KMSDefault
	if s.Source.Engine == resource.Memcached {
		err = w.captureItems(ctx, r, s, from[0], parts, m)
	} else {
		err = w.captureDumps(ctx, r, s, from, parts, m)
	}
	if err != nil {
		// At once, whatever becomes of the job: on a full disk even the word that it failed needs the room.
		if derr := w.Store.DeleteCapture(context.WithoutCancel(ctx), c.CaptureID); derr != nil {
			w.Log.Warn("the parts of a capture that failed stay until they are swept", "capture", c.CaptureID, "err", derr)
		}
		return nil, err
	}
	failpoint.Hit("create-snapshot.captured")
	return m, w.Store.WriteManifest(ctx, m, key)
}

// captureDumps cuts the shards of a cache of Valkey or Redis, and fills in what the manifest says of them.
func (w *Worker) captureDumps(ctx context.Context, r *job.Running, s *resource.Snapshot, from []source, parts *snapstore.Capture, m *snapstore.Manifest) error {
	cut, stored, err := w.store(ctx, r, s, from, parts)
	if err != nil {
		return err
	}
	m.CapturedAt, m.EngineVersion = cut.At.UTC().Truncate(time.Millisecond), cut.Shards[0].EngineVersion
	m.Stream, m.Consistency = snapstore.RDB, snapstore.Instant
	if !cut.Instant {
		m.Consistency = snapstore.PerShard
	}
	if len(from) > 1 {
		m.Cut = &snapstore.Cut{PauseMicros: cut.Pause.Microseconds(), ForkMicros: cut.Fork.Microseconds(), Tries: cut.Tries, Reason: cut.Reason}
	}
	for i, result := range cut.Shards {
		m.RDBVersion = max(m.RDBVersion, result.Summary.Version)
		shard, err := w.describe(s, from[i], result, stored[i])
		if err != nil {
			return err
		}
		m.Shards = append(m.Shards, shard)
	}
	if m.Report, err = parts.WriteReport(report(cut)); err != nil {
		return err
	}
	if w.OnCut != nil && len(from) > 1 {
		w.OnCut(cut)
	}
	return nil
}

// report says what was counted in all shards together.
func report(cut *capture.Cut) *keyspace.Report {
	all := cut.Shards[0].Keys
	sums := []*rdb.Summary{cut.Shards[0].Summary}
	for _, shard := range cut.Shards[1:] {
		all.Merge(shard.Keys)
		sums = append(sums, shard.Summary)
	}
	return all.Report(sums...)
}

// store cuts the engines and makes their parts durable.
func (w *Worker) store(ctx context.Context, r *job.Running, s *resource.Snapshot, from []source, parts *snapstore.Capture) (*capture.Cut, []snapstore.ShardBytes, error) {
	writers := make([]*snapstore.ShardWriter, 0, len(from))
	defer func() {
		for _, shard := range writers {
			shard.Abort() // of what is not closed
		}
	}()
	var targets []capture.Target
	for _, f := range from {
		t, err := w.target(f)
		if err != nil {
			return nil, nil, err
		}
		shard, err := parts.Shard(f.shard)
		if err != nil {
			return nil, nil, err
		}
		t.W = shard
		writers, targets = append(writers, shard), append(targets, t)
	}
	cut, err := capture.Capture(ctx, targets, capture.Options{
		SpoolDir: w.Spool, Count: true, CountSlots: s.Source.Layout == nil, // a serverless cache is in cluster mode
		OnProgress: func(bytes, total int64) { r.Progress(ctx, copied{bytes, total}) }, //nolint:errcheck // a lost lease ends the context
	})
	if err != nil {
		return nil, nil, err
	}
	failpoint.Hit("create-snapshot.cut")
	stored := make([]snapstore.ShardBytes, len(writers))
	var g errgroup.Group
	for i, shard := range writers {
		g.Go(func() (err error) {
			stored[i], err = shard.Close()
			if want := cut.Shards[i].Summary.Bytes; err == nil && stored[i].PlainBytes != want {
				err = fmt.Errorf("shard %s: %d bytes were stored, and the engine sent %d", from[i].shard, stored[i].PlainBytes, want)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	// An engine may have ended after it was looked up, and what was cut is an empty one that took its place, or one that has lost its shard.
	now, _, err := w.sources(ctx, s)
	if err == nil && !same(from, now) {
		err = errMoved
	}
	return cut, stored, err
}

// describe is the manifest's account of one shard.
func (w *Worker) describe(s *resource.Snapshot, from source, cut *capture.Result, stored snapstore.ShardBytes) (snapstore.Shard, error) {
	sum, types := cut.Summary, map[int]int64{}
	for t, n := range sum.Types {
		if n > 0 {
			types[t] = n
		}
	}
	shard := snapstore.Shard{
		Name: from.shard, Slots: from.slots, ReplicationID: cut.ReplID, Offset: cut.Offset,
		Keys: sum.Keys, Expiring: sum.Expiring, Bytes: stored.PlainBytes, CRC64: snapstore.CRC64(sum.CRC),
		Types: types, Functions: sum.Functions, Databases: sum.Databases, Parts: stored.Parts,
	}
	if s.Source.Layout == nil {
		shard.Slots = from.primary.Slots
		return shard, nil
	}
	shard.Node, shard.CutAt = from.primary.Name, cut.CutAt.UTC().Truncate(time.Millisecond)
	if from.replica != nil {
		replica, err := w.engineOf(from.replica)
		if err != nil {
			return shard, err
		}
		if replica.Address == cut.Source {
			shard.Node = from.replica.Name
		}
	}
	return shard, nil
}

// clearCapture removes what an earlier run of the job captured: its bytes are worthless without a manifest.
func (w *Worker) clearCapture(ctx context.Context, r *job.Running) (before captured, err error) {
	if _, err = r.Load(&before); err != nil || before.CaptureID == "" {
		return before, err
	}
	return before, w.Store.DeleteCapture(ctx, before.CaptureID)
}
