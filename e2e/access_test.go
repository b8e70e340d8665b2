package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	mdbtypes "github.com/aws/aws-sdk-go-v2/service/memorydb/types"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

const (
	password  = "correct-horse-battery"
	password2 = "staple-of-sixteen-letters"
	password3 = "another-of-sixteen-letters"
)

// login tries to log in and to read and write; it tells the error codes, empty for success.
func login(t *testing.T, address, user, pass string) (auth, get, set string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := resp.Dial(ctx, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	code := func(err error) string {
		for _, code := range []string{"NOAUTH", "NOPERM", "WRONGPASS"} {
			if resp.IsCode(err, code) {
				return code
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		return ""
	}
	if user != "" {
		auth = code(c.Auth(ctx, user, pass))
	}
	_, err = c.Do(ctx, "GET", "app:k")
	get = code(err)
	_, err = c.Do(ctx, "SET", "app:k", "v")
	return auth, get, code(err)
}

func wantLogin(t *testing.T, what, address, user, pass, auth, get, set string) {
	t.Helper()
	if a, g, s := login(t, address, user, pass); a != auth || g != get || s != set {
		t.Errorf("%s: login %q, read %q, write %q; want %q %q %q", what, a, g, s, auth, get, set)
	}
}

// Users and their group decide who may do what on a running serverless cache, from its creation to the group's end, with the calls
// that the Terraform provider makes.
func TestUsersOfServerlessCaches(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := s.elasticache(), t.Context()
	user := func(id, name, access string, passwords ...string) *elasticache.CreateUserOutput {
		t.Helper()
		out, err := c.CreateUser(ctx, &elasticache.CreateUserInput{UserId: &id, UserName: &name, Engine: aws.String("REDIS"), AccessString: &access, Passwords: passwords,
			NoPasswordRequired: aws.Bool(len(passwords) == 0), Tags: []ectypes.Tag{{Key: aws.String("team"), Value: aws.String("a")}}})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	active := func(id string) ectypes.User {
		t.Helper()
		var u ectypes.User
		until(t, "user "+id+" active", func() (bool, error) {
			out, err := c.DescribeUsers(ctx, &elasticache.DescribeUsersInput{UserId: &id})
			if err != nil {
				return false, err
			}
			u = out.Users[0]
			return *u.Status == "active", nil
		})
		return u
	}
	made := user("Reader", "app", "on ~app:* -@all +@read", password)
	if *made.Status != "active" || *made.UserId != "reader" || *made.UserName != "app" || *made.AccessString != "on ~app:* -@all +@read" || *made.Engine != "redis" ||
		*made.Authentication.PasswordCount != 1 || made.Authentication.Type != ectypes.AuthenticationTypePassword || *made.ARN != "arn:aws:elasticache:us-east-1:123456789012:user:reader" {
		t.Errorf("a new user shows %+v", *made)
	}
	user("closed", "default", "off -@all", password)
	group, err := c.CreateUserGroup(ctx, &elasticache.CreateUserGroupInput{UserGroupId: aws.String("G"), Engine: aws.String("redis"), UserIds: []string{"closed", "reader"}})
	if err != nil || *group.Status != "active" || !slices.Equal(group.UserIds, []string{"closed", "reader"}) || *group.ARN != "arn:aws:elasticache:us-east-1:123456789012:usergroup:g" {
		t.Fatalf("%+v, %v", group, err)
	}
	address := s.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("orders"), Engine: aws.String("valkey"), UserGroupId: aws.String("g")})
	wantLogin(t, "a stranger", address, "", "", "", "NOAUTH", "NOAUTH")
	wantLogin(t, "a reader", address, "app", password, "", "", "NOPERM")
	wantLogin(t, "a wrong password", address, "app", password2, "WRONGPASS", "NOAUTH", "NOAUTH")

	modified, err := c.ModifyUser(ctx, &elasticache.ModifyUserInput{UserId: aws.String("reader"), AccessString: aws.String("on ~app:* +@all"),
		AuthenticationMode: &ectypes.AuthenticationMode{Type: ectypes.InputAuthenticationTypePassword, Passwords: []string{password, password2}}})
	if err != nil || *modified.Status != "modifying" || *modified.Authentication.PasswordCount != 2 {
		t.Fatalf("%+v, %v", modified, err)
	}
	if u := active("reader"); !slices.Equal(u.UserGroupIds, []string{"g"}) {
		t.Errorf("%+v", u)
	}
	wantLogin(t, "a writer", address, "app", password2, "", "", "")

	// The group's other users come and go.
	user("batch", "batch", "on ~* +@all", password)
	changed, err := c.ModifyUserGroup(ctx, &elasticache.ModifyUserGroupInput{UserGroupId: aws.String("g"), UserIdsToAdd: []string{"batch", "default"}, UserIdsToRemove: []string{"closed"}})
	if err != nil || *changed.Status != "modifying" || len(changed.PendingChanges.UserIdsToAdd) != 2 || !slices.Equal(changed.ServerlessCaches, []string{"orders"}) {
		t.Fatalf("%+v, %v", changed, err)
	}
	until(t, "group active", func() (bool, error) {
		out, err := c.DescribeUserGroups(ctx, &elasticache.DescribeUserGroupsInput{UserGroupId: aws.String("g")})
		return err == nil && *out.UserGroups[0].Status == "active" && out.UserGroups[0].PendingChanges == nil, err
	})
	wantLogin(t, "a newcomer", address, "batch", password, "", "", "")
	wantLogin(t, "anybody, now", address, "", "", "", "", "")
	if out, err := c.DeleteUser(ctx, &elasticache.DeleteUserInput{UserId: aws.String("batch")}); err != nil || *out.Status != "deleting" {
		t.Fatalf("%+v, %v", out, err)
	}
	until(t, "user gone", func() (bool, error) {
		_, err := c.DescribeUsers(ctx, &elasticache.DescribeUsersInput{UserId: aws.String("batch")})
		var gone *ectypes.UserNotFoundFault
		return errors.As(err, &gone), nil
	})
	wantLogin(t, "one who is gone", address, "batch", password, "WRONGPASS", "", "")

	_, err = c.DeleteUserGroup(ctx, &elasticache.DeleteUserGroupInput{UserGroupId: aws.String("g")})
	wantFault[*ectypes.InvalidUserGroupStateFault](t, err, 400, "orders")
	if _, err := c.ModifyServerlessCache(ctx, &elasticache.ModifyServerlessCacheInput{ServerlessCacheName: aws.String("orders"), RemoveUserGroup: aws.Bool(true)}); err != nil {
		t.Fatal(err)
	}
	s.available("orders")
	wantLogin(t, "without a group", address, "", "", "", "", "")
	wantLogin(t, "one of no group", address, "app", password, "WRONGPASS", "", "")
	if _, err := c.DeleteUserGroup(ctx, &elasticache.DeleteUserGroupInput{UserGroupId: aws.String("g")}); err != nil {
		t.Error(err)
	}
	_, err = c.DescribeUserGroups(ctx, &elasticache.DescribeUserGroupsInput{UserGroupId: aws.String("g")})
	wantFault[*ectypes.UserGroupNotFoundFault](t, err, 404, "g not found")
	refusedAccess(t, c)
}

func refusedAccess(t *testing.T, c *elasticache.Client) {
	ctx := t.Context()
	create := func(change func(*elasticache.CreateUserInput)) error {
		in := &elasticache.CreateUserInput{UserId: aws.String("x"), UserName: aws.String("x"), Engine: aws.String("redis"), AccessString: aws.String("on ~* +@all"), Passwords: []string{password}}
		change(in)
		_, err := c.CreateUser(ctx, in)
		return err
	}
	wantFault[*ectypes.UserAlreadyExistsFault](t, create(func(in *elasticache.CreateUserInput) { in.UserId = aws.String("READER") }), 400, "reader already exists")
	wantFault[*ectypes.UserAlreadyExistsFault](t, create(func(in *elasticache.CreateUserInput) { in.UserId = aws.String("default") }), 400, "default already exists")
	wantFault[*ectypes.InvalidParameterValueException](t, create(func(in *elasticache.CreateUserInput) { in.AccessString = aws.String("on +config|set") }), 400, "not available")
	wantFault[*ectypes.InvalidParameterValueException](t, create(func(in *elasticache.CreateUserInput) { in.Passwords = nil }), 400, "No password was provided")
	wantFault[*ectypes.InvalidParameterCombinationException](t, create(func(in *elasticache.CreateUserInput) { in.NoPasswordRequired = aws.Bool(true) }), 400, "no password")
	wantFault[*ectypes.InvalidParameterValueException](t, create(func(in *elasticache.CreateUserInput) {
		in.Passwords, in.AuthenticationMode = nil, &ectypes.AuthenticationMode{Type: ectypes.InputAuthenticationTypeIam}
	}), 400, "iam is not available")
	group := func(users ...string) error {
		_, err := c.CreateUserGroup(ctx, &elasticache.CreateUserGroupInput{UserGroupId: aws.String("y"), Engine: aws.String("redis"), UserIds: users})
		return err
	}
	wantFault[*ectypes.DefaultUserRequired](t, group("reader"), 400, "default")
	wantFault[*ectypes.DuplicateUserNameFault](t, group("default", "closed"), 400, "same user name")
	wantFault[*ectypes.UserNotFoundFault](t, group("default", "nobody"), 404, "nobody not found")
	_, err := c.DeleteUser(ctx, &elasticache.DeleteUserInput{UserId: aws.String("default")})
	wantFault[*ectypes.InvalidUserStateFault](t, err, 400, "cannot be deleted")
	_, err = c.ModifyUser(ctx, &elasticache.ModifyUserInput{UserId: aws.String("nobody"), NoPasswordRequired: aws.Bool(true)})
	wantFault[*ectypes.UserNotFoundFault](t, err, 404, "nobody not found")
	_, err = c.DescribeUsers(ctx, &elasticache.DescribeUsersInput{Filters: []ectypes.Filter{{Name: aws.String("colour"), Values: []string{"red"}}}})
	wantFault[*ectypes.InvalidParameterCombinationException](t, err, 400, "colour")
	if err := group("default"); err != nil {
		t.Fatal(err)
	}
	wantFault[*ectypes.UserGroupAlreadyExistsFault](t, group("default"), 400, "y already exists")
	if _, err := c.ModifyUserGroup(ctx, &elasticache.ModifyUserGroupInput{UserGroupId: aws.String("y"), UserIdsToAdd: []string{"closed"}, UserIdsToRemove: []string{"default"}}); err != nil {
		t.Fatal(err)
	}
	_, err = c.DeleteUser(ctx, &elasticache.DeleteUserInput{UserId: aws.String("closed")})
	wantFault[*ectypes.DefaultUserAssociatedToUserGroupFault](t, err, 400, "default user of user group y")
}

// Users and ACLs of MemoryDB, with the calls that the Terraform provider makes.
func TestMemoryDBUsers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := memorydb.NewFromConfig(s.config("us-east-1")), t.Context()
	mode := &mdbtypes.AuthenticationMode{Type: mdbtypes.InputAuthenticationTypePassword, Passwords: []string{password}}
	made, err := c.CreateUser(ctx, &memorydb.CreateUserInput{UserName: aws.String("App"), AccessString: aws.String("on ~* &* +@all"), AuthenticationMode: mode,
		Tags: []mdbtypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
	if err != nil {
		t.Fatal(err)
	}
	if u := made.User; *u.Name != "app" || *u.Status != "active" || *u.AccessString != "on ~* &* +@all" || *u.Authentication.PasswordCount != 1 || *u.MinimumEngineVersion != "6.0" ||
		*u.ARN != "arn:aws:memorydb:us-east-1:123456789012:user/app" {
		t.Errorf("%+v", *made.User)
	}
	acl, err := c.CreateACL(ctx, &memorydb.CreateACLInput{ACLName: aws.String("Team")})
	if err != nil || *acl.ACL.Status != "active" || len(acl.ACL.UserNames) != 0 || *acl.ACL.ARN != "arn:aws:memorydb:us-east-1:123456789012:acl/team" {
		t.Fatalf("%+v, %v", acl, err)
	}
	if _, err := c.UpdateACL(ctx, &memorydb.UpdateACLInput{ACLName: aws.String("team"), UserNamesToAdd: []string{"app"}}); err != nil {
		t.Fatal(err)
	}
	updated, err := c.UpdateUser(ctx, &memorydb.UpdateUserInput{UserName: aws.String("app"), AuthenticationMode: &mdbtypes.AuthenticationMode{
		Type: mdbtypes.InputAuthenticationTypePassword, Passwords: []string{password, password2}}})
	if err != nil || *updated.User.Authentication.PasswordCount != 2 || *updated.User.Status != "active" {
		t.Errorf("%+v, %v", updated, err)
	}
	users, err := c.DescribeUsers(ctx, &memorydb.DescribeUsersInput{Filters: []mdbtypes.Filter{{Name: aws.String("user-name"), Values: []string{"app", "default"}}}})
	if err != nil || len(users.Users) != 2 || !slices.Equal(users.Users[0].ACLNames, []string{"team"}) || !slices.Equal(users.Users[1].ACLNames, []string{"open-access"}) ||
		users.Users[1].Authentication.Type != mdbtypes.AuthenticationTypeNoPassword {
		t.Errorf("%+v, %v", users, err)
	}
	acls, err := c.DescribeACLs(ctx, &memorydb.DescribeACLsInput{})
	if err != nil || len(acls.ACLs) != 2 || *acls.ACLs[0].Name != "open-access" || !slices.Equal(acls.ACLs[1].UserNames, []string{"app"}) {
		t.Errorf("%+v, %v", acls, err)
	}
	if _, err := c.DeleteUser(ctx, &memorydb.DeleteUserInput{UserName: aws.String("app")}); err != nil {
		t.Error(err)
	}
	_, err = c.DescribeUsers(ctx, &memorydb.DescribeUsersInput{UserName: aws.String("app")})
	wantFault[*mdbtypes.UserNotFoundFault](t, err, 400, "app not found")
	_, err = c.UpdateACL(ctx, &memorydb.UpdateACLInput{ACLName: aws.String("team"), UserNamesToRemove: []string{"app"}})
	wantFault[*mdbtypes.InvalidParameterValueException](t, err, 400, "not in ACL team")
	_, err = c.DeleteACL(ctx, &memorydb.DeleteACLInput{ACLName: aws.String("open-access")})
	wantFault[*mdbtypes.InvalidACLStateFault](t, err, 400, "cannot be deleted")
	_, err = c.CreateACL(ctx, &memorydb.CreateACLInput{ACLName: aws.String("TEAM")})
	wantFault[*mdbtypes.ACLAlreadyExistsFault](t, err, 400, "team already exists")
	if out, err := c.DeleteACL(ctx, &memorydb.DeleteACLInput{ACLName: aws.String("team")}); err != nil || *out.ACL.Status != "deleting" {
		t.Errorf("%+v, %v", out, err)
	}
	_, err = c.DescribeACLs(ctx, &memorydb.DescribeACLsInput{ACLName: aws.String("team")})
	wantFault[*mdbtypes.ACLNotFoundFault](t, err, 400, "team not found")
}

// A cluster's ACL holds on every node, follows changes of its users, and cannot go while the cluster has it.
func TestACLsOfClusters(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := memorydb.NewFromConfig(s.config("us-east-1")), t.Context()
	mode := func(passwords ...string) *mdbtypes.AuthenticationMode {
		return &mdbtypes.AuthenticationMode{Type: mdbtypes.InputAuthenticationTypePassword, Passwords: passwords}
	}
	if _, err := c.CreateUser(ctx, &memorydb.CreateUserInput{UserName: aws.String("app"), AccessString: aws.String("on ~* +@all"), AuthenticationMode: mode(password)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateACL(ctx, &memorydb.CreateACLInput{ACLName: aws.String("team"), UserNames: []string{"app"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateCluster(ctx, &memorydb.CreateClusterInput{ClusterName: aws.String("orders"), ACLName: aws.String("Team"), NodeType: aws.String("db.t4g.small"), NumShards: aws.Int32(2),
		NumReplicasPerShard: aws.Int32(0)}); err != nil {
		t.Fatal(err)
	}
	nodes := func() (addresses []string) {
		t.Helper()
		until(t, "cluster available", func() (bool, error) {
			out, err := c.DescribeClusters(ctx, &memorydb.DescribeClustersInput{ClusterName: aws.String("orders"), ShowShardDetails: aws.Bool(true)})
			if err != nil || *out.Clusters[0].Status != "available" {
				return false, err
			}
			addresses = nil
			for _, shard := range out.Clusters[0].Shards {
				for _, n := range shard.Nodes {
					addresses = append(addresses, net.JoinHostPort(*n.Endpoint.Address, fmt.Sprint(n.Endpoint.Port)))
				}
			}
			return true, nil
		})
		return addresses
	}
	addresses := nodes()
	if len(addresses) != 2 {
		t.Fatalf("nodes are %v", addresses)
	}
	settled := func() {
		t.Helper()
		until(t, "user and ACL active", func() (bool, error) {
			users, err := c.DescribeUsers(ctx, &memorydb.DescribeUsersInput{UserName: aws.String("app")})
			if err != nil {
				return false, err
			}
			acls, err := c.DescribeACLs(ctx, &memorydb.DescribeACLsInput{ACLName: aws.String("team")})
			return err == nil && *users.Users[0].Status == "active" && *acls.ACLs[0].Status == "active", err
		})
	}
	trust := s.trust()
	want := func(what, user, pass string, ok bool) {
		t.Helper()
		for _, address := range addresses {
			if can := loginTLS(t, trust, address, user, pass); can != ok {
				t.Errorf("%s at %s: %v", what, address, can)
			}
		}
	}
	want("a user", "app", password, true)
	want("nobody", "", "", false)
	if _, err := c.UpdateUser(ctx, &memorydb.UpdateUserInput{UserName: aws.String("app"), AuthenticationMode: mode(password2)}); err != nil {
		t.Fatal(err)
	}
	settled()
	want("the old password", "app", password, false)
	want("the new password", "app", password2, true)
	_, err := c.DeleteACL(ctx, &memorydb.DeleteACLInput{ACLName: aws.String("team")})
	wantFault[*mdbtypes.InvalidACLStateFault](t, err, 400, "used by orders")
	if _, err := c.UpdateACL(ctx, &memorydb.UpdateACLInput{ACLName: aws.String("team"), UserNamesToRemove: []string{"app"}}); err != nil {
		t.Fatal(err)
	}
	settled()
	want("one who left", "app", password2, false)
	want("anybody of an empty ACL", "", "", false)
	if _, err := c.UpdateCluster(ctx, &memorydb.UpdateClusterInput{ClusterName: aws.String("orders"), ACLName: aws.String("open-access")}); err != nil {
		t.Fatal(err)
	}
	until(t, "open to all", func() (bool, error) {
		return !slices.ContainsFunc(nodes(), func(address string) bool { return !loginTLS(t, trust, address, "", "") }), nil
	})
	if _, err := c.DeleteACL(ctx, &memorydb.DeleteACLInput{ACLName: aws.String("team")}); err != nil {
		t.Error(err)
	}
}

// trust is what a client needs to believe in the server's certificates.
func (s *server) trust() *tls.Config {
	s.t.Helper()
	pem, err := os.ReadFile(filepath.Join(s.dir, "ca.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool}
}

// loginTLS tells whether a node answers a client with this password, or without one if it is empty.
func loginTLS(t *testing.T, trust *tls.Config, address, user, pass string) bool {
	t.Helper()
	conn, err := resp.Dial(t.Context(), address, trust)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if pass != "" && conn.Auth(t.Context(), user, pass) != nil {
		return false
	}
	_, err = conn.Do(t.Context(), "PING")
	return err == nil
}
