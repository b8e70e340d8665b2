package kftest

import (
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// S3Server is an S3 server that other people wrote (versitygw), for tests of what talks to foreign endpoints.
type S3Server struct {
	Endpoint, AccessKeyID, SecretAccessKey, Region string
}

// S3 starts the server on an empty directory and stops it at the end of the test. Without its binary, which
// scripts/test-tools.sh builds, the test is skipped; in CI it fails.
func S3(t testing.TB) S3Server {
	t.Helper()
	bin := s3Binary(t)
	for attempt := 0; ; attempt++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()                        // for the server; should another take it first, try again
		alive := "/alive-" + rand.Text() // answered by this server alone
		log, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(bin, "--port", addr, "--access", "AKIATEST", "--secret", "test-secret", "--region", "us-east-1", "--health", alive, "posix", t.TempDir())
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); log.Close(); close(ended) }()
		t.Cleanup(func() { cmd.Process.Kill(); <-ended })
		if serving("http://"+addr+alive, ended) {
			return S3Server{"http://" + addr, "AKIATEST", "test-secret", "us-east-1"}
		}
		select {
		case <-ended:
		default:
			attempt = 3 // it hangs, and would again
		}
		if attempt == 3 {
			text, _ := os.ReadFile(log.Name())
			t.Fatalf("versitygw does not start:\n%s", text)
		}
	}
}

func s3Binary(t testing.TB) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	path := filepath.Join(filepath.Dir(here), "..", "..", ".cache", "bin", "versitygw")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path
	}
	const reason = "versitygw is neither in .cache/bin nor on PATH: run scripts/test-tools.sh"
	if os.Getenv("CI") == "true" {
		t.Fatal(reason)
	}
	t.Skip(reason)
	return ""
}

// serving waits until the server answers, and not a stranger who took its port. It reports false if the server ended, or takes too long.
func serving(alive string, ended chan struct{}) bool {
	patient := time.After(Patience)
	client := http.Client{Timeout: 5 * time.Second}
	defer client.CloseIdleConnections()
	for {
		if resp, err := client.Get(alive); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-ended:
			return false
		case <-patient:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}
