package elasticache

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// emptyByNature are operations that are served, and whose true answer is always an empty list or that a thing does not exist.
var emptyByNature = map[string]string{
	"BatchApplyUpdateAction":              "no service update is ever released: engines are upgraded with the machine",
	"BatchStopUpdateAction":               "no service update is ever released: engines are upgraded with the machine",
	"DescribeCacheSecurityGroups":         "cache security groups belong to EC2-Classic, which is no more",
	"DescribeGlobalReplicationGroups":     "a global datastore spans regions, and a server is one place",
	"DescribeReservedCacheNodes":          "there is nothing to reserve on one's own machines",
	"DescribeReservedCacheNodesOfferings": "there is nothing to reserve on one's own machines",
	"DescribeServiceUpdates":              "no service update is ever released: engines are upgraded with the machine",
	"DescribeUpdateActions":               "no service update is ever released: engines are upgraded with the machine",
}

// emptyRoutes serves what is empty by nature: service updates and reserved nodes.
func (h handler) emptyRoutes(f *gateway.API) {
	routeEmpty(h, f, ecapi.OpDescribeServiceUpdates, func(in *ecapi.DescribeServiceUpdatesInput) (control.Nothing, *ecapi.DescribeServiceUpdatesOutput) {
		return control.Nothing{Type: resource.TypeServiceUpdate, Name: text(in.ServiceUpdateName), Page: page(in.MaxRecords, in.Marker)},
			&ecapi.DescribeServiceUpdatesOutput{ServiceUpdates: []ecapi.ServiceUpdate{}}
	})
	routeEmpty(h, f, ecapi.OpDescribeUpdateActions, func(in *ecapi.DescribeUpdateActionsInput) (control.Nothing, *ecapi.DescribeUpdateActionsOutput) {
		n := control.Nothing{Engine: text(in.Engine), Page: page(in.MaxRecords, in.Marker)} // of a named update there are no actions either
		if in.ServiceUpdateTimeRange != nil {
			n.From, n.To = in.ServiceUpdateTimeRange.StartTime, in.ServiceUpdateTimeRange.EndTime
		}
		return n, &ecapi.DescribeUpdateActionsOutput{UpdateActions: []ecapi.UpdateAction{}}
	})
	routeEmpty(h, f, ecapi.OpBatchApplyUpdateAction, func(in *ecapi.BatchApplyUpdateActionInput) (control.Nothing, *ecapi.BatchApplyUpdateActionOutput) {
		return control.Nothing{Type: resource.TypeServiceUpdate, Name: text(in.ServiceUpdateName)}, &ecapi.BatchApplyUpdateActionOutput{}
	})
	routeEmpty(h, f, ecapi.OpBatchStopUpdateAction, func(in *ecapi.BatchStopUpdateActionInput) (control.Nothing, *ecapi.BatchStopUpdateActionOutput) {
		return control.Nothing{Type: resource.TypeServiceUpdate, Name: text(in.ServiceUpdateName)}, &ecapi.BatchStopUpdateActionOutput{}
	})
	routeEmpty(h, f, ecapi.OpDescribeReservedCacheNodes, func(in *ecapi.DescribeReservedCacheNodesInput) (control.Nothing, *ecapi.DescribeReservedCacheNodesOutput) {
		return control.Nothing{Type: resource.TypeReservedNode, Name: text(in.ReservedCacheNodeId), NodeType: text(in.CacheNodeType), Duration: text(in.Duration),
				Offering: text(in.OfferingType), Engine: text(in.ProductDescription), Page: page(in.MaxRecords, in.Marker)},
			&ecapi.DescribeReservedCacheNodesOutput{ReservedCacheNodes: []ecapi.ReservedCacheNode{}}
	})
	routeEmpty(h, f, ecapi.OpDescribeReservedCacheNodesOfferings, func(in *ecapi.DescribeReservedCacheNodesOfferingsInput) (control.Nothing, *ecapi.DescribeReservedCacheNodesOfferingsOutput) {
		return control.Nothing{Type: resource.TypeReservedOffering, Name: text(in.ReservedCacheNodesOfferingId), NodeType: text(in.CacheNodeType),
				Duration: text(in.Duration), Offering: text(in.OfferingType), Engine: text(in.ProductDescription), Page: page(in.MaxRecords, in.Marker)},
			&ecapi.DescribeReservedCacheNodesOfferingsOutput{ReservedCacheNodesOfferings: []ecapi.ReservedCacheNodesOffering{}}
	})
	routeEmpty(h, f, ecapi.OpDescribeGlobalReplicationGroups, func(in *ecapi.DescribeGlobalReplicationGroupsInput) (control.Nothing, *ecapi.DescribeGlobalReplicationGroupsOutput) {
		return control.Nothing{Type: resource.TypeGlobalGroup, Name: text(in.GlobalReplicationGroupId), Page: page(in.MaxRecords, in.Marker)},
			&ecapi.DescribeGlobalReplicationGroupsOutput{GlobalReplicationGroups: []ecapi.GlobalReplicationGroup{}}
	})
	routeEmpty(h, f, ecapi.OpDescribeCacheSecurityGroups, func(in *ecapi.DescribeCacheSecurityGroupsInput) (control.Nothing, *ecapi.DescribeCacheSecurityGroupsOutput) {
		return control.Nothing{Type: resource.TypeSecurityGroup, Name: text(in.CacheSecurityGroupName), Page: page(in.MaxRecords, in.Marker)},
			&ecapi.DescribeCacheSecurityGroupsOutput{CacheSecurityGroups: []ecapi.CacheSecurityGroup{}}
	})
}

func page(most *int32, marker *string) control.Page {
	return control.Page{Most: number(most), Token: text(marker)}
}

// routeEmpty serves an operation that asks for nothing.
func routeEmpty[In, Out any](h handler, f *gateway.API, op wire.Op[In, Out], ask func(*In) (control.Nothing, *Out)) {
	gateway.Route(f, op, func(*gateway.Call, *In) []policy.Need { return need(op.Name, "*") },
		func(ctx context.Context, _ *gateway.Call, in *In) (*Out, error) {
			n, out := ask(in)
			n.Service = service
			return out, h.control.Nothing(ctx, n)
		})
}
