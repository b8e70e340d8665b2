package app

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/capture"
)

func TestMetricsOfCuts(t *testing.T) {
	t.Parallel()
	m := newMetrics(nil)
	m.registry.Unregister(&jobCollector{})
	m.cut(&capture.Cut{Instant: true, Pause: 12 * time.Millisecond, Fork: 9 * time.Millisecond})
	m.cut(&capture.Cut{Reason: "not allowed", Pause: time.Second})
	answer := httptest.NewRecorder()
	m.handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(answer.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`keyframe_snapshot_cuts_total{consistency="instant"} 1`, `keyframe_snapshot_cuts_total{consistency="shard"} 1`,
		`keyframe_snapshot_pause_seconds_sum{part="whole"} 0.012`, `keyframe_snapshot_pause_seconds_sum{part="added"} 0.003`,
		`keyframe_snapshot_pause_seconds_count{part="whole"} 1`,
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}
