package control

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

const secret = "correct-horse-battery"

// user makes a user with a password.
func (p *plane) user(service, id, name string, change ...func(*CreateUser)) UserView {
	p.t.Helper()
	in := CreateUser{Scope: home, Service: service, ID: id, Name: name, Engine: "REDIS", Access: "on ~* +@all", Login: Login{Passwords: []resource.Secret{secret}}}
	for _, f := range change {
		f(&in)
	}
	v, err := p.CreateUser(context.Background(), in)
	p.must(err)
	return v
}

func (p *plane) group(service, name, engine string, ids ...string) GroupView {
	p.t.Helper()
	v, err := p.CreateUserGroup(context.Background(), CreateUserGroup{Scope: home, Service: service, Name: name, Engine: engine, UserIDs: ids})
	p.must(err)
	return v
}

func valkeyUser(in *CreateUser) { in.Engine = "valkey" }

// about checks kind and type of an error, which together choose the fault.
func about(t *testing.T, what string, err error, kind resource.ErrorKind, typ resource.Type) {
	t.Helper()
	e, ok := err.(*resource.Error)
	if !ok || e.Kind != kind || e.Type != typ {
		t.Errorf("%s: %v, want %v %s", what, err, kind, typ)
	}
	if err != nil && strings.Contains(err.Error(), secret) {
		t.Errorf("%s: the message shows a password", what)
	}
}

const (
	value = resource.InvalidValue
	combo = resource.InvalidCombination
	param = resource.TypeParameter
)

