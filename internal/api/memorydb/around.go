package memorydb

import (
	"context"
	"strings"

	"github.com/keyframe/keyframe/internal/api/gateway"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/auth/policy"
	"github.com/keyframe/keyframe/internal/control"
	"github.com/keyframe/keyframe/internal/resource"
)

// aroundRoutes serves tags and events.
func (h handler) aroundRoutes(f *gateway.API) {
	gateway.Route(f, mdbapi.OpTagResource, func(_ *gateway.Call, in *mdbapi.TagResourceInput) []policy.Need {
		conditions := map[string][]string{}
		for _, t := range in.Tags {
			conditions["aws:RequestTag/"+text(t.Key)] = []string{text(t.Value)}
			conditions["aws:TagKeys"] = append(conditions["aws:TagKeys"], text(t.Key))
		}
		return []policy.Need{{Action: service + ":TagResource", Resource: anyARN(in.ResourceArn), Conditions: conditions}}
	}, h.tagResource)
	gateway.Route(f, mdbapi.OpUntagResource, func(_ *gateway.Call, in *mdbapi.UntagResourceInput) []policy.Need {
		return []policy.Need{{Action: service + ":UntagResource", Resource: anyARN(in.ResourceArn), Conditions: map[string][]string{"aws:TagKeys": in.TagKeys}}}
	}, h.untagResource)
	gateway.Route(f, mdbapi.OpListTags, func(_ *gateway.Call, in *mdbapi.ListTagsInput) []policy.Need {
		return []policy.Need{{Action: service + ":ListTags", Resource: anyARN(in.ResourceArn)}}
	}, h.listTags)
	gateway.Route(f, mdbapi.OpDescribeEvents, func(*gateway.Call, *mdbapi.DescribeEventsInput) []policy.Need {
		return []policy.Need{{Action: service + ":DescribeEvents", Resource: "*"}}
	}, h.describeEvents)
}

// anyARN is what the client named, if it is an ARN at all; if not, the handler says so.
func anyARN(s *string) string {
	if a, ok := resource.ParseARN(text(s)); ok {
		a.Name = strings.ToLower(strings.TrimSpace(a.Name))
		return a.String()
	}
	return "*"
}

func (h handler) tagResource(ctx context.Context, c *gateway.Call, in *mdbapi.TagResourceInput) (*mdbapi.TagResourceOutput, error) {
	tags, err := h.control.AddTags(ctx, c.Scope, service, text(in.ResourceArn), tagsIn(in.Tags))
	return &mdbapi.TagResourceOutput{TagList: tagsOut(tags)}, err
}

func (h handler) untagResource(ctx context.Context, c *gateway.Call, in *mdbapi.UntagResourceInput) (*mdbapi.UntagResourceOutput, error) {
	tags, err := h.control.RemoveTags(ctx, c.Scope, service, text(in.ResourceArn), in.TagKeys)
	return &mdbapi.UntagResourceOutput{TagList: tagsOut(tags)}, err
}

func (h handler) listTags(ctx context.Context, c *gateway.Call, in *mdbapi.ListTagsInput) (*mdbapi.ListTagsOutput, error) {
	tags, err := h.control.Tags(ctx, c.Scope, service, text(in.ResourceArn))
	return &mdbapi.ListTagsOutput{TagList: tagsOut(tags)}, err
}

func (h handler) describeEvents(ctx context.Context, c *gateway.Call, in *mdbapi.DescribeEventsInput) (*mdbapi.DescribeEventsOutput, error) {
	events, next, err := h.control.DescribeEvents(ctx, control.DescribeEvents{
		Scope: c.Scope, Service: service, Source: text(in.SourceName), Type: enum(in.SourceType), From: in.StartTime, To: in.EndTime,
		Minutes: number(in.Duration), Most: number(in.MaxResults), Marker: text(in.NextToken),
	})
	if err != nil {
		return nil, err
	}
	out := &mdbapi.DescribeEventsOutput{NextToken: shown(next), Events: make([]mdbapi.Event, len(events))}
	for i, e := range events {
		out.Events[i] = mdbapi.Event{SourceName: &e.SourceID, SourceType: ptr(mdbapi.SourceType(e.SourceType)), Message: &e.Message, Date: stamp(e.At)}
	}
	return out, nil
}
