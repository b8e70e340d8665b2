package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The main job, and clusters across a failover, through the AWS SDK for JavaScript and ioredis. The programs in e2e/js know nothing of Keyframe.
func TestJavaScript(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node is not installed")
	}
	if _, err := os.Stat("js/node_modules/.package-lock.json"); err != nil {
		missing(t, "the packages of e2e/js are not installed: make test-deps does it")
	}
	for program, says := range map[string]string{"main.js": "2 restored caches of 212 keys", "cluster.js": "a failover and a cluster of MemoryDB"} {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, node, program)
			cmd.Dir, cmd.Env = "js", s.environ()
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(string(out), says) {
				t.Errorf("it ended with %q", out)
			}
		})
	}
}

// missing skips a test for want of a tool that make test-deps looks after; in CI it has to be there.
func missing(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
}

// environ is the environment of a client of the server: what a user of the README sets, and nothing of the tester's own.
func (s *server) environ() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "KEYFRAME_") {
			env = append(env, e)
		}
	}
	return append(env, "AWS_ENDPOINT_URL="+s.url, "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(s.dir, "credentials"), "AWS_CONFIG_FILE="+filepath.Join(s.dir, "none"),
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1")
}