func TestNewUsers(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	yes, no := true, false
	one, two := []resource.Secret{secret}, []resource.Secret{secret, secret + "2"}
	for name, c := range map[string]struct {
		change func(*CreateUser)
		kind   resource.ErrorKind
	}{
		"no id":             {func(u *CreateUser) { u.ID = "" }, value},
		"bad id":            {func(u *CreateUser) { u.ID = "a--b" }, value},
		"long id":           {func(u *CreateUser) { u.ID = strings.Repeat("a", 41) }, value},
		"no name":           {func(u *CreateUser) { u.Name = "" }, value},
		"name with a space": {func(u *CreateUser) { u.Name = "a b" }, value},
		"long name":         {func(u *CreateUser) { u.Name = strings.Repeat("a", 129) }, value},
		"our name":          {func(u *CreateUser) { u.Name = "keyframe-admin" }, value},
		"engine":            {func(u *CreateUser) { u.Engine = "memcached" }, value},
		"access":            {func(u *CreateUser) { u.Access = "on +config" }, value},
		"password in it":    {func(u *CreateUser) { u.Access = "on >" + secret }, value},
		"nothing":           {func(u *CreateUser) { u.Login = Login{} }, value},
		"not none":          {func(u *CreateUser) { u.Login = Login{NoPassword: &no} }, value},
		"short":             {func(u *CreateUser) { u.Login.Passwords = []resource.Secret{"fifteen-letters"} }, value},
		"long":              {func(u *CreateUser) { u.Login.Passwords = []resource.Secret{resource.Secret(strings.Repeat("x", 129))} }, value},
		"space":             {func(u *CreateUser) { u.Login.Passwords = []resource.Secret{secret + " x"} }, value},
		"umlaut":            {func(u *CreateUser) { u.Login.Passwords = []resource.Secret{secret + "ü"} }, value},
		"comma":             {func(u *CreateUser) { u.Login.Passwords = []resource.Secret{secret + ","} }, value},
		"quote":             {func(u *CreateUser) { u.Login.Passwords = []resource.Secret{secret + `"`} }, value},
		"slash":             {func(u *CreateUser) { u.Login.Passwords = []resource.Secret{secret + "/"} }, value},
		"at":                {func(u *CreateUser) { u.Login.Passwords = []resource.Secret{secret + "@"} }, value},
		"three":             {func(u *CreateUser) { u.Login.Passwords = append(slices.Clone(two), secret+"3") }, value},
		"twice":             {func(u *CreateUser) { u.Login.Passwords = []resource.Secret{secret, secret} }, value},
		"none and one":      {func(u *CreateUser) { u.Login.NoPassword = &yes }, combo},
		"iam":               {func(u *CreateUser) { u.Login = Login{Mode: "iam", NoPassword: &no} }, value},
		"unknown mode":      {func(u *CreateUser) { u.Login = Login{Mode: "finger"} }, value},
		"mode without":      {func(u *CreateUser) { u.Login = Login{Mode: "password"} }, combo},
		"no mode":           {func(u *CreateUser) { u.Login = Login{ModePasswords: one} }, value},
		"none with":         {func(u *CreateUser) { u.Login = Login{Mode: "no-password-required", ModePasswords: one} }, combo},
		"both ways":         {func(u *CreateUser) { u.Login = Login{Mode: "password", ModePasswords: one, Passwords: one} }, combo},
		"mode and none":     {func(u *CreateUser) { u.Login = Login{Mode: "password", ModePasswords: one, NoPassword: &yes} }, combo},
		"open valkey":       {func(u *CreateUser) { u.Engine, u.Login = "valkey", Login{NoPassword: &yes} }, combo},
	} {
		in := CreateUser{Scope: home, Service: "elasticache", ID: "u", Name: "n", Engine: "redis", Access: "on ~* +@all", Login: Login{Passwords: one}}
		c.change(&in)
		_, err := p.CreateUser(t.Context(), in)
		about(t, name, err, c.kind, param)
	}
	for name, c := range map[string]struct {
		login  Login
		hashes int
	}{
		"one": {Login{Passwords: one}, 1}, "two": {Login{Passwords: two}, 2}, "none": {Login{NoPassword: &yes}, 0}, "not none": {Login{Passwords: one, NoPassword: &no}, 1},
		"mode": {Login{Mode: "password", ModePasswords: two, NoPassword: &no}, 2}, "mode none": {Login{Mode: "no-password-required", NoPassword: &no}, 0},
	} {
		u := p.user("elasticache", "Ok-"+strings.ReplaceAll(name, " ", "-"), "N:1", func(in *CreateUser) { in.Login = c.login }).User
		if u.Status != resource.AccessActive || u.ID != "ok-"+strings.ReplaceAll(name, " ", "-") || u.Name != "N:1" || len(u.Hashes) != c.hashes || u.NoPass != (c.hashes == 0) || u.Engine != resource.Redis {
			t.Errorf("%s: %+v", name, u)
		}
		if strings.Contains(fmt.Sprintf("%+v", *u), secret) {
			t.Errorf("%s: the password is kept", name)
		}
	}
	_, err := p.CreateUser(t.Context(), CreateUser{Scope: home, Service: "elasticache", ID: "OK-one", Name: "n", Engine: "redis", Login: Login{Passwords: one}})
	about(t, "again", err, resource.AlreadyExists, resource.TypeUser)
	_, err = p.CreateUser(t.Context(), CreateUser{Scope: home, Service: "memorydb", ID: "default", Login: Login{Mode: "password", ModePasswords: one}})
	about(t, "default", err, resource.AlreadyExists, resource.TypeUser)
	_, err = p.CreateUser(t.Context(), CreateUser{Scope: home, Service: "elasticache", ID: "tagged", Name: "n", Engine: "redis", Login: Login{Passwords: one}, Tags: []resource.Tag{{Key: "aws:x"}}})
	about(t, "tags", err, value, param)
	if u := p.user("memorydb", "App", "").User; u.ID != "app" || u.Name != "app" || u.Engine != "" || u.ARN() != "arn:aws:memorydb:us-east-1:123456789012:user/app" {
		t.Errorf("%+v", u)
	}
}

