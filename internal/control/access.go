package control

import (
	"errors"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// The quotas that AWS documents for access control, per account and region.
const (
	mostUsers        = 2000
	mostUserGroups   = 200
	mostGroupMembers = 100
	longestUserID    = 40
	longestUserName  = 128
)

// groupWord is what a service calls its groups of users.
func groupWord(service string) string {
	if service == "memorydb" {
		return "ACL"
	}
	return "User group"
}

func findUser(tx *metastore.Tx, s resource.Scope, service, id string) (*resource.User, error) {
	u, err := tx.User(s, service, oldName(id))
	if is(err, resource.NotFound) {
		return nil, resource.Errorf(resource.NotFound, resource.TypeUser, id, "User %s not found.", clip(id))
	}
	return u, err
}

func findGroup(tx *metastore.Tx, s resource.Scope, service, name string) (*resource.UserGroup, error) {
	g, err := tx.UserGroup(s, service, oldName(name))
	if is(err, resource.NotFound) {
		return nil, resource.Errorf(resource.NotFound, resource.TypeUserGroup, name, "%s %s not found.", groupWord(service), clip(name))
	}
	return g, err
}

func userBusy(u *resource.User) error {
	return resource.Errorf(resource.InvalidState, resource.TypeUser, u.ID, "User %s is in the state %s; it must be active.", u.ID, u.Status)
}

func groupBusy(g *resource.UserGroup) error {
	return resource.Errorf(resource.InvalidState, resource.TypeUserGroup, g.Name, "%s %s is in the state %s; it must be active.", groupWord(g.Service), g.Name, g.Status)
}

// groupsWith lists the groups of a scope that have a user.
func groupsWith(tx *metastore.Tx, s resource.Scope, service, userID string) (with []*resource.UserGroup, err error) {
	all, err := tx.UserGroups(s, service, "", 0)
	for _, g := range all {
		if g.Has(userID) {
			with = append(with, g)
		}
	}
	return with, err
}

// cachesWith lists the caches that have one of some groups, in order of kind and name.
func cachesWith(tx *metastore.Tx, s resource.Scope, service string, groups ...string) (with []*resource.Cache, err error) {
	for _, kind := range resource.AccessKinds(service) {
		all, err := tx.Caches(s, kind, "", 0)
		if err != nil {
			return nil, err
		}
		for _, c := range all {
			if slices.ContainsFunc(c.UserGroups(), func(g string) bool { return slices.Contains(groups, g) }) {
				with = append(with, c)
			}
		}
	}
	return with, nil
}

// spread enqueues the job that brings a change of access to each cache, and returns the identities of those that have yet to take
// it. A cache that is going, or that never came to be, is not waited for.
func (c *Control) spread(tx *metastore.Tx, caches []*resource.Cache) (waiting []string, err error) {
	for _, cache := range caches {
		switch cache.Status {
		case resource.CacheDeleting, resource.CacheCreateFailed, resource.CacheRestoreFailed:
			continue
		}
		if _, err := c.enqueue(tx, resource.TaskConfigureCache, cache.ID, resource.ConfigureCacheTask{CacheID: cache.ID}); err != nil {
			return nil, err
		}
		waiting = append(waiting, cache.ID)
	}
	return waiting, nil
}

// accessEngine reads the engine of a user or a group; case does not matter.
func accessEngine(s string) (resource.Engine, error) {
	e := resource.Engine(strings.ToLower(s))
	if e != resource.Valkey && e != resource.Redis {
		return "", invalid("Engine", "Engine must be valkey or redis; %q was given.", clip(s))
	}
	return e, nil
}

// asCombination makes of a wrong value a wrong combination: what describes declare.
func asCombination(err error) error {
	var e *resource.Error
	if errors.As(err, &e) && e.Kind == resource.InvalidValue {
		return resource.Errorf(resource.InvalidCombination, e.Type, e.ID, "%s", e.Message)
	}
	return err
}
