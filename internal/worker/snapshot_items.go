package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/keyframe/keyframe/internal/capture"
	"github.com/keyframe/keyframe/internal/failpoint"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// captureItems takes the items of a cache of memcached, and fills in what the manifest says of them. Memcached has no dump: its items are listed and
// read one after the other while clients go on, so that what is taken shows no one instant.
func (w *Worker) captureItems(ctx context.Context, r *job.Running, s *resource.Snapshot, from source, parts *snapstore.Capture, m *snapstore.Manifest) error {
	got, stored, err := w.storeItems(ctx, r, s, from, parts)
	if err != nil {
		return err
	}
	m.Stream, m.Consistency = snapstore.Memcached, snapstore.NoInstant
	m.CapturedAt, m.EngineVersion = got.Ended.UTC().Truncate(time.Millisecond), got.Engine
	items := &snapstore.Items{From: got.Began.UTC().Truncate(time.Millisecond), To: m.CapturedAt, Vanished: got.Vanished, Changed: got.Changed}
	items.Content, items.Expiry = snapstore.ItemSums(got.Sum)
	m.Shards = []snapstore.Shard{{Name: from.shard, Keys: got.Items, Expiring: got.Expiring, Bytes: stored.PlainBytes, Items: items, Parts: stored.Parts}}
	m.Report, err = parts.WriteReport(capture.ReportItems(got.Keys, got.Summary))
	return err
}

// storeItems reads the engine's items and makes the parts of their file durable.
func (w *Worker) storeItems(ctx context.Context, r *job.Running, s *resource.Snapshot, from source, parts *snapstore.Capture) (*capture.ItemsResult, snapstore.ShardBytes, error) {
	var stored snapstore.ShardBytes
	engine, err := w.engineOf(from.primary)
	if err != nil {
		return nil, stored, err
	}
	shard, err := parts.Shard(from.shard)
	if err != nil {
		return nil, stored, err
	}
	defer shard.Abort() // of what is not closed
	got, err := capture.Items(ctx, engine, shard, capture.Options{
		Name: s.Source.Name, SpoolDir: w.Spool, Count: true,
		OnProgress: func(bytes, total int64) { r.Progress(ctx, copied{bytes, total}) }, //nolint:errcheck // a lost lease ends the context
	})
	if err != nil {
		return nil, stored, err
	}
	failpoint.Hit("create-snapshot.items-read")
	if stored, err = shard.Close(); err == nil && stored.PlainBytes != got.Bytes {
		err = fmt.Errorf("shard %s: %d bytes were stored, and the file of items has %d", from.shard, stored.PlainBytes, got.Bytes)
	}
	if err != nil {
		return nil, stored, err
	}
	// The engine may have ended meanwhile, and an empty one have taken its place.
	now, _, err := w.sources(ctx, s)
	if err == nil && !same([]source{from}, now) {
		err = errMoved
	}
	return got, stored, err
}
