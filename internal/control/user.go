package control

import (
	"context"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// Login says how a user proves who it is. Nil and empty fields were not given.
type Login struct {
	Passwords     []resource.Secret // Passwords of the request
	NoPassword    *bool             // NoPasswordRequired
	Mode          string            // AuthenticationMode.Type: password, no-password-required, iam
	ModePasswords []resource.Secret // AuthenticationMode.Passwords
}

// CreateUser asks for a user of ElastiCache or MemoryDB.
type CreateUser struct {
	Scope   resource.Scope
	Service string
	ID      string
	Name    string // with which clients log in; in MemoryDB the ID
	Engine  string // ElastiCache only
	Access  string
	Login   Login
	Tags    []resource.Tag
}

// ModifyUser asks for changes of a user. Nil fields stay as they are.
type ModifyUser struct {
	Scope   resource.Scope
	Service string
	ID      string
	Engine  *string
	Access  *string
	Append  *string // to the access string
	Login   Login
}

// UserView is a user with the groups that it is in, in order of name.
type UserView struct {
	*resource.User
	Groups []string
}

// MinimumVersion is the oldest engine version that understands the user.
func (v UserView) MinimumVersion() string {
	if v.Engine == resource.Valkey {
		return "7.2"
	}
	return engine.AccessNeeds(v.Access)
}

// CreateUser makes a user, which is active at once.
func (c *Control) CreateUser(ctx context.Context, in CreateUser) (UserView, error) {
	u, err := c.newUser(in)
	if err != nil {
		return UserView{}, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		_, err := tx.User(u.Scope, u.Service, u.ID)
		if err == nil {
			return resource.Errorf(resource.AlreadyExists, resource.TypeUser, u.ID, "User %s already exists.", u.ID)
		}
		if !is(err, resource.NotFound) {
			return err
		}
		all, err := tx.Users(u.Scope, u.Service, "", 0)
		if err != nil {
			return err
		}
		if len(all) > mostUsers { // the one that exists from the start does not count
			return resource.Errorf(resource.QuotaExceeded, resource.TypeUser, u.ID, "You have already reached your quota of %d users in this region.", mostUsers)
		}
		if err := c.checkTags(in.Tags); err != nil {
			return err
		}
		if err := tx.InsertUser(u); err != nil {
			return err
		}
		return tx.SetTags(u.ARN(), in.Tags)
	})
	return UserView{User: u}, err
}

// newUser checks what can be checked without looking anything up.
func (c *Control) newUser(in CreateUser) (*resource.User, error) {
	u := &resource.User{Scope: in.Scope, Service: in.Service, Status: resource.AccessActive, CreatedAt: c.now()}
	var err error
	if in.Service == "memorydb" {
		if u.ID, err = newName("UserName", in.ID, longestUserID); err != nil {
			return nil, err
		}
		u.Name = u.ID
	} else {
		if u.ID, err = newName("UserId", in.ID, longestUserID); err != nil {
			return nil, err
		}
		if u.Engine, err = accessEngine(in.Engine); err != nil {
			return nil, err
		}
		if u.Name = in.Name; len(u.Name) > longestUserName {
			return nil, invalid("UserName", "UserName must have at most %d characters.", longestUserName)
		}
	}
	if err := engine.CheckUserName(u.Name); err != nil {
		return nil, invalid("UserName", "UserName: %v.", err)
	}
	if err := setAccess(u, in.Access); err != nil {
		return nil, err
	}
	if !in.Login.given() {
		return nil, invalid("Passwords", noPassword)
	}
	return u, in.Login.apply(u)
}

// noPassword is AWS's own sentence.
const noPassword = "No password was provided. If you want to create/update the user without password, please use the NoPasswordRequired flag."

// setAccess checks an access string and keeps it as it was given.
func setAccess(u *resource.User, access string) error {
	if err := engine.CheckAccess(access); err != nil {
		return invalid("AccessString", "The access string is not valid: %v.", err)
	}
	u.Access = access
	return nil
}

func (l *Login) given() bool {
	return len(l.Passwords) > 0 || l.NoPassword != nil || l.Mode != "" || len(l.ModePasswords) > 0
}

// apply checks how a user logs in and sets it. An account without anything given stays as it is.
func (l *Login) apply(u *resource.User) error {
	if !l.given() {
		return nil
	}
	passwords := l.Passwords
	none := l.NoPassword != nil && *l.NoPassword
	if l.Mode != "" || len(l.ModePasswords) > 0 {
		if len(l.Passwords) > 0 || none {
			return conflicting("AuthenticationMode cannot be given together with Passwords or NoPasswordRequired.")
		}
		passwords = l.ModePasswords
		switch l.Mode {
		case "password":
			if len(passwords) == 0 {
				return conflicting("AuthenticationMode password needs one or two passwords.")
			}
		case "no-password-required":
			none = true
		case "iam":
			return invalid("AuthenticationMode", "The authentication mode iam is not available: the engines that run here check passwords and nothing else.")
		default:
			return invalid("AuthenticationMode", "The authentication mode must be password or no-password-required; %q was given.", clip(l.Mode))
		}
	}
	switch {
	case none && len(passwords) > 0:
		return conflicting("Passwords cannot be given for a user that needs no password.")
	case none && u.Engine == resource.Valkey:
		return conflicting("A user of the engine valkey needs a password.")
	case none:
		u.NoPass, u.Hashes = true, nil
		return nil
	case len(passwords) == 0:
		if !u.NoPass && len(u.Hashes) > 0 {
			return nil // NoPasswordRequired is false, and there is a password
		}
		return invalid("Passwords", noPassword)
	case len(passwords) > 2:
		return invalid("Passwords", "A user can have at most two passwords; %d were given.", len(passwords))
	}
	hashes := make([]string, len(passwords))
	for i, p := range passwords {
		hash, err := hashSecret("Passwords", "A password", `,"/@`, p)
		if err != nil {
			return err
		}
		if slices.Contains(hashes[:i], hash) {
			return invalid("Passwords", "A password is given twice.")
		}
		hashes[i] = hash
	}
	u.NoPass, u.Hashes = false, hashes
	return nil
}

