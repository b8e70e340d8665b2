package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// AddTags adds tags to the resource that an ARN names, overwriting those with the same key, and returns all.
func (c *Control) AddTags(ctx context.Context, scope resource.Scope, arn string, tags []resource.Tag) (all []resource.Tag, err error) {
	if len(tags) == 0 {
		return nil, invalid("Tags", "The parameter Tags must be provided and must not be blank.")
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		arn, err := tagged(tx, scope, arn)
		if err != nil {
			return err
		}
		if err := c.checkTags(tags); err != nil {
			return err
		}
		if err := tx.SetTags(arn, tags); err != nil {
			return err
		}
		if all, err = tx.Tags(arn); err != nil {
			return err
		}
		if len(all) > c.quota.TagsPerResource {
			return c.tooManyTags() // rolls back: all tags or none
		}
		return nil
	})
	return all, err
}

// RemoveTags removes tags by key and returns those that stay. A key that the resource does not have is an error, and
// then nothing is removed.
func (c *Control) RemoveTags(ctx context.Context, scope resource.Scope, arn string, keys []string) (left []resource.Tag, err error) {
	if len(keys) == 0 {
		return nil, invalid("TagKeys", "The parameter TagKeys must be provided and must not be blank.")
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		arn, err := tagged(tx, scope, arn)
		if err != nil {
			return err
		}
		tags, err := tx.Tags(arn)
		if err != nil {
			return err
		}
		has := make(map[string]bool, len(tags))
		for _, t := range tags {
			has[t.Key] = true
		}
		for _, k := range keys {
			if !has[k] {
				return resource.Errorf(resource.TagNotFound, resource.TypeOther, k, "The resource has no tag with the key %q.", clip(k))
			}
		}
		if err := tx.RemoveTags(arn, keys); err != nil {
			return err
		}
		left, err = tx.Tags(arn)
		return err
	})
	return left, err
}

// Tags lists the tags of the resource that an ARN names, in every state of the resource.
func (c *Control) Tags(ctx context.Context, scope resource.Scope, arn string) (tags []resource.Tag, err error) {
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		arn, err := tagged(tx, scope, arn)
		if err != nil {
			return err
		}
		tags, err = tx.Tags(arn)
		return err
	})
	return tags, err
}

// tagged finds the resource of an ARN and returns the ARN as it is stored.
func tagged(tx *metastore.Tx, scope resource.Scope, s string) (string, error) {
	a, ok := resource.ParseARN(s)
	if !ok || a.Service != "elasticache" || a.Region != scope.Region || a.Account != scope.Account || a.Partition != resource.Partition(scope.Region) {
		return "", resource.Errorf(resource.InvalidARN, resource.TypeOther, s, "ARN %s is invalid.", clip(s))
	}
	name := oldName(a.Name)
	switch a.Type {
	case "serverlesscache":
		cache, err := tx.CacheByName(scope, resource.Serverless, name)
		if err != nil {
			return "", notFound(err, resource.TypeCache, name)
		}
		return cache.ARN(), nil
	case "serverlesscachesnapshot":
		snapshot, err := tx.SnapshotByName(scope, resource.Serverless.SnapshotSpace(), name)
		if err != nil {
			return "", notFound(err, resource.TypeSnapshot, name)
		}
		return snapshot.ARN(), nil
	}
	typ, known := map[string]resource.Type{
		"cluster": resource.TypeCluster, "replicationgroup": resource.TypeReplicationGroup, "snapshot": resource.TypeNodeSnapshot,
		"parametergroup": resource.TypeParameterGroup, "subnetgroup": resource.TypeSubnetGroup, "securitygroup": resource.TypeSecurityGroup,
		"user": resource.TypeUser, "usergroup": resource.TypeUserGroup, "reserved-instance": resource.TypeReservedNode,
	}[a.Type]
	if !known {
		return "", resource.Errorf(resource.InvalidARN, resource.TypeOther, s, "ARN %s is invalid.", clip(s))
	}
	return "", resource.Errorf(resource.NotFound, typ, name, "%s is either not present or not available.", clip(name))
}
