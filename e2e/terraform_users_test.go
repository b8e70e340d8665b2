package e2e

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	mdbtypes "github.com/aws/aws-sdk-go-v2/service/memorydb/types"
)

func (p *provider) cacheUser() res {
	find := func(id string) *ectypes.User {
		out, err := p.ec.DescribeUsers(p.ctx, &elasticache.DescribeUsersInput{UserId: &id})
		if _, there := found[*ectypes.UserNotFoundFault](p, out, err); !there {
			return nil
		}
		return single(p, out.Users)
	}
	wait := func(id, target string, pending ...string) {
		p.wait("user "+id, pending, target, func() (string, bool) {
			u := find(id)
			if u == nil {
				return "", false
			}
			return *u.Status, true
		})
	}
	mode := func(a args) *ectypes.AuthenticationMode {
		if a.str("authentication_type") == nil {
			return nil
		}
		return &ectypes.AuthenticationMode{Type: ectypes.InputAuthenticationType(*a.str("authentication_type")), Passwords: a.list("authentication_passwords")}
	}
	return res{
		tags: p.cacheTags, tag: p.cacheTag, fixed: []string{"arn", "user_id", "user_name"},
		create: func(in args) string {
			no, _ := in["no_password_required"].(bool)
			out := must[*elasticache.CreateUserOutput](p)(p.ec.CreateUser(p.ctx, &elasticache.CreateUserInput{UserId: in.str("user_id"), UserName: in.str("user_name"), AccessString: in.str("access_string"),
				Engine: in.str("engine"), NoPasswordRequired: &no, Passwords: in.list("passwords"), AuthenticationMode: mode(in), Tags: in.cacheTags()}))
			wait(*out.UserId, "active", "creating")
			return *out.UserId
		},
		read: func(id string, known args) args {
			if find(id) == nil {
				return nil
			}
			wait(id, "active", "modifying")
			u := find(id)
			state := args{"arn": *u.ARN, "access_string": *u.AccessString, "user_id": *u.UserId, "user_name": *u.UserName, "engine": *u.Engine}
			if e := known.str("engine"); e != nil && strings.EqualFold(*e, *u.Engine) {
				state["engine"] = *e
			}
			if u.Authentication != nil {
				state["authentication_type"], state["password_count"] = string(u.Authentication.Type), int(aws.ToInt32(u.Authentication.PasswordCount))
				if u.Authentication.Type == ectypes.AuthenticationTypeNoPassword { // AWS has two words for it
					state["authentication_type"] = string(ectypes.InputAuthenticationTypeNoPassword)
				}
			}
			return state
		},
		update: func(id string, was, now args) {
			in := &elasticache.ModifyUserInput{UserId: &id, AccessString: given[string](was, now, "access_string"), Engine: given[string](was, now, "engine"),
				NoPasswordRequired: given[bool](was, now, "no_password_required")}
			if differs(was, now, "passwords") {
				in.Passwords = now.list("passwords")
			}
			if differs(was, now, "authentication_type") || differs(was, now, "authentication_passwords") {
				in.AuthenticationMode = mode(now)
			}
			must[*elasticache.ModifyUserOutput](p)(p.ec.ModifyUser(p.ctx, in))
			wait(id, "active", "modifying")
		},
		remove: func(id string, _ *string) {
			out, err := p.ec.DeleteUser(p.ctx, &elasticache.DeleteUserInput{UserId: &id})
			if _, there := found[*ectypes.UserNotFoundFault](p, out, err); there {
				wait(id, "", "deleting")
			}
		},
	}
}

const readers = "on ~app::* -@all +@read +@hash +@bitmap +@geo -setbit -bitfield -hset -hsetnx -hmset -hincrby -hincrbyfloat -hdel -bitop -geoadd -georadius -georadiusbymember"

func (p *provider) cacheUsers() {
	r := p.cacheUser()
	p.life(r, args{"user_id": "tf-plain", "user_name": "plain", "engine": "REDIS", "access_string": readers, "passwords": []string{password}, "tags": map[string]string{"own": "1"}},
		args{"access_string": "on ~* +@all"}, args{"passwords": []string{password, password2}}, args{"engine": "valkey"}, args{"tags": map[string]string{"own": "2"}})
	p.life(r, args{"user_id": "tf-free", "user_name": "free", "engine": "redis", "access_string": "on ~* +@all", "no_password_required": true},
		args{"no_password_required": false, "passwords": []string{password}})
	p.life(r, args{"user_id": "tf-mode", "user_name": "mode", "engine": "redis", "access_string": "on ~* +@all", "authentication_type": "password", "authentication_passwords": []string{password}, "password_count": 1},
		args{"authentication_passwords": []string{password, password2}, "password_count": 2}, args{"authentication_type": "no-password-required", "authentication_passwords": []string(nil), "password_count": nil})
}

