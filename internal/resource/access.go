package resource

import (
	"slices"
	"strings"
)

// Names of what exists from the start in every scope: a user with all rights and without a password, and MemoryDB's ACL of that user.
const (
	DefaultUserID = "default"
	OpenAccessACL = "open-access"
)

// DefaultUser is the user that exists from the start. It is never modified or deleted.
func DefaultUser(s Scope, service string) *User {
	u := &User{Scope: s, Service: service, ID: DefaultUserID, Name: DefaultUserID, Access: "on ~* &* +@all", NoPass: true, Status: AccessActive}
	if service == "elasticache" {
		u.Engine = Redis
	}
	return u
}

// OpenAccess is the ACL that exists from the start in MemoryDB. It is never modified or deleted.
func OpenAccess(s Scope) *UserGroup {
	return &UserGroup{Scope: s, Service: "memorydb", Name: OpenAccessACL, UserIDs: []string{DefaultUserID}, Status: AccessActive}
}

// BuiltIn tells whether the user exists from the start.
func (u *User) BuiltIn() bool { return u.ID == DefaultUserID }

// BuiltIn tells whether the ACL exists from the start.
func (g *UserGroup) BuiltIn() bool { return g.Service == "memorydb" && g.Name == OpenAccessACL }

// Has tells whether a user belongs to the group.
func (g *UserGroup) Has(userID string) bool { return slices.Contains(g.UserIDs, userID) }

// ARN is the user's Amazon Resource Name.
func (u *User) ARN() string { return UserARN(u.Service, u.Scope, u.ID) }

// ARN is the group's Amazon Resource Name.
func (g *UserGroup) ARN() string { return UserGroupARN(g.Service, g.Scope, g.Name) }

// UserARN is the ARN of a user of a service.
func UserARN(service string, s Scope, id string) string {
	return ARN{Partition(s.Region), service, s.Region, s.Account, "user", id}.String()
}

// UserGroupARN is the ARN of a user group, or of an ACL in MemoryDB.
func UserGroupARN(service string, s Scope, name string) string {
	typ := "usergroup"
	if service == "memorydb" {
		typ = "acl"
	}
	return ARN{Partition(s.Region), service, s.Region, s.Account, typ, name}.String()
}

// UserGroups names the user groups, or the ACL, whose users may log in to the cache; none for a cache that is open or has a token.
func (c *Cache) UserGroups() []string {
	switch {
	case c.Layout != nil:
		return c.Layout.UserGroups
	case c.UserGroupID != "":
		return []string{strings.ToLower(c.UserGroupID)}
	}
	return nil
}

// AccessKinds lists the kinds of caches that a service's user groups can belong to.
func AccessKinds(service string) []Kind {
	if service == "memorydb" {
		return []Kind{MemoryDBCluster}
	}
	return []Kind{ReplicationGroup, Serverless}
}