// Who can be together in a group.
func TestGroupMembers(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	yes := true
	open := func(in *CreateUser) { in.Login = Login{NoPassword: &yes} }
	p.user("elasticache", "a", "app")
	p.user("elasticache", "a2", "app")
	p.user("elasticache", "d", "default")
	p.user("elasticache", "v", "app-v", valkeyUser)
	p.user("elasticache", "o", "open", open)
	for name, c := range map[string]struct {
		engine string
		ids    []string
		kind   resource.ErrorKind
		typ    resource.Type
	}{
		"redis":                    {"redis", []string{"default", "a"}, 0, ""},
		"another default":          {"REDIS", []string{"D", "a", "o"}, 0, ""},
		"redis without default":    {"redis", []string{"a"}, resource.NotFound, resource.TypeDefaultUser},
		"empty redis":              {"redis", nil, resource.NotFound, resource.TypeDefaultUser},
		"two defaults":             {"redis", []string{"default", "d"}, resource.AlreadyExists, resource.TypeUserName},
		"name twice":               {"redis", []string{"default", "a", "a2"}, resource.AlreadyExists, resource.TypeUserName},
		"user twice":               {"redis", []string{"default", "a", "A"}, value, param},
		"valkey in redis":          {"redis", []string{"default", "v"}, value, param},
		"unknown":                  {"redis", []string{"default", "x"}, resource.NotFound, resource.TypeUser},
		"empty valkey":             {"valkey", nil, 0, ""},
		"redis in valkey":          {"valkey", []string{"a", "v"}, 0, ""},
		"default in valkey":        {"valkey", []string{"d"}, 0, ""},
		"open in valkey":           {"valkey", []string{"o"}, value, param},
		"open default in valkey":   {"valkey", []string{"default"}, value, param},
		"engine that has no users": {"memcached", nil, value, param},
	} {
		v, err := p.CreateUserGroup(t.Context(), CreateUserGroup{Scope: home, Service: "elasticache", Name: strings.ReplaceAll(name, " ", "-"), Engine: c.engine, UserIDs: c.ids})
		if c.kind != 0 {
			about(t, name, err, c.kind, c.typ)
		} else if err != nil || v.Status != resource.AccessActive || len(v.UserIDs) != len(c.ids) || slices.ContainsFunc(v.UserIDs, func(s string) bool { return s != strings.ToLower(s) }) {
			t.Errorf("%s: %+v, %v", name, v.UserGroup, err)
		}
	}
	_, err := p.CreateUserGroup(t.Context(), CreateUserGroup{Scope: home, Service: "elasticache", Name: "Redis", Engine: "redis", UserIDs: []string{"default"}})
	about(t, "again", err, resource.AlreadyExists, resource.TypeUserGroup)
	_, err = p.CreateUserGroup(t.Context(), CreateUserGroup{Scope: home, Service: "memorydb", Name: "open-access"})
	about(t, "open-access", err, resource.AlreadyExists, resource.TypeUserGroup)
	_, err = p.CreateUserGroup(t.Context(), CreateUserGroup{Scope: home, Service: "elasticache", Name: "1", Engine: "valkey"})
	about(t, "name", err, value, param)

	modify := func(name string, add, remove []string, engine *string) (GroupView, error) {
		return p.ModifyUserGroup(t.Context(), ModifyUserGroup{Scope: home, Service: "elasticache", Name: name, Add: add, Remove: remove, Engine: engine})
	}
	valkey, redis := "Valkey", "redis"
	for name, c := range map[string]struct {
		group       string
		add, remove []string
		engine      *string
		kind        resource.ErrorKind
		typ         resource.Type
	}{
		"nothing":          {"redis", nil, nil, nil, combo, param},
		"unknown group":    {"x", []string{"a"}, nil, nil, resource.NotFound, resource.TypeUserGroup},
		"unknown user":     {"redis", []string{"x"}, nil, nil, resource.NotFound, resource.TypeUser},
		"not a member":     {"redis", nil, []string{"a2"}, nil, value, param},
		"member already":   {"redis", []string{"a"}, nil, nil, value, param},
		"without default":  {"redis", nil, []string{"default"}, nil, resource.NotFound, resource.TypeDefaultUser},
		"name twice":       {"redis", []string{"a2"}, nil, nil, resource.AlreadyExists, resource.TypeUserName},
		"to valkey, open":  {"redis", nil, nil, &valkey, value, param},
		"to redis, valkey": {"redis-in-valkey", nil, nil, &redis, value, param},
		"to redis, empty":  {"empty-valkey", nil, nil, &redis, resource.NotFound, resource.TypeDefaultUser},
	} {
		_, err := modify(c.group, c.add, c.remove, c.engine)
		about(t, name, err, c.kind, c.typ)
	}
	if v, err := modify("Redis", []string{"d", "a2"}, []string{"Default", "a"}, &valkey); err != nil || v.Engine != resource.Valkey || !slices.Equal(v.UserIDs, []string{"d", "a2"}) || v.MinimumVersion != "7.2" {
		t.Errorf("%+v, %v", v.UserGroup, err)
	}

	// A user stays what its groups need.
	_, err = p.ModifyUser(t.Context(), ModifyUser{Scope: home, Service: "elasticache", ID: "a2", Login: Login{NoPassword: &yes}})
	about(t, "no password in a valkey group", err, value, param)
	_, err = p.ModifyUser(t.Context(), ModifyUser{Scope: home, Service: "elasticache", ID: "o", Engine: &valkey})
	about(t, "valkey without a password", err, combo, param)
	_, err = p.ModifyUser(t.Context(), ModifyUser{Scope: home, Service: "elasticache", ID: "d", Engine: &valkey})
	about(t, "valkey in a redis group", err, value, param)
	_, err = p.DeleteUser(t.Context(), home, "elasticache", "d")
	about(t, "default of a redis group", err, resource.InvalidState, resource.TypeDefaultUser)
	_, err = p.DeleteUserGroup(t.Context(), home, "elasticache", "Another-default")
	p.must(err)
	_, err = p.DeleteUser(t.Context(), home, "elasticache", "d")
	p.must(err)
	views, _, err := p.DescribeUserGroups(t.Context(), home, "elasticache", "redis", Page{})
	if err != nil || !slices.Equal(views[0].UserIDs, []string{"a2"}) {
		t.Errorf("a user that is gone is in %v, %v", views[0].UserIDs, err)
	}
}

