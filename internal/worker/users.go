package worker

import (
	"slices"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// users are the accounts of a cache's clients: the users of its user groups, or of its ACL, else a default user with its AUTH
// tokens. None at all means that the cache is open. A cache whose groups have no users is closed.
func (w *Worker) users(tx *metastore.Tx, c *resource.Cache) ([]engine.User, error) {
	groups := c.UserGroups()
	if len(groups) == 0 {
		if c.Layout == nil || len(c.Layout.AuthTokens) == 0 {
			return nil, nil
		}
		u := engine.User{Name: engine.OpenUser().Name, Access: engine.OpenUser().Access}
		for _, token := range c.Layout.AuthTokens {
			if token == "" {
				u.NoPass = true // clients without a token are served too, while the first one is being introduced
			} else {
				u.Hashes = append(u.Hashes, token)
			}
		}
		return []engine.User{u}, nil
	}
	var users []engine.User
	seen := map[string]bool{}
	for _, name := range groups {
		group, err := tx.UserGroup(c.Scope, c.Kind.Service(), name)
		if is(err, resource.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, id := range slices.Sorted(slices.Values(group.UserIDs)) {
			u, err := tx.User(c.Scope, c.Kind.Service(), id)
			if is(err, resource.NotFound) || err == nil && seen[u.Name] {
				continue
			}
			if err != nil {
				return nil, err
			}
			seen[u.Name] = true
			users = append(users, engine.User{Name: u.Name, NoPass: u.NoPass, Hashes: u.Hashes, Access: u.Access})
		}
	}
	if len(users) == 0 {
		users = []engine.User{engine.ClosedUser()}
	}
	return users, nil
}