func (p *provider) cacheUserGroup() res {
	find := func(id string) *ectypes.UserGroup {
		out, err := p.ec.DescribeUserGroups(p.ctx, &elasticache.DescribeUserGroupsInput{UserGroupId: &id})
		if _, there := found[*ectypes.UserGroupNotFoundFault](p, out, err); !there {
			return nil
		}
		return single(p, out.UserGroups)
	}
	wait := func(id, target string, pending ...string) {
		p.wait("user group "+id, pending, target, func() (string, bool) {
			g := find(id)
			if g == nil {
				return "", false
			}
			return *g.Status, true
		})
	}
	return res{
		tags: p.cacheTags, tag: p.cacheTag, fixed: []string{"arn", "user_group_id"},
		create: func(in args) string {
			out := must[*elasticache.CreateUserGroupOutput](p)(p.ec.CreateUserGroup(p.ctx, &elasticache.CreateUserGroupInput{Engine: in.str("engine"), UserGroupId: in.str("user_group_id"), UserIds: in.list("user_ids"), Tags: in.cacheTags()}))
			wait(*out.UserGroupId, "active", "creating", "modifying")
			return *out.UserGroupId
		},
		read: func(id string, known args) args {
			g := find(id)
			if g == nil {
				return nil
			}
			state := args{"arn": *g.ARN, "engine": *g.Engine, "user_group_id": *g.UserGroupId, "user_ids": set(g.UserIds)}
			if e := known.str("engine"); e != nil && strings.EqualFold(*e, *g.Engine) {
				state["engine"] = *e
			}
			return state
		},
		update: func(id string, was, now args) {
			in := &elasticache.ModifyUserGroupInput{UserGroupId: &id, Engine: given[string](was, now, "engine")}
			in.UserIdsToAdd, in.UserIdsToRemove = apart(was, now, "user_ids")
			must[*elasticache.ModifyUserGroupOutput](p)(p.ec.ModifyUserGroup(p.ctx, in))
			wait(id, "active", "modifying")
		},
		remove: func(id string, _ *string) {
			out, err := p.ec.DeleteUserGroup(p.ctx, &elasticache.DeleteUserGroupInput{UserGroupId: &id})
			if _, there := found[*ectypes.UserGroupNotFoundFault](p, out, err); there {
				wait(id, "", "deleting")
			}
		},
	}
}

func (p *provider) cacheUserGroups() {
	var users []*made
	for id, name := range map[string]string{"tf-default": "default", "tf-second": "default", "tf-app": "app"} {
		users = append(users, p.make(p.cacheUser(), args{"user_id": id, "user_name": name, "engine": "REDIS", "access_string": "on ~* +@all", "passwords": []string{password}}))
	}
	p.life(p.cacheUserGroup(), args{"user_group_id": "tf-group", "engine": "REDIS", "user_ids": []string{"tf-default"}},
		args{"user_ids": []string{"tf-app", "tf-default"}, "tags": map[string]string{"own": "1"}}, args{"user_ids": []string{"tf-second"}})
	for _, u := range users {
		u.end("")
	}
}

