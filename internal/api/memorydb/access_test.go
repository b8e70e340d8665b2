package memorydb

import (
	"testing"

	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// What the control plane can answer about users and ACLs becomes the fault that the API has for it, and the operation declares it.
func TestFaultsOfAccess(t *testing.T) {
	t.Parallel()
	type about struct {
		kind resource.ErrorKind
		typ  resource.Type
		code string
	}
	value, combination := about{resource.InvalidValue, resource.TypeParameter, "InvalidParameterValueException"}, about{resource.InvalidCombination, resource.TypeParameter, "InvalidParameterCombinationException"}
	noUser, noACL := about{resource.NotFound, resource.TypeUser, "UserNotFoundFault"}, about{resource.NotFound, resource.TypeUserGroup, "ACLNotFoundFault"}
	userState, aclState := about{resource.InvalidState, resource.TypeUser, "InvalidUserStateFault"}, about{resource.InvalidState, resource.TypeUserGroup, "InvalidACLStateFault"}
	tags := about{resource.TagQuota, resource.TypeOther, "TagQuotaPerResourceExceeded"}
	for _, c := range []struct {
		op  *wire.Operation
		can []about
	}{
		{mdbapi.OpCreateUser.Operation, []about{value, combination, tags, {resource.AlreadyExists, resource.TypeUser, "UserAlreadyExistsFault"}, {resource.QuotaExceeded, resource.TypeUser, "UserQuotaExceededFault"}}},
		{mdbapi.OpUpdateUser.Operation, []about{value, combination, noUser, userState}},
		{mdbapi.OpDescribeUsers.Operation, []about{combination, noUser}},
		{mdbapi.OpDeleteUser.Operation, []about{noUser, userState}},
		{mdbapi.OpCreateACL.Operation, []about{value, noUser, tags, {resource.AlreadyExists, resource.TypeUserGroup, "ACLAlreadyExistsFault"}, {resource.QuotaExceeded, resource.TypeUserGroup, "ACLQuotaExceededFault"},
			{resource.AlreadyExists, resource.TypeUserName, "DuplicateUserNameFault"}, {resource.NotFound, resource.TypeDefaultUser, "DefaultUserRequired"}}},
		{mdbapi.OpUpdateACL.Operation, []about{value, combination, noUser, noACL, aclState}},
		{mdbapi.OpDescribeACLs.Operation, []about{combination, noACL}},
		{mdbapi.OpDeleteACL.Operation, []about{noACL, aclState}},
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
	d := userOut(control.UserView{User: resource.DefaultUser(here, service), Groups: []string{"open-access"}})
	if *d.Name != "default" || *d.Status != "active" || *d.Authentication.Type != "no-password" || d.Authentication.PasswordCount != nil || d.ACLNames[0] != "open-access" || *d.MinimumEngineVersion != "6.0" {
		t.Errorf("%+v", d)
	}
	a := aclOut(control.GroupView{UserGroup: &resource.UserGroup{Scope: here, Service: service, Name: "a", Status: resource.AccessModifying, Adding: []string{"u"}}, MinimumVersion: "6.0",
		Caches: []*resource.Cache{{Kind: resource.MemoryDBCluster, Name: "m"}}})
	if *a.Name != "a" || a.UserNames == nil || len(a.Clusters) != 1 || a.PendingChanges.UserNamesToAdd[0] != "u" || *a.ARN != "arn:aws:memorydb:us-east-1:123456789012:acl/a" {
		t.Errorf("%+v", a)
	}
	if l := loginIn(&mdbapi.AuthenticationMode{Type: ptr(mdbapi.InputAuthenticationTypePassword), Passwords: []wire.Secret{"p"}}); l.Mode != "password" || l.ModePasswords[0] != "p" || len(l.Passwords) != 0 {
		t.Error("a login is not what was asked for")
	}
	if l := loginIn(nil); l.Mode != "" {
		t.Error("nothing is something")
	}
}
