package dataset

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/kftest"
)

// The end of the time that was given is no error, whoever notices it first.
func TestMutateEndsWithItsTime(t *testing.T) {
	t.Parallel()
	at := At(kftest.Engine(t, engine.Valkey).Addr())
	spec := Spec{Keys: 200, Seed: 1}
	if _, err := Fill(t.Context(), at, spec); err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := Mutate(ctx, at, spec, nil)
		var dial *net.OpError // whose time was up before it was connected
		if err != nil && !(errors.As(err, &dial) && dial.Op == "dial" && dial.Timeout()) {
			t.Fatalf("run %d: %v", i, err)
		}
		cancel()
	}
}
