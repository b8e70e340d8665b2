package control

import (
	"cmp"
	"context"
	"slices"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// Groups of parameters and of subnets that an account may have in a region, and the length of their names.
const (
	mostGroups       = 300
	longestGroupName = 255
)

// wording picks the word of a service's API.
func wording(service, elasticache, memorydb string) string {
	if service == resource.MemoryDBCluster.Service() {
		return memorydb
	}
	return elasticache
}

// kinds are the kinds of caches of nodes that a service has.
func kinds(service string) []resource.Kind {
	if service == resource.MemoryDBCluster.Service() {
		return []resource.Kind{resource.MemoryDBCluster}
	}
	return []resource.Kind{resource.CacheCluster, resource.ReplicationGroup}
}

// parameterGroup finds the parameter group that a cache of a family shall use; an empty name stands for the family's default without
// cluster mode. One of another family is refused.
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
	if g, ok := engine.DefaultParameterGroup(service, name); ok {
		g.Scope = scope
		return g, nil
	}
	g, err := tx.ParameterGroup(scope, service, name)
	if is(err, resource.NotFound) {
		return nil, resource.Errorf(resource.NotFound, resource.TypeParameterGroup, name, "%s not found: %s",
			wording(service, "CacheParameterGroup", "ParameterGroup"), clip(name))
	}
	return g, err
}

// ownParameterGroup finds a parameter group that may be changed.
func ownParameterGroup(tx *metastore.Tx, scope resource.Scope, service, name, change string) (*resource.ParameterGroup, error) {
	g, err := findParameterGroup(tx, scope, service, name)
	if err == nil && engine.IsDefaultGroup(g.Name) {
		return nil, invalid(wording(service, "CacheParameterGroupName", "ParameterGroupName"), "Cannot %s a default parameter group.", change)
	}
	return g, err
}

// parameterGroupUsers lists the caches that use a parameter group, or will after their next maintenance window.
func parameterGroupUsers(tx *metastore.Tx, g *resource.ParameterGroup) (users []*resource.Cache, err error) {
	return usersOf(tx, g.Scope, g.Service, func(l *resource.Layout) bool {
		return l.ParameterGroup == g.Name || l.Pending != nil && l.Pending.ParameterGroup == g.Name
	})
}

// sameAtCreation refuses a parameter group for a cache whose own one differs in what is fixed when a cache is created.
func sameAtCreation(tx *metastore.Tx, cache *resource.Cache, g *resource.ParameterGroup) error {
	old, err := findParameterGroup(tx, cache.Scope, g.Service, cache.Layout.ParameterGroup)
	if err != nil {
		return err
	}
	if p := engine.FixedDifference(old, g); p != "" {
		return conflicting("The parameter %s is fixed when a cache is created, and the parameter groups %s and %s differ in it.", p, old.Name, g.Name)
	}
	return nil
}

// usersOf lists the caches of nodes of a service whose layout uses something.
func usersOf(tx *metastore.Tx, scope resource.Scope, service string, uses func(*resource.Layout) bool) (users []*resource.Cache, err error) {
	for _, k := range kinds(service) {
		caches, err := tx.Caches(scope, k, "", 0)
		if err != nil {
			return nil, err
		}
		for _, c := range caches {
			if c.Layout != nil && uses(c.Layout) {
				users = append(users, c)
			}
		}
	}
	return users, nil
}

// CreateParameterGroup asks for a parameter group.
type CreateParameterGroup struct {
	Scope       resource.Scope
	Service     string
	Name        string
	Family      string
	Description string
	Tags        []resource.Tag
}

// CreateParameterGroup makes a parameter group with the defaults of its family.
func (c *Control) CreateParameterGroup(ctx context.Context, in CreateParameterGroup) (*resource.ParameterGroup, error) {
	name, err := newName(wording(in.Service, "CacheParameterGroupName", "ParameterGroupName"), in.Name, longestGroupName)
	if err != nil {
		return nil, err
	}
	param := wording(in.Service, "CacheParameterGroupFamily", "Family")
	family, ok := engine.FindFamily(in.Service, in.Family)
	if !ok {
		return nil, invalid(param, "%s %s is not a valid parameter group family.", param, clip(in.Family))
	}
	if err := checkDescription(in.Description); err != nil {
		return nil, err
	}
	if in.Description == "" && in.Service != resource.MemoryDBCluster.Service() {
		return nil, invalid("Description", "The parameter Description must be provided and must not be blank.")
	}
	if err := c.checkTags(in.Tags); err != nil {
		return nil, err
	}
	g := &resource.ParameterGroup{Scope: in.Scope, Service: in.Service, Name: name, Family: family.Name, Description: in.Description,
		Values: map[string]string{}, CreatedAt: c.now()}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		all, err := tx.ParameterGroups(g.Scope, g.Service, "", 0)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(all, func(o *resource.ParameterGroup) bool { return o.Name == name }) {
			return resource.Errorf(resource.AlreadyExists, resource.TypeParameterGroup, name, "%s %s already exists.",
				wording(g.Service, "Cache parameter group", "Parameter group"), name)
		}
		if len(all) >= mostGroups {
			return resource.Errorf(resource.QuotaExceeded, resource.TypeParameterGroup, name,
				"You have already reached your quota of %d parameter groups in this region.", mostGroups)
		}
		if err := tx.InsertParameterGroup(g); err != nil {
			return err
		}
		return tx.SetTags(g.ARN(), in.Tags)
	})
	return g, err
}

// DescribeParameterGroups lists the parameter groups of a service by name, or the one that is named.
func (c *Control) DescribeParameterGroups(ctx context.Context, scope resource.Scope, service, name string, page Page) (groups []*resource.ParameterGroup, next string, err error) {
	after, most, err := page.bounds(kinds(service)[0])
	if err != nil {
		return nil, "", err
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		if name != "" {
			g, err := findParameterGroup(tx, scope, service, name)
			groups = []*resource.ParameterGroup{g}
			return err
		}
		groups, err = tx.ParameterGroups(scope, service, "", 0)
		return err
	})
	if err != nil || name != "" {
		return groups, "", err
	}
	for _, g := range engine.DefaultGroups(service) {
		g.Scope = scope
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b *resource.ParameterGroup) int { return cmp.Compare(a.Name, b.Name) })
	groups, next = cut(groups, after, most, func(g *resource.ParameterGroup) string { return g.Name })
	return groups, next, nil
}

// cut takes a page out of a list that is in order of name, and returns the token of the next page.
func cut[T any](list []T, after string, most int, name func(T) string) ([]T, string) {
	for len(list) > 0 && name(list[0]) <= after {
		list = list[1:]
	}
	if len(list) <= most {
		return list, ""
	}
	return list[:most], token(name(list[most-1]))
}

// DeleteParameterGroup deletes a parameter group that no cache uses.
func (c *Control) DeleteParameterGroup(ctx context.Context, scope resource.Scope, service, name string) (g *resource.ParameterGroup, err error) {
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if g, err = ownParameterGroup(tx, scope, service, name, "delete"); err != nil {
			return err
		}
		users, err := parameterGroupUsers(tx, g)
		if err != nil {
			return err
		}
		if len(users) > 0 {
			return resource.Errorf(resource.InvalidState, resource.TypeParameterGroup, g.Name,
				"One or more %s are still members of this parameter group %s, so the group cannot be deleted: %s uses it.",
				wording(service, "cache clusters", "clusters"), g.Name, users[0].Name)
		}
		if err := tx.DeleteParameterGroup(scope, service, g.Name); err != nil {
			return err
		}
		return tx.DeleteTags(g.ARN())
	})
	return g, err
}
