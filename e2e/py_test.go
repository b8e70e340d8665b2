package e2e

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The waiters and paginators of botocore. The program in e2e/py knows nothing of Keyframe.
func TestPython(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed")
	}
	if err := exec.Command(python, "-c", "import boto3; s = boto3.Session(); assert {'elasticache', 'memorydb'} <= set(s.get_available_services())").Run(); err != nil {
		t.Skip("boto3 is not installed, or knows no MemoryDB")
	}
	s := serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, "main.py")
	cmd.Dir, cmd.Env = "py", s.environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), "every waiter and every paginator came to its end") {
		t.Errorf("it ended with %q", out)
	}
}
