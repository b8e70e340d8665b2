package control

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/resource"
)

func TestWindows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ maintenance, snapshot, refused string }{
		{"sun:05:00-sun:06:00", "03:00-04:00", ""},
		{"SUN:05:00-SUN:06:00", "03:00-05:00", ""},
		{"sat:23:30-sun:00:30", "00:30-01:30", ""},
		{"sun:05:00-sun:05:59", "", "Maintenance window must be at least 60 minutes."},
		{"sun:05:00-tue:05:00", "", "Maintenance window must be at most 24 hours."},
		{"", "03:00-03:59", "Snapshot window must be at least 60 minutes."},
		{"sun:05:00-sun:06:00", "05:30-06:30", "The snapshot window and maintenance window must not overlap."},
		{"sat:23:30-sun:00:30", "00:00-01:00", "The snapshot window and maintenance window must not overlap."},
		{"sat:23:30-sun:00:30", "23:00-00:10", "The snapshot window and maintenance window must not overlap."},
		{"sun:00:00-sun:01:00", "23:30-00:30", "The snapshot window and maintenance window must not overlap."},
		{"sun:25:00-sun:26:00", "", `"sun:25:00-sun:26:00" is not a span of time in PreferredMaintenanceWindow.`},
		{"", "3-4", `The parameter SnapshotWindow must be of the form hh24:mi-hh24:mi, such as 03:00-04:00; "3-4" was given.`},
	} {
		m, s, err := windows(resource.ReplicationGroup, "id", c.maintenance, c.snapshot)
		if got := errorText(err); got != c.refused {
			t.Errorf("%q %q: %q, want %q", c.maintenance, c.snapshot, got, c.refused)
		}
		if err == nil && (m == "" || s == "") {
			t.Errorf("%q %q became %q %q", c.maintenance, c.snapshot, m, s)
		}
	}
}

// What is picked can be given, and then stays.
func TestWindowsThatArePicked(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		id, maintenance, snapshot := rapid.String().Draw(rt, "id"), "", ""
		if rapid.Bool().Draw(rt, "maintenance given") {
			maintenance = window{rapid.IntRange(0, week-1).Draw(rt, "start"), rapid.IntRange(60, day-120).Draw(rt, "length")}.weekly()
		} else if rapid.Bool().Draw(rt, "snapshot given") {
			snapshot = window{rapid.IntRange(0, day-1).Draw(rt, "start"), rapid.IntRange(60, day-120).Draw(rt, "length")}.daily()
		}
		m, s, err := windows(resource.CacheCluster, id, maintenance, snapshot)
		if err != nil || maintenance != "" && m != maintenance || snapshot != "" && s != snapshot {
			rt.Fatalf("%q %q became %q %q: %v", maintenance, snapshot, m, s, err)
		}
		m2, s2, err := windows(resource.CacheCluster, "another", m, s)
		if err != nil || m2 != m || s2 != s {
			rt.Fatalf("%q %q came back as %q %q: %v", m, s, m2, s2, err)
		}
	})
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func FuzzWindows(f *testing.F) {
	f.Add("sun:05:00-sun:06:00", "03:00-04:00")
	f.Add("sat:23:30-sun:00:30", "23:00-00:10")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, maintenance, snapshot string) {
		m, s, err := windows(resource.MemoryDBCluster, "id", maintenance, snapshot)
		if err != nil {
			return
		}
		weekly, err := parseMaintenance("MaintenanceWindow", m)
		daily, err2 := parseSnapshotWindow(s)
		if err != nil || err2 != nil || overlap(weekly, daily) {
			t.Fatalf("%q and %q become %q and %q: %v %v", maintenance, snapshot, m, s, err, err2)
		}
	})
}
