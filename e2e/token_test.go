package e2e

import (
	"fmt"
	"net"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

// A replication group's AUTH token is rotated, replaced, gives way to a user group, and comes back; every node follows.
func TestTokensOfReplicationGroups(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := s.elasticache(), t.Context()
	if _, err := c.CreateReplicationGroup(ctx, &elasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("orders"), ReplicationGroupDescription: aws.String("d"), Engine: aws.String("valkey"),
		CacheNodeType: aws.String("cache.t4g.micro"), NumCacheClusters: aws.Int32(2), AutomaticFailoverEnabled: aws.Bool(true), TransitEncryptionEnabled: aws.Bool(true), AuthToken: aws.String(password)}); err != nil {
		t.Fatal(err)
	}
	group := func() (g ectypes.ReplicationGroup) {
		t.Helper()
		until(t, "group available", func() (bool, error) {
			out, err := c.DescribeReplicationGroups(ctx, &elasticache.DescribeReplicationGroupsInput{ReplicationGroupId: aws.String("orders")})
			if err != nil {
				return false, err
			}
			g = out.ReplicationGroups[0]
			return *g.Status == "available", nil
		})
		return g
	}
	g := group()
	if !*g.AuthTokenEnabled || g.AuthTokenLastModifiedDate == nil || !*g.TransitEncryptionEnabled {
		t.Errorf("a group with a token shows %+v", g)
	}
	trust := s.trust()
	// want waits until every node lets those in whom it should, and nobody else.
	want := func(what string, in map[string]bool) {
		t.Helper()
		until(t, what, func() (bool, error) {
			for _, m := range group().NodeGroups[0].NodeGroupMembers {
				address := net.JoinHostPort(*m.ReadEndpoint.Address, fmt.Sprint(*m.ReadEndpoint.Port))
				for pass, ok := range in {
					user := "default"
					if pass == password3 {
						user = "app"
					}
					if loginTLS(t, trust, address, user, pass) != ok {
						return false, nil
					}
				}
			}
			return true, nil
		})
	}
	modify := func(change func(*elasticache.ModifyReplicationGroupInput)) {
		t.Helper()
		in := &elasticache.ModifyReplicationGroupInput{ReplicationGroupId: aws.String("orders"), ApplyImmediately: aws.Bool(true)}
		change(in)
		if _, err := c.ModifyReplicationGroup(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	token := func(strategy ectypes.AuthTokenUpdateStrategyType, pass string) func(*elasticache.ModifyReplicationGroupInput) {
		return func(in *elasticache.ModifyReplicationGroupInput) {
			in.AuthToken, in.AuthTokenUpdateStrategy = &pass, strategy
		}
	}
	want("the first token", map[string]bool{password: true, password2: false, "": false})
	modify(token(ectypes.AuthTokenUpdateStrategyTypeRotate, password2))
	want("two tokens", map[string]bool{password: true, password2: true, "": false})
	modify(token(ectypes.AuthTokenUpdateStrategyTypeSet, password2))
	want("the second token", map[string]bool{password: false, password2: true, "": false})

	if _, err := c.CreateUser(ctx, &elasticache.CreateUserInput{UserId: aws.String("app"), UserName: aws.String("app"), Engine: aws.String("valkey"), AccessString: aws.String("on ~* +@all"), Passwords: []string{password3}}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateUserGroup(ctx, &elasticache.CreateUserGroupInput{UserGroupId: aws.String("team"), Engine: aws.String("valkey"), UserIds: []string{"app"}}); err != nil {
		t.Fatal(err)
	}
	modify(func(in *elasticache.ModifyReplicationGroupInput) {
		in.UserGroupIdsToAdd, in.AuthTokenUpdateStrategy = []string{"Team"}, ectypes.AuthTokenUpdateStrategyTypeDelete
	})
	want("the group's user", map[string]bool{password2: false, password3: true, "": false})
	if g := group(); *g.AuthTokenEnabled || len(g.UserGroupIds) != 1 || g.UserGroupIds[0] != "team" {
		t.Errorf("a group with users shows %+v", g)
	}
	if out, err := c.DescribeUserGroups(ctx, &elasticache.DescribeUserGroupsInput{UserGroupId: aws.String("team")}); err != nil || len(out.UserGroups[0].ReplicationGroups) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	modify(func(in *elasticache.ModifyReplicationGroupInput) {
		in.RemoveUserGroups, in.AuthToken, in.AuthTokenUpdateStrategy = aws.Bool(true), aws.String(password), ectypes.AuthTokenUpdateStrategyTypeSet
	})
	want("the token again", map[string]bool{password: true, password3: false, "": false})
	if _, err := c.DeleteUserGroup(ctx, &elasticache.DeleteUserGroupInput{UserGroupId: aws.String("team")}); err != nil {
		t.Error(err)
	}
}
