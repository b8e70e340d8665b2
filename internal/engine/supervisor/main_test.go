package supervisor_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

const victimDir = "KEYFRAME_TEST_VICTIM_DIR"

// TestMain lets the test binary be a supervisor that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		victim(dir)
	}
	goleak.VerifyTestMain(m)
}

func victim(dir string) {
	err := func() error {
		ctx := context.Background()
		c, err := supervisor.Discover(ctx)
		if err != nil {
			return err
		}
		s, err := supervisor.New(supervisor.Options{Dir: dir})
		if err != nil {
			return err
		}
		fmt.Println("begin")
		if _, err := s.Create(ctx, victimSpec(c, resource.Engine(os.Getenv("KEYFRAME_TEST_ENGINE")))); err != nil {
			return err
		}
		if err := s.Start(ctx, "n"); err != nil {
			return err
		}
		if err := s.WaitReady(ctx, "n", nil); err != nil {
			return err
		}
		fmt.Println("ready", s.PID("n"))
		time.Sleep(time.Hour) // until killed
		return nil
	}()
	fmt.Println(err)
	os.Exit(1)
}

func victimSpec(c *engine.Catalog, e resource.Engine) supervisor.Spec {
	choice, err := c.Resolve(e, "")
	if err != nil {
		panic(err)
	}
	return supervisor.Spec{ID: "n", Engine: e, Binary: choice.Binary, Password: engine.NewSecret("only for tests")}
}

// spec describes a node for a test.
func spec(t *testing.T, id string, e resource.Engine) supervisor.Spec {
	t.Helper()
	choice, err := kftest.Catalog(t).Resolve(e, "")
	if err != nil {
		t.Fatal(err)
	}
	return supervisor.Spec{ID: id, Engine: e, Binary: choice.Binary, Password: engine.RandomSecret()}
}

// run creates and starts a node and waits until it is ready.
func run(t *testing.T, s *supervisor.Supervisor, sp supervisor.Spec) supervisor.Node {
	t.Helper()
	ctx := kftest.Context(t)
	n, err := s.Create(ctx, sp)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx, sp.ID); err != nil {
		t.Fatal(err)
	}
	kftest.Guard(t, s.PID(sp.ID))
	if err := s.WaitReady(ctx, sp.ID, nil); err != nil {
		t.Fatal(err)
	}
	return n
}

// each runs a test for each engine that speaks RESP.
func each(t *testing.T, f func(*testing.T, resource.Engine)) {
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		t.Run(string(e), func(t *testing.T) { t.Parallel(); f(t, e) })
	}
}
