package metastore

import "github.com/keyframe/keyframe/internal/resource"

func parameterGroupNoun(s resource.Scope, service, name string) noun {
	return noun{s, service, resource.TypeParameterGroup, name}
}

// InsertParameterGroup adds a parameter group. One of the same name in the scope and service is a resource.Error AlreadyExists.
func (tx *Tx) InsertParameterGroup(v *resource.ParameterGroup) error {
	return insertNoun(tx, parameterGroupNoun(v.Scope, v.Service, v.Name), v)
}

// UpdateParameterGroup replaces what is kept of a parameter group. An unknown one is a resource.Error NotFound.
func (tx *Tx) UpdateParameterGroup(v *resource.ParameterGroup) error {
	return updateNoun(tx, parameterGroupNoun(v.Scope, v.Service, v.Name), v)
}

// ParameterGroup finds a parameter group, or returns a resource.Error NotFound.
func (tx *Tx) ParameterGroup(s resource.Scope, service, name string) (*resource.ParameterGroup, error) {
	return findNoun[resource.ParameterGroup](tx, parameterGroupNoun(s, service, name))
}

// ParameterGroups lists the parameter groups of a service by name, from the first after afterName. A limit of 0 means all.
func (tx *Tx) ParameterGroups(s resource.Scope, service, afterName string, limit int) ([]*resource.ParameterGroup, error) {
	return listNouns[resource.ParameterGroup](tx, parameterGroupNoun(s, service, afterName), limit)
}

// DeleteParameterGroup forgets a parameter group; an unknown one is fine. Its tags are deleted by a call of their own.
func (tx *Tx) DeleteParameterGroup(s resource.Scope, service, name string) error {
	return deleteNoun(tx, parameterGroupNoun(s, service, name))
}