// ModifyUser changes a user. It is modifying until every cache whose users it is one of has taken the change.
func (c *Control) ModifyUser(ctx context.Context, in ModifyUser) (view UserView, err error) {
	if in.Access == nil && in.Append == nil && in.Engine == nil && !in.Login.given() {
		return view, conflicting("No modifications were requested")
	}
	if in.Access != nil && in.Append != nil {
		return view, conflicting("AccessString and AppendAccessString cannot be given together.")
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		u, err := findUser(tx, in.Scope, in.Service, in.ID)
		if err != nil {
			return err
		}
		if u.BuiltIn() {
			return resource.Errorf(resource.InvalidState, resource.TypeUser, u.ID, "The user default exists from the start and cannot be modified.")
		}
		if u.Status != resource.AccessActive {
			return userBusy(u)
		}
		groups, err := groupsWith(tx, u.Scope, u.Service, u.ID)
		if err != nil {
			return err
		}
		if err := in.apply(u, groups); err != nil {
			return err
		}
		view = viewOf(u, groups)
		if u.Waiting, err = c.spreadGroups(tx, groups); err != nil {
			return err
		}
		if len(u.Waiting) > 0 {
			u.Status = resource.AccessModifying
		}
		return tx.UpdateUser(u)
	})
	return view, err
}

// apply sets what was given, if the groups that the user is in allow it.
func (in *ModifyUser) apply(u *resource.User, groups []*resource.UserGroup) error {
	if in.Engine != nil {
		e, err := accessEngine(*in.Engine)
		if err != nil {
			return err
		}
		u.Engine = e
	}
	switch {
	case in.Access != nil:
		if err := setAccess(u, *in.Access); err != nil {
			return err
		}
	case in.Append != nil:
		if err := setAccess(u, strings.TrimSpace(u.Access+" "+*in.Append)); err != nil {
			return err
		}
	}
	if err := in.Login.apply(u); err != nil {
		return err
	}
	if u.Engine == resource.Valkey && u.NoPass {
		return conflicting("A user of the engine valkey needs a password.")
	}
	for _, g := range groups {
		if err := fits(u, g); err != nil {
			return err
		}
	}
	return nil
}

// DeleteUser deletes a user and takes it out of its groups. It is deleting until no cache knows it.
func (c *Control) DeleteUser(ctx context.Context, scope resource.Scope, service, id string) (view UserView, err error) {
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		u, err := findUser(tx, scope, service, id)
		if err != nil {
			return err
		}
		if u.BuiltIn() {
			return resource.Errorf(resource.InvalidState, resource.TypeUser, u.ID, "The user default exists from the start and cannot be deleted.")
		}
		if u.Status != resource.AccessActive {
			return userBusy(u)
		}
		groups, err := groupsWith(tx, scope, service, u.ID)
		if err != nil {
			return err
		}
		for _, g := range groups {
			if u.Name == resource.DefaultUserID && g.Engine == resource.Redis {
				return resource.Errorf(resource.InvalidState, resource.TypeDefaultUser, u.ID,
					"User %s is the default user of user group %s. Replace it there before you delete it.", u.ID, g.Name)
			}
		}
		if u.Waiting, err = c.spreadGroups(tx, groups); err != nil {
			return err
		}
		for _, g := range groups {
			g.UserIDs = slices.DeleteFunc(g.UserIDs, func(id string) bool { return id == u.ID })
			if err := tx.UpdateUserGroup(g); err != nil {
				return err
			}
		}
		u.Status = resource.AccessDeleting
		view = viewOf(u, groups)
		if len(u.Waiting) == 0 {
			return tx.RemoveUser(u)
		}
		return tx.UpdateUser(u)
	})
	return view, err
}

// spreadGroups brings a change to the caches of some groups.
func (c *Control) spreadGroups(tx *metastore.Tx, groups []*resource.UserGroup) ([]string, error) {
	if len(groups) == 0 {
		return nil, nil
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = g.Name
	}
	caches, err := cachesWith(tx, groups[0].Scope, groups[0].Service, names...)
	if err != nil {
		return nil, err
	}
	return c.spread(tx, caches)
}

func viewOf(u *resource.User, groups []*resource.UserGroup) UserView {
	v := UserView{User: u}
	for _, g := range groups {
		v.Groups = append(v.Groups, g.Name)
	}
	return v
}
