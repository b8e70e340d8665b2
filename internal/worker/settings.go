package worker

import (
	"maps"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// settings are what a cache's records say of every one of its nodes.
type settings struct {
	Users      []engine.User     // clients' accounts; none: one open account
	Parameters map[string]string // of the parameter group
	MaxMemory  int64             // bytes
}

// settingsOf reads them.
func (w *Worker) settingsOf(tx *metastore.Tx, c *resource.Cache) (s settings, err error) {
	if s.Users, err = w.users(tx, c); err != nil {
		return s, err
	}
	if s.Parameters, s.MaxMemory, err = w.parameters(tx, c); err != nil {
		return s, err
	}
	if c.Layout != nil && c.Layout.ClusterMode {
		s.Parameters = maps.Clone(s.Parameters)
		if s.Parameters == nil {
			s.Parameters = map[string]string{}
		}
		s.Parameters["cluster-replica-no-failover"] = "yes"
		if automatic(c) {
			s.Parameters["cluster-replica-no-failover"] = "no"
		}
	}
	return s, nil
}
