package elasticache

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

// service is the signing name, and where the control plane finds our groups.
const service = "elasticache"

// groupARN is the ARN of a parameter group or subnet group for policies; no name stands for all.
func groupARN(c *gateway.Call, typ string, name *string) string {
	if text(name) == "" {
		return "*"
	}
	return resource.ARN{Partition: resource.Partition(c.Scope.Region), Service: service, Region: c.Scope.Region, Account: c.Scope.Account,
		Type: typ, Name: stored(*name)}.String()
}

// parameterGroupRoutes serves cache parameter groups, engine defaults and node types.
func (h handler) parameterGroupRoutes(f *gateway.API) {
	arn := func(c *gateway.Call, name *string) string { return groupARN(c, "parametergroup", name) }
	gateway.Route(f, ecapi.OpCreateCacheParameterGroup, func(c *gateway.Call, in *ecapi.CreateCacheParameterGroupInput) []policy.Need {
		return tagged(c, "CreateCacheParameterGroup", arn(c, in.CacheParameterGroupName), in.Tags)
	}, h.createParameterGroup)
	gateway.Route(f, ecapi.OpDescribeCacheParameterGroups, func(c *gateway.Call, in *ecapi.DescribeCacheParameterGroupsInput) []policy.Need {
		return need("DescribeCacheParameterGroups", arn(c, in.CacheParameterGroupName))
	}, h.describeParameterGroups)
	gateway.Route(f, ecapi.OpDescribeCacheParameters, func(c *gateway.Call, in *ecapi.DescribeCacheParametersInput) []policy.Need {
		return need("DescribeCacheParameters", arn(c, in.CacheParameterGroupName))
	}, h.describeParameters)
	gateway.Route(f, ecapi.OpModifyCacheParameterGroup, func(c *gateway.Call, in *ecapi.ModifyCacheParameterGroupInput) []policy.Need {
		return need("ModifyCacheParameterGroup", arn(c, in.CacheParameterGroupName))
	}, h.modifyParameterGroup)
	gateway.Route(f, ecapi.OpResetCacheParameterGroup, func(c *gateway.Call, in *ecapi.ResetCacheParameterGroupInput) []policy.Need {
		return need("ResetCacheParameterGroup", arn(c, in.CacheParameterGroupName))
	}, h.resetParameterGroup)
	gateway.Route(f, ecapi.OpDeleteCacheParameterGroup, func(c *gateway.Call, in *ecapi.DeleteCacheParameterGroupInput) []policy.Need {
		return need("DeleteCacheParameterGroup", arn(c, in.CacheParameterGroupName))
	}, h.deleteParameterGroup)
	gateway.Route(f, ecapi.OpDescribeEngineDefaultParameters, func(*gateway.Call, *ecapi.DescribeEngineDefaultParametersInput) []policy.Need {
		return need("DescribeEngineDefaultParameters", "*")
	}, h.engineDefaults)
	gateway.Route(f, ecapi.OpListAllowedNodeTypeModifications, func(c *gateway.Call, in *ecapi.ListAllowedNodeTypeModificationsInput) []policy.Need {
		if text(in.ReplicationGroupId) != "" {
			return need("ListAllowedNodeTypeModifications", groupARN(c, "replicationgroup", in.ReplicationGroupId))
		}
		return need("ListAllowedNodeTypeModifications", groupARN(c, "cluster", in.CacheClusterId))
	}, h.nodeTypes)
}

func parameterGroupOut(g *resource.ParameterGroup) *ecapi.CacheParameterGroup {
	arn, global := g.ARN(), false
	return &ecapi.CacheParameterGroup{CacheParameterGroupName: &g.Name, CacheParameterGroupFamily: &g.Family, Description: &g.Description,
		IsGlobal: &global, ARN: &arn}
}

func (h handler) createParameterGroup(ctx context.Context, c *gateway.Call, in *ecapi.CreateCacheParameterGroupInput) (*ecapi.CreateCacheParameterGroupOutput, error) {
	g, err := h.control.CreateParameterGroup(ctx, control.CreateParameterGroup{Scope: c.Scope, Service: service, Name: text(in.CacheParameterGroupName),
		Family: text(in.CacheParameterGroupFamily), Description: text(in.Description), Tags: tagsIn(in.Tags)})
	if err != nil {
		return nil, err
	}
	return &ecapi.CreateCacheParameterGroupOutput{CacheParameterGroup: parameterGroupOut(g)}, nil
}

func (h handler) describeParameterGroups(ctx context.Context, c *gateway.Call, in *ecapi.DescribeCacheParameterGroupsInput) (*ecapi.DescribeCacheParameterGroupsOutput, error) {
	groups, next, err := h.control.DescribeParameterGroups(ctx, c.Scope, service, text(in.CacheParameterGroupName),
		control.Page{Most: number(in.MaxRecords), Token: text(in.Marker)})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeCacheParameterGroupsOutput{Marker: shown(next), CacheParameterGroups: make([]ecapi.CacheParameterGroup, len(groups))}
	for i, g := range groups {
		out.CacheParameterGroups[i] = *parameterGroupOut(g)
	}
	return out, nil
}

