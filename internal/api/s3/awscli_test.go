package s3_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cli runs the aws CLI against a server as alice.
type cli struct {
	t    *testing.T
	home string
	url  string
}

func newCLI(t *testing.T) *cli {
	t.Helper()
	if _, err := exec.LookPath("aws"); err != nil {
		t.Skip("the aws CLI is not on PATH")
	}
	if out, err := exec.Command("aws", "--version").CombinedOutput(); err != nil {
		t.Skipf("the aws CLI on PATH does not run: %v: %s", err, out)
	}
	return &cli{t, t.TempDir(), newServer(t).URL}
}

func (c *cli) try(args ...string) (string, error) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "aws", append([]string{"--endpoint-url", c.url}, args...)...)
	cmd.Dir = c.home
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=AKIA"+alice, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+filepath.Join(c.home, "config"), "AWS_SHARED_CREDENTIALS_FILE="+filepath.Join(c.home, "none"), "AWS_SESSION_TOKEN=")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	return out.String() + errs.String(), err
}

func (c *cli) run(args ...string) string {
	c.t.Helper()
	out, err := c.try(args...)
	if err != nil {
		c.t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func TestAWSCLI(t *testing.T) {
	t.Parallel()
	c := newCLI(t)
	// Each run of the CLI takes seconds: few runs, each of which says much.
	small, large := randomBytes(1000), randomBytes(20<<20) // it uploads in parts from 8 MiB on
	if err := os.Mkdir(filepath.Join(c.home, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"small file.rdb": small, "large.rdb": large} {
		if err := os.WriteFile(filepath.Join(c.home, "dir", name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c.run("s3", "mb", "s3://exports")
	c.run("s3", "cp", "--recursive", "dir", "s3://exports/dir")
	c.run("s3", "cp", "s3://exports/dir/large.rdb", "s3://exports/copy.rdb")
	c.run("s3", "cp", "s3://exports/copy.rdb", "back")
	if back, err := os.ReadFile(filepath.Join(c.home, "back")); err != nil || !bytes.Equal(back, large) {
		t.Errorf("%d bytes came back of %d, %v", len(back), len(large), err)
	}
	if out := c.run("s3", "ls", "--recursive", "s3://exports"); !strings.Contains(out, "20971520 dir/large.rdb") || !strings.Contains(out, "1000 dir/small file.rdb") {
		t.Errorf("ls --recursive: %s", out)
	}
	if out, err := c.try("s3api", "put-object", "--bucket", "exports", "--key", "copy.rdb", "--body", "back", "--if-none-match", "*"); err == nil || !strings.Contains(out, "PreconditionFailed") {
		t.Errorf("put-object over an object: %v %s", err, out)
	}
	c.run("s3", "rb", "--force", "s3://exports")
	if out := c.run("s3", "ls"); strings.TrimSpace(out) != "" {
		t.Errorf("ls: %s", out)
	}
}
