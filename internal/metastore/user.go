package metastore

import "github.com/keyframe/keyframe/internal/resource"

func userNoun(s resource.Scope, service, name string) noun {
	return noun{s, service, resource.TypeUser, name}
}

// InsertUser adds a user. One of the same name in the scope and service is a resource.Error AlreadyExists.
func (tx *Tx) InsertUser(v *resource.User) error {
	if v.BuiltIn() {
		return resource.Errorf(resource.AlreadyExists, resource.TypeUser, v.ID, "user %s already exists.", v.ID)
	}
	return insertNoun(tx, userNoun(v.Scope, v.Service, v.ID), v)
}

// UpdateUser replaces what is kept of a user. An unknown one is a resource.Error NotFound.
func (tx *Tx) UpdateUser(v *resource.User) error {
	return updateNoun(tx, userNoun(v.Scope, v.Service, v.ID), v)
}

// User finds a user, or returns a resource.Error NotFound. The one that exists from the start is always found.
func (tx *Tx) User(s resource.Scope, service, name string) (*resource.User, error) {
	if name == resource.DefaultUserID {
		return resource.DefaultUser(s, service), nil
	}
	return findNoun[resource.User](tx, userNoun(s, service, name))
}

// Users lists the users of a service by name, from the first after afterName. A limit of 0 means all.
func (tx *Tx) Users(s resource.Scope, service, afterName string, limit int) ([]*resource.User, error) {
	page, err := listNouns[resource.User](tx, userNoun(s, service, afterName), limit)
	if err != nil {
		return nil, err
	}
	return beside(page, resource.DefaultUser(s, service), func(u *resource.User) string { return u.ID }, afterName, limit), nil
}

// DeleteUser forgets a user; an unknown one is fine. Its tags are deleted by a call of their own.
func (tx *Tx) DeleteUser(s resource.Scope, service, name string) error {
	return deleteNoun(tx, userNoun(s, service, name))
}
