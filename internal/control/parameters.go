package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// mostParameters is how many parameters one request may change.
const mostParameters = 20

// ParameterValue is a parameter as a group has it.
type ParameterValue struct {
	engine.Parameter
	Value  string
	Source string // user or system
}

// The sources that a list of parameters can be asked for.
const (
	sourceUser   = "user"
	sourceSystem = "system"
	sourceEngine = "engine-default"
)

// DescribeParameters says which parameters of a group are asked for.
type DescribeParameters struct {
	Scope   resource.Scope
	Service string
	Group   string
	Source  string // user: set by the group; system: AWS's defaults; engine-default: the engine's, which are none; empty for all
	Page    Page
}

// Parameters is a page of a list of parameters.
type Parameters struct {
	Family    string
	List      []ParameterValue
	NodeTypes []engine.NodeTypeParameter // on the first page: those that depend on the node type
	Next      string                     // token of the next page
}

// DescribeParameters lists parameters of a group by name.
func (c *Control) DescribeParameters(ctx context.Context, in DescribeParameters) (out Parameters, err error) {
	after, most, err := in.Page.bounds(kinds(in.Service)[0])
	if err != nil {
		return out, err
	}
	source := strings.ToLower(in.Source)
	if source != "" && source != sourceUser && source != sourceSystem && source != sourceEngine {
		return out, invalid("Source", "Source must be user, system or engine-default; %q was given.", clip(in.Source))
	}
	var g *resource.ParameterGroup
	var users []*resource.Cache
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		if g, err = findParameterGroup(tx, in.Scope, in.Service, in.Group); err != nil {
			return err
		}
		users, err = parameterGroupUsers(tx, g)
		return err
	})
	if err != nil {
		return out, err
	}
	fixed := len(users) > 0 || engine.IsDefaultGroup(g.Name)
	family, _ := engine.FindFamily(in.Service, g.Family)
	out.Family = family.Name
	for _, p := range family.Parameters() {
		v := ParameterValue{Parameter: p, Value: p.Default, Source: sourceSystem}
		if value, ok := g.Values[p.Name]; ok {
			v.Value = value
			if !engine.IsDefaultGroup(g.Name) {
				v.Source = sourceUser
			}
		}
		v.Modifiable = p.Modifiable && !(p.AtCreation && fixed)
		if source == "" || source == v.Source {
			out.List = append(out.List, v)
		}
	}
	if after == "" && (source == "" || source == sourceSystem) {
		out.NodeTypes = family.NodeTypeParameters()
	}
	out.List, out.Next = cut(out.List, after, most, func(v ParameterValue) string { return v.Name })
	return out, nil
}

// EngineDefaults lists the parameters of a family by name.
func (c *Control) EngineDefaults(_ context.Context, service, family string, page Page) (out Parameters, err error) {
	after, most, err := page.bounds(kinds(service)[0])
	if err != nil {
		return out, err
	}
	f, ok := engine.FindFamily(service, family)
	if !ok {
		return out, invalid("CacheParameterGroupFamily", "CacheParameterGroupFamily %s is not a valid parameter group family.", clip(family))
	}
	out.Family = f.Name
	for _, p := range f.Parameters() {
		p.Modifiable = p.Modifiable && !p.AtCreation
		out.List = append(out.List, ParameterValue{Parameter: p, Value: p.Default, Source: sourceSystem})
	}
	if after == "" {
		out.NodeTypes = f.NodeTypeParameters()
	}
	out.List, out.Next = cut(out.List, after, most, func(v ParameterValue) string { return v.Name })
	return out, nil
}

// NameValue is a parameter and the value that it shall have.
type NameValue struct{ Name, Value string }

// ModifyParameters sets parameters of a group: all of them, or none when one is refused.
func (c *Control) ModifyParameters(ctx context.Context, scope resource.Scope, service, group string, changes []NameValue) (*resource.ParameterGroup, error) {
	if len(changes) == 0 {
		return nil, invalid("ParameterNameValues", "The parameter ParameterNameValues must be provided and must not be blank.")
	}
	return c.changeParameters(ctx, scope, service, group, "modify", changes, func(values map[string]string, p engine.Parameter, v string) error {
		if !p.Valid(v) {
			return invalid(p.Name, "Invalid parameter value: %s for: %s%s", clip(v), p.Name, allowed(p))
		}
		values[p.Name] = v
		return nil
	})
}

