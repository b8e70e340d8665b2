package resource

import "time"

// EventSource is the source type under which events of caches of this kind are told.
func (k Kind) EventSource() string {
	switch k {
	case Serverless:
		return "serverless-cache"
	case MemoryDBCluster:
		return "cluster"
	}
	return string(k) // cache-cluster, replication-group
}

// Event is a line in the story of the cache.
func (c *Cache) Event(at time.Time, message string) Event {
	return Event{Scope: c.Scope, Service: c.Kind.Service(), SourceType: c.Kind.EventSource(), SourceID: c.Name, Message: message, At: at}
}

// Event is a line in the story of the snapshot. Snapshots of node-based caches have none of their own: their source tells it.
func (s *Snapshot) Event(at time.Time, message string) Event {
	if s.Kind == Serverless {
		return Event{Scope: s.Scope, Service: s.Kind.Service(), SourceType: "serverless-cache-snapshot", SourceID: s.Name, Message: message, At: at}
	}
	return s.Source.Event(at, message)
}
