package memorydb

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// parameterGroupRoutes serves parameter groups, engine versions and node types.
func (h handler) parameterGroupRoutes(f *gateway.API) {
	const typ = "parametergroup"
	gateway.Route(f, mdbapi.OpCreateParameterGroup, func(c *gateway.Call, in *mdbapi.CreateParameterGroupInput) []policy.Need {
		return tagged(c, "CreateParameterGroup", typ, in.ParameterGroupName, in.Tags)
	}, h.createParameterGroup)
	gateway.Route(f, mdbapi.OpDescribeParameterGroups, func(c *gateway.Call, in *mdbapi.DescribeParameterGroupsInput) []policy.Need {
		return need(c, "DescribeParameterGroups", typ, in.ParameterGroupName)
	}, h.describeParameterGroups)
	gateway.Route(f, mdbapi.OpDescribeParameters, func(c *gateway.Call, in *mdbapi.DescribeParametersInput) []policy.Need {
		return need(c, "DescribeParameters", typ, in.ParameterGroupName)
	}, h.describeParameters)
	gateway.Route(f, mdbapi.OpUpdateParameterGroup, func(c *gateway.Call, in *mdbapi.UpdateParameterGroupInput) []policy.Need {
		return need(c, "UpdateParameterGroup", typ, in.ParameterGroupName)
	}, h.updateParameterGroup)
	gateway.Route(f, mdbapi.OpResetParameterGroup, func(c *gateway.Call, in *mdbapi.ResetParameterGroupInput) []policy.Need {
		return need(c, "ResetParameterGroup", typ, in.ParameterGroupName)
	}, h.resetParameterGroup)
	gateway.Route(f, mdbapi.OpDeleteParameterGroup, func(c *gateway.Call, in *mdbapi.DeleteParameterGroupInput) []policy.Need {
		return need(c, "DeleteParameterGroup", typ, in.ParameterGroupName)
	}, h.deleteParameterGroup)
	gateway.Route(f, mdbapi.OpDescribeEngineVersions, func(c *gateway.Call, _ *mdbapi.DescribeEngineVersionsInput) []policy.Need {
		return need(c, "DescribeEngineVersions", "", nil)
	}, h.describeVersions)
	gateway.Route(f, mdbapi.OpListAllowedNodeTypeUpdates, func(c *gateway.Call, in *mdbapi.ListAllowedNodeTypeUpdatesInput) []policy.Need {
		return need(c, "ListAllowedNodeTypeUpdates", "cluster", in.ClusterName)
	}, h.nodeTypes)
}

func parameterGroupOut(g *resource.ParameterGroup) *mdbapi.ParameterGroup {
	return &mdbapi.ParameterGroup{Name: &g.Name, Family: &g.Family, Description: &g.Description, ARN: ptr(g.ARN())}
}

