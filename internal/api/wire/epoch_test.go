package wire

import (
	"testing"
	"time"
)

func TestParseEpoch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"0": time.Unix(0, 0), "-0": time.Unix(0, 0), "1.5": time.Unix(1, 500_000_000), "-1.5": time.Unix(-2, 500_000_000), "-0.25": time.Unix(-1, 750_000_000),
		"239037543453.553": time.UnixMilli(239037543453553), "1480906813.1234567": time.UnixMicro(1480906813123456),
		"1.480906813e9": time.Unix(1480906813, 0), "15e-1": time.UnixMilli(1500), "1.5E0": time.UnixMilli(1500),
	} {
		if got, ok := parseEpoch(text); !ok || !got.Equal(want) {
			t.Errorf("%s is read as %v, %t; want %v", text, got, ok, want.UTC())
		}
	}
	for _, text := range []string{"", "x", "NaN", "1e400", "-1e400", "253402300800", "-62135596801"} {
		if got, ok := parseEpoch(text); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}
