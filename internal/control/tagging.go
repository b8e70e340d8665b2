package control

import (
	"context"
	"slices"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// AddTags adds tags to the resource of a service that an ARN names, overwriting those with the same key, and returns all.
func (c *Control) AddTags(ctx context.Context, scope resource.Scope, service, arn string, tags []resource.Tag) (all []resource.Tag, err error) {
	if len(tags) == 0 {
		return nil, invalid("Tags", "The parameter Tags must be provided and must not be blank.")
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		r, err := changeable(tx, scope, service, arn)
		if err != nil {
			return err
		}
		if err := c.checkTags(tags); err != nil {
			return err
		}
		for _, arn := range append(r.members, r.arn) {
			if err := tx.SetTags(arn, tags); err != nil {
				return err
			}
			if all, err = tx.Tags(arn); err != nil {
				return err
			}
			if len(all) > c.quota.TagsPerResource {
				return c.tooManyTags() // rolls back: all tags or none
			}
		}
		return nil
	})
	return all, err
}

// RemoveTags removes tags by key and returns those that stay. A key that the resource does not have is an error, and
// then nothing is removed.
func (c *Control) RemoveTags(ctx context.Context, scope resource.Scope, service, arn string, keys []string) (left []resource.Tag, err error) {
	if len(keys) == 0 {
		return nil, invalid("TagKeys", "The parameter TagKeys must be provided and must not be blank.")
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		r, err := changeable(tx, scope, service, arn)
		if err != nil {
			return err
		}
		tags, err := tx.Tags(r.arn)
		if err != nil {
			return err
		}
		for _, k := range keys {
			if !slices.ContainsFunc(tags, func(t resource.Tag) bool { return t.Key == k }) {
				return resource.Errorf(resource.TagNotFound, resource.TypeOther, k, "The resource has no tag with the key %q.", clip(k))
			}
		}
		for _, arn := range append(r.members, r.arn) {
			if err := tx.RemoveTags(arn, keys); err != nil {
				return err
			}
		}
		left, err = tx.Tags(r.arn)
		return err
	})
	return left, err
}

// Tags lists the tags of the resource of a service that an ARN names, in every state of the resource.
func (c *Control) Tags(ctx context.Context, scope resource.Scope, service, arn string) (tags []resource.Tag, err error) {
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		r, err := findTagged(tx, scope, service, arn)
		if err != nil {
			return err
		}
		tags, err = tx.Tags(r.arn)
		return err
	})
	return tags, err
}

// tagged is a resource that may have tags.
type tagged struct {
	arn     string   // as it is stored
	members []string // ARNs of a group's members, which have their own tags and take every change of the group's
	builtIn bool     // it exists from the start, and cannot be tagged
}

// changeable is findTagged for a resource whose tags are to change.
func changeable(tx *metastore.Tx, scope resource.Scope, service, arn string) (tagged, error) {
	r, err := findTagged(tx, scope, service, arn)
	if err == nil && r.builtIn {
		err = resource.Errorf(resource.InvalidARN, resource.TypeOther, arn, "ARN %s is invalid: what exists from the start cannot be tagged.", clip(arn))
	}
	return r, err
}

// findTagged finds the resource of an ARN.
func findTagged(tx *metastore.Tx, scope resource.Scope, service, s string) (tagged, error) {
	a, ok := resource.ParseARN(s)
	if !ok || a.Service != service || a.Region != scope.Region || a.Account != scope.Account || a.Partition != resource.Partition(scope.Region) {
		return tagged{}, resource.Errorf(resource.InvalidARN, resource.TypeOther, s, "ARN %s is invalid.", clip(s))
	}
	find := findIn[service][a.Type]
	if find == nil {
		return tagged{}, resource.Errorf(resource.InvalidARN, resource.TypeOther, s, "ARN %s is invalid.", clip(s))
	}
	r, err := find(tx, scope, service, oldName(a.Name))
	if service == "elasticache" && a.Type == "cluster" && is(err, resource.NotFound) { // as AWS words it here and nowhere else
		err = resource.Errorf(resource.NotFound, resource.TypeCluster, a.Name, "%s is either not present or not available.", clip(a.Name))
	}
	return r, err
}

