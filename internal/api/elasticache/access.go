package elasticache

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// accessRoutes serves users and user groups.
func (h handler) accessRoutes(f *gateway.API) {
	user := func(c *gateway.Call, id *string) string { return groupARN(c, "user", id) }
	group := func(c *gateway.Call, id *string) string { return groupARN(c, "usergroup", id) }
	gateway.Route(f, ecapi.OpCreateUser, func(c *gateway.Call, in *ecapi.CreateUserInput) []policy.Need {
		return tagged(c, "CreateUser", user(c, in.UserId), in.Tags)
	}, h.createUser)
	gateway.Route(f, ecapi.OpModifyUser, func(c *gateway.Call, in *ecapi.ModifyUserInput) []policy.Need {
		return need("ModifyUser", user(c, in.UserId))
	}, h.modifyUser)
	gateway.Route(f, ecapi.OpDescribeUsers, func(c *gateway.Call, in *ecapi.DescribeUsersInput) []policy.Need {
		return need("DescribeUsers", user(c, in.UserId))
	}, h.describeUsers)
	gateway.Route(f, ecapi.OpDeleteUser, func(c *gateway.Call, in *ecapi.DeleteUserInput) []policy.Need {
		return need("DeleteUser", user(c, in.UserId))
	}, h.deleteUser)
	// What says who is in a group is asked about the users too.
	members := func(c *gateway.Call, needs []policy.Need, action string, lists ...[]string) []policy.Need {
		for _, ids := range lists {
			for _, id := range ids {
				needs = append(needs, need(action, user(c, &id))...)
			}
		}
		return needs
	}
	gateway.Route(f, ecapi.OpCreateUserGroup, func(c *gateway.Call, in *ecapi.CreateUserGroupInput) []policy.Need {
		return members(c, tagged(c, "CreateUserGroup", group(c, in.UserGroupId), in.Tags), "CreateUserGroup", in.UserIds)
	}, h.createUserGroup)
	gateway.Route(f, ecapi.OpModifyUserGroup, func(c *gateway.Call, in *ecapi.ModifyUserGroupInput) []policy.Need {
		return members(c, need("ModifyUserGroup", group(c, in.UserGroupId)), "ModifyUserGroup", in.UserIdsToAdd, in.UserIdsToRemove)
	}, h.modifyUserGroup)
	gateway.Route(f, ecapi.OpDescribeUserGroups, func(c *gateway.Call, in *ecapi.DescribeUserGroupsInput) []policy.Need {
		return need("DescribeUserGroups", group(c, in.UserGroupId))
	}, h.describeUserGroups)
	gateway.Route(f, ecapi.OpDeleteUserGroup, func(c *gateway.Call, in *ecapi.DeleteUserGroupInput) []policy.Need {
		return need("DeleteUserGroup", group(c, in.UserGroupId))
	}, h.deleteUserGroup)
}

func secretsIn(in []wire.Secret) []resource.Secret {
	var out []resource.Secret
	for _, s := range in {
		out = append(out, resource.Secret(s))
	}
	return out
}

func loginIn(passwords []wire.Secret, none *bool, mode *ecapi.AuthenticationMode) control.Login {
	login := control.Login{Passwords: secretsIn(passwords), NoPassword: none}
	if mode != nil {
		login.Mode, login.ModePasswords = text(mode.Type), secretsIn(mode.Passwords)
	}
	return login
}

func userOut(v control.UserView) *ecapi.User {
	arn, family, status, version := v.ARN(), string(v.Engine), string(v.Status), v.MinimumVersion()
	kind, count := ecapi.AuthenticationTypePassword, int32(len(v.Hashes))
	out := &ecapi.User{UserId: &v.ID, UserName: &v.User.Name, Status: &status, Engine: &family, MinimumEngineVersion: &version, AccessString: &v.Access,
		UserGroupIds: v.Groups, Authentication: &ecapi.Authentication{Type: &kind, PasswordCount: &count}, ARN: &arn}
	if v.NoPass {
		kind = ecapi.AuthenticationTypeNoPassword
		out.Authentication.PasswordCount = nil
	}
	return out
}

func userGroupOut(v control.GroupView) *ecapi.UserGroup {
	arn, family, status := v.ARN(), string(v.Engine), string(v.Status)
	out := &ecapi.UserGroup{UserGroupId: &v.Name, Status: &status, Engine: &family, UserIds: v.UserIDs, MinimumEngineVersion: &v.MinimumVersion, ARN: &arn}
	if len(v.Adding)+len(v.Removing) > 0 {
		out.PendingChanges = &ecapi.UserGroupPendingChanges{UserIdsToAdd: v.Adding, UserIdsToRemove: v.Removing}
	}
	for _, cache := range v.Caches {
		if cache.Kind == resource.Serverless {
			out.ServerlessCaches = append(out.ServerlessCaches, cache.Name)
		} else {
			out.ReplicationGroups = append(out.ReplicationGroups, cache.Name)
		}
	}
	return out
}

