package control

import (
	"context"
	"slices"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// mostAccess is the greatest page of users and groups.
const mostAccess = 100

// DescribeUsers says which users are asked for. Empty fields do not restrict.
type DescribeUsers struct {
	Scope   resource.Scope
	Service string
	ID      string
	Engine  string
	Filters []Filter
	Page    Page
}

// Filter keeps what has one of some values in a property.
type Filter struct {
	Name   string
	Values []string
}

// userProperties are the properties that users can be filtered by.
var userProperties = map[string]func(UserView) []string{
	"user-id":       func(v UserView) []string { return []string{v.ID} },
	"user-name":     func(v UserView) []string { return []string{v.User.Name} },
	"access-string": func(v UserView) []string { return []string{v.Access} },
	"status":        func(v UserView) []string { return []string{string(v.Status)} },
	"engine":        func(v UserView) []string { return []string{string(v.Engine)} },
	"user-group-id": func(v UserView) []string { return v.Groups },
}

func (f Filter) passes(v UserView) bool {
	return slices.ContainsFunc(userProperties[f.Name](v), func(s string) bool { return slices.Contains(f.Values, s) })
}

// DescribeUsers lists users by identity, or the one that is named.
func (c *Control) DescribeUsers(ctx context.Context, in DescribeUsers) (users []UserView, next string, err error) {
	after, most, err := in.Page.start(mostAccess)
	if err != nil {
		return nil, "", asCombination(err)
	}
	for _, f := range in.Filters {
		if userProperties[f.Name] == nil {
			return nil, "", conflicting("Users cannot be filtered by %q: user-id, user-name, access-string, status, engine and user-group-id are known.", clip(f.Name))
		}
	}
	if in.Engine != "" {
		e, err := accessEngine(in.Engine)
		if err != nil {
			return nil, "", asCombination(err)
		}
		in.Filters = append(in.Filters, Filter{"engine", []string{string(e)}})
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		groups, err := tx.UserGroups(in.Scope, in.Service, "", 0)
		if err != nil {
			return err
		}
		var found []*resource.User
		if in.ID != "" {
			u, err := findUser(tx, in.Scope, in.Service, in.ID)
			if err != nil {
				return err
			}
			found = []*resource.User{u}
		} else if found, err = tx.Users(in.Scope, in.Service, after, 0); err != nil {
			return err
		}
		for _, u := range found {
			v := viewOf(u, slices.DeleteFunc(slices.Clone(groups), func(g *resource.UserGroup) bool { return !g.Has(u.ID) }))
			if slices.ContainsFunc(in.Filters, func(f Filter) bool { return !f.passes(v) }) {
				continue
			}
			if users = append(users, v); len(users) > most {
				return nil
			}
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	if len(users) > most {
		users = users[:most]
		next = token(users[most-1].ID)
	}
	return users, next, nil
}

// DescribeUserGroups lists groups by name, or the one that is named.
func (c *Control) DescribeUserGroups(ctx context.Context, scope resource.Scope, service, name string, page Page) (views []GroupView, next string, err error) {
	after, most, err := page.start(mostAccess)
	if err != nil {
		return nil, "", asCombination(err)
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		var groups []*resource.UserGroup
		if name != "" {
			g, err := findGroup(tx, scope, service, name)
			if err != nil {
				return err
			}
			groups = []*resource.UserGroup{g}
		} else if groups, err = tx.UserGroups(scope, service, after, most+1); err != nil {
			return err
		}
		if len(groups) > most {
			groups = groups[:most]
			next = token(groups[most-1].Name)
		}
		for _, g := range groups {
			caches, err := cachesWith(tx, scope, service, g.Name)
			if err != nil {
				return err
			}
			members, err := membersOf(tx, g)
			if err != nil {
				return err
			}
			views = append(views, GroupView{UserGroup: g, Caches: caches, MinimumVersion: oldest(g, members)})
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return views, next, nil
}
