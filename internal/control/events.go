package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// EventsKept is how long events are told.
const EventsKept = 14 * 24 * time.Hour

// DescribeEvents says which part of the story is asked for. Nil and empty fields were not given.
type DescribeEvents struct {
	Scope    resource.Scope
	Service  string
	Source   string // name of the resource; needs SourceType
	Type     string
	From, To *time.Time
	Minutes  *int // length of the period; 60 when neither it nor From is given
	Most     *int // 20 to 100, in MemoryDB from 1
	Marker   string
}

// mostEvents bounds a page.
const mostEvents = 100

// eventWords are the names that a service gives to the parameters, and the types of sources that it knows.
type eventWords struct {
	source, most, marker string
	least                int
	types                []string
}

var (
	ecWords = eventWords{source: "SourceIdentifier", most: "MaxRecords", marker: "Marker", least: 20, types: []string{"cache-cluster", "cache-parameter-group",
		"cache-security-group", "cache-subnet-group", "replication-group", "serverless-cache", "serverless-cache-snapshot", "user", "user-group"}}
	mdbWords = eventWords{source: "SourceName", most: "MaxResults", marker: "NextToken", least: 1,
		types: []string{"node", "parameter-group", "subnet-group", "cluster", "user", "acl"}}
)

// DescribeEvents lists events, newest first.
func (c *Control) DescribeEvents(ctx context.Context, in DescribeEvents) (events []resource.Event, marker string, err error) {
	words := ecWords
	if in.Service == "memorydb" {
		words = mdbWords
	}
	if in.Source != "" && in.Type == "" {
		return nil, "", conflicting("SourceType must be given when %s is.", words.source)
	}
	if in.Type != "" && !slices.Contains(words.types, in.Type) {
		return nil, "", invalid("SourceType", "SourceType must be one of %s; %q was given.", strings.Join(words.types, ", "), clip(in.Type))
	}
	most := mostEvents
	if in.Most != nil {
		most = *in.Most
	}
	if most < words.least || most > mostEvents {
		return nil, "", invalid(words.most, "%s must be between %d and %d; %d was given.", words.most, words.least, mostEvents, most)
	}
	from, to, err := in.period(c.now())
	if err != nil {
		return nil, "", err
	}
	f := metastore.EventFilter{Scope: in.Scope, Service: in.Service, SourceType: in.Type, SourceID: oldName(in.Source), From: from, To: to, Limit: most}
	if in.Marker != "" {
		if f.Before, _, err = (Page{Token: in.Marker}).start(1); err != nil {
			return nil, "", invalid(words.marker, "The %s is not one that this service gave out.", words.marker)
		}
	}
	var next string
	err = c.db.View(ctx, func(tx *metastore.Tx) (err error) {
		events, next, err = tx.Events(f)
		return err
	})
	if next != "" {
		marker = token(next)
	}
	return events, marker, err
}

// period is the span of time that is asked for: to its end, or from its beginning for its length, or up to now.
func (in *DescribeEvents) period(now time.Time) (from, to time.Time, err error) {
	length := time.Hour
	if in.Minutes != nil {
		if *in.Minutes < 1 || *in.Minutes > int(EventsKept.Minutes()) {
			return from, to, invalid("Duration", "Duration must be between 1 and %d minutes; %d was given.", int(EventsKept.Minutes()), *in.Minutes)
		}
		length = time.Duration(*in.Minutes) * time.Minute
	}
	switch {
	case in.From != nil && in.To != nil:
		if in.Minutes != nil {
			return from, to, conflicting("Of StartTime, EndTime and Duration at most two may be given.")
		}
		from, to = *in.From, *in.To
	case in.From != nil:
		from, to = *in.From, now
		if in.Minutes != nil {
			to = from.Add(length)
		}
	case in.To != nil:
		from, to = in.To.Add(-length), *in.To
	default:
		from, to = now.Add(-length), now
	}
	if from.After(to) {
		return from, to, conflicting("StartTime must not be after EndTime.")
	}
	return from, to, nil
}
