package metastore

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/resource"
)

// A change is settled when the last cache has taken it, or is gone; what was being deleted goes then, with its tags.
func TestAccessSettles(t *testing.T) {
	t.Parallel()
	db := open(t)
	const ec = "elasticache"
	cache := &resource.Cache{ID: "cache-b", Kind: resource.ReplicationGroup, Scope: east, Name: "g"}
	modified := &resource.User{Scope: east, Service: ec, ID: "modified", Status: resource.AccessModifying, Waiting: []string{"cache-a", "cache-b"}}
	deleted := &resource.User{Scope: east, Service: ec, ID: "deleted", Status: resource.AccessDeleting, Waiting: []string{"cache-a", "cache-b"}}
	group := &resource.UserGroup{Scope: east, Service: ec, Name: "group", Status: resource.AccessModifying, Waiting: []string{"cache-b"}, Adding: []string{"x"}, Removing: []string{"y"}}
	other := &resource.User{Scope: east, Service: "memorydb", ID: "modified", Status: resource.AccessModifying, Waiting: []string{"cache-b"}}
	update(t, db, func(tx *Tx) error {
		for _, err := range []error{tx.InsertCache(cache), tx.InsertUser(modified), tx.InsertUser(deleted), tx.InsertUserGroup(group), tx.InsertUser(other),
			tx.SetTags(deleted.ARN(), []resource.Tag{{Key: "k"}})} {
			if err != nil {
				return err
			}
		}
		return tx.SettleAccess(east, ec, "cache-a")
	})
	view(t, db, func(tx *Tx) error {
		for _, id := range []string{"modified", "deleted"} {
			if u, err := tx.User(east, ec, id); err != nil || u.Status == resource.AccessActive || !slices.Equal(u.Waiting, []string{"cache-b"}) {
				t.Errorf("one of two has it, and the user is %+v, %v", u, err)
			}
		}
		return nil
	})
	update(t, db, func(tx *Tx) error { return tx.DeleteCache("cache-b") })
	view(t, db, func(tx *Tx) error {
		if u, err := tx.User(east, ec, "modified"); err != nil || u.Status != resource.AccessActive || len(u.Waiting) != 0 {
			t.Errorf("%+v, %v", u, err)
		}
		_, err := tx.User(east, ec, "deleted")
		wantKind(t, err, resource.NotFound, resource.TypeUser)
		if tags, err := tx.Tags(deleted.ARN()); err != nil || len(tags) != 0 {
			t.Errorf("tags stay: %v, %v", tags, err)
		}
		if g, err := tx.UserGroup(east, ec, "group"); err != nil || g.Status != resource.AccessActive || len(g.Adding)+len(g.Removing)+len(g.Waiting) != 0 {
			t.Errorf("%+v, %v", g, err)
		}
		if u, err := tx.User(east, "memorydb", "modified"); err != nil || !reflect.DeepEqual(u, other) {
			t.Errorf("another service's user is settled too: %+v, %v", u, err)
		}
		return nil
	})
}

// What exists from the start is found, listed in its place on every kind of page, and cannot be made again.
func TestBuiltInUsers(t *testing.T) {
	t.Parallel()
	db := open(t)
	names := []string{"a", "b", "default-a", "e", "z"}
	update(t, db, func(tx *Tx) error {
		for _, n := range names {
			if err := tx.InsertUser(&resource.User{Scope: east, Service: "memorydb", ID: n}); err != nil {
				return err
			}
		}
		wantKind(t, tx.InsertUser(resource.DefaultUser(east, "memorydb")), resource.AlreadyExists, resource.TypeUser)
		wantKind(t, tx.InsertUserGroup(resource.OpenAccess(east)), resource.AlreadyExists, resource.TypeUserGroup)
		return nil
	})
	all := append([]string{"default"}, names...)
	slices.Sort(all)
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(0, 7).Draw(rt, "limit")
		after := rapid.SampledFrom(append([]string{"", "aa", "d", "default", "y", "zz"}, names...)).Draw(rt, "after")
		var want, got []string
		for _, n := range all {
			if n > after && (limit == 0 || len(want) < limit) {
				want = append(want, n)
			}
		}
		view(t, db, func(tx *Tx) error {
			page, err := tx.Users(east, "memorydb", after, limit)
			for _, u := range page {
				got = append(got, u.ID)
			}
			return err
		})
		if !slices.Equal(got, want) {
			rt.Fatalf("%d after %q: %v, want %v", limit, after, got, want)
		}
	})
	view(t, db, func(tx *Tx) error {
		if u, err := tx.User(west, "elasticache", "default"); err != nil || u.Engine != resource.Redis || !u.NoPass {
			t.Errorf("%+v, %v", u, err)
		}
		if g, err := tx.UserGroup(west, "memorydb", "open-access"); err != nil || !g.Has("default") {
			t.Errorf("%+v, %v", g, err)
		}
		if g, err := tx.UserGroups(west, "elasticache", "", 0); err != nil || len(g) != 0 {
			t.Errorf("%s, %v", fmt.Sprint(g), err)
		}
		return nil
	})
}