func allowed(p engine.Parameter) string {
	if p.Allowed == "" {
		return ""
	}
	return " allowed values are: " + p.Allowed
}

// ResetParameters gives parameters of a group, or all of them, the values of its family again.
func (c *Control) ResetParameters(ctx context.Context, scope resource.Scope, service, group string, all bool, names []string) (*resource.ParameterGroup, error) {
	switch {
	case all && len(names) > 0:
		return nil, conflicting("Either all parameters or some can be reset, not both.")
	case !all && len(names) == 0:
		return nil, conflicting("Either all parameters or some must be named to be reset.")
	}
	changes := make([]NameValue, len(names))
	for i, n := range names {
		changes[i].Name = n
	}
	return c.changeParameters(ctx, scope, service, group, "reset", changes, func(values map[string]string, p engine.Parameter, _ string) error {
		delete(values, p.Name)
		return nil
	})
}

// changeParameters changes a group and lets every cache that uses it take the change. No changes stand for a reset of all parameters.
func (c *Control) changeParameters(ctx context.Context, scope resource.Scope, service, group, what string, changes []NameValue,
	change func(values map[string]string, p engine.Parameter, value string) error) (g *resource.ParameterGroup, err error) {
	if len(changes) > mostParameters {
		return nil, conflicting("Cannot modify more than %d parameters in a single request", mostParameters)
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if g, err = ownParameterGroup(tx, scope, service, group, what); err != nil {
			return err
		}
		users, err := parameterGroupUsers(tx, g)
		if err != nil {
			return err
		}
		family, ok := engine.FindFamily(service, g.Family)
		if !ok {
			return fmt.Errorf("parameter group %s is of the unknown family %s", g.Name, g.Family)
		}
		values := map[string]string{}
		if len(changes) > 0 {
			maps.Copy(values, g.Values)
		}
		for i, nv := range changes {
			p, ok := family.Parameter(nv.Name)
			switch {
			case !ok:
				return invalid("ParameterName", "Parameter %s doesn't exist", clip(nv.Name))
			case !p.Modifiable:
				return invalid(p.Name, "The parameter %s cannot be modified.", p.Name)
			case slices.ContainsFunc(changes[:i], func(o NameValue) bool { return o.Name == nv.Name }):
				return conflicting("The parameter %s is given more than once.", p.Name)
			}
			if err := change(values, p, nv.Value); err != nil {
				return err
			}
		}
		if maps.Equal(values, g.Values) {
			return nil
		}
		changed := *g
		changed.Values = values
		if p := engine.FixedDifference(g, &changed); p != "" && len(users) > 0 {
			return resource.Errorf(resource.InvalidState, resource.TypeParameterGroup, g.Name,
				"The parameter %s cannot be modified while %s uses the parameter group %s: it is fixed when a cache is created.", p, users[0].Name, g.Name)
		}
		g = &changed
		if err := tx.UpdateParameterGroup(g); err != nil {
			return err
		}
		return c.configure(tx, users)
	})
	return g, err
}

// configure lets caches take what was changed in their parameter group.
func (c *Control) configure(tx *metastore.Tx, caches []*resource.Cache) error {
	for _, cache := range caches {
		switch cache.Status {
		case resource.CacheDeleting, resource.CacheCreateFailed, resource.CacheRestoreFailed:
			continue
		}
		cache.Layout.ParameterStatus = resource.ParametersApplying
		if err := tx.UpdateCache(cache); err != nil {
			return err
		}
		if _, err := c.enqueue(tx, resource.TaskConfigureCache, cache.ID, resource.ConfigureCacheTask{CacheID: cache.ID}); err != nil {
			return err
		}
	}
	return nil
}
