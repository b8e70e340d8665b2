package metastore

import (
	"slices"

	"github.com/keyframe/keyframe/internal/resource"
)

// SettleAccess notes that a cache has taken the changes of users and user groups that it was waited for: those that wait for no
// other cache become active, or are gone if they were being deleted. Call it in the transaction that ends configure-cache, whatever
// became of the cache, and only when its nodes have what the records say in that transaction: a change that came while they were
// configured is not theirs yet. DeleteCache calls it for a cache that goes.
func (tx *Tx) SettleAccess(s resource.Scope, service, cacheID string) error {
	users, err := waiting[resource.User](tx, userNoun(s, service, ""), cacheID)
	if err != nil {
		return err
	}
	for _, u := range users {
		u.Waiting = without(u.Waiting, cacheID)
		switch {
		case len(u.Waiting) > 0:
			err = tx.UpdateUser(u)
		case u.Status == resource.AccessDeleting:
			err = tx.RemoveUser(u)
		default:
			u.Status = resource.AccessActive
			err = tx.UpdateUser(u)
		}
		if err != nil {
			return err
		}
	}
	groups, err := waiting[resource.UserGroup](tx, userGroupNoun(s, service, ""), cacheID)
	if err != nil {
		return err
	}
	for _, g := range groups {
		if g.Waiting = without(g.Waiting, cacheID); len(g.Waiting) == 0 {
			g.Status, g.Adding, g.Removing = resource.AccessActive, nil, nil
		}
		if err := tx.UpdateUserGroup(g); err != nil {
			return err
		}
	}
	return nil
}

// RemoveUser forgets a user and its tags.
func (tx *Tx) RemoveUser(u *resource.User) error {
	if err := tx.DeleteTags(u.ARN()); err != nil {
		return err
	}
	return tx.DeleteUser(u.Scope, u.Service, u.ID)
}

// waiting lists the nouns of a type that wait for a cache; an identity stands nowhere else in their documents.
func waiting[T any](tx *Tx, n noun, cacheID string) ([]*T, error) {
	if cacheID == "" {
		return nil, nil
	}
	return documents[T](tx, `SELECT document FROM nouns WHERE account = ? AND region = ? AND service = ? AND type = ? AND document LIKE ? ORDER BY name`,
		n.scope.Account, n.scope.Region, n.service, string(n.typ), `%"`+cacheID+`"%`)
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(list, func(x string) bool { return x == s })
}

// beside puts what exists from the start into its place in a page of a list.
func beside[T any](page []*T, builtIn *T, name func(*T) string, after string, limit int) []*T {
	if name(builtIn) <= after {
		return page
	}
	at, _ := slices.BinarySearchFunc(page, name(builtIn), func(v *T, s string) int {
		switch {
		case name(v) < s:
			return -1
		case name(v) > s:
			return 1
		}
		return 0
	})
	if limit > 0 && len(page) == limit {
		if at == limit {
			return page // it belongs to a later page
		}
		page = page[:limit-1]
	}
	return slices.Insert(page, at, builtIn)
}
