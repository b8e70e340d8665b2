// Package e2e drives the real binary with real SDKs against real engines.
package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/keyframe/keyframe/internal/api/wire/wiretest"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
)

// binary is the program under test, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "keyframe-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "keyframe")
	build := exec.Command("go", "build", "-o", binary, "../cmd/keyframe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build keyframe:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// server is a data directory, and the keyframe process that runs on it now.
type server struct {
	t    *testing.T
	dir  string
	env  []string // beyond the test's own, such as KEYFRAME_FAILPOINT=...
	args []string
	url  string
	cmd  *exec.Cmd
	done chan struct{}
	log  string
}

// serve starts a server on a fresh data directory. At the end of the test it is stopped, and its engines are removed.
func serve(t *testing.T, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: filepath.Join(t.TempDir(), "data"), args: args}
	s.log = filepath.Join(filepath.Dir(s.dir), "server.log")
	t.Cleanup(func() {
		s.stop()
		s.removeEngines()
		if t.Failed() {
			text, _ := os.ReadFile(s.log)
			t.Logf("the server's log:\n%s", text[max(0, len(text)-8000):])
		}
	})
	s.start()
	return s
}

// start runs the binary on the data directory and returns when it serves.
func (s *server) start() {
	s.t.Helper()
	if err := s.tryStart(); err != nil {
		s.t.Fatal(err)
	}
}

// tryStart is start for a server that may die on its way, because a failpoint is armed.
func (s *server) tryStart() error {
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(binary, append([]string{"serve", "--data", s.dir, "--listen", "127.0.0.1:0", "--log-level", "debug"}, s.args...)...)
	s.cmd.Env = append(append(os.Environ(), s.env...), "KEYFRAME_CONFIG=")
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	line, readErr := bufio.NewReader(out).ReadString('\n')
	s.done = make(chan struct{})
	go func() {
		io.Copy(io.Discard, out)
		s.cmd.Wait()
		close(s.done)
	}()
	if readErr != nil {
		<-s.done
		return fmt.Errorf("the server ended before it served: %v", s.cmd.ProcessState)
	}
	_, rest, _ := strings.Cut(line, "serves ")
	s.url, _, _ = strings.Cut(rest, ";")
	return nil
}

// kill ends the process as a power cut would.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.done
}

// stop ends the process in order, and fails the test if that takes long.
func (s *server) stop() {
	if s.done == nil {
		return
	}
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(time.Minute):
		s.t.Error("the server did not stop within a minute of SIGTERM")
		s.kill()
	}
}

// removeEngines ends the engines that the server left running, which is what it is meant to do.
func (s *server) removeEngines() {
	if _, err := os.Stat(s.dir); err != nil {
		return
	}
	engines, err := supervisor.New(supervisor.Options{Dir: s.dir, Grace: time.Second})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer engines.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, n := range engines.Nodes() {
		if err := engines.Remove(ctx, n.ID); err != nil {
			s.t.Error(err)
		}
	}
}

// config is how SDK clients reach the server, as AWS_ENDPOINT_URL and the credentials file would tell them.
func (s *server) config(region string) aws.Config {
	s.t.Helper()
	directory, err := iam.Open(iam.Options{Path: filepath.Join(s.dir, "credentials")})
	if err != nil {
		s.t.Fatal(err)
	}
	who, secret := directory.Default()
	return aws.Config{Region: region, BaseEndpoint: &s.url, RetryMaxAttempts: 1, HTTPClient: wiretest.HTTPClient(),
		Credentials: credentials.NewStaticCredentialsProvider(who.AccessKeyID, secret.Reveal(), "")}
}

func (s *server) elasticache() *elasticache.Client {
	return elasticache.NewFromConfig(s.config("us-east-1"))
}

func (s *server) s3() *s3.Client {
	return s3.NewFromConfig(s.config("us-east-1"), func(o *s3.Options) { o.UsePathStyle = true })
}

// cli runs a keyframe command on the server's data directory and returns what it prints.
func (s *server) cli(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(binary, append(args, "--data", s.dir)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("keyframe %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// until polls until look says yes; the test's deadline bounds it.
func until(t *testing.T, what string, look func() (bool, error)) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for {
		ok, err := look()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within two minutes", what)
		}
		time.Sleep(20 * time.Millisecond) // polls another process; there is no signal to wait for
	}
}

// createCache makes a cache and returns its endpoint when it is available.
func (s *server) createCache(in *elasticache.CreateServerlessCacheInput) string {
	s.t.Helper()
	c := s.elasticache()
	if _, err := c.CreateServerlessCache(s.t.Context(), in); err != nil {
		s.t.Fatal(err)
	}
	return s.available(*in.ServerlessCacheName)
}

// available waits for a cache and returns its endpoint.
func (s *server) available(name string) (address string) {
	s.t.Helper()
	until(s.t, "cache "+name+" available", func() (bool, error) {
		cache := s.cache(name)
		switch *cache.Status {
		case "available":
			address = fmt.Sprintf("%s:%d", *cache.Endpoint.Address, *cache.Endpoint.Port)
			return true, nil
		case "creating", "modifying":
			return false, nil
		}
		return false, fmt.Errorf("it is %s", *cache.Status)
	})
	return address
}

func (s *server) cache(name string) types.ServerlessCache {
	s.t.Helper()
	out, err := s.elasticache().DescribeServerlessCaches(s.t.Context(), &elasticache.DescribeServerlessCachesInput{ServerlessCacheName: &name})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.ServerlessCaches[0]
}

func (s *server) snapshot(name string) types.ServerlessCacheSnapshot {
	s.t.Helper()
	out, err := s.elasticache().DescribeServerlessCacheSnapshots(s.t.Context(), &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheSnapshotName: &name})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.ServerlessCacheSnapshots[0]
}

// settled waits until a snapshot is in one of some states.
func (s *server) settled(name string, states ...string) types.ServerlessCacheSnapshot {
	s.t.Helper()
	var snap types.ServerlessCacheSnapshot
	until(s.t, fmt.Sprintf("snapshot %s %v", name, states), func() (bool, error) {
		snap = s.snapshot(name)
		for _, state := range states {
			if *snap.Status == state {
				return true, nil
			}
		}
		return false, nil
	})
	return snap
}
