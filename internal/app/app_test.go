package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/config"
	"github.com/keyframe/keyframe/internal/job"
	"github.com/keyframe/keyframe/internal/metastore"
)

func testConfig(t *testing.T) config.Config {
	c := config.Default()
	c.Data, c.Listen = filepath.Join(t.TempDir(), "data"), "127.0.0.1:0"
	return c
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// A server is ready as soon as it listens, lets nobody else at its data, and gives everything back when it is told to stop.
func TestLife(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	for range 2 { // the second life finds what the first left
		a, err := New(t.Context(), c, quiet)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		for path, want := range map[string]string{"/healthz": "ok\n", "/metrics": "go_goroutines "} {
			answer, err := http.Get(a.URL() + path)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(answer.Body)
			answer.Body.Close()
			if answer.StatusCode != http.StatusOK || !strings.Contains(string(text), want) {
				t.Errorf("%s: %d %.200s", path, answer.StatusCode, text)
			}
		}
		if _, err := New(t.Context(), c, quiet); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d", os.Getpid())) {
			t.Errorf("a second server on the same data: %v", err)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("it ended with %v", err)
		}
		if _, err := http.Get(a.URL() + "/healthz"); err == nil {
			t.Error("it still listens")
		}
	}
	info, err := os.Stat(filepath.Join(c.Data, "credentials"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("credentials: %v, %v", info, err)
	}
}

// A start that cannot be says why, and leaves the data free for the next.
func TestRefusedStarts(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*config.Config){
		"listen: ": func(c *config.Config) { c.Listen = "127.0.0.1:99999" },
		"endpoint": func(c *config.Config) { c.Export.Endpoint = "ftp://nowhere" },
		"vault":    func(c *config.Config) { c.KMS.Provider, c.KMS.VaultAddress = "vault", "not a url" },
	} {
		c := testConfig(t)
		change(&c)
		if _, err := New(t.Context(), c, quiet); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
		good := testConfig(t)
		good.Data = c.Data
		a, err := New(t.Context(), good, quiet)
		if err != nil {
			t.Fatalf("after a refused start: %v", err)
		}
		a.release()
	}
}

// A server that is told to stop before it began ends without complaint.
func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	a, err := New(t.Context(), testConfig(t), quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := a.Run(ctx); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// A request that does not end does not take the time from the jobs, which are stopped beside it.
func TestStopsJobsBesideRequests(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.ShutdownGrace = 2 * time.Second
	a, err := New(t.Context(), c, quiet)
	if err != nil {
		t.Fatal(err)
	}
	asked, works := make(chan struct{}), make(chan struct{})
	a.http.Handler = http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	a.queue.Register("slow", job.Kind{Run: func(ctx context.Context, _ *job.Running) error {
		close(works)
		<-ctx.Done()
		time.Sleep(100 * time.Millisecond) // it cleans up
		return context.Cause(ctx)
	}})
	if err := a.stores.DB.Update(t.Context(), func(tx *metastore.Tx) error {
		_, err := a.queue.Enqueue(tx, job.NewSpec("slow", "", nil))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	go func() {
		if answer, err := http.Get(a.URL()); err == nil {
			answer.Body.Close()
		}
	}()
	<-asked
	<-works
	stop()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "requests:") || strings.Contains(err.Error(), "jobs:") {
		t.Errorf("it ended with %v", err)
	}
}
