package elasticache

import (
	"context"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/control"
)

func (h handler) addTags(ctx context.Context, c *gateway.Call, in *ecapi.AddTagsToResourceInput) (*ecapi.AddTagsToResourceOutput, error) {
	tags, err := h.control.AddTags(ctx, c.Scope, "elasticache", text(in.ResourceName), tagsIn(in.Tags))
	return &ecapi.AddTagsToResourceOutput{TagList: tagsOut(tags)}, err
}

func (h handler) removeTags(ctx context.Context, c *gateway.Call, in *ecapi.RemoveTagsFromResourceInput) (*ecapi.RemoveTagsFromResourceOutput, error) {
	tags, err := h.control.RemoveTags(ctx, c.Scope, "elasticache", text(in.ResourceName), in.TagKeys)
	return &ecapi.RemoveTagsFromResourceOutput{TagList: tagsOut(tags)}, err
}

func (h handler) listTags(ctx context.Context, c *gateway.Call, in *ecapi.ListTagsForResourceInput) (*ecapi.ListTagsForResourceOutput, error) {
	tags, err := h.control.Tags(ctx, c.Scope, "elasticache", text(in.ResourceName))
	return &ecapi.ListTagsForResourceOutput{TagList: tagsOut(tags)}, err
}

func (h handler) describeEvents(ctx context.Context, c *gateway.Call, in *ecapi.DescribeEventsInput) (*ecapi.DescribeEventsOutput, error) {
	events, marker, err := h.control.DescribeEvents(ctx, control.DescribeEvents{
		Scope: c.Scope, Service: "elasticache", Source: text(in.SourceIdentifier), Type: text(in.SourceType), From: in.StartTime, To: in.EndTime,
		Minutes: number(in.Duration), Most: number(in.MaxRecords), Marker: text(in.Marker),
	})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeEventsOutput{Marker: shown(marker), Events: make([]ecapi.Event, len(events))}
	for i, e := range events {
		out.Events[i] = eventOut(e)
	}
	return out, nil
}

func (h handler) describeVersions(ctx context.Context, _ *gateway.Call, in *ecapi.DescribeCacheEngineVersionsInput) (*ecapi.DescribeCacheEngineVersionsOutput, error) {
	offers, marker, err := h.control.DescribeVersions(ctx, control.DescribeVersions{
		Service: service, Engine: text(in.Engine), Version: text(in.EngineVersion), Family: text(in.CacheParameterGroupFamily),
		DefaultOnly: in.DefaultOnly != nil && *in.DefaultOnly, Most: number(in.MaxRecords), Marker: text(in.Marker),
	})
	if err != nil {
		return nil, err
	}
	out := &ecapi.DescribeCacheEngineVersionsOutput{Marker: shown(marker), CacheEngineVersions: make([]ecapi.CacheEngineVersion, len(offers))}
	for i, o := range offers {
		out.CacheEngineVersions[i] = versionOut(o)
	}
	return out, nil
}
