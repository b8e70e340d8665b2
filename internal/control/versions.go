package control

import (
	"context"
	"regexp"
	"strings"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

// DescribeVersions says which engine versions are asked for. Empty fields were not given.
type DescribeVersions struct {
	Engine      string
	Version     string
	Family      string
	DefaultOnly bool // only the newest of each engine, or of the family that is named
	Most        *int // 20 to 100
	Marker      string
}

// DescribeVersions lists what can run on this machine: versions without an installed binary are left out.
func (c *Control) DescribeVersions(_ context.Context, in DescribeVersions) (offers []engine.Offer, marker string, err error) {
	most := 100
	if in.Most != nil {
		most = *in.Most
	}
	if most < 20 || most > 100 {
		return nil, "", invalid("MaxRecords", "MaxRecords must be between 20 and 100; %d was given.", most)
	}
	all := c.engines.Offers(resource.Engine(strings.ToLower(in.Engine)))
	for i, o := range all {
		last := i == len(all)-1 || all[i+1].Engine != o.Engine
		if in.Family != "" {
			last = i == len(all)-1 || all[i+1].Family != o.Family
		}
		if in.Version != "" && o.Version != in.Version || in.Family != "" && o.Family != in.Family || in.DefaultOnly && !last {
			continue
		}
		offers = append(offers, o)
	}
	if in.Marker != "" {
		after, _, err := Page{Token: in.Marker}.start(1)
		if err != nil {
			return nil, "", invalid("Marker", "The Marker is not one that this service gave out.")
		}
		for len(offers) > 0 && offerKey(offers[0]) != after {
			offers = offers[1:]
		}
		if len(offers) > 0 {
			offers = offers[1:]
		}
	}
	if len(offers) > most {
		offers = offers[:most]
		marker = token(offerKey(offers[most-1]))
	}
	return offers, marker, nil
}

func offerKey(o engine.Offer) string { return string(o.Engine) + " " + o.Version }

var majorVersion = regexp.MustCompile(`^[0-9]{1,2}(\.[0-9]{1,2})?$`)

// serverlessVersion finds what runs a serverless cache of this engine and major version; empty stands for the newest.
func (c *Control) serverlessVersion(e resource.Engine, major string) (engine.Choice, error) {
	if major != "" && !majorVersion.MatchString(major) {
		return engine.Choice{}, invalid("MajorEngineVersion", "%q is not a major version of an engine.", clip(major))
	}
	choice, err := c.engines.Resolve(e, major)
	if err == nil && major != "" && choice.Major != major {
		return choice, invalid("MajorEngineVersion", "%s %s is not a major version; %s is.", e, major, choice.Major)
	}
	return choice, err
}
