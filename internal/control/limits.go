package control

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

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

// lifted are limits without zeros: a change to zero takes a limit away.
func lifted(l resource.Limits) resource.Limits {
	for _, v := range []**int64{&l.MinGB, &l.MaxGB, &l.MinECPU, &l.MaxECPU} {
		if *v != nil && **v == 0 {
			*v = nil
		}
	}
	return l
}

// Lengths that AWS documents, in characters, and the greatest length of an object key, in bytes.
const (
	longestDescription = 255
	longestKeyRef      = 2048
	longestObjectKey   = 1024
)

// bucketName is wider than S3's present rule: old buckets, and those of other makers, have names that it would refuse.
var bucketName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$`)

func checkDescription(s string) error {
	if n := utf8.RuneCountInString(s); n > longestDescription {
		return invalid("Description", "Description must have at most %d characters; %d were given.", longestDescription, n)
	}
	return nil
}

// checkKeyRef keeps what cannot name a key from providers and messages.
func checkKeyRef(ref string) error {
	if n := utf8.RuneCountInString(ref); n > longestKeyRef {
		return invalid("KmsKeyId", "KmsKeyId must have at most %d characters; %d were given.", longestKeyRef, n)
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