func (h handler) createParameterGroup(ctx context.Context, c *gateway.Call, in *mdbapi.CreateParameterGroupInput) (*mdbapi.CreateParameterGroupOutput, error) {
	g, err := h.control.CreateParameterGroup(ctx, control.CreateParameterGroup{Scope: c.Scope, Service: service, Name: text(in.ParameterGroupName),
		Family: text(in.Family), Description: text(in.Description), Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return &mdbapi.CreateParameterGroupOutput{ParameterGroup: parameterGroupOut(g)}, nil
}

func (h handler) describeParameterGroups(ctx context.Context, c *gateway.Call, in *mdbapi.DescribeParameterGroupsInput) (*mdbapi.DescribeParameterGroupsOutput, error) {
	groups, next, err := h.control.DescribeParameterGroups(ctx, c.Scope, service, text(in.ParameterGroupName),
		control.Page{Most: number(in.MaxResults), Token: text(in.NextToken)})
	if err != nil {
		return nil, err
	}
	out := &mdbapi.DescribeParameterGroupsOutput{NextToken: shown(next), ParameterGroups: make([]mdbapi.ParameterGroup, len(groups))}
	for i, g := range groups {
		out.ParameterGroups[i] = *parameterGroupOut(g)
	}
	return out, nil
}

func (h handler) describeParameters(ctx context.Context, c *gateway.Call, in *mdbapi.DescribeParametersInput) (*mdbapi.DescribeParametersOutput, error) {
	p, err := h.control.DescribeParameters(ctx, control.DescribeParameters{Scope: c.Scope, Service: service, Group: text(in.ParameterGroupName),
		Page: control.Page{Most: number(in.MaxResults), Token: text(in.NextToken)}})
	if err != nil {
		return nil, err
	}
	out := &mdbapi.DescribeParametersOutput{NextToken: shown(p.Next), Parameters: make([]mdbapi.Parameter, len(p.List))}
	for i, v := range p.List {
		out.Parameters[i] = mdbapi.Parameter{Name: &v.Name, Value: shown(v.Value), Description: &v.Description, DataType: &v.Type,
			AllowedValues: shown(v.Allowed), MinimumEngineVersion: &v.Since}
	}
	return out, nil
}

func (h handler) updateParameterGroup(ctx context.Context, c *gateway.Call, in *mdbapi.UpdateParameterGroupInput) (*mdbapi.UpdateParameterGroupOutput, error) {
	changes := make([]control.NameValue, len(in.ParameterNameValues))
	for i, nv := range in.ParameterNameValues {
		changes[i] = control.NameValue{Name: text(nv.ParameterName), Value: text(nv.ParameterValue)}
	}
	g, err := h.control.ModifyParameters(ctx, c.Scope, service, text(in.ParameterGroupName), changes)
	if err != nil {
		return nil, err
	}
	return &mdbapi.UpdateParameterGroupOutput{ParameterGroup: parameterGroupOut(g)}, nil
}

func (h handler) resetParameterGroup(ctx context.Context, c *gateway.Call, in *mdbapi.ResetParameterGroupInput) (*mdbapi.ResetParameterGroupOutput, error) {
	g, err := h.control.ResetParameters(ctx, c.Scope, service, text(in.ParameterGroupName), in.AllParameters != nil && *in.AllParameters, in.ParameterNames)
	if err != nil {
		return nil, err
	}
	return &mdbapi.ResetParameterGroupOutput{ParameterGroup: parameterGroupOut(g)}, nil
}

func (h handler) deleteParameterGroup(ctx context.Context, c *gateway.Call, in *mdbapi.DeleteParameterGroupInput) (*mdbapi.DeleteParameterGroupOutput, error) {
	g, err := h.control.DeleteParameterGroup(ctx, c.Scope, service, text(in.ParameterGroupName))
	if err != nil {
		return nil, err
	}
	return &mdbapi.DeleteParameterGroupOutput{ParameterGroup: parameterGroupOut(g)}, nil
}

func (h handler) describeVersions(ctx context.Context, _ *gateway.Call, in *mdbapi.DescribeEngineVersionsInput) (*mdbapi.DescribeEngineVersionsOutput, error) {
	offers, next, err := h.control.DescribeVersions(ctx, control.DescribeVersions{Service: service, Engine: text(in.Engine), Version: text(in.EngineVersion),
		Family: text(in.ParameterGroupFamily), DefaultOnly: in.DefaultOnly != nil && *in.DefaultOnly, Most: number(in.MaxResults), Marker: text(in.NextToken)})
	if err != nil {
		return nil, err
	}
	out := &mdbapi.DescribeEngineVersionsOutput{NextToken: shown(next), EngineVersions: make([]mdbapi.EngineVersionInfo, len(offers))}
	for i, o := range offers {
		out.EngineVersions[i] = mdbapi.EngineVersionInfo{Engine: ptr(string(o.Engine)), EngineVersion: &o.Version,
			EnginePatchVersion: ptr(o.Binary.Version.String()), ParameterGroupFamily: &o.Family}
	}
	return out, nil
}

func (h handler) nodeTypes(ctx context.Context, c *gateway.Call, in *mdbapi.ListAllowedNodeTypeUpdatesInput) (*mdbapi.ListAllowedNodeTypeUpdatesOutput, error) {
	up, down, err := h.control.NodeTypesFor(ctx, control.NodeTypesFor{Scope: c.Scope, MemDB: text(in.ClusterName)})
	return &mdbapi.ListAllowedNodeTypeUpdatesOutput{ScaleUpNodeTypes: up, ScaleDownNodeTypes: down}, err
}
