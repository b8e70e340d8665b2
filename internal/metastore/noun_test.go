package metastore

import (
	"context"
	"reflect"
	"testing"

	"github.com/keyframe/keyframe/internal/resource"
)

// The four nouns share a table and do not meet in it: neither across types, nor services, nor scopes.
func TestGroupsAndUsers(t *testing.T) {
	t.Parallel()
	db := open(t)
	user := &resource.User{Scope: east, Service: "elasticache", ID: "n", Name: "n", Hashes: []string{"h"}}
	group := &resource.UserGroup{Scope: east, Service: "elasticache", Name: "n", UserIDs: []string{"n"}}
	acl := &resource.UserGroup{Scope: east, Service: "memorydb", Name: "n"}
	params := &resource.ParameterGroup{Scope: east, Service: "elasticache", Name: "n", Values: map[string]string{"a": "b"}}
	subnets := &resource.SubnetGroup{Scope: west, Service: "elasticache", Name: "n", SubnetIDs: []string{"subnet-1"}}
	update(t, db, func(tx *Tx) error {
		for _, err := range []error{tx.InsertUser(user), tx.InsertUserGroup(group), tx.InsertUserGroup(acl), tx.InsertParameterGroup(params), tx.InsertSubnetGroup(subnets)} {
			if err != nil {
				return err
			}
		}
		group.Status = resource.AccessActive
		return tx.UpdateUserGroup(group)
	})
	err := db.Update(context.Background(), func(tx *Tx) error { return tx.InsertUser(user) })
	wantKind(t, err, resource.AlreadyExists, resource.TypeUser)
	view(t, db, func(tx *Tx) error {
		if got, err := tx.UserGroup(east, "elasticache", "n"); err != nil || !reflect.DeepEqual(got, group) {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := tx.UserGroups(east, "memorydb", "", 0); err != nil || len(got) != 2 || !reflect.DeepEqual(got[0], acl) {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err := tx.ParameterGroups(east, "elasticache", "n", 5); err != nil || len(got) != 0 {
			t.Errorf("after the last: %+v, %v", got, err)
		}
		_, err := tx.SubnetGroup(east, "elasticache", "n")
		wantKind(t, err, resource.NotFound, resource.TypeSubnetGroup)
		return nil
	})
	update(t, db, func(tx *Tx) error { return tx.DeleteUser(east, "elasticache", "n") })
	view(t, db, func(tx *Tx) error {
		_, err := tx.User(east, "elasticache", "n")
		wantKind(t, err, resource.NotFound, resource.TypeUser)
		_, err = tx.UserGroup(east, "elasticache", "n")
		return err
	})
	err = db.Update(context.Background(), func(tx *Tx) error { return tx.UpdateUser(user) })
	wantKind(t, err, resource.NotFound, resource.TypeUser)
}

func TestNodesByName(t *testing.T) {
	t.Parallel()
	db := open(t)
	c := &resource.Cache{ID: "c", Kind: resource.ReplicationGroup, Scope: east, Name: "g"}
	m := &resource.Cache{ID: "m", Kind: resource.MemoryDBCluster, Scope: east, Name: "g"}
	update(t, db, func(tx *Tx) error {
		for _, err := range []error{
			tx.InsertNode(c, &resource.Node{ID: "2", CacheID: "c", Name: "g-002"}), tx.InsertNode(c, &resource.Node{ID: "1", CacheID: "c", Name: "g-001", Primary: true, Shard: "0001"}),
			tx.InsertNode(m, &resource.Node{ID: "3", CacheID: "m", Name: "g-001"}), tx.InsertNode(c, &resource.Node{ID: "4", CacheID: "s"}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	view(t, db, func(tx *Tx) error {
		if n, err := tx.NodeByName(east, "elasticache", "g-001"); err != nil || n.ID != "1" {
			t.Errorf("%+v, %v", n, err)
		}
		for _, unnamed := range []string{"", "g-003"} {
			_, err := tx.NodeByName(east, "elasticache", unnamed)
			wantKind(t, err, resource.NotFound, resource.TypeCluster)
		}
		if all, err := tx.NodesAfter(east, "elasticache", "", 0); err != nil || len(all) != 2 || all[0].Name != "g-001" {
			t.Errorf("%+v, %v", all, err)
		}
		if n, err := tx.CountNodes(east, "elasticache"); err != nil || n != 2 {
			t.Errorf("%d nodes, %v", n, err)
		}
		d, err := tx.Deployment(c)
		if err != nil || len(d.Nodes) != 3 || d.Primary("0001").ID != "1" || d.Member("g-002").ID != "2" {
			t.Errorf("%+v, %v", d, err)
		}
		return err
	})
	update(t, db, func(tx *Tx) error { return tx.DeleteNode("1") })
	view(t, db, func(tx *Tx) error {
		_, err := tx.NodeByName(east, "elasticache", "g-001")
		wantKind(t, err, resource.NotFound, resource.TypeCluster)
		return nil
	})
}
