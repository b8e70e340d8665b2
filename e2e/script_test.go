package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Sessions at a terminal: each of testdata/*.txt with the real binary, and a server of its own if it is about one.
func TestScripts(t *testing.T) {
	t.Parallel()
	scripts, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, script := range scripts {
		name := strings.TrimSuffix(filepath.Base(script), ".txt")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"PATH=" + filepath.Dir(binary) + string(os.PathListSeparator) + os.Getenv("PATH")}
			if strings.HasPrefix(name, "aws") {
				awsCommand(t)
			}
			if name != "usage" {
				s := serve(t)
				env = append(env, "DATA="+s.dir)
				for _, e := range s.environ() {
					if strings.HasPrefix(e, "AWS_") || strings.HasPrefix(e, "HOME=") { // what is on PATH may need the home of who runs it
						env = append(env, e)
					}
				}
			}
			testscript.Run(t, testscript.Params{
				Files: []string{script},
				Setup: func(e *testscript.Env) error {
					e.Vars = append(e.Vars, env...)
					return nil
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){"until": waitFor, "exits": exits, "keep": keep},
			})
		})
	}
}

// awsCommand skips the test unless the aws command is there and knows serverless snapshots.
func awsCommand(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("aws is not installed")
	}
	cmd := exec.Command(path, "elasticache", "create-serverless-cache-snapshot")
	cmd.Env = append(os.Environ(), "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1")
	out, _ := cmd.CombinedOutput() // it fails either way: for want of arguments, or of the command
	if !strings.Contains(string(out), "--serverless-cache-snapshot-name") {
		t.Skip("aws is too old to know create-serverless-cache-snapshot")
	}
}

// waitFor runs a command until its output matches; that output can be checked then: until PATTERN COMMAND ARGS...
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND ARGS...")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		out, err := run(ts, args[1:])
		if pattern.Match(out) {
			ts.Stdout().Write(out)
			return
		}
		if err != nil {
			ts.Fatalf("%v\n%s", err, out)
		}
	}
	ts.Fatalf("%q never matched the output of %q", args[0], args[1:])
}

// run runs a command with the script's environment and returns all that it prints.
func run(ts *testscript.TestScript, args []string) ([]byte, error) {
	path, err := exec.LookPath(args[0])
	if args[0] == "keyframe" {
		path, err = binary, nil
	}
	ts.Check(err)
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "AWS_ENDPOINT_URL", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_REGION", "AWS_DEFAULT_REGION", "KEYFRAME_NOPE", "KEYFRAME_WORKERS"} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	return cmd.CombinedOutput()
}

// exits checks the exit code of a command and what it prints: exits CODE PATTERN COMMAND ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: exits CODE PATTERN COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	out, err := run(ts, args[2:])
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want || !pattern.Match(out) {
		ts.Fatalf("%q exits with %d and prints:\n%s", args[2:], got, out)
	}
}

// keep puts words of the last command's output into variables, in order: keep NAME...
func keep(ts *testscript.TestScript, neg bool, args []string) {
	words := strings.Fields(ts.ReadFile("stdout"))
	if neg || len(words) < len(args) {
		ts.Fatalf("usage: keep NAME...; the last command printed %q", words)
	}
	for i, name := range args {
		ts.Setenv(name, words[i])
	}
}