type finder func(tx *metastore.Tx, scope resource.Scope, service, name string) (tagged, error)

// findIn says how the resources of each service are found, by the type in their ARN.
var findIn = map[string]map[string]finder{
	"elasticache": {
		"serverlesscache": cacheFinder(resource.Serverless), "serverlesscachesnapshot": snapshotFinder(serverlessSpace),
		"replicationgroup": taggedGroup, "cluster": taggedMember, "snapshot": snapshotFinder(resource.CacheCluster.SnapshotSpace()),
		"parametergroup": taggedParameters, "subnetgroup": taggedSubnets, "user": taggedUser, "usergroup": taggedUsers,
		"securitygroup": neverThere(resource.TypeSecurityGroup), "reserved-instance": neverThere(resource.TypeReservedNode),
	},
	"memorydb": {
		"cluster": cacheFinder(resource.MemoryDBCluster), "snapshot": snapshotFinder(resource.MemoryDBCluster.SnapshotSpace()),
		"parametergroup": taggedParameters, "subnetgroup": taggedSubnets, "user": taggedUser, "acl": taggedUsers,
		"reservednode": neverThere(resource.TypeReservedNode),
	},
}

func cacheFinder(kind resource.Kind) finder {
	return func(tx *metastore.Tx, scope resource.Scope, _, name string) (tagged, error) {
		cache, err := tx.CacheByName(scope, kind, name)
		if err != nil {
			return tagged{}, noCache(err, kind, name)
		}
		return tagged{arn: cache.ARN()}, nil
	}
}

func snapshotFinder(space string) finder {
	return func(tx *metastore.Tx, scope resource.Scope, _, name string) (tagged, error) {
		s, err := tx.SnapshotByName(scope, space, name)
		if err != nil {
			return tagged{}, noSnapshot(err, space, name)
		}
		return tagged{arn: s.ARN()}, nil
	}
}

func taggedGroup(tx *metastore.Tx, scope resource.Scope, _, name string) (tagged, error) {
	d, err := deploymentNamed(tx, scope, resource.ReplicationGroup, name)
	if err != nil {
		return tagged{}, err
	}
	r := tagged{arn: d.ARN()}
	for _, n := range d.Nodes {
		r.members = append(r.members, memberARN(scope, n.Name))
	}
	return r, nil
}

func taggedMember(tx *metastore.Tx, scope resource.Scope, _, name string) (tagged, error) {
	m, err := memberNamed(tx, scope, name)
	if err != nil {
		return tagged{}, err
	}
	return tagged{arn: memberARN(scope, m.Name)}, nil
}

func taggedParameters(tx *metastore.Tx, scope resource.Scope, service, name string) (tagged, error) {
	g, err := findParameterGroup(tx, scope, service, name)
	if err != nil {
		return tagged{}, err
	}
	return tagged{arn: g.ARN(), builtIn: g.CreatedAt.IsZero()}, nil
}

func taggedSubnets(tx *metastore.Tx, scope resource.Scope, service, name string) (tagged, error) {
	g, err := findSubnetGroup(tx, scope, service, name)
	if err != nil {
		return tagged{}, err
	}
	return tagged{arn: g.ARN(), builtIn: g.CreatedAt.IsZero()}, nil
}

func taggedUser(tx *metastore.Tx, scope resource.Scope, service, name string) (tagged, error) {
	u, err := findUser(tx, scope, service, name)
	if err != nil {
		return tagged{}, err
	}
	return tagged{arn: u.ARN(), builtIn: u.BuiltIn()}, nil
}

func taggedUsers(tx *metastore.Tx, scope resource.Scope, service, name string) (tagged, error) {
	g, err := findGroup(tx, scope, service, name)
	if err != nil {
		return tagged{}, err
	}
	return tagged{arn: g.ARN(), builtIn: g.BuiltIn()}, nil
}

// neverThere finds nothing: there is none of this type here.
func neverThere(typ resource.Type) finder {
	return func(_ *metastore.Tx, _ resource.Scope, _, name string) (tagged, error) {
		return tagged{}, resource.Errorf(resource.NotFound, typ, name, "%s is either not present or not available.", clip(name))
	}
}
