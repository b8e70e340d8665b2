package elasticache

import (
	"context"
	"strconv"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// deploymentRoutes serves cache clusters and replication groups.
func (h handler) deploymentRoutes(f *gateway.API) {
	gateway.Route(f, ecapi.OpCreateReplicationGroup, func(c *gateway.Call, in *ecapi.CreateReplicationGroupInput) []policy.Need {
		needs := tagged(c, "CreateReplicationGroup", named(c, "replicationgroup", in.ReplicationGroupId), in.Tags)
		condition(needs, map[string]string{
			"CacheNodeType": text(in.CacheNodeType), "EngineType": text(in.Engine), "EngineVersion": text(in.EngineVersion), "KmsKeyId": text(in.KmsKeyId),
			"CacheParameterGroupName": text(in.CacheParameterGroupName), "NumNodeGroups": digits(in.NumNodeGroups), "ReplicasPerNodeGroup": digits(in.ReplicasPerNodeGroup),
			"SnapshotRetentionLimit": digits(in.SnapshotRetentionLimit), "TransitEncryptionEnabled": yes(in.TransitEncryptionEnabled),
			"AtRestEncryptionEnabled": yes(in.AtRestEncryptionEnabled), "AutomaticFailoverEnabled": yes(in.AutomaticFailoverEnabled), "MultiAZEnabled": yes(in.MultiAZEnabled),
			"AuthTokenEnabled": strconv.FormatBool(text(in.AuthToken) != ""),
		})
		needs = append(needs, uses(c, "CreateReplicationGroup", map[string]*string{
			"cluster": in.PrimaryClusterId, "parametergroup": in.CacheParameterGroupName, "subnetgroup": in.CacheSubnetGroupName,
			"snapshot": in.SnapshotName, "serverlesscachesnapshot": in.ServerlessCacheSnapshotName,
		})...)
		for _, g := range in.UserGroupIds {
			needs = append(needs, need("CreateReplicationGroup", named(c, "usergroup", &g))...)
		}
		return append(needs, objects(in.SnapshotArns)...)
	}, h.createGroup)
	gateway.Route(f, ecapi.OpDescribeReplicationGroups, func(c *gateway.Call, in *ecapi.DescribeReplicationGroupsInput) []policy.Need {
		return need("DescribeReplicationGroups", named(c, "replicationgroup", in.ReplicationGroupId))
	}, h.describeGroups)
	gateway.Route(f, ecapi.OpDeleteReplicationGroup, func(c *gateway.Call, in *ecapi.DeleteReplicationGroupInput) []policy.Need {
		return append(need("DeleteReplicationGroup", named(c, "replicationgroup", in.ReplicationGroupId)), uses(c, "CreateSnapshot", map[string]*string{"snapshot": in.FinalSnapshotIdentifier})...)
	}, h.deleteGroup)

	gateway.Route(f, ecapi.OpCreateCacheCluster, func(c *gateway.Call, in *ecapi.CreateCacheClusterInput) []policy.Need {
		needs := tagged(c, "CreateCacheCluster", named(c, "cluster", in.CacheClusterId), in.Tags)
		condition(needs, map[string]string{
			"CacheNodeType": text(in.CacheNodeType), "EngineType": text(in.Engine), "EngineVersion": text(in.EngineVersion),
			"CacheParameterGroupName": text(in.CacheParameterGroupName), "SnapshotRetentionLimit": digits(in.SnapshotRetentionLimit),
			"MultiAZEnabled": strconv.FormatBool(text(in.AZMode) == string(ecapi.AZModeCrossAz)), "AuthTokenEnabled": strconv.FormatBool(text(in.AuthToken) != ""),
		})
		needs = append(needs, uses(c, "CreateCacheCluster", map[string]*string{
			"replicationgroup": in.ReplicationGroupId, "parametergroup": in.CacheParameterGroupName, "subnetgroup": in.CacheSubnetGroupName, "snapshot": in.SnapshotName,
		})...)
		return append(needs, objects(in.SnapshotArns)...)
	}, h.createCluster)
	gateway.Route(f, ecapi.OpDescribeCacheClusters, func(c *gateway.Call, in *ecapi.DescribeCacheClustersInput) []policy.Need {
		return need("DescribeCacheClusters", named(c, "cluster", in.CacheClusterId))
	}, h.describeClusters)
	gateway.Route(f, ecapi.OpDeleteCacheCluster, func(c *gateway.Call, in *ecapi.DeleteCacheClusterInput) []policy.Need {
		return append(need("DeleteCacheCluster", named(c, "cluster", in.CacheClusterId)), uses(c, "CreateSnapshot", map[string]*string{"snapshot": in.FinalSnapshotIdentifier})...)
	}, h.deleteCluster)
	h.changeRoutes(f)
}

// named is the ARN of a resource for policies; names in it are in lower case, and no name stands for all.
func named(c *gateway.Call, typ string, name *string) string {
	if text(name) == "" {
		return "*"
	}
	return resource.ARN{Partition: resource.Partition(c.Scope.Region), Service: "elasticache", Region: c.Scope.Region, Account: c.Scope.Account,
		Type: typ, Name: stored(*name)}.String()
}

// uses are the needs of an action on those resources that a request names, by their types.
func uses(c *gateway.Call, action string, names map[string]*string) (needs []policy.Need) {
	for typ, name := range names {
		if text(name) != "" {
			needs = append(needs, need(action, named(c, typ, name))...)
		}
	}
	return needs
}

// objects are the needs of reading RDB files in S3.
func objects(arns []string) (needs []policy.Need) {
	for _, arn := range arns {
		if a, ok := resource.ParseARN(arn); ok && a.Service == "s3" {
			needs = append(needs, policy.Need{Action: "s3:GetObject", Resource: arn})
		}
	}
	return needs
}

// condition adds the service's own condition keys, those that have a value.
func condition(needs []policy.Need, values map[string]string) {
	for _, n := range needs {
		for key, v := range values {
			if v != "" {
				n.Conditions["elasticache:"+key] = []string{v}
			}
		}
	}
}

func digits(n *int32) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(int(*n))
}

