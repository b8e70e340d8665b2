package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

// Nothing asks for things that one's own machines never have: service updates, reserved nodes, global datastores.
type Nothing struct {
	Service string
	Type    resource.Type // of the thing
	Name    string        // of the one that is asked for, empty for all
	Page    Page

	// Filters. Empty ones were not given; values that no such thing could have are refused.
	NodeType string
	Duration string // 1 or 3 years, or as many seconds
	Offering string // offering type
	Engine   string
	From, To *time.Time
}

// things are the words for what does not exist.
var things = map[resource.Type]string{
	resource.TypeServiceUpdate: "Service update", resource.TypeReservedNode: "Reserved node", resource.TypeReservedOffering: "Reserved nodes offering",
	resource.TypeGlobalGroup: "Global replication group", resource.TypeSecurityGroup: "Cache security group",
	resource.TypeMultiRegion: "Multi-Region cluster", resource.TypeMultiRegionGroup: "Multi-Region parameter group",
}

// offerings are the offering types of both services, old and new.
var offerings = []string{"No Upfront", "Partial Upfront", "All Upfront", "Heavy Utilization", "Medium Utilization", "Light Utilization"}

// Nothing checks a question whose true answer is an empty list. A thing that is named is not found.
func (c *Control) Nothing(_ context.Context, in Nothing) error {
	if _, _, err := in.Page.bounds(kinds(in.Service)[0]); err != nil {
		return err
	}
	if in.NodeType != "" {
		if _, err := engine.NodeTypeOf(in.Service, in.NodeType); err != nil {
			return err
		}
	}
	if in.Duration != "" && !slices.Contains([]string{"1", "3", "31536000", "94608000"}, in.Duration) {
		return invalid("Duration", "Duration must be 1 or 3 years, or 31536000 or 94608000 seconds; %q was given.", clip(in.Duration))
	}
	if in.Offering != "" && !slices.ContainsFunc(offerings, func(o string) bool { return strings.EqualFold(o, in.Offering) }) {
		return invalid("OfferingType", "OfferingType must be one of %s; %q was given.", strings.Join(offerings, ", "), clip(in.Offering))
	}
	if in.Engine != "" && !slices.Contains(engine.Engines(), resource.Engine(strings.ToLower(in.Engine))) {
		return invalid("Engine", "%q is not an engine.", clip(in.Engine))
	}
	if in.From != nil && in.To != nil && in.From.After(*in.To) {
		return conflicting("StartTime must not be after EndTime.")
	}
	if in.Name != "" {
		return resource.Errorf(resource.NotFound, in.Type, in.Name, "%s %s not found.", things[in.Type], clip(in.Name))
	}
	return nil
}