func TestUsersAreModified(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.user("elasticache", "a", "app")
	modify := func(change func(*ModifyUser)) (UserView, error) {
		in := ModifyUser{Scope: home, Service: "elasticache", ID: "A"}
		change(&in)
		return p.ModifyUser(t.Context(), in)
	}
	no, yes, get, bad, more := false, true, "on +get", "hello", " -@dangerous"
	for name, c := range map[string]struct {
		change func(*ModifyUser)
		kind   resource.ErrorKind
		typ    resource.Type
	}{
		"nothing": {func(*ModifyUser) {}, combo, param}, "bad access": {func(in *ModifyUser) { in.Access = &bad }, value, param}, "bad append": {func(in *ModifyUser) { in.Append = &bad }, value, param},
		"both": {func(in *ModifyUser) { in.Access, in.Append = &get, &more }, combo, param}, "unknown": {func(in *ModifyUser) { in.ID, in.Access = "x", &get }, resource.NotFound, resource.TypeUser},
		"default": {func(in *ModifyUser) { in.ID, in.Access = "default", &get }, resource.InvalidState, resource.TypeUser}, "engine": {func(in *ModifyUser) { in.Engine = &bad }, value, param},
		"iam": {func(in *ModifyUser) { in.Login.Mode = "iam" }, value, param},
	} {
		_, err := modify(c.change)
		about(t, name, err, c.kind, c.typ)
	}
	step := func(what string, change func(*ModifyUser), want func(UserView) bool) {
		t.Helper()
		if v, err := modify(change); err != nil || v.Status != resource.AccessActive || !want(v) {
			t.Errorf("%s: %+v, %v", what, v.User, err)
		}
	}
	before := p.user("elasticache", "same", "same").Hashes[0]
	step("access", func(in *ModifyUser) { in.Access = &get }, func(v UserView) bool { return v.Access == "on +get" && v.Hashes[0] == before })
	step("append", func(in *ModifyUser) { in.Append = &more }, func(v UserView) bool { return v.Access == "on +get  -@dangerous" })
	step("still a password", func(in *ModifyUser) { in.Login.NoPassword = &no }, func(v UserView) bool { return !v.NoPass && v.Hashes[0] == before })
	step("two", func(in *ModifyUser) {
		in.Login = Login{Mode: "password", ModePasswords: []resource.Secret{secret + "1", secret + "2"}}
	}, func(v UserView) bool {
		return len(v.Hashes) == 2 && !slices.Contains(v.Hashes, before)
	})
	step("none", func(in *ModifyUser) { in.Login.NoPassword = &yes }, func(v UserView) bool { return v.NoPass && len(v.Hashes) == 0 })
	_, err := modify(func(in *ModifyUser) { in.Login.NoPassword = &no })
	about(t, "no longer none, and nothing else", err, value, param)
	valkey := "VALKEY"
	step("valkey", func(in *ModifyUser) {
		in.Engine, in.Login = &valkey, Login{Passwords: []resource.Secret{secret}}
	}, func(v UserView) bool {
		return v.Engine == resource.Valkey && v.MinimumVersion() == "7.2"
	})
	for _, service := range []string{"elasticache", "memorydb"} {
		_, err = p.DeleteUser(t.Context(), home, service, "default")
		about(t, "delete default", err, resource.InvalidState, resource.TypeUser)
	}
	_, err = p.DeleteUser(t.Context(), home, "memorydb", "a")
	about(t, "of another service", err, resource.NotFound, resource.TypeUser)
}

