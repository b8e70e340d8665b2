package memorydb

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// accessRoutes serves users and ACLs. In policies their actions are written CreateAcl, and so on.
func (h handler) accessRoutes(f *gateway.API) {
	gateway.Route(f, mdbapi.OpCreateUser, func(c *gateway.Call, in *mdbapi.CreateUserInput) []policy.Need {
		return tagged(c, "CreateUser", "user", in.UserName, in.Tags)
	}, h.createUser)
	gateway.Route(f, mdbapi.OpUpdateUser, func(c *gateway.Call, in *mdbapi.UpdateUserInput) []policy.Need {
		return need(c, "UpdateUser", "user", in.UserName)
	}, h.updateUser)
	gateway.Route(f, mdbapi.OpDescribeUsers, func(c *gateway.Call, in *mdbapi.DescribeUsersInput) []policy.Need {
		return need(c, "DescribeUsers", "user", in.UserName)
	}, h.describeUsers)
	gateway.Route(f, mdbapi.OpDeleteUser, func(c *gateway.Call, in *mdbapi.DeleteUserInput) []policy.Need {
		return need(c, "DeleteUser", "user", in.UserName)
	}, h.deleteUser)
	// What says who is in an ACL is asked about the users too.
	members := func(c *gateway.Call, needs []policy.Need, action string, lists ...[]string) []policy.Need {
		for _, names := range lists {
			for _, name := range names {
				needs = append(needs, need(c, action, "user", &name)...)
			}
		}
		return needs
	}
	gateway.Route(f, mdbapi.OpCreateACL, func(c *gateway.Call, in *mdbapi.CreateACLInput) []policy.Need {
		return members(c, tagged(c, "CreateAcl", "acl", in.ACLName, in.Tags), "CreateAcl", in.UserNames)
	}, h.createACL)
	gateway.Route(f, mdbapi.OpUpdateACL, func(c *gateway.Call, in *mdbapi.UpdateACLInput) []policy.Need {
		return members(c, need(c, "UpdateAcl", "acl", in.ACLName), "UpdateAcl", in.UserNamesToAdd, in.UserNamesToRemove)
	}, h.updateACL)
	gateway.Route(f, mdbapi.OpDescribeACLs, func(c *gateway.Call, in *mdbapi.DescribeACLsInput) []policy.Need {
		return need(c, "DescribeAcls", "acl", in.ACLName)
	}, h.describeACLs)
	gateway.Route(f, mdbapi.OpDeleteACL, func(c *gateway.Call, in *mdbapi.DeleteACLInput) []policy.Need {
		return need(c, "DeleteAcl", "acl", in.ACLName)
	}, h.deleteACL)
}

func loginIn(mode *mdbapi.AuthenticationMode) (login control.Login) {
	if mode == nil {
		return login
	}
	if mode.Type != nil {
		login.Mode = string(*mode.Type)
	}
	login.ModePasswords = secretsIn(mode.Passwords)
	return login
}

func secretsIn(in []wire.Secret) []resource.Secret {
	var out []resource.Secret
	for _, s := range in {
		out = append(out, resource.Secret(s))
	}
	return out
}

func userOut(v control.UserView) *mdbapi.User {
	auth := &mdbapi.Authentication{Type: ptr(mdbapi.AuthenticationTypeNoPassword)}
	if !v.NoPass {
		auth.Type, auth.PasswordCount = ptr(mdbapi.AuthenticationTypePassword), ptr(int32(len(v.Hashes)))
	}
	return &mdbapi.User{Name: ptr(v.ID), Status: ptr(string(v.Status)), AccessString: ptr(v.Access), ACLNames: listed(v.Groups),
		MinimumEngineVersion: ptr(v.MinimumVersion()), Authentication: auth, ARN: ptr(v.ARN())}
}

