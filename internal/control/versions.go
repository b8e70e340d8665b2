package control

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

// DescribeVersions says which engine versions are asked for. Empty fields were not given.
type DescribeVersions struct {
	Service     string
	Engine      string
	Version     string
	Family      string
	DefaultOnly bool // only the newest of each engine, or of the family that is named
	Most        *int // ElastiCache: 20 to 100
	Marker      string
}

// DescribeVersions lists what can run on this machine: versions without an installed binary are left out.
func (c *Control) DescribeVersions(_ context.Context, in DescribeVersions) (offers []engine.Offer, marker string, err error) {
	after, most, err := Page{Most: in.Most, Token: in.Marker}.bounds(kinds(in.Service)[0])
	if err != nil {
		return nil, "", err
	}
	all := c.engines.OffersOf(in.Service, resource.Engine(strings.ToLower(in.Engine)))
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
	offers, marker = cut(offers, after, most, offerKey)
	return offers, marker, nil
}

// offerKey orders offers as they are listed: by engine, then version.
func offerKey(o engine.Offer) string {
	v, _ := engine.ParseVersion(o.Version)
	return fmt.Sprintf("%s %03d.%03d.%03d", o.Engine, v.Major, max(v.Minor, 0), max(v.Patch, 0))
}

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
