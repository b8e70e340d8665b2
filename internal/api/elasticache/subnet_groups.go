package elasticache

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// subnetGroupRoutes serves cache subnet groups.
func (h handler) subnetGroupRoutes(f *gateway.API) {
	arn := func(c *gateway.Call, name *string) string { return groupARN(c, "subnetgroup", name) }
	gateway.Route(f, ecapi.OpCreateCacheSubnetGroup, func(c *gateway.Call, in *ecapi.CreateCacheSubnetGroupInput) []policy.Need {
		return tagged(c, "CreateCacheSubnetGroup", arn(c, in.CacheSubnetGroupName), in.Tags)
	}, h.createSubnetGroup)
	gateway.Route(f, ecapi.OpDescribeCacheSubnetGroups, func(c *gateway.Call, in *ecapi.DescribeCacheSubnetGroupsInput) []policy.Need {
		return need("DescribeCacheSubnetGroups", arn(c, in.CacheSubnetGroupName))
	}, h.describeSubnetGroups)
	gateway.Route(f, ecapi.OpModifyCacheSubnetGroup, func(c *gateway.Call, in *ecapi.ModifyCacheSubnetGroupInput) []policy.Need {
		return need("ModifyCacheSubnetGroup", arn(c, in.CacheSubnetGroupName))
	}, h.modifySubnetGroup)
	gateway.Route(f, ecapi.OpDeleteCacheSubnetGroup, func(c *gateway.Call, in *ecapi.DeleteCacheSubnetGroupInput) []policy.Need {
		return need("DeleteCacheSubnetGroup", arn(c, in.CacheSubnetGroupName))
	}, h.deleteSubnetGroup)
}

func subnetGroupOut(g *resource.SubnetGroup) *ecapi.CacheSubnetGroup {
	arn, vpc, network := g.ARN(), control.VPC(g.Scope), []ecapi.NetworkType{ecapi.NetworkTypeIpv4}
	out := &ecapi.CacheSubnetGroup{CacheSubnetGroupName: &g.Name, CacheSubnetGroupDescription: &g.Description, VpcId: &vpc, ARN: &arn,
		SupportedNetworkTypes: network}
	for _, id := range g.SubnetIDs {
		zone := control.SubnetZone(g.Scope, id)
		out.Subnets = append(out.Subnets, ecapi.Subnet{SubnetIdentifier: &id, SubnetAvailabilityZone: &ecapi.AvailabilityZone{Name: &zone},
			SupportedNetworkTypes: network})
	}
	return out
}

func (h handler) createSubnetGroup(ctx context.Context, c *gateway.Call, in *ecapi.CreateCacheSubnetGroupInput) (*ecapi.CreateCacheSubnetGroupOutput, error) {
	g, err := h.control.CreateSubnetGroup(ctx, control.SubnetGroupChange{Scope: c.Scope, Service: service, Name: text(in.CacheSubnetGroupName),
		Description: in.CacheSubnetGroupDescription, SubnetIDs: in.SubnetIds, Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return &ecapi.CreateCacheSubnetGroupOutput{CacheSubnetGroup: subnetGroupOut(g)}, nil
}

func (h handler) describeSubnetGroups(ctx context.Context, c *gateway.Call, in *ecapi.DescribeCacheSubnetGroupsInput) (*ecapi.DescribeCacheSubnetGroupsOutput, error) {
	groups, next, err := h.control.DescribeSubnetGroups(ctx, c.Scope, service, text(in.CacheSubnetGroupName),
		control.Page{Most: number(in.MaxRecords), Token: text(in.Marker)})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeCacheSubnetGroupsOutput{Marker: shown(next), CacheSubnetGroups: make([]ecapi.CacheSubnetGroup, len(groups))}
	for i, g := range groups {
		out.CacheSubnetGroups[i] = *subnetGroupOut(g)
	}
	return out, nil
}

func (h handler) modifySubnetGroup(ctx context.Context, c *gateway.Call, in *ecapi.ModifyCacheSubnetGroupInput) (*ecapi.ModifyCacheSubnetGroupOutput, error) {
	g, err := h.control.ModifySubnetGroup(ctx, control.SubnetGroupChange{Scope: c.Scope, Service: service, Name: text(in.CacheSubnetGroupName),
		Description: in.CacheSubnetGroupDescription, SubnetIDs: in.SubnetIds})
	if err != nil {
		return nil, err
	}
	return &ecapi.ModifyCacheSubnetGroupOutput{CacheSubnetGroup: subnetGroupOut(g)}, nil
}

func (h handler) deleteSubnetGroup(ctx context.Context, c *gateway.Call, in *ecapi.DeleteCacheSubnetGroupInput) (*ecapi.DeleteCacheSubnetGroupOutput, error) {
	_, err := h.control.DeleteSubnetGroup(ctx, c.Scope, service, text(in.CacheSubnetGroupName))
	return &ecapi.DeleteCacheSubnetGroupOutput{}, err
}
