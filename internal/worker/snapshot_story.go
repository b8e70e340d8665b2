package worker

import (
	"fmt"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/internal/snapstore"
)

// tellSnapshot tells of a snapshot of a cache of nodes, as AWS does: in the story of the source, and that of a replication group in the story of
// the member that the first shard was taken from.
func (w *Worker) tellSnapshot(tx *metastore.Tx, s *resource.Snapshot, format string, args ...any) error {
	e := s.Event(w.Now(), fmt.Sprintf(format, args...))
	if s.Kind == resource.ReplicationGroup && len(s.Shards) > 0 && s.Shards[0].Node != "" {
		e.SourceType, e.SourceID = resource.CacheCluster.EventSource(), s.Shards[0].Node
	}
	return tx.AppendEvent(e)
}

// sourceNoun is what events call the source of a snapshot.
func sourceNoun(k resource.Kind) string {
	switch k {
	case resource.ReplicationGroup:
		return "replication group"
	case resource.MemoryDBCluster:
		return "cluster"
	}
	return "cache cluster"
}

// tellTaken says that a snapshot is available and, if several shards were cut, how.
func (w *Worker) tellTaken(tx *metastore.Tx, s *resource.Snapshot, m *snapstore.Manifest) error {
	if s.Kind == resource.Serverless {
		err := w.tell(tx, s, "Snapshot %s created for cache %s.", s.Name, s.Source.Name)
		if items := m.Shards[0].Items; err == nil && items != nil && m.CopiedFrom == "" {
			err = w.tell(tx, s, "Snapshot %s shows no one instant: its %d items were read within %.1f s while clients went on. Meanwhile %d items vanished and %d were written.",
				s.Name, m.Keys(), items.To.Sub(items.From).Seconds(), items.Vanished, items.Changed)
		}
		return err
	}
	if err := w.tellSnapshot(tx, s, "Snapshot succeeded for snapshot with ID '%s' of %s with ID '%s'", s.Name, sourceNoun(s.Kind), s.Source.Name); err != nil {
		return err
	}
	switch cut := m.Cut; {
	case cut == nil || m.CopiedFrom != "":
		return nil
	case m.Consistency != snapstore.Instant:
		return w.tellSnapshot(tx, s, "The shards of snapshot '%s' do not show one instant, each shows its own: %s", s.Name, cut.Reason)
	default:
		return w.tellSnapshot(tx, s, "Snapshot '%s' shows one instant of all %d shards. Writes were held for %.1f ms; the slowest fork took %.1f ms.",
			s.Name, len(m.Shards), float64(cut.PauseMicros)/1000, float64(cut.ForkMicros)/1000)
	}
}

// tellNotTaken says why there is no snapshot.
func (w *Worker) tellNotTaken(tx *metastore.Tx, s *resource.Snapshot, cause error) error {
	if s.Kind == resource.Serverless {
		return w.tell(tx, s, "Failed to create snapshot for cache %s. Snapshot %s creation failed because %v.", s.Source.Name, s.Name, cause)
	}
	return w.tellSnapshot(tx, s, "Snapshot failed for snapshot with ID '%s' of %s with ID '%s': %v", s.Name, sourceNoun(s.Kind), s.Source.Name, cause)
}

// completed makes the record of a snapshot say what its manifest does.
func completed(s *resource.Snapshot, m *snapstore.Manifest) {
	s.Status, s.CreatedAt, s.CaptureID, s.Bytes, s.Keys = resource.SnapshotAvailable, m.CapturedAt, m.CaptureID, m.Bytes(), m.Keys()
	s.Databases = 1
	known := map[string]resource.ShardData{}
	for _, d := range s.Shards {
		known[d.Shard.Name] = d
	}
	s.Shards = nil
	for i := range m.Shards {
		shard := &m.Shards[i]
		for db, keys := range shard.Databases {
			if keys > 0 {
				s.Databases = max(s.Databases, int(min(db, 1<<20))+1)
			}
		}
		if s.Source.Layout == nil {
			continue
		}
		d := known[shard.Name]
		d.Shard.Name, d.Bytes, d.CreatedAt = shard.Name, shard.Bytes, m.CapturedAt
		if len(shard.Slots) > 0 {
			d.Shard.Slots = shard.Slots
		}
		if shard.Node != "" {
			d.Node = shard.Node
		}
		if m.Consistency != snapstore.Instant {
			d.CreatedAt = shard.CutAt
		}
		s.Shards = append(s.Shards, d)
	}
}

// describeMembers notes what there is to say of the members that the shards were taken from: others, perhaps, than were foreseen.
func describeMembers(tx *metastore.Tx, s *resource.Snapshot) error {
	if len(s.Shards) == 0 {
		return nil
	}
	nodes, err := tx.NodesOf(s.Source.ID)
	if err != nil {
		return err
	}
	for i := range s.Shards {
		for _, n := range nodes {
			if d := &s.Shards[i]; n.Name == d.Node {
				d.NodeCreatedAt, d.NodeZone = n.CreatedAt, n.Zone
			}
		}
	}
	return nil
}

// freed makes a cache of nodes available again when its snapshot is taken, or given up. One that is being deleted stays so.
func (w *Worker) freed(tx *metastore.Tx, s *resource.Snapshot) error {
	cache, err := cacheIn(tx, s.Source.ID, resource.CacheSnapshotting)
	if err != nil {
		return done(err)
	}
	cache.Status = resource.CacheAvailable
	return tx.UpdateCache(cache)
}