func yes(b *bool) string {
	if b == nil {
		return ""
	}
	return strconv.FormatBool(*b)
}

func (h handler) createGroup(ctx context.Context, c *gateway.Call, in *ecapi.CreateReplicationGroupInput) (*ecapi.CreateReplicationGroupOutput, error) {
	wanted, err := groupIn(c, in)
	if err != nil {
		return nil, err
	}
	d, err := h.control.CreateDeployment(ctx, wanted)
	if err != nil {
		return nil, err
	}
	return &ecapi.CreateReplicationGroupOutput{ReplicationGroup: groupOut(d)}, nil
}

func (h handler) describeGroups(ctx context.Context, c *gateway.Call, in *ecapi.DescribeReplicationGroupsInput) (*ecapi.DescribeReplicationGroupsOutput, error) {
	all, next, err := h.control.DescribeDeployments(ctx, control.DescribeDeployments{Scope: c.Scope, Kind: resource.ReplicationGroup, Name: text(in.ReplicationGroupId),
		Page: control.Page{Most: number(in.MaxRecords), Token: text(in.Marker)}})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeReplicationGroupsOutput{Marker: shown(next), ReplicationGroups: make([]ecapi.ReplicationGroup, len(all))}
	for i, d := range all {
		out.ReplicationGroups[i] = *groupOut(d)
	}
	return out, nil
}

func (h handler) deleteGroup(ctx context.Context, c *gateway.Call, in *ecapi.DeleteReplicationGroupInput) (*ecapi.DeleteReplicationGroupOutput, error) {
	d, err := h.control.DeleteDeployment(ctx, control.DeleteDeployment{Scope: c.Scope, Kind: resource.ReplicationGroup, Name: text(in.ReplicationGroupId),
		FinalSnapshot: text(in.FinalSnapshotIdentifier), RetainPrimary: on(in.RetainPrimaryCluster)})
	if err != nil {
		return nil, err
	}
	return &ecapi.DeleteReplicationGroupOutput{ReplicationGroup: groupOut(d)}, nil
}

func (h handler) createCluster(ctx context.Context, c *gateway.Call, in *ecapi.CreateCacheClusterInput) (*ecapi.CreateCacheClusterOutput, error) {
	wanted, err := clusterIn(c, in)
	if err != nil {
		return nil, err
	}
	d, err := h.control.CreateDeployment(ctx, wanted)
	if err != nil {
		return nil, err
	}
	return &ecapi.CreateCacheClusterOutput{CacheCluster: memberOut(control.MemberOf(d, stored(wanted.Name)), false)}, nil
}

func (h handler) describeClusters(ctx context.Context, c *gateway.Call, in *ecapi.DescribeCacheClustersInput) (*ecapi.DescribeCacheClustersOutput, error) {
	all, next, err := h.control.DescribeMembers(ctx, control.DescribeMembers{Scope: c.Scope, Name: text(in.CacheClusterId),
		Alone: on(in.ShowCacheClustersNotInReplicationGroups), Page: control.Page{Most: number(in.MaxRecords), Token: text(in.Marker)}})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeCacheClustersOutput{Marker: shown(next), CacheClusters: make([]ecapi.CacheCluster, len(all))}
	for i, m := range all {
		out.CacheClusters[i] = *memberOut(m, on(in.ShowCacheNodeInfo))
	}
	return out, nil
}

func (h handler) deleteCluster(ctx context.Context, c *gateway.Call, in *ecapi.DeleteCacheClusterInput) (*ecapi.DeleteCacheClusterOutput, error) {
	d, err := h.control.DeleteDeployment(ctx, control.DeleteDeployment{Scope: c.Scope, Kind: resource.CacheCluster, Name: text(in.CacheClusterId),
		FinalSnapshot: text(in.FinalSnapshotIdentifier)})
	if err != nil {
		return nil, err
	}
	return &ecapi.DeleteCacheClusterOutput{CacheCluster: memberOut(control.MemberOf(d, stored(*in.CacheClusterId)), false)}, nil
}
