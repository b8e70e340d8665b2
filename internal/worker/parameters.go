package worker

import (
	"fmt"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// parameters are the engine settings that follow from a cache's parameter group, and the bytes that its data may take on each node.
// A serverless cache has no group: its engine runs with its defaults.
func (w *Worker) parameters(tx *metastore.Tx, c *resource.Cache) (map[string]string, int64, error) {
	if c.Layout == nil {
		return nil, w.maxMemory(c), nil
	}
	g, err := parameterGroup(tx, c)
	if err != nil {
		return nil, 0, err
	}
	v, err := engine.ParseVersion(c.FullEngineVersion)
	if err != nil {
		return nil, 0, err
	}
	t, err := engine.NodeTypeOf(c.Kind.Service(), c.Layout.NodeType)
	if err != nil {
		return nil, 0, err
	}
	d := engine.Parameters(g, c.Engine, v)
	return d.Settings, d.Limit(c.Engine, t), nil
}

// parameterGroup finds the parameter group of a cache of nodes, with or without a record.
func parameterGroup(tx *metastore.Tx, c *resource.Cache) (*resource.ParameterGroup, error) {
	if g, ok := engine.DefaultParameterGroup(c.Kind.Service(), c.Layout.ParameterGroup); ok {
		return g, nil
	}
	g, err := tx.ParameterGroup(c.Scope, c.Kind.Service(), c.Layout.ParameterGroup)
	if err != nil {
		return nil, fmt.Errorf("parameter group of %s: %w", c.Name, err)
	}
	return g, nil
}