// access sees a user and a group as they are recorded.
func (p *plane) access(user, group string) (u *resource.User, g *resource.UserGroup) {
	p.t.Helper()
	p.must(p.db.View(context.Background(), func(tx *metastore.Tx) (err error) {
		if u, err = tx.User(home, "elasticache", user); err != nil && !is(err, resource.NotFound) {
			return err
		}
		g, err = tx.UserGroup(home, "elasticache", group)
		return err
	}))
	return u, g
}

// What changes reaches every cache that has the group, and is settled when all have taken it.
func TestAccessReachesCaches(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	p.user("elasticache", "a", "app")
	p.user("elasticache", "b", "batch")
	p.group("elasticache", "g", "redis", "default", "a")
	cache := p.running("orders", func(in *CreateCache) { in.UserGroupID = "G" })
	going := p.running("going", func(in *CreateCache) { in.UserGroupID = "g" })
	p.running("other")
	_, err := p.DeleteCache(ctx, DeleteCache{Scope: home, Name: "going"})
	p.must(err)
	waitFor := []string{cache.ID}
	settle := func(id string) {
		t.Helper()
		p.must(p.db.Update(ctx, func(tx *metastore.Tx) error { return tx.SettleAccess(home, "elasticache", id) }))
	}
	configured := func() (n int) {
		t.Helper()
		for _, j := range p.jobs(resource.TaskConfigureCache) {
			if j.Subject == cache.ID {
				n++
			} else {
				t.Errorf("a job for %s", j.Subject)
			}
		}
		return n
	}

	get := "on +get"
	v, err := p.ModifyUser(ctx, ModifyUser{Scope: home, Service: "elasticache", ID: "a", Access: &get})
	if err != nil || v.Status != resource.AccessModifying || !slices.Equal(v.Groups, []string{"g"}) || !slices.Equal(v.Waiting, waitFor) || configured() != 1 {
		t.Fatalf("%+v, %v, %d jobs", v, err, configured())
	}
	_, err = p.ModifyUser(ctx, ModifyUser{Scope: home, Service: "elasticache", ID: "a", Access: &get})
	about(t, "modify while modifying", err, resource.InvalidState, resource.TypeUser)
	_, err = p.DeleteUser(ctx, home, "elasticache", "a")
	about(t, "delete while modifying", err, resource.InvalidState, resource.TypeUser)

	g, err := p.ModifyUserGroup(ctx, ModifyUserGroup{Scope: home, Service: "elasticache", Name: "g", Add: []string{"b"}})
	if err != nil || g.Status != resource.AccessModifying || !slices.Equal(g.Adding, []string{"b"}) || len(g.Removing) != 0 || len(g.Caches) != 2 || configured() != 2 {
		t.Fatalf("%+v, %v", g, err)
	}
	_, err = p.ModifyUserGroup(ctx, ModifyUserGroup{Scope: home, Service: "elasticache", Name: "g", Remove: []string{"b"}})
	about(t, "modify the group meanwhile", err, resource.InvalidState, resource.TypeUserGroup)
	settle(cache.ID)
	if u, g := p.access("a", "g"); u.Status != resource.AccessActive || g.Status != resource.AccessActive || len(g.Adding)+len(g.Waiting)+len(u.Waiting) != 0 {
		t.Errorf("%+v %+v", u, g)
	}

	v, err = p.DeleteUser(ctx, home, "elasticache", "b")
	if err != nil || v.Status != resource.AccessDeleting || configured() != 3 {
		t.Errorf("%+v, %v", v.User, err)
	}
	if u, g := p.access("b", "g"); u == nil || u.Status != resource.AccessDeleting || g.Has("b") {
		t.Errorf("%+v %+v", u, g)
	}
	_, err = p.ModifyUserGroup(ctx, ModifyUserGroup{Scope: home, Service: "elasticache", Name: "g", Add: []string{"b"}})
	about(t, "add what is going", err, resource.NotFound, resource.TypeUser)
	_, err = p.CreateUser(ctx, CreateUser{Scope: home, Service: "elasticache", ID: "b", Name: "b", Engine: "redis", Login: Login{Passwords: []resource.Secret{secret}}})
	about(t, "create what is going", err, resource.AlreadyExists, resource.TypeUser)
	settle(cache.ID)
	if u, _ := p.access("b", "g"); u != nil {
		t.Errorf("it stays: %+v", u)
	}

	_, err = p.DeleteUserGroup(ctx, home, "elasticache", "g")
	about(t, "delete what is used", err, resource.InvalidState, resource.TypeUserGroup)
	valkey := "valkey"
	_, err = p.ModifyCache(ctx, ModifyCache{Scope: home, Name: "orders", RemoveUserGroup: true})
	p.must(err)
	if configured() != 4 || len(p.jobs(resource.TaskModifyCache)) != 1 {
		t.Errorf("%d jobs of configuration", configured())
	}
	p.must(p.db.Update(ctx, func(tx *metastore.Tx) error { return tx.DeleteCache(going.ID) }))
	_, err = p.DeleteUserGroup(ctx, home, "elasticache", "G")
	p.must(err)
	_, err = p.DeleteUserGroup(ctx, home, "elasticache", "g")
	about(t, "delete what is gone", err, resource.NotFound, resource.TypeUserGroup)

	// Serverless caches take groups of their engine.
	p.group("elasticache", "v", valkey)
	p.settle(cache.ID)
	_, err = p.ModifyCache(ctx, ModifyCache{Scope: home, Name: "orders", UserGroupID: &valkey})
	about(t, "unknown group", err, resource.NotFound, resource.TypeUserGroup)
	_, err = p.CreateCache(ctx, CreateCache{Scope: home, Name: "n", Engine: "redis", UserGroupID: "v"})
	about(t, "valkey group for redis", err, combo, param)
	name := "V"
	c, err := p.ModifyCache(ctx, ModifyCache{Scope: home, Name: "orders", UserGroupID: &name})
	if err != nil || c.UserGroupID != "v" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestDescribeAccess(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	for i := range 5 {
		p.user("elasticache", fmt.Sprint("u", i), "app", func(in *CreateUser) {
			if i > 2 {
				in.Engine = "valkey"
			}
		})
	}
	p.group("elasticache", "g", "valkey", "u1")
	p.group("elasticache", "h", "redis", "default", "u1")
	names := func(in DescribeUsers) (ids []string, next string) {
		t.Helper()
		in.Scope, in.Service = home, "elasticache"
		users, next, err := p.DescribeUsers(ctx, in)
		p.must(err)
		for _, u := range users {
			ids = append(ids, u.ID)
		}
		return ids, next
	}
	for want, in := range map[string]DescribeUsers{
		"[default u0 u1 u2 u3 u4]": {}, "[u3 u4]": {Engine: "VALKEY"}, "[u1]": {Filters: []Filter{{"user-group-id", []string{"g"}}}}, "[u0 u1 u2]": {Engine: "redis", Filters: []Filter{{"user-name", []string{"app", "x"}}}},
		"[default]": {ID: "DEFAULT"}, "[]": {ID: "u1", Filters: []Filter{{"status", []string{"deleting"}}}}, "[u2]": {Filters: []Filter{{"user-id", []string{"u2"}}, {"access-string", []string{"on ~* +@all"}}}},
		"[default u1]": {Filters: []Filter{{"user-group-id", []string{"h"}}}},
	} {
		if got, next := names(in); fmt.Sprint(got) != want || next != "" {
			t.Errorf("%+v: %v %q, want %s", in, got, next, want)
		}
	}
	two := 2
	var all []string
	for next := ""; ; {
		var page []string
		if page, next = names(DescribeUsers{Page: Page{Most: &two, Token: next}}); len(page) > 2 {
			t.Fatal(page)
		}
		if all = append(all, page...); next == "" {
			break
		}
	}
	if len(all) != 6 {
		t.Errorf("pages have %v", all)
	}
	zero := 0
	for name, in := range map[string]DescribeUsers{"filter": {Filters: []Filter{{"colour", nil}}}, "engine": {Engine: "x"}, "token": {Page: Page{Token: "x"}}, "size": {Page: Page{Most: &zero}}} {
		in.Scope, in.Service = home, "elasticache"
		_, _, err := p.DescribeUsers(ctx, in)
		about(t, name, err, combo, param)
	}
	_, _, err := p.DescribeUsers(ctx, DescribeUsers{Scope: home, Service: "elasticache", ID: "x"})
	about(t, "unknown user", err, resource.NotFound, resource.TypeUser)
	_, _, err = p.DescribeUserGroups(ctx, home, "elasticache", "x", Page{})
	about(t, "unknown group", err, resource.NotFound, resource.TypeUserGroup)
	_, _, err = p.DescribeUserGroups(ctx, home, "elasticache", "", Page{Most: &zero})
	about(t, "size", err, combo, param)
	one := 1
	groups, next, err := p.DescribeUserGroups(ctx, home, "elasticache", "", Page{Most: &one})
	if err != nil || len(groups) != 1 || groups[0].Name != "g" || next == "" {
		t.Errorf("%v %q %v", groups, next, err)
	}
	if groups, next, err = p.DescribeUserGroups(ctx, home, "elasticache", "", Page{Most: &one, Token: next}); err != nil || len(groups) != 1 || groups[0].Name != "h" || next != "" {
		t.Errorf("%v %q %v", groups, next, err)
	}
	if acls, _, err := p.DescribeUserGroups(ctx, home, "memorydb", "", Page{}); err != nil || len(acls) != 1 || acls[0].Name != "open-access" {
		t.Errorf("%v, %v", acls, err)
	}
	for _, err := range []error{
		func() error {
			_, err := p.ModifyUserGroup(ctx, ModifyUserGroup{Scope: home, Service: "memorydb", Name: "open-access", Remove: []string{"default"}})
			return err
		}(),
		func() error { _, err := p.DeleteUserGroup(ctx, home, "memorydb", "open-access"); return err }(),
	} {
		about(t, "open-access", err, resource.InvalidState, resource.TypeUserGroup)
	}
}

func TestAccessQuotas(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := t.Context()
	p.must(p.db.Update(ctx, func(tx *metastore.Tx) error {
		for i := range mostUsers {
			if err := tx.InsertUser(&resource.User{Scope: home, Service: "memorydb", ID: fmt.Sprint("u", i), Name: fmt.Sprint("u", i), Status: resource.AccessActive}); err != nil {
				return err
			}
		}
		for i := range mostUserGroups {
			if err := tx.InsertUserGroup(&resource.UserGroup{Scope: home, Service: "memorydb", Name: fmt.Sprint("g", i), Status: resource.AccessActive}); err != nil {
				return err
			}
		}
		return nil
	}))
	_, err := p.CreateUser(ctx, CreateUser{Scope: home, Service: "memorydb", ID: "more", Login: Login{Mode: "password", ModePasswords: []resource.Secret{secret}}})
	about(t, "users", err, resource.QuotaExceeded, resource.TypeUser)
	_, err = p.CreateUserGroup(ctx, CreateUserGroup{Scope: home, Service: "memorydb", Name: "more"})
	about(t, "groups", err, resource.QuotaExceeded, resource.TypeUserGroup)
	var ids []string
	for i := range mostGroupMembers {
		ids = append(ids, fmt.Sprint("u", i))
	}
	if v, err := p.ModifyUserGroup(ctx, ModifyUserGroup{Scope: home, Service: "memorydb", Name: "g1", Add: ids}); err != nil || len(v.UserIDs) != mostGroupMembers {
		t.Error(err)
	}
	_, err = p.ModifyUserGroup(ctx, ModifyUserGroup{Scope: home, Service: "memorydb", Name: "g1", Add: []string{"u101"}})
	about(t, "members", err, value, param)
	if v, err := p.DeleteUser(ctx, home, "memorydb", "u1"); err != nil || v.Status != resource.AccessDeleting {
		t.Errorf("%+v, %v", v.User, err)
	}
	p.user("memorydb", "one", "")
}
