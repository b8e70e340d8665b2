package worker

import (
	"context"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

func TestWhoMayLogIn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db, err := metastore.Open(ctx, filepath.Join(t.TempDir(), "meta.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	here := resource.Scope{Account: "123456789012", Region: "us-east-1"}
	err = db.Update(ctx, func(tx *metastore.Tx) error {
		for _, err := range []error{
			tx.InsertUser(&resource.User{Scope: here, Service: "elasticache", ID: "a", Name: "app", Access: "on ~* +@all", Hashes: []string{"h"}}),
			tx.InsertUserGroup(&resource.UserGroup{Scope: here, Service: "elasticache", Name: "g", UserIDs: []string{"default", "a", "gone"}}),
			tx.InsertUserGroup(&resource.UserGroup{Scope: here, Service: "elasticache", Name: "empty"}),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	app := engine.User{Name: "app", Access: "on ~* +@all", Hashes: []string{"h"}}
	open, closed := engine.OpenUser(), []engine.User{engine.ClosedUser()}
	token := func(hashes ...string) *resource.Cache {
		return &resource.Cache{Kind: resource.ReplicationGroup, Scope: here, Layout: &resource.Layout{AuthTokens: hashes}}
	}
	for name, c := range map[string]struct {
		cache *resource.Cache
		want  []engine.User
	}{
		"open serverless":   {&resource.Cache{Kind: resource.Serverless, Scope: here}, nil},
		"open group":        {token(), nil},
		"serverless group":  {&resource.Cache{Kind: resource.Serverless, Scope: here, UserGroupID: "g"}, []engine.User{app, open}},
		"replication group": {&resource.Cache{Kind: resource.ReplicationGroup, Scope: here, Layout: &resource.Layout{UserGroups: []string{"g"}}}, []engine.User{app, open}},
		"group over token":  {&resource.Cache{Kind: resource.ReplicationGroup, Scope: here, Layout: &resource.Layout{UserGroups: []string{"g"}, AuthTokens: []string{"t"}}}, []engine.User{app, open}},
		"nobody is left":    {&resource.Cache{Kind: resource.Serverless, Scope: here, UserGroupID: "empty"}, closed},
		"no such group":     {&resource.Cache{Kind: resource.Serverless, Scope: here, UserGroupID: "nothing"}, closed},
		"another service":   {&resource.Cache{Kind: resource.MemoryDBCluster, Scope: here, Layout: &resource.Layout{UserGroups: []string{"g"}}}, closed},
		"open-access":       {&resource.Cache{Kind: resource.MemoryDBCluster, Scope: here, Layout: &resource.Layout{UserGroups: []string{"open-access"}}}, []engine.User{open}},
		"one token":         {token("t"), []engine.User{{Name: "default", Access: open.Access, Hashes: []string{"t"}}}},
		"two tokens":        {token("t", "u"), []engine.User{{Name: "default", Access: open.Access, Hashes: []string{"t", "u"}}}},
		"the first token":   {token("", "t"), []engine.User{{Name: "default", Access: open.Access, NoPass: true, Hashes: []string{"t"}}}},
	} {
		err := db.View(ctx, func(tx *metastore.Tx) error {
			got, err := (&Worker{}).users(tx, c.cache)
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%s: %+v, want %+v", name, got, c.want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