// listed is a list that is shown when it is empty too.
func listed(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func aclOut(v control.GroupView) *mdbapi.ACL {
	out := &mdbapi.ACL{Name: ptr(v.Name), Status: ptr(string(v.Status)), UserNames: listed(v.UserIDs), MinimumEngineVersion: ptr(v.MinimumVersion),
		Clusters: []string{}, ARN: ptr(v.ARN())}
	if len(v.Adding)+len(v.Removing) > 0 {
		out.PendingChanges = &mdbapi.ACLPendingChanges{UserNamesToAdd: listed(v.Adding), UserNamesToRemove: listed(v.Removing)}
	}
	for _, cache := range v.Caches {
		out.Clusters = append(out.Clusters, cache.Name)
	}
	return out
}

func (h handler) createUser(ctx context.Context, c *gateway.Call, in *mdbapi.CreateUserInput) (*mdbapi.CreateUserOutput, error) {
	v, err := h.control.CreateUser(ctx, control.CreateUser{Scope: c.Scope, Service: service, ID: text(in.UserName), Access: text(in.AccessString),
		Login: loginIn(in.AuthenticationMode), Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return &mdbapi.CreateUserOutput{User: userOut(v)}, nil
}

func (h handler) updateUser(ctx context.Context, c *gateway.Call, in *mdbapi.UpdateUserInput) (*mdbapi.UpdateUserOutput, error) {
	v, err := h.control.ModifyUser(ctx, control.ModifyUser{Scope: c.Scope, Service: service, ID: text(in.UserName), Access: in.AccessString,
		Login: loginIn(in.AuthenticationMode)})
	if err != nil {
		return nil, err
	}
	return &mdbapi.UpdateUserOutput{User: userOut(v)}, nil
}

func (h handler) describeUsers(ctx context.Context, c *gateway.Call, in *mdbapi.DescribeUsersInput) (*mdbapi.DescribeUsersOutput, error) {
	asked := control.DescribeUsers{Scope: c.Scope, Service: service, ID: text(in.UserName), Page: control.Page{Most: number(in.MaxResults), Token: text(in.NextToken)}}
	for _, f := range in.Filters {
		asked.Filters = append(asked.Filters, control.Filter{Name: text(f.Name), Values: f.Values})
	}
	users, next, err := h.control.DescribeUsers(ctx, asked)
	if err != nil {
		return nil, err
	}
	out := &mdbapi.DescribeUsersOutput{NextToken: shown(next), Users: make([]mdbapi.User, len(users))}
	for i, v := range users {
		out.Users[i] = *userOut(v)
	}
	return out, nil
}

func (h handler) deleteUser(ctx context.Context, c *gateway.Call, in *mdbapi.DeleteUserInput) (*mdbapi.DeleteUserOutput, error) {
	v, err := h.control.DeleteUser(ctx, c.Scope, service, text(in.UserName))
	if err != nil {
		return nil, err
	}
	return &mdbapi.DeleteUserOutput{User: userOut(v)}, nil
}

func (h handler) createACL(ctx context.Context, c *gateway.Call, in *mdbapi.CreateACLInput) (*mdbapi.CreateACLOutput, error) {
	v, err := h.control.CreateUserGroup(ctx, control.CreateUserGroup{Scope: c.Scope, Service: service, Name: text(in.ACLName), UserIDs: in.UserNames, Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return &mdbapi.CreateACLOutput{ACL: aclOut(v)}, nil
}

func (h handler) updateACL(ctx context.Context, c *gateway.Call, in *mdbapi.UpdateACLInput) (*mdbapi.UpdateACLOutput, error) {
	v, err := h.control.ModifyUserGroup(ctx, control.ModifyUserGroup{Scope: c.Scope, Service: service, Name: text(in.ACLName), Add: in.UserNamesToAdd, Remove: in.UserNamesToRemove})
	if err != nil {
		return nil, err
	}
	return &mdbapi.UpdateACLOutput{ACL: aclOut(v)}, nil
}

func (h handler) describeACLs(ctx context.Context, c *gateway.Call, in *mdbapi.DescribeACLsInput) (*mdbapi.DescribeACLsOutput, error) {
	groups, next, err := h.control.DescribeUserGroups(ctx, c.Scope, service, text(in.ACLName), control.Page{Most: number(in.MaxResults), Token: text(in.NextToken)})
	if err != nil {
		return nil, err
	}
	out := &mdbapi.DescribeACLsOutput{NextToken: shown(next), ACLs: make([]mdbapi.ACL, len(groups))}
	for i, v := range groups {
		out.ACLs[i] = *aclOut(v)
	}
	return out, nil
}

func (h handler) deleteACL(ctx context.Context, c *gateway.Call, in *mdbapi.DeleteACLInput) (*mdbapi.DeleteACLOutput, error) {
	v, err := h.control.DeleteUserGroup(ctx, c.Scope, service, text(in.ACLName))
	if err != nil {
		return nil, err
	}
	return &mdbapi.DeleteACLOutput{ACL: aclOut(v)}, nil
}
