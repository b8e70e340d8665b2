package control

import (
	"context"
	"slices"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// CreateUserGroup asks for a user group of ElastiCache or an ACL of MemoryDB.
type CreateUserGroup struct {
	Scope   resource.Scope
	Service string
	Name    string
	Engine  string // ElastiCache only
	UserIDs []string
	Tags    []resource.Tag
}

// ModifyUserGroup asks for other users in a group, or for another engine.
type ModifyUserGroup struct {
	Scope       resource.Scope
	Service     string
	Name        string
	Add, Remove []string
	Engine      *string
}

// GroupView is a group with the caches that have it, in order of name, and the oldest engine version that understands its users.
type GroupView struct {
	*resource.UserGroup
	Caches         []*resource.Cache
	MinimumVersion string
}

// CreateUserGroup makes a group, which is active at once: no cache has it yet.
func (c *Control) CreateUserGroup(ctx context.Context, in CreateUserGroup) (view GroupView, err error) {
	param := "UserGroupId"
	g := &resource.UserGroup{Scope: in.Scope, Service: in.Service, Status: resource.AccessActive, CreatedAt: c.now()}
	if in.Service == "memorydb" {
		param = "ACLName"
	} else if g.Engine, err = accessEngine(in.Engine); err != nil {
		return view, err
	}
	if g.Name, err = newName(param, in.Name, longestUserID); err != nil {
		return view, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		_, err := tx.UserGroup(g.Scope, g.Service, g.Name)
		if err == nil {
			return resource.Errorf(resource.AlreadyExists, resource.TypeUserGroup, g.Name, "%s %s already exists.", groupWord(g.Service), g.Name)
		}
		if !is(err, resource.NotFound) {
			return err
		}
		members, err := join(tx, g, in.UserIDs)
		if err != nil {
			return err
		}
		if err := checkMembers(g, members); err != nil {
			return err
		}
		all, err := tx.UserGroups(g.Scope, g.Service, "", 0)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, (*resource.UserGroup).BuiltIn)
		if len(all) >= mostUserGroups {
			return resource.Errorf(resource.QuotaExceeded, resource.TypeUserGroup, g.Name, "You have already reached your quota of %d %ss in this region.",
				mostUserGroups, groupWord(g.Service))
		}
		if err := c.checkTags(in.Tags); err != nil {
			return err
		}
		if err := tx.InsertUserGroup(g); err != nil {
			return err
		}
		view = GroupView{UserGroup: g, MinimumVersion: oldest(g, members)}
		return tx.SetTags(g.ARN(), in.Tags)
	})
	return view, err
}

// join adds users to a group's list and returns all who are in it then.
func join(tx *metastore.Tx, g *resource.UserGroup, ids []string) ([]*resource.User, error) {
	for _, id := range ids {
		u, err := findUser(tx, g.Scope, g.Service, id)
		if err != nil {
			return nil, err
		}
		if u.Status == resource.AccessDeleting {
			return nil, resource.Errorf(resource.NotFound, resource.TypeUser, u.ID, "User %s is being deleted.", u.ID)
		}
		if g.Has(u.ID) {
			return nil, invalid("UserIds", "User %s is in the group already, or is given more than once.", u.ID)
		}
		g.UserIDs = append(g.UserIDs, u.ID)
	}
	return membersOf(tx, g)
}

