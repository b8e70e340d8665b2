package elasticache

import (
	"slices"
	"testing"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// What the control plane can answer about users and groups becomes the fault that the API has for it, and the operation declares it.
func TestFaultsOfAccess(t *testing.T) {
	t.Parallel()
	type about struct {
		kind resource.ErrorKind
		typ  resource.Type
		code string
	}
	value, combination := about{resource.InvalidValue, resource.TypeParameter, "InvalidParameterValue"}, about{resource.InvalidCombination, resource.TypeParameter, "InvalidParameterCombination"}
	noUser, noGroup := about{resource.NotFound, resource.TypeUser, "UserNotFound"}, about{resource.NotFound, resource.TypeUserGroup, "UserGroupNotFound"}
	userState, groupState := about{resource.InvalidState, resource.TypeUser, "InvalidUserState"}, about{resource.InvalidState, resource.TypeUserGroup, "InvalidUserGroupState"}
	tags, needed := about{resource.TagQuota, resource.TypeOther, "TagQuotaPerResourceExceeded"}, about{resource.NotFound, resource.TypeDefaultUser, "DefaultUserRequired"}
	duplicate := about{resource.AlreadyExists, resource.TypeUserName, "DuplicateUserName"}
	for _, c := range []struct {
		op  *wire.Operation
		can []about
	}{
		{ecapi.OpCreateUser.Operation, []about{value, combination, tags, {resource.AlreadyExists, resource.TypeUser, "UserAlreadyExists"}, {resource.QuotaExceeded, resource.TypeUser, "UserQuotaExceeded"}}},
		{ecapi.OpModifyUser.Operation, []about{value, combination, noUser, userState}},
		{ecapi.OpDescribeUsers.Operation, []about{combination, noUser}},
		{ecapi.OpDeleteUser.Operation, []about{noUser, userState, {resource.InvalidState, resource.TypeDefaultUser, "DefaultUserAssociatedToUserGroup"}}},
		{ecapi.OpCreateUserGroup.Operation, []about{value, noUser, duplicate, needed, tags, {resource.AlreadyExists, resource.TypeUserGroup, "UserGroupAlreadyExists"},
			{resource.QuotaExceeded, resource.TypeUserGroup, "UserGroupQuotaExceeded"}}},
		{ecapi.OpModifyUserGroup.Operation, []about{value, combination, noUser, noGroup, groupState, duplicate, needed}},
		{ecapi.OpDescribeUserGroups.Operation, []about{combination, noGroup}},
		{ecapi.OpDeleteUserGroup.Operation, []about{noGroup, groupState}},
		{ecapi.OpCreateServerlessCache.Operation, []about{noGroup, groupState}},
		{ecapi.OpModifyServerlessCache.Operation, []about{noGroup, groupState}},
	} {
		for _, a := range c.can {
			if f := fault(c.op, resource.Errorf(a.kind, a.typ, "x", "m")); f == nil || f.Fault.Code != a.code || !c.op.Declares(f.Fault) {
				t.Errorf("%s answers %v %s with %+v, want %s", c.op.Name, a.kind, a.typ, f, a.code)
			}
		}
	}
}

func TestAccessShown(t *testing.T) {
	t.Parallel()
	here := resource.Scope{Account: "123456789012", Region: "us-east-1"}
	u := userOut(control.UserView{User: &resource.User{Scope: here, Service: service, ID: "u", Name: "n", Engine: resource.Redis, Access: "on ~* +@all", Hashes: []string{"1", "2"},
		Status: resource.AccessModifying}, Groups: []string{"g"}})
	if *u.UserId != "u" || *u.UserName != "n" || *u.Status != "modifying" || *u.Engine != "redis" || *u.MinimumEngineVersion != "6.0" || *u.AccessString != "on ~* +@all" ||
		!slices.Equal(u.UserGroupIds, []string{"g"}) || *u.Authentication.Type != "password" || *u.Authentication.PasswordCount != 2 || *u.ARN != "arn:aws:elasticache:us-east-1:123456789012:user:u" {
		t.Errorf("%+v", u)
	}
	if d := userOut(control.UserView{User: resource.DefaultUser(here, service)}); *d.Authentication.Type != "no-password" || d.Authentication.PasswordCount != nil {
		t.Errorf("%+v", d.Authentication)
	}
	view := control.GroupView{UserGroup: &resource.UserGroup{Scope: here, Service: service, Name: "g", Engine: resource.Valkey, UserIDs: []string{"u"}, Status: resource.AccessModifying, Adding: []string{"u"},
		Removing: []string{"v"}}, Caches: []*resource.Cache{{Kind: resource.ReplicationGroup, Name: "r"}, {Kind: resource.Serverless, Name: "s"}}, MinimumVersion: "7.2"}
	g := userGroupOut(view)
	if *g.UserGroupId != "g" || *g.Engine != "valkey" || *g.Status != "modifying" || *g.MinimumEngineVersion != "7.2" || !slices.Equal(g.ReplicationGroups, []string{"r"}) ||
		!slices.Equal(g.ServerlessCaches, []string{"s"}) || !slices.Equal(g.PendingChanges.UserIdsToAdd, []string{"u"}) || !slices.Equal(g.PendingChanges.UserIdsToRemove, []string{"v"}) ||
		*g.ARN != "arn:aws:elasticache:us-east-1:123456789012:usergroup:g" {
		t.Errorf("%+v", g)
	}
	view.Adding, view.Removing = nil, nil
	if userGroupOut(view).PendingChanges != nil {
		t.Error("changes that are none are pending")
	}
	login := loginIn([]wire.Secret{"a"}, nil, &ecapi.AuthenticationMode{Type: ptr(ecapi.InputAuthenticationTypeIam), Passwords: []wire.Secret{"b"}})
	if login.Passwords[0] != "a" || login.Mode != "iam" || login.ModePasswords[0] != "b" || login.NoPassword != nil {
		t.Error("a login is not what was asked for")
	}
}
