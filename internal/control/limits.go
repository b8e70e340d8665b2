package control

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// The bounds that AWS documents for CacheUsageLimits.
const (
	mostGB    = 5000
	leastECPU = 1000
	mostECPU  = 15_000_000
)

func checkLimits(l resource.Limits) error {
	for _, bound := range []struct {
		param       string
		least, most int64
		min, max    *int64
	}{
		{"CacheUsageLimits.DataStorage", 1, mostGB, l.MinGB, l.MaxGB},
		{"CacheUsageLimits.ECPUPerSecond", leastECPU, mostECPU, l.MinECPU, l.MaxECPU},
	} {
		for what, v := range map[string]*int64{"Minimum": bound.min, "Maximum": bound.max} {
			if v != nil && (*v < bound.least || *v > bound.most) {
				return invalid(bound.param+"."+what, "%s.%s must be between %d and %d; %d was given.", bound.param, what, bound.least, bound.most, *v)
			}
		}
		if bound.min != nil && bound.max != nil && *bound.min > *bound.max {
			return invalid(bound.param, "%s: the minimum %d is above the maximum %d.", bound.param, *bound.min, *bound.max)
		}
	}
	return nil
}

var dayTime = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

func checkSchedule(retention int, daily string) error {
	if retention < 0 || retention > 35 {
		return invalid("SnapshotRetentionLimit", "SnapshotRetentionLimit must be between 0 and 35 days; %d was given.", retention)
	}
	if daily != "" && !dayTime.MatchString(daily) {
		return invalid("DailySnapshotTime", "DailySnapshotTime must be a time of day in UTC such as 05:00; %q was given.", clip(daily))
	}
	return nil
}

// older reports whether version a, such as "7" or "7.2", comes before version b.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(as) && i < len(bs); i++ {
		x, _ := strconv.Atoi(as[i])
		y, _ := strconv.Atoi(bs[i])
		if x != y {
			return x < y
		}
	}
	return false
}
