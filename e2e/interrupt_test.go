package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// numbered writes an RDB file of strings key:0, key:1 and so on.
func numbered(t *testing.T, path string, n int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := rdb.NewWriter(f, rdb.WriterOptions{Version: 9})
	for i := 0; i < n && err == nil; i++ {
		err = w.Write(rdb.Meta{Key: fmt.Appendf(nil, "key:%d", i)}, rdb.String("v"))
	}
	if err == nil {
		_, err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// interrupted waits for a command that got Ctrl-C, and wants the exit code that says so.
func interrupted(t *testing.T, cmd *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 || !strings.Contains(said.String(), "interrupted") {
		t.Errorf("%v: %v: %s", cmd.Args, err, said)
	}
}

// Keys go on where they stopped, whether the command was asked to stop or killed.
func TestInterruptedRestoreKeys(t *testing.T) {
	t.Parallel()
	n := kftest.Engine(t, resource.Valkey)
	dir := t.TempDir()
	file, state := filepath.Join(dir, "a.rdb"), filepath.Join(dir, "state")
	const keys, taken = 3000, 100
	numbered(t, file, keys)
	for i := range taken {
		n.Do(t, "SET", fmt.Sprintf("key:%d", i*keys/taken), "another's")
	}
	command := func(rate string) (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.Command(binary, "rdb", "restore-keys", file, "--to", n.Addr(), "--state", state, "--rate", rate, "--on-conflict", "skip", "--output", "json")
		said := new(bytes.Buffer)
		cmd.Stdout, cmd.Stderr = said, said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		kftest.Guard(t, cmd.Process.Pid)
		return cmd, said
	}
	reaches := func(least int64) {
		kftest.Eventually(t, "keys to arrive", func() error {
			if size := n.Do(t, "DBSIZE").Int; size < least {
				return fmt.Errorf("%d keys", size)
			}
			return nil
		})
	}
	cmd, said := command("500")
	reaches(taken + 100)
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	interrupted(t, cmd, said)
	cmd, _ = command("500")
	reaches(n.Do(t, "DBSIZE").Int + 200)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() //nolint:errcheck // it was killed
	cmd, said = command("1000000")
	err := cmd.Wait()
	for what, n := range map[string]int{"Restored": keys - taken, "Present": keys - taken, "Skipped": taken} {
		if err != nil || !strings.Contains(said.String(), fmt.Sprintf(`"%s": %d,`, what, n)) {
			t.Errorf("the rest: %v: %s", err, said)
		}
	}
	if size := n.Do(t, "DBSIZE").Int; size != keys {
		t.Errorf("%d keys", size)
	}
}

// A command that waits for standard input stops at Ctrl-C too, and leaves no file behind.
func TestInterruptedFiles(t *testing.T) {
	t.Parallel()
	whole := filepath.Join(t.TempDir(), "a.rdb")
	numbered(t, whole, 20_000) // more than a pipe holds
	data, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"check -", "keys - --count", "convert - --for redis-7.0 --to new.rdb", "split - --into 3 --to new --rdb-version 11", "diff a.rdb - --temporary ."} {
		dir := t.TempDir()
		numbered(t, filepath.Join(dir, "a.rdb"), 1000)
		cmd := exec.Command(binary, append([]string{"rdb"}, strings.Fields(verb)...)...)
		cmd.Dir = dir
		said := new(bytes.Buffer)
		cmd.Stdout, cmd.Stderr = said, said
		in, err := cmd.StdinPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		kftest.Guard(t, cmd.Process.Pid)
		if _, err := in.Write(data[:len(data)-10]); err != nil { // taken, but for what the pipe holds: it runs
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		interrupted(t, cmd, said)
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("%s leaves %v behind, %v", verb, left, err)
		}
	}
}