func (h handler) describeParameters(ctx context.Context, c *gateway.Call, in *ecapi.DescribeCacheParametersInput) (*ecapi.DescribeCacheParametersOutput, error) {
	p, err := h.control.DescribeParameters(ctx, control.DescribeParameters{Scope: c.Scope, Service: service, Group: text(in.CacheParameterGroupName),
		Source: text(in.Source), Page: control.Page{Most: number(in.MaxRecords), Token: text(in.Marker)}})
	if err != nil {
		return nil, err
	}
	return &ecapi.DescribeCacheParametersOutput{Marker: shown(p.Next), Parameters: parametersOut(p.List),
		CacheNodeTypeSpecificParameters: nodeTypeParametersOut(p.NodeTypes)}, nil
}

func parametersOut(list []control.ParameterValue) []ecapi.Parameter {
	out := make([]ecapi.Parameter, len(list))
	for i, p := range list {
		change := changeType(p.Parameter)
		out[i] = ecapi.Parameter{ParameterName: &p.Name, ParameterValue: shown(p.Value), Description: &p.Description, Source: &p.Source, DataType: &p.Type,
			AllowedValues: shown(p.Allowed), IsModifiable: &p.Modifiable, MinimumEngineVersion: &p.Since, ChangeType: &change}
	}
	return out
}

func nodeTypeParametersOut(list []engine.NodeTypeParameter) []ecapi.CacheNodeTypeSpecificParameter {
	out := make([]ecapi.CacheNodeTypeSpecificParameter, len(list))
	for i, p := range list {
		change, system := changeType(p.Parameter), "system"
		out[i] = ecapi.CacheNodeTypeSpecificParameter{ParameterName: &p.Name, Description: &p.Description, Source: &system, DataType: &p.Type,
			AllowedValues: shown(p.Allowed), IsModifiable: &p.Modifiable, MinimumEngineVersion: &p.Since, ChangeType: &change}
		for _, v := range p.Values {
			out[i].CacheNodeTypeSpecificValues = append(out[i].CacheNodeTypeSpecificValues, ecapi.CacheNodeTypeSpecificValue{CacheNodeType: &v.NodeType, Value: &v.Value})
		}
	}
	return out
}

func changeType(p engine.Parameter) ecapi.ChangeType {
	if p.Reboot {
		return ecapi.ChangeTypeRequiresReboot
	}
	return ecapi.ChangeTypeImmediate
}

func (h handler) modifyParameterGroup(ctx context.Context, c *gateway.Call, in *ecapi.ModifyCacheParameterGroupInput) (*ecapi.ModifyCacheParameterGroupOutput, error) {
	changes := make([]control.NameValue, len(in.ParameterNameValues))
	for i, nv := range in.ParameterNameValues {
		changes[i] = control.NameValue{Name: text(nv.ParameterName), Value: text(nv.ParameterValue)}
	}
	g, err := h.control.ModifyParameters(ctx, c.Scope, service, text(in.CacheParameterGroupName), changes)
	if err != nil {
		return nil, err
	}
	return &ecapi.ModifyCacheParameterGroupOutput{CacheParameterGroupName: &g.Name}, nil
}

func (h handler) resetParameterGroup(ctx context.Context, c *gateway.Call, in *ecapi.ResetCacheParameterGroupInput) (*ecapi.ResetCacheParameterGroupOutput, error) {
	var names []string
	for _, nv := range in.ParameterNameValues {
		names = append(names, text(nv.ParameterName))
	}
	g, err := h.control.ResetParameters(ctx, c.Scope, service, text(in.CacheParameterGroupName), in.ResetAllParameters != nil && *in.ResetAllParameters, names)
	if err != nil {
		return nil, err
	}
	return &ecapi.ResetCacheParameterGroupOutput{CacheParameterGroupName: &g.Name}, nil
}

func (h handler) deleteParameterGroup(ctx context.Context, c *gateway.Call, in *ecapi.DeleteCacheParameterGroupInput) (*ecapi.DeleteCacheParameterGroupOutput, error) {
	_, err := h.control.DeleteParameterGroup(ctx, c.Scope, service, text(in.CacheParameterGroupName))
	return &ecapi.DeleteCacheParameterGroupOutput{}, err
}

func (h handler) engineDefaults(ctx context.Context, _ *gateway.Call, in *ecapi.DescribeEngineDefaultParametersInput) (*ecapi.DescribeEngineDefaultParametersOutput, error) {
	p, err := h.control.EngineDefaults(ctx, service, text(in.CacheParameterGroupFamily), control.Page{Most: number(in.MaxRecords), Token: text(in.Marker)})
	if err != nil {
		return nil, err
	}
	return &ecapi.DescribeEngineDefaultParametersOutput{EngineDefaults: &ecapi.EngineDefaults{CacheParameterGroupFamily: &p.Family, Marker: shown(p.Next),
		Parameters: parametersOut(p.List), CacheNodeTypeSpecificParameters: nodeTypeParametersOut(p.NodeTypes)}}, nil
}

func (h handler) nodeTypes(ctx context.Context, c *gateway.Call, in *ecapi.ListAllowedNodeTypeModificationsInput) (*ecapi.ListAllowedNodeTypeModificationsOutput, error) {
	up, down, err := h.control.NodeTypesFor(ctx, control.NodeTypesFor{Scope: c.Scope, Cluster: text(in.CacheClusterId), Group: text(in.ReplicationGroupId)})
	return &ecapi.ListAllowedNodeTypeModificationsOutput{ScaleUpModifications: up, ScaleDownModifications: down}, err
}
