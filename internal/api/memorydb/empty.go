package memorydb

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// emptyByNature are operations that are served, and whose true answer is always an empty list or that a thing does not exist.
var emptyByNature = map[string]string{
	"DescribeMultiRegionClusters":          "a multi-Region cluster spans regions, and a server is one place",
	"DescribeMultiRegionParameterGroups":   "a multi-Region cluster spans regions, and a server is one place",
	"DescribeMultiRegionParameters":        "a multi-Region cluster spans regions, and a server is one place",
	"DescribeReservedNodes":                "there is nothing to reserve on one's own machines",
	"DescribeReservedNodesOfferings":       "there is nothing to reserve on one's own machines",
	"DescribeServiceUpdates":               "no service update is ever released: engines are upgraded with the machine",
	"ListAllowedMultiRegionClusterUpdates": "a multi-Region cluster spans regions, and a server is one place",
}

// emptyRoutes serves what is empty by nature: service updates and reserved nodes.
func (h handler) emptyRoutes(f *gateway.API) {
	routeEmpty(h, f, mdbapi.OpDescribeServiceUpdates, func(in *mdbapi.DescribeServiceUpdatesInput) (control.Nothing, *mdbapi.DescribeServiceUpdatesOutput) {
		return control.Nothing{Page: page(in.MaxResults, in.NextToken)}, // the API has no fault for one that is named and does not exist
			&mdbapi.DescribeServiceUpdatesOutput{ServiceUpdates: []mdbapi.ServiceUpdate{}}
	})
	routeEmpty(h, f, mdbapi.OpDescribeReservedNodes, func(in *mdbapi.DescribeReservedNodesInput) (control.Nothing, *mdbapi.DescribeReservedNodesOutput) {
		return control.Nothing{Type: resource.TypeReservedNode, Name: text(in.ReservationId), NodeType: text(in.NodeType), Duration: text(in.Duration),
				Offering: text(in.OfferingType), Page: page(in.MaxResults, in.NextToken)},
			&mdbapi.DescribeReservedNodesOutput{ReservedNodes: []mdbapi.ReservedNode{}}
	})
	routeEmpty(h, f, mdbapi.OpDescribeReservedNodesOfferings, func(in *mdbapi.DescribeReservedNodesOfferingsInput) (control.Nothing, *mdbapi.DescribeReservedNodesOfferingsOutput) {
		return control.Nothing{Type: resource.TypeReservedOffering, Name: text(in.ReservedNodesOfferingId), NodeType: text(in.NodeType), Duration: text(in.Duration),
				Offering: text(in.OfferingType), Page: page(in.MaxResults, in.NextToken)},
			&mdbapi.DescribeReservedNodesOfferingsOutput{ReservedNodesOfferings: []mdbapi.ReservedNodesOffering{}}
	})
	routeEmpty(h, f, mdbapi.OpDescribeMultiRegionClusters, func(in *mdbapi.DescribeMultiRegionClustersInput) (control.Nothing, *mdbapi.DescribeMultiRegionClustersOutput) {
		return control.Nothing{Type: resource.TypeMultiRegion, Name: text(in.MultiRegionClusterName), Page: page(in.MaxResults, in.NextToken)},
			&mdbapi.DescribeMultiRegionClustersOutput{MultiRegionClusters: []mdbapi.MultiRegionCluster{}}
	})
	routeEmpty(h, f, mdbapi.OpListAllowedMultiRegionClusterUpdates, func(in *mdbapi.ListAllowedMultiRegionClusterUpdatesInput) (control.Nothing, *mdbapi.ListAllowedMultiRegionClusterUpdatesOutput) {
		return control.Nothing{Type: resource.TypeMultiRegion, Name: text(in.MultiRegionClusterName)}, &mdbapi.ListAllowedMultiRegionClusterUpdatesOutput{}
	})
	routeEmpty(h, f, mdbapi.OpDescribeMultiRegionParameterGroups, func(in *mdbapi.DescribeMultiRegionParameterGroupsInput) (control.Nothing, *mdbapi.DescribeMultiRegionParameterGroupsOutput) {
		return control.Nothing{Type: resource.TypeMultiRegionGroup, Name: text(in.MultiRegionParameterGroupName), Page: page(in.MaxResults, in.NextToken)},
			&mdbapi.DescribeMultiRegionParameterGroupsOutput{MultiRegionParameterGroups: []mdbapi.MultiRegionParameterGroup{}}
	})
	routeEmpty(h, f, mdbapi.OpDescribeMultiRegionParameters, func(in *mdbapi.DescribeMultiRegionParametersInput) (control.Nothing, *mdbapi.DescribeMultiRegionParametersOutput) {
		return control.Nothing{Type: resource.TypeMultiRegionGroup, Name: text(in.MultiRegionParameterGroupName), Page: page(in.MaxResults, in.NextToken)},
			&mdbapi.DescribeMultiRegionParametersOutput{MultiRegionParameters: []mdbapi.MultiRegionParameter{}}
	})
}

func page(most *int32, token *string) control.Page {
	return control.Page{Most: number(most), Token: text(token)}
}

// routeEmpty serves an operation that asks for nothing.
func routeEmpty[In, Out any](h handler, f *gateway.API, op wire.Op[In, Out], ask func(*In) (control.Nothing, *Out)) {
	gateway.Route(f, op, func(c *gateway.Call, _ *In) []policy.Need { return need(c, op.Name, "", nil) },
		func(ctx context.Context, _ *gateway.Call, in *In) (*Out, error) {
			n, out := ask(in)
			n.Service = service
			return out, h.control.Nothing(ctx, n)
		})
}
