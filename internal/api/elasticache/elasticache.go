// Package elasticache is the ElastiCache API as a face of the control plane: routes, conversions between its shapes and our
// words, and the translation of errors into its faults. It decides nothing.
package elasticache

import (
	"context"
	"strings"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// New makes the face.
func New(c *control.Control) *gateway.API {
	f := gateway.NewAPI(ecapi.Service, gateway.APIOptions{Fault: fault, Unserved: unserved})
	h := handler{c}
	gateway.Route(f, ecapi.OpCreateServerlessCache, func(c *gateway.Call, in *ecapi.CreateServerlessCacheInput) []policy.Need {
		needs := append(tagged(c, "CreateServerlessCache", cacheARN(c, in.ServerlessCacheName), in.Tags),
			uses(c, "CreateServerlessCache", map[string]*string{"usergroup": in.UserGroupId})...)
		for _, arn := range in.SnapshotArnsToRestore {
			if a, ok := resource.ParseARN(arn); ok && a.Service == "s3" {
				needs = append(needs, policy.Need{Action: "s3:GetObject", Resource: arn})
			} else if ok {
				needs = append(needs, policy.Need{Action: "elasticache:CreateServerlessCache", Resource: anyARN(&arn)})
			}
		}
		return needs
	}, h.createCache)
	gateway.Route(f, ecapi.OpDescribeServerlessCaches, func(c *gateway.Call, in *ecapi.DescribeServerlessCachesInput) []policy.Need {
		return need("DescribeServerlessCaches", cacheARN(c, in.ServerlessCacheName))
	}, h.describeCaches)
	gateway.Route(f, ecapi.OpModifyServerlessCache, func(c *gateway.Call, in *ecapi.ModifyServerlessCacheInput) []policy.Need {
		return append(need("ModifyServerlessCache", cacheARN(c, in.ServerlessCacheName)),
			uses(c, "ModifyServerlessCache", map[string]*string{"usergroup": in.UserGroupId})...)
	}, h.modifyCache)
	gateway.Route(f, ecapi.OpDeleteServerlessCache, func(c *gateway.Call, in *ecapi.DeleteServerlessCacheInput) []policy.Need {
		needs := need("DeleteServerlessCache", cacheARN(c, in.ServerlessCacheName))
		if text(in.FinalSnapshotName) != "" {
			needs = append(needs, need("CreateServerlessCacheSnapshot", snapshotARN(c, in.FinalSnapshotName))...)
		}
		return needs
	}, h.deleteCache)

	gateway.Route(f, ecapi.OpCreateServerlessCacheSnapshot, func(c *gateway.Call, in *ecapi.CreateServerlessCacheSnapshotInput) []policy.Need {
		return append(tagged(c, "CreateServerlessCacheSnapshot", snapshotARN(c, in.ServerlessCacheSnapshotName), in.Tags),
			need("CreateServerlessCacheSnapshot", cacheARN(c, in.ServerlessCacheName))...)
	}, h.createSnapshot)
	gateway.Route(f, ecapi.OpCopyServerlessCacheSnapshot, func(c *gateway.Call, in *ecapi.CopyServerlessCacheSnapshotInput) []policy.Need {
		return append(tagged(c, "CopyServerlessCacheSnapshot", snapshotARN(c, in.TargetServerlessCacheSnapshotName), in.Tags),
			need("CopyServerlessCacheSnapshot", snapshotARN(c, in.SourceServerlessCacheSnapshotName))...)
	}, h.copySnapshot)
	gateway.Route(f, ecapi.OpDescribeServerlessCacheSnapshots, func(c *gateway.Call, in *ecapi.DescribeServerlessCacheSnapshotsInput) []policy.Need {
		return need("DescribeServerlessCacheSnapshots", snapshotARN(c, in.ServerlessCacheSnapshotName))
	}, h.describeSnapshots)
	gateway.Route(f, ecapi.OpDeleteServerlessCacheSnapshot, func(c *gateway.Call, in *ecapi.DeleteServerlessCacheSnapshotInput) []policy.Need {
		return need("DeleteServerlessCacheSnapshot", snapshotARN(c, in.ServerlessCacheSnapshotName))
	}, h.deleteSnapshot)
	gateway.Route(f, ecapi.OpExportServerlessCacheSnapshot, func(c *gateway.Call, in *ecapi.ExportServerlessCacheSnapshotInput) []policy.Need {
		return need("ExportServerlessCacheSnapshot", snapshotARN(c, in.ServerlessCacheSnapshotName))
	}, h.exportSnapshot)

	gateway.Route(f, ecapi.OpAddTagsToResource, func(c *gateway.Call, in *ecapi.AddTagsToResourceInput) []policy.Need {
		return []policy.Need{{Action: "elasticache:AddTagsToResource", Resource: anyARN(in.ResourceName), Conditions: requestTags(in.Tags)}}
	}, h.addTags)
	gateway.Route(f, ecapi.OpRemoveTagsFromResource, func(c *gateway.Call, in *ecapi.RemoveTagsFromResourceInput) []policy.Need {
		return []policy.Need{{Action: "elasticache:RemoveTagsFromResource", Resource: anyARN(in.ResourceName), Conditions: map[string][]string{"aws:TagKeys": in.TagKeys}}}
	}, h.removeTags)
	gateway.Route(f, ecapi.OpListTagsForResource, func(c *gateway.Call, in *ecapi.ListTagsForResourceInput) []policy.Need {
		return need("ListTagsForResource", anyARN(in.ResourceName))
	}, h.listTags)
	gateway.Route(f, ecapi.OpDescribeEvents, func(*gateway.Call, *ecapi.DescribeEventsInput) []policy.Need {
		return need("DescribeEvents", "*")
	}, h.describeEvents)
	gateway.Route(f, ecapi.OpDescribeCacheEngineVersions, func(*gateway.Call, *ecapi.DescribeCacheEngineVersionsInput) []policy.Need {
		return need("DescribeCacheEngineVersions", "*")
	}, h.describeVersions)
	h.deploymentRoutes(f)
	h.nodeSnapshotRoutes(f)
	h.parameterGroupRoutes(f)
	h.subnetGroupRoutes(f)
	h.accessRoutes(f)
	h.emptyRoutes(f)
	return f
}

func need(action, arn string) []policy.Need {
	return []policy.Need{{Action: "elasticache:" + action, Resource: arn}}
}

// tagged are the needs of an operation that may tag what it makes.
func tagged(_ *gateway.Call, action, arn string, tags []ecapi.Tag) []policy.Need {
	conditions := requestTags(tags)
	needs := []policy.Need{{Action: "elasticache:" + action, Resource: arn, Conditions: conditions}}
	if len(tags) > 0 {
		needs = append(needs, policy.Need{Action: "elasticache:AddTagsToResource", Resource: arn, Conditions: conditions})
	}
	return needs
}

// requestTags are the condition keys of the tags that a request gives.
func requestTags(tags []ecapi.Tag) map[string][]string {
	conditions := map[string][]string{}
	for _, t := range tags {
		conditions["aws:RequestTag/"+text(t.Key)] = []string{text(t.Value)}
		conditions["aws:TagKeys"] = append(conditions["aws:TagKeys"], text(t.Key))
	}
	return conditions
}

// stored is a name as the control plane looks it up: what policy is asked about must be what is then acted on.
func stored(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// cacheARN is the ARN of a serverless cache for policies; names in it are in lower case, and no name stands for all.
func cacheARN(c *gateway.Call, name *string) string {
	if text(name) == "" {
		return "*"
	}
	return resource.CacheARN(resource.Serverless, c.Scope, stored(*name))
}

func snapshotARN(c *gateway.Call, name *string) string {
	if text(name) == "" {
		return "*"
	}
	return resource.SnapshotARN(resource.Serverless, c.Scope, stored(*name))
}

// anyARN is what the client named, if it is an ARN at all; if not, the handler says so.
func anyARN(s *string) string {
	if a, ok := resource.ParseARN(text(s)); ok {
		a.Name = stored(a.Name)
		return a.String()
	}
	return "*"
}

// handler carries out commands for the face.
type handler struct{ control *control.Control }

func (h handler) createCache(ctx context.Context, c *gateway.Call, in *ecapi.CreateServerlessCacheInput) (*ecapi.CreateServerlessCacheOutput, error) {
	if in.ConnectionType != nil && *in.ConnectionType != ecapi.ConnectionTypeVpc {
		return nil, resource.Errorf(resource.InvalidValue, resource.TypeParameter, "ConnectionType",
			"ConnectionType %s is not available: who reaches a node is decided by the address that the server was given for its nodes.", *in.ConnectionType)
	}
	cache, err := h.control.CreateCache(ctx, control.CreateCache{
		Scope: c.Scope, Name: text(in.ServerlessCacheName), Description: text(in.Description), Engine: text(in.Engine),
		MajorEngineVersion: text(in.MajorEngineVersion), Limits: limitsIn(in.CacheUsageLimits), KMSKeyID: text(in.KmsKeyId),
		SecurityGroupIDs: in.SecurityGroupIds, SubnetIDs: in.SubnetIds, UserGroupID: text(in.UserGroupId),
		SnapshotArns: in.SnapshotArnsToRestore, Tags: tagsIn(in.Tags), SnapshotRetention: number(in.SnapshotRetentionLimit),
		DailySnapshotTime: text(in.DailySnapshotTime), NetworkType: text(in.NetworkType),
	})
	if err != nil {
		return nil, err
	}
	return &ecapi.CreateServerlessCacheOutput{ServerlessCache: cacheOut(cache)}, nil
}

func (h handler) describeCaches(ctx context.Context, c *gateway.Call, in *ecapi.DescribeServerlessCachesInput) (*ecapi.DescribeServerlessCachesOutput, error) {
	caches, next, err := h.control.DescribeCaches(ctx, c.Scope, text(in.ServerlessCacheName), control.Page{Most: number(in.MaxResults), Token: text(in.NextToken)})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeServerlessCachesOutput{NextToken: shown(next), ServerlessCaches: make([]ecapi.ServerlessCache, len(caches))}
	for i, cache := range caches {
		out.ServerlessCaches[i] = *cacheOut(cache)
	}
	return out, nil
}

func (h handler) modifyCache(ctx context.Context, c *gateway.Call, in *ecapi.ModifyServerlessCacheInput) (*ecapi.ModifyServerlessCacheOutput, error) {
	m := control.ModifyCache{
		Scope: c.Scope, Name: text(in.ServerlessCacheName), Description: in.Description, UserGroupID: in.UserGroupId,
		RemoveUserGroup: in.RemoveUserGroup != nil && *in.RemoveUserGroup, SecurityGroupIDs: in.SecurityGroupIds,
		SnapshotRetention: number(in.SnapshotRetentionLimit), DailySnapshotTime: in.DailySnapshotTime,
		Engine: in.Engine, MajorEngineVersion: in.MajorEngineVersion,
	}
	if in.CacheUsageLimits != nil {
		limits := limitsIn(in.CacheUsageLimits)
		m.Limits = &limits
	}
	cache, err := h.control.ModifyCache(ctx, m)
	if err != nil {
		return nil, err
	}
	return &ecapi.ModifyServerlessCacheOutput{ServerlessCache: cacheOut(cache)}, nil
}

func (h handler) deleteCache(ctx context.Context, c *gateway.Call, in *ecapi.DeleteServerlessCacheInput) (*ecapi.DeleteServerlessCacheOutput, error) {
	cache, err := h.control.DeleteCache(ctx, control.DeleteCache{Scope: c.Scope, Name: text(in.ServerlessCacheName), FinalSnapshot: text(in.FinalSnapshotName)})
	if err != nil {
		return nil, err
	}
	return &ecapi.DeleteServerlessCacheOutput{ServerlessCache: cacheOut(cache)}, nil
}
