package metastore

import "github.com/keyframe/keyframe/internal/resource"

func userGroupNoun(s resource.Scope, service, name string) noun {
	return noun{s, service, resource.TypeUserGroup, name}
}

// InsertUserGroup adds a user group. One of the same name in the scope and service is a resource.Error AlreadyExists.
func (tx *Tx) InsertUserGroup(v *resource.UserGroup) error {
	if v.BuiltIn() {
		return resource.Errorf(resource.AlreadyExists, resource.TypeUserGroup, v.Name, "ACL %s already exists.", v.Name)
	}
	return insertNoun(tx, userGroupNoun(v.Scope, v.Service, v.Name), v)
}

// UpdateUserGroup replaces what is kept of a user group. An unknown one is a resource.Error NotFound.
func (tx *Tx) UpdateUserGroup(v *resource.UserGroup) error {
	return updateNoun(tx, userGroupNoun(v.Scope, v.Service, v.Name), v)
}

// UserGroup finds a user group, or returns a resource.Error NotFound. MemoryDB's open-access, which exists from the start, is always found.
func (tx *Tx) UserGroup(s resource.Scope, service, name string) (*resource.UserGroup, error) {
	if service == "memorydb" && name == resource.OpenAccessACL {
		return resource.OpenAccess(s), nil
	}
	return findNoun[resource.UserGroup](tx, userGroupNoun(s, service, name))
}

// UserGroups lists the user groups of a service by name, from the first after afterName. A limit of 0 means all.
func (tx *Tx) UserGroups(s resource.Scope, service, afterName string, limit int) ([]*resource.UserGroup, error) {
	page, err := listNouns[resource.UserGroup](tx, userGroupNoun(s, service, afterName), limit)
	if err != nil || service != "memorydb" {
		return page, err
	}
	return beside(page, resource.OpenAccess(s), func(g *resource.UserGroup) string { return g.Name }, afterName, limit), nil
}

// DeleteUserGroup forgets a user group; an unknown one is fine. Its tags are deleted by a call of their own.
func (tx *Tx) DeleteUserGroup(s resource.Scope, service, name string) error {
	return deleteNoun(tx, userGroupNoun(s, service, name))
}
