package metastore

import "github.com/keyframe/keyframe/internal/resource"

func subnetGroupNoun(s resource.Scope, service, name string) noun {
	return noun{s, service, resource.TypeSubnetGroup, name}
}

// InsertSubnetGroup adds a subnet group. One of the same name in the scope and service is a resource.Error AlreadyExists.
func (tx *Tx) InsertSubnetGroup(v *resource.SubnetGroup) error {
	return insertNoun(tx, subnetGroupNoun(v.Scope, v.Service, v.Name), v)
}

// UpdateSubnetGroup replaces what is kept of a subnet group. An unknown one is a resource.Error NotFound.
func (tx *Tx) UpdateSubnetGroup(v *resource.SubnetGroup) error {
	return updateNoun(tx, subnetGroupNoun(v.Scope, v.Service, v.Name), v)
}

// SubnetGroup finds a subnet group, or returns a resource.Error NotFound.
func (tx *Tx) SubnetGroup(s resource.Scope, service, name string) (*resource.SubnetGroup, error) {
	return findNoun[resource.SubnetGroup](tx, subnetGroupNoun(s, service, name))
}

// SubnetGroups lists the subnet groups of a service by name, from the first after afterName. A limit of 0 means all.
func (tx *Tx) SubnetGroups(s resource.Scope, service, afterName string, limit int) ([]*resource.SubnetGroup, error) {
	return listNouns[resource.SubnetGroup](tx, subnetGroupNoun(s, service, afterName), limit)
}

// DeleteSubnetGroup forgets a subnet group; an unknown one is fine. Its tags are deleted by a call of their own.
func (tx *Tx) DeleteSubnetGroup(s resource.Scope, service, name string) error {
	return deleteNoun(tx, subnetGroupNoun(s, service, name))
}
