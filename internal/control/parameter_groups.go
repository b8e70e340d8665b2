package control

import (
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// parameterGroup finds the parameter group that a cache of a family shall use; an empty name stands for the family's default.
// One of another family is refused.
func (c *Control) parameterGroup(tx *metastore.Tx, scope resource.Scope, service, name, family string) (*resource.ParameterGroup, error) {
	if name == "" {
		name = engine.DefaultGroup(family, false)
	}
	g, err := findParameterGroup(tx, scope, service, name)
	if err == nil && g.Family != family {
		return nil, conflicting("Expected a parameter group of family %s but found one of family %s", family, g.Family)
	}
	return g, err
}

// findParameterGroup finds a parameter group by name, with or without a record.
func findParameterGroup(tx *metastore.Tx, scope resource.Scope, service, name string) (*resource.ParameterGroup, error) {
	name = oldName(name)
	for _, g := range engine.DefaultGroups(service) {
		if g.Name == name {
			g.Scope = scope
			return g, nil
		}
	}
	g, err := tx.ParameterGroup(scope, service, name)
	if is(err, resource.NotFound) {
		return nil, resource.Errorf(resource.NotFound, resource.TypeParameterGroup, name, "CacheParameterGroup %s not found.", clip(name))
	}
	return g, err
}