func membersOf(tx *metastore.Tx, g *resource.UserGroup) (members []*resource.User, err error) {
	for _, id := range g.UserIDs {
		u, err := tx.User(g.Scope, g.Service, id)
		if is(err, resource.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		members = append(members, u)
	}
	return members, nil
}

// checkMembers applies AWS's rules for who can be together in a group.
func checkMembers(g *resource.UserGroup, members []*resource.User) error {
	if len(members) > mostGroupMembers {
		return invalid("UserIds", "%s %s can have at most %d users; it would have %d.", groupWord(g.Service), g.Name, mostGroupMembers, len(members))
	}
	names := map[string]string{}
	for _, u := range members {
		if other := names[u.Name]; other != "" {
			return resource.Errorf(resource.AlreadyExists, resource.TypeUserName, u.Name, "Users %s and %s have the same user name, %s. A user name can be in a group only once.", other, u.ID, u.Name)
		}
		names[u.Name] = u.ID
	}
	for _, u := range members {
		if err := fits(u, g); err != nil {
			return err
		}
	}
	if g.Engine == resource.Redis && names[resource.DefaultUserID] == "" {
		return resource.Errorf(resource.NotFound, resource.TypeDefaultUser, g.Name, "A user group of the engine redis needs a user with the user name default.")
	}
	return nil
}

// fits refuses a user in a group of another engine: redis groups have redis users, valkey groups both, all of whom need a password.
func fits(u *resource.User, g *resource.UserGroup) error {
	switch {
	case g.Engine == resource.Redis && u.Engine == resource.Valkey:
		return invalid("UserIds", "User %s is of the engine valkey and cannot be in user group %s, which is of the engine redis.", u.ID, g.Name)
	case g.Engine == resource.Valkey && u.NoPass:
		return invalid("UserIds", "User %s needs no password and cannot be in user group %s, which is of the engine valkey.", u.ID, g.Name)
	}
	return nil
}

// oldest is the oldest engine version that understands all of a group's users.
func oldest(g *resource.UserGroup, members []*resource.User) string {
	version := "6.0"
	if g.Engine == resource.Valkey {
		version = "7.2"
	}
	for _, u := range members {
		version = max(version, UserView{User: u}.MinimumVersion())
	}
	return version
}

// ModifyUserGroup changes who is in a group. It is modifying until every cache that has it has taken the change.
func (c *Control) ModifyUserGroup(ctx context.Context, in ModifyUserGroup) (view GroupView, err error) {
	if len(in.Add) == 0 && len(in.Remove) == 0 && in.Engine == nil {
		return view, conflicting("No modifications were requested")
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		g, err := findGroup(tx, in.Scope, in.Service, in.Name)
		if err != nil {
			return err
		}
		if g.BuiltIn() {
			return resource.Errorf(resource.InvalidState, resource.TypeUserGroup, g.Name, "The ACL %s exists from the start and cannot be modified.", g.Name)
		}
		if g.Status != resource.AccessActive {
			return groupBusy(g)
		}
		caches, err := cachesWith(tx, g.Scope, g.Service, g.Name)
		if err != nil {
			return err
		}
		if err := in.engine(g, caches); err != nil {
			return err
		}
		before := slices.Clone(g.UserIDs)
		if err := in.leave(g); err != nil {
			return err
		}
		members, err := join(tx, g, in.Add)
		if err != nil {
			return err
		}
		if err := checkMembers(g, members); err != nil {
			return err
		}
		view = GroupView{UserGroup: g, Caches: caches, MinimumVersion: oldest(g, members)}
		if g.Waiting, err = c.spread(tx, caches); err != nil {
			return err
		}
		if len(g.Waiting) > 0 {
			g.Status, g.Adding, g.Removing = resource.AccessModifying, missing(before, g.UserIDs), missing(g.UserIDs, before)
		}
		return tx.UpdateUserGroup(g)
	})
	return view, err
}

// engine changes the engine of a group, unless a cache of redis has it.
func (in *ModifyUserGroup) engine(g *resource.UserGroup, caches []*resource.Cache) (err error) {
	if in.Engine == nil {
		return nil
	}
	if g.Engine, err = accessEngine(*in.Engine); err != nil {
		return err
	}
	for _, cache := range caches {
		if g.Engine == resource.Valkey && cache.Engine == resource.Redis {
			return conflicting("User group %s is used by %s, which is of the engine redis, and cannot become one of valkey.", g.Name, cache.Name)
		}
	}
	return nil
}

// leave takes users out of a group's list.
func (in *ModifyUserGroup) leave(g *resource.UserGroup) error {
	for _, id := range in.Remove {
		name := oldName(id)
		if !g.Has(name) {
			return invalid("UserIdsToRemove", "User %s is not in %s %s.", clip(id), groupWord(g.Service), g.Name)
		}
		g.UserIDs = slices.DeleteFunc(g.UserIDs, func(id string) bool { return id == name })
	}
	return nil
}

// missing lists what b has and a has not.
func missing(a, b []string) (only []string) {
	for _, s := range b {
		if !slices.Contains(a, s) {
			only = append(only, s)
		}
	}
	return only
}

// DeleteUserGroup deletes a group that no cache has.
func (c *Control) DeleteUserGroup(ctx context.Context, scope resource.Scope, service, name string) (view GroupView, err error) {
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		g, err := findGroup(tx, scope, service, name)
		if err != nil {
			return err
		}
		if g.BuiltIn() {
			return resource.Errorf(resource.InvalidState, resource.TypeUserGroup, g.Name, "The ACL %s exists from the start and cannot be deleted.", g.Name)
		}
		if g.Status != resource.AccessActive {
			return groupBusy(g)
		}
		caches, err := cachesWith(tx, scope, service, g.Name)
		if err != nil {
			return err
		}
		if len(caches) > 0 {
			return resource.Errorf(resource.InvalidState, resource.TypeUserGroup, g.Name, "%s %s is used by %s. Disassociate it before you delete it.",
				groupWord(service), g.Name, caches[0].Name)
		}
		members, err := membersOf(tx, g)
		if err != nil {
			return err
		}
		g.Status = resource.AccessDeleting
		view = GroupView{UserGroup: g, MinimumVersion: oldest(g, members)}
		if err := tx.DeleteTags(g.ARN()); err != nil {
			return err
		}
		return tx.DeleteUserGroup(scope, service, g.Name)
	})
	return view, err
}