func (h handler) createUser(ctx context.Context, c *gateway.Call, in *ecapi.CreateUserInput) (*ecapi.CreateUserOutput, error) {
	v, err := h.control.CreateUser(ctx, control.CreateUser{Scope: c.Scope, Service: service, ID: text(in.UserId), Name: text(in.UserName), Engine: text(in.Engine),
		Access: text(in.AccessString), Login: loginIn(in.Passwords, in.NoPasswordRequired, in.AuthenticationMode), Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return userOut(v), nil
}

func (h handler) modifyUser(ctx context.Context, c *gateway.Call, in *ecapi.ModifyUserInput) (*ecapi.ModifyUserOutput, error) {
	v, err := h.control.ModifyUser(ctx, control.ModifyUser{Scope: c.Scope, Service: service, ID: text(in.UserId), Engine: in.Engine,
		Access: in.AccessString, Append: in.AppendAccessString, Login: loginIn(in.Passwords, in.NoPasswordRequired, in.AuthenticationMode)})
	if err != nil {
		return nil, err
	}
	return userOut(v), nil
}

func (h handler) describeUsers(ctx context.Context, c *gateway.Call, in *ecapi.DescribeUsersInput) (*ecapi.DescribeUsersOutput, error) {
	asked := control.DescribeUsers{Scope: c.Scope, Service: service, ID: text(in.UserId), Engine: text(in.Engine),
		Page: control.Page{Most: number(in.MaxRecords), Token: text(in.Marker)}}
	for _, f := range in.Filters {
		asked.Filters = append(asked.Filters, control.Filter{Name: text(f.Name), Values: f.Values})
	}
	users, next, err := h.control.DescribeUsers(ctx, asked)
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeUsersOutput{Marker: shown(next), Users: make([]ecapi.User, len(users))}
	for i, v := range users {
		out.Users[i] = *userOut(v)
	}
	return out, nil
}

func (h handler) deleteUser(ctx context.Context, c *gateway.Call, in *ecapi.DeleteUserInput) (*ecapi.DeleteUserOutput, error) {
	v, err := h.control.DeleteUser(ctx, c.Scope, service, text(in.UserId))
	if err != nil {
		return nil, err
	}
	return userOut(v), nil
}

func (h handler) createUserGroup(ctx context.Context, c *gateway.Call, in *ecapi.CreateUserGroupInput) (*ecapi.CreateUserGroupOutput, error) {
	v, err := h.control.CreateUserGroup(ctx, control.CreateUserGroup{Scope: c.Scope, Service: service, Name: text(in.UserGroupId), Engine: text(in.Engine),
		UserIDs: in.UserIds, Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return userGroupOut(v), nil
}

func (h handler) modifyUserGroup(ctx context.Context, c *gateway.Call, in *ecapi.ModifyUserGroupInput) (*ecapi.ModifyUserGroupOutput, error) {
	v, err := h.control.ModifyUserGroup(ctx, control.ModifyUserGroup{Scope: c.Scope, Service: service, Name: text(in.UserGroupId),
		Add: in.UserIdsToAdd, Remove: in.UserIdsToRemove, Engine: in.Engine})
	if err != nil {
		return nil, err
	}
	return userGroupOut(v), nil
}

func (h handler) describeUserGroups(ctx context.Context, c *gateway.Call, in *ecapi.DescribeUserGroupsInput) (*ecapi.DescribeUserGroupsOutput, error) {
	groups, next, err := h.control.DescribeUserGroups(ctx, c.Scope, service, text(in.UserGroupId), control.Page{Most: number(in.MaxRecords), Token: text(in.Marker)})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeUserGroupsOutput{Marker: shown(next), UserGroups: make([]ecapi.UserGroup, len(groups))}
	for i, v := range groups {
		out.UserGroups[i] = *userGroupOut(v)
	}
	return out, nil
}

func (h handler) deleteUserGroup(ctx context.Context, c *gateway.Call, in *ecapi.DeleteUserGroupInput) (*ecapi.DeleteUserGroupOutput, error) {
	v, err := h.control.DeleteUserGroup(ctx, c.Scope, service, text(in.UserGroupId))
	if err != nil {
		return nil, err
	}
	return userGroupOut(v), nil
}
