package memorydb

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// subnetGroupRoutes serves subnet groups.
func (h handler) subnetGroupRoutes(f *gateway.API) {
	const typ = "subnetgroup"
	gateway.Route(f, mdbapi.OpCreateSubnetGroup, func(c *gateway.Call, in *mdbapi.CreateSubnetGroupInput) []policy.Need {
		return tagged(c, "CreateSubnetGroup", typ, in.SubnetGroupName, in.Tags)
	}, h.createSubnetGroup)
	gateway.Route(f, mdbapi.OpDescribeSubnetGroups, func(c *gateway.Call, in *mdbapi.DescribeSubnetGroupsInput) []policy.Need {
		return need(c, "DescribeSubnetGroups", typ, in.SubnetGroupName)
	}, h.describeSubnetGroups)
	gateway.Route(f, mdbapi.OpUpdateSubnetGroup, func(c *gateway.Call, in *mdbapi.UpdateSubnetGroupInput) []policy.Need {
		return need(c, "UpdateSubnetGroup", typ, in.SubnetGroupName)
	}, h.updateSubnetGroup)
	gateway.Route(f, mdbapi.OpDeleteSubnetGroup, func(c *gateway.Call, in *mdbapi.DeleteSubnetGroupInput) []policy.Need {
		return need(c, "DeleteSubnetGroup", typ, in.SubnetGroupName)
	}, h.deleteSubnetGroup)
}

func subnetGroupOut(g *resource.SubnetGroup) *mdbapi.SubnetGroup {
	network := []mdbapi.NetworkType{mdbapi.NetworkTypeIpv4}
	out := &mdbapi.SubnetGroup{Name: &g.Name, Description: &g.Description, VpcId: ptr(control.VPC(g.Scope)), ARN: ptr(g.ARN()), SupportedNetworkTypes: network}
	for _, id := range g.SubnetIDs {
		out.Subnets = append(out.Subnets, mdbapi.Subnet{Identifier: &id, SupportedNetworkTypes: network,
			AvailabilityZone: &mdbapi.AvailabilityZone{Name: ptr(control.SubnetZone(g.Scope, id))}})
	}
	return out
}

func (h handler) createSubnetGroup(ctx context.Context, c *gateway.Call, in *mdbapi.CreateSubnetGroupInput) (*mdbapi.CreateSubnetGroupOutput, error) {
	g, err := h.control.CreateSubnetGroup(ctx, control.SubnetGroupChange{Scope: c.Scope, Service: service, Name: text(in.SubnetGroupName),
		Description: in.Description, SubnetIDs: in.SubnetIds, Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return &mdbapi.CreateSubnetGroupOutput{SubnetGroup: subnetGroupOut(g)}, nil
}

func (h handler) describeSubnetGroups(ctx context.Context, c *gateway.Call, in *mdbapi.DescribeSubnetGroupsInput) (*mdbapi.DescribeSubnetGroupsOutput, error) {
	groups, next, err := h.control.DescribeSubnetGroups(ctx, c.Scope, service, text(in.SubnetGroupName),
		control.Page{Most: number(in.MaxResults), Token: text(in.NextToken)})
	if err != nil {
		return nil, err
	}
	out := &mdbapi.DescribeSubnetGroupsOutput{NextToken: shown(next), SubnetGroups: make([]mdbapi.SubnetGroup, len(groups))}
	for i, g := range groups {
		out.SubnetGroups[i] = *subnetGroupOut(g)
	}
	return out, nil
}

func (h handler) updateSubnetGroup(ctx context.Context, c *gateway.Call, in *mdbapi.UpdateSubnetGroupInput) (*mdbapi.UpdateSubnetGroupOutput, error) {
	g, err := h.control.ModifySubnetGroup(ctx, control.SubnetGroupChange{Scope: c.Scope, Service: service, Name: text(in.SubnetGroupName),
		Description: in.Description, SubnetIDs: in.SubnetIds})
	if err != nil {
		return nil, err
	}
	return &mdbapi.UpdateSubnetGroupOutput{SubnetGroup: subnetGroupOut(g)}, nil
}

func (h handler) deleteSubnetGroup(ctx context.Context, c *gateway.Call, in *mdbapi.DeleteSubnetGroupInput) (*mdbapi.DeleteSubnetGroupOutput, error) {
	g, err := h.control.DeleteSubnetGroup(ctx, c.Scope, service, text(in.SubnetGroupName))
	if err != nil {
		return nil, err
	}
	return &mdbapi.DeleteSubnetGroupOutput{SubnetGroup: subnetGroupOut(g)}, nil
}
