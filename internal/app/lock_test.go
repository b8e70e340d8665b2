package app

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// held takes the lock of a directory as the process does whose number the file then tells.
func held(t *testing.T, dir string, pid int) *os.File {
	t.Helper()
	path := filepath.Join(dir, "lock")
	if err := os.WriteFile(path, fmt.Appendf(nil, "%d\n", pid), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// The lock of a server that was killed may live on for a moment in a child that it had just forked.
func TestLockOfTheDead(t *testing.T) {
	t.Parallel()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := held(t, dir, gone.Process.Pid)
	go func() {
		time.Sleep(50 * time.Millisecond) // the child becomes an engine
		f.Close()
	}()
	release, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	release()
}

// Nobody waits for a server that runs, nor for ever for one that does not.
func TestLockOfTheLiving(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	held(t, dir, os.Getpid())
	began := time.Now()
	if _, err := lock(dir); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d", os.Getpid())) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took >= lockPatience {
		t.Errorf("waited %v for a process that runs", took)
	}
}
