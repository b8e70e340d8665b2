package control

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

const (
	day  = 24 * 60 // minutes
	week = 7 * day
)

// window is a span of minutes since the beginning of the week, or of the day; its end may lie in the next one.
type window struct{ start, length int }

var (
	weekWindow = regexp.MustCompile(`^(sun|mon|tue|wed|thu|fri|sat):(\d\d):(\d\d)-(sun|mon|tue|wed|thu|fri|sat):(\d\d):(\d\d)$`)
	dayWindow  = regexp.MustCompile(`^(\d\d):(\d\d)-(\d\d):(\d\d)$`)
)

const weekdays = "sunmontuewedthufrisat"

func clock(hh, mm string) (minutes int, ok bool) {
	var h, m int
	fmt.Sscanf(hh+" "+mm, "%d %d", &h, &m) //nolint:errcheck // two digits each
	return h*60 + m, h < 24 && m < 60
}

// parseMaintenance reads a maintenance window such as sun:05:00-sun:06:00.
func parseMaintenance(param, s string) (window, error) {
	m := weekWindow.FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return window{}, invalid(param, "The parameter %s must be of the form ddd:hh24:mi-ddd:hh24:mi, such as sun:05:00-sun:06:00; %q was given.", param, clip(s))
	}
	from, ok := clock(m[2], m[3])
	to, ok2 := clock(m[5], m[6])
	if !ok || !ok2 {
		return window{}, invalid(param, "%q is not a span of time in %s.", clip(s), param)
	}
	from += strings.Index(weekdays, m[1]) / 3 * day
	to += strings.Index(weekdays, m[4]) / 3 * day
	w := window{from, (to - from + week) % week}
	if w.length < 60 {
		return window{}, invalid(param, "Maintenance window must be at least 60 minutes.")
	}
	if w.length > day {
		return window{}, invalid(param, "Maintenance window must be at most 24 hours.")
	}
	return w, nil
}

// parseSnapshotWindow reads a daily window such as 03:00-04:00.
func parseSnapshotWindow(s string) (window, error) {
	m := dayWindow.FindStringSubmatch(s)
	if m == nil {
		return window{}, invalid("SnapshotWindow", "The parameter SnapshotWindow must be of the form hh24:mi-hh24:mi, such as 03:00-04:00; %q was given.", clip(s))
	}
	from, ok := clock(m[1], m[2])
	to, ok2 := clock(m[3], m[4])
	if !ok || !ok2 {
		return window{}, invalid("SnapshotWindow", "%q is not a span of time in SnapshotWindow.", clip(s))
	}
	w := window{from, (to - from + day) % day}
	if w.length < 60 {
		return window{}, invalid("SnapshotWindow", "Snapshot window must be at least 60 minutes.")
	}
	return w, nil
}

// overlap tells whether a daily window meets a weekly one on any day.
func overlap(weekly, daily window) bool {
	for d := range 7 {
		start := daily.start + d*day
		// Both may reach over the end of the week: compare on a ring.
		if after := (start - weekly.start + week) % week; after < weekly.length {
			return true
		}
		if after := (weekly.start - start + week) % week; after < daily.length {
			return true
		}
	}
	return false
}

// windows checks both windows of a cache and picks those that were not given: spread over the week and the night by the
// cache's identity, and never over each other.
func windows(kind resource.Kind, id, maintenance, snapshot string) (string, string, error) {
	param := named(kind, "PreferredMaintenanceWindow", "MaintenanceWindow")
	h := fnv.New32a()
	h.Write([]byte(id))
	sum := int(h.Sum32() & 0xffff)
	var weekly, daily window
	var err error
	if maintenance != "" {
		if weekly, err = parseMaintenance(param, maintenance); err != nil {
			return "", "", err
		}
	}
	if snapshot != "" {
		if daily, err = parseSnapshotWindow(snapshot); err != nil {
			return "", "", err
		}
		for try := sum; maintenance == ""; try++ {
			weekly = window{try%7*day + try/7%16*30, 60}
			if !overlap(weekly, daily) {
				break
			}
			if try > sum+7*16 { // nothing is left of the night
				weekly = window{(daily.start + daily.length) % day, 60}
				break
			}
		}
	} else {
		if maintenance == "" {
			weekly = window{sum%7*day + sum/7%16*30, 60}
		}
		for try := sum; ; try++ {
			daily = window{try % 48 * 30, 60}
			if !overlap(weekly, daily) || try > sum+48 {
				break
			}
		}
	}
	if overlap(weekly, daily) {
		return "", "", invalid("SnapshotWindow", "The snapshot window and maintenance window must not overlap.")
	}
	return weekly.weekly(), daily.daily(), nil
}

func (w window) weekly() string {
	text := func(at int) string {
		at %= week
		d := at / day * 3
		return fmt.Sprintf("%s:%02d:%02d", weekdays[d:d+3], at%day/60, at%60)
	}
	return text(w.start) + "-" + text(w.start+w.length)
}

func (w window) daily() string {
	text := func(at int) string { return fmt.Sprintf("%02d:%02d", at%day/60, at%60) }
	return text(w.start) + "-" + text(w.start+w.length)
}