func (p *provider) user() res {
	find := func(id string) *mdbtypes.User {
		out, err := p.mdb.DescribeUsers(p.ctx, &memorydb.DescribeUsersInput{UserName: &id})
		if _, there := found[*mdbtypes.UserNotFoundFault](p, out, err); !there {
			return nil
		}
		return single(p, out.Users)
	}
	wait := func(id, target string, pending ...string) {
		p.wait("user "+id, pending, target, func() (string, bool) {
			u := find(id)
			if u == nil {
				return "", false
			}
			return *u.Status, true
		})
	}
	mode := func(a args) *mdbtypes.AuthenticationMode {
		return &mdbtypes.AuthenticationMode{Type: mdbtypes.InputAuthenticationType(*a.str("authentication_type")), Passwords: a.list("authentication_passwords")}
	}
	return res{
		tags: p.clusterTags, tag: p.clusterTag, fixed: []string{"arn", "user_name", "minimum_engine_version"},
		create: func(in args) string { // and nothing waits: a new user is active at once
			must[*memorydb.CreateUserOutput](p)(p.mdb.CreateUser(p.ctx, &memorydb.CreateUserInput{UserName: in.str("user_name"), AccessString: in.str("access_string"), AuthenticationMode: mode(in), Tags: in.clusterTags()}))
			return *in.str("user_name")
		},
		read: func(id string, _ args) args {
			u := find(id)
			if u == nil {
				return nil
			}
			return args{"arn": *u.ARN, "access_string": *u.AccessString, "user_name": *u.Name, "minimum_engine_version": *u.MinimumEngineVersion,
				"authentication_type": string(u.Authentication.Type), "password_count": int(aws.ToInt32(u.Authentication.PasswordCount))}
		},
		update: func(id string, was, now args) {
			must[*memorydb.UpdateUserOutput](p)(p.mdb.UpdateUser(p.ctx, &memorydb.UpdateUserInput{UserName: &id, AccessString: given[string](was, now, "access_string"), AuthenticationMode: mode(now)}))
			wait(id, "active", "modifying")
		},
		remove: func(id string, _ *string) {
			out, err := p.mdb.DeleteUser(p.ctx, &memorydb.DeleteUserInput{UserName: &id})
			if _, there := found[*mdbtypes.UserNotFoundFault](p, out, err); there {
				wait(id, "", "deleting")
			}
		},
	}
}

func (p *provider) acl() res {
	find := func(id string) *mdbtypes.ACL {
		out, err := p.mdb.DescribeACLs(p.ctx, &memorydb.DescribeACLsInput{ACLName: &id})
		if _, there := found[*mdbtypes.ACLNotFoundFault](p, out, err); !there {
			return nil
		}
		return single(p, out.ACLs)
	}
	wait := func(id, target string, pending ...string) {
		p.wait("ACL "+id, pending, target, func() (string, bool) {
			a := find(id)
			if a == nil {
				return "", false
			}
			return *a.Status, true
		})
	}
	return res{
		tags: p.clusterTags, tag: p.clusterTag, fixed: []string{"arn", "name", "minimum_engine_version"}, bare: []string{"user_names"},
		create: func(in args) string {
			must[*memorydb.CreateACLOutput](p)(p.mdb.CreateACL(p.ctx, &memorydb.CreateACLInput{ACLName: in.str("name"), UserNames: in.list("user_names"), Tags: in.clusterTags()}))
			wait(*in.str("name"), "active", "creating", "modifying")
			return *in.str("name")
		},
		read: func(id string, _ args) args {
			a := find(id)
			if a == nil {
				return nil
			}
			return args{"arn": *a.ARN, "name": *a.Name, "minimum_engine_version": *a.MinimumEngineVersion, "user_names": set(a.UserNames)}
		},
		update: func(id string, was, now args) {
			in := &memorydb.UpdateACLInput{ACLName: &id}
			in.UserNamesToAdd, in.UserNamesToRemove = apart(was, now, "user_names")
			must[*memorydb.UpdateACLOutput](p)(p.mdb.UpdateACL(p.ctx, in))
			wait(id, "active", "creating", "modifying")
		},
		remove: func(id string, _ *string) {
			out, err := p.mdb.DeleteACL(p.ctx, &memorydb.DeleteACLInput{ACLName: &id})
			if _, there := found[*mdbtypes.ACLNotFoundFault](p, out, err); there {
				wait(id, "", "deleting")
			}
		},
	}
}

func (p *provider) usersAndACLs() {
	first := p.make(p.user(), args{"user_name": "tf-first", "access_string": "on ~* &* +@all", "authentication_type": "password", "authentication_passwords": []string{password}, "password_count": 1})
	first.apply(args{"access_string": "off ~* &* +@all"}, args{"authentication_passwords": []string{password, password2}, "password_count": 2}, args{"tags": map[string]string{"own": "1"}})
	second := p.make(p.user(), args{"user_name": "tf-second", "access_string": "on ~* &* +@all", "authentication_type": "password", "authentication_passwords": []string{password}})
	p.life(p.acl(), args{"name": "tf-acl", "user_names": []string{first.id}}, args{"user_names": []string{first.id, second.id}},
		args{"user_names": []string{second.id}, "tags": map[string]string{"own": "1"}}, args{"user_names": []string(nil)})
	first.end("")
	second.end("")
}
