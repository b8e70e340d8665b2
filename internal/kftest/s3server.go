package kftest

import (
	"net"
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
		l.Close() // for the server; should another take it first, try again
		log, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(bin, "--port", addr, "--access", "AKIATEST", "--secret", "test-secret", "--region", "us-east-1", "posix", t.TempDir())
		cmd.Stdout, cmd.Stderr = log, log
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { cmd.Wait(); log.Close(); close(ended) }()
		t.Cleanup(func() { cmd.Process.Kill(); <-ended })
		if listening(addr, ended) {
			return S3Server{"http://" + addr, "AKIATEST", "test-secret", "us-east-1"}
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

// listening waits until the server accepts connections. It reports false if it ended.
func listening(addr string, ended chan struct{}) bool {
	for {
		if conn, err := net.Dial("tcp", addr); err == nil {
			conn.Close()
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}
