package supervisor_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

// startVictim runs a supervisor in another process. The channel tells its lines of output.
func startVictim(t *testing.T, dir string, e resource.Engine) (*exec.Cmd, <-chan string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir, "KEYFRAME_TEST_ENGINE="+string(e))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10)
	go func() {
		defer close(lines)
		for sc := bufio.NewScanner(out); sc.Scan(); {
			lines <- sc.Text()
		}
	}()
	return cmd, lines
}

func kill(t *testing.T, cmd *exec.Cmd, lines <-chan string) {
	t.Helper()
	cmd.Process.Kill()
	for range lines {
	}
	cmd.Wait()
}

// sessionsIn counts the processes that lead a session in a directory: a node's engines.
func sessionsIn(t *testing.T, dir string) (pids []int) {
	t.Helper()
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if cwd, err := os.Readlink("/proc/" + e.Name() + "/cwd"); err != nil || cwd != dir {
			continue
		}
		if sid, err := syscall.Getpgid(pid); err == nil && sid == pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestEngineOutlivesItsSupervisor(t *testing.T) {
	t.Parallel()
	for _, e := range engine.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			ctx := kftest.Context(t)
			dir := t.TempDir()
			cmd, lines := startVictim(t, dir, e)
			kftest.Receive(t, "the victim to begin", lines)
			var pid int
			if line := kftest.Receive(t, "the victim's engine", lines); line != "" {
				if _, err := fmt.Sscanf(line, "ready %d", &pid); err != nil {
					t.Fatal(line)
				}
			}
			kftest.Guard(t, pid)
			kill(t, cmd, lines)

			deaths := make(chan supervisor.Death, 1)
			s := kftest.Supervisor(t, supervisor.Options{Dir: dir, OnDeath: func(d supervisor.Death) { deaths <- d }})
			n, err := s.Create(ctx, victimSpec(kftest.Catalog(t), e))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(ctx, "n"); err != nil {
				t.Fatal(err)
			}
			if err := s.WaitReady(ctx, "n", nil); err != nil {
				t.Fatal(err)
			}
			if got := s.PID("n"); got != pid {
				t.Fatalf("engine %d was not taken over: %d runs", pid, got)
			}
			if p, _ := os.FindProcess(pid); p.Kill() != nil {
				t.Fatal("cannot kill the engine")
			}
			if d := kftest.Receive(t, "the death of an engine that was taken over", deaths); d.ID != "n" {
				t.Errorf("%+v", d)
			}
			if s.Running("n") {
				t.Error("it runs after its death")
			}
			if err := s.Start(ctx, "n"); err != nil {
				t.Fatal(err)
			}
			if err := s.WaitReady(ctx, "n", nil); err != nil || s.PID("n") == pid {
				t.Errorf("restart: pid %d, %v", s.PID("n"), err)
			}
			kftest.Guard(t, s.PID("n"))
			if again, _ := s.Node("n"); again.Endpoint() != n.Endpoint() {
				t.Errorf("address changed from %v to %v", n.Endpoint(), again.Endpoint())
			}
		})
	}
}

// A supervisor may be killed between any two of its steps.
func TestKilledAnywhereThereIsOneProcess(t *testing.T) {
	t.Parallel()
	for i := range 24 {
		dir := t.TempDir()
		cmd, lines := startVictim(t, dir, engine.Valkey)
		kftest.Receive(t, "the victim to begin", lines)
		time.Sleep(time.Duration(i) * 2 * time.Millisecond) // not a wait: it spreads the deaths over Create and Start
		kill(t, cmd, lines)
		ctx := kftest.Context(t)
		s := kftest.Supervisor(t, supervisor.Options{Dir: dir})
		n, err := s.Create(ctx, victimSpec(kftest.Catalog(t), engine.Valkey))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(ctx, "n"); err != nil {
			t.Fatalf("killed after %d ms: %v\n%s", 2*i, err, s.LogTail("n", 20))
		}
		kftest.Guard(t, s.PID("n"))
		if err := s.WaitReady(ctx, "n", nil); err != nil {
			t.Fatal(err)
		}
		if pids := sessionsIn(t, n.Dir); len(pids) != 1 || pids[0] != s.PID("n") {
			t.Fatalf("killed after %d ms: processes %v, ours is %d", 2*i, pids, s.PID("n"))
		}
		if err := s.Remove(ctx, "n"); err != nil {
			t.Fatal(err)
		}
		if pids := sessionsIn(t, n.Dir); len(pids) != 0 {
			t.Fatalf("processes %v are left", pids)
		}
	}
}

func TestProcessWithoutRecordIsFound(t *testing.T) {
	t.Parallel()
	ctx := kftest.Context(t)
	dir := t.TempDir()
	first, err := supervisor.New(supervisor.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	n := run(t, first, spec(t, "n", engine.Valkey))
	pid := first.PID("n")
	first.Close()
	if err := os.Remove(filepath.Join(n.Dir, "process.json")); err != nil {
		t.Fatal(err)
	}
	second, err := supervisor.New(supervisor.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Start(ctx, "n"); err != nil {
		t.Fatal(err)
	}
	if second.PID("n") != pid {
		t.Errorf("pid %d became %d", pid, second.PID("n"))
	}
	second.Close()
	// Remove does not need a start before it.
	third := kftest.Supervisor(t, supervisor.Options{Dir: dir})
	if err := third.Remove(ctx, "n"); err != nil {
		t.Fatal(err)
	}
	if syscall.Kill(pid, 0) == nil {
		t.Error("the process is still there")
	}
}

func TestStrangerIsNotAdopted(t *testing.T) {
	t.Parallel()
	ctx := kftest.Context(t)
	dir := t.TempDir()
	first, err := supervisor.New(supervisor.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	n := run(t, first, spec(t, "n", engine.Valkey))
	first.Close()
	record := filepath.Join(n.Dir, "node.json")
	text, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, []byte(strings.Replace(string(text), n.Password.Reveal(), "another", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	second := kftest.Supervisor(t, supervisor.Options{Dir: dir})
	if err := second.Start(ctx, "n"); err == nil || !strings.Contains(err.Error(), "does not answer as this node") {
		t.Errorf("start: %v", err)
	}
}

func TestConcurrentStartsMakeOneProcess(t *testing.T) {
	t.Parallel()
	ctx := kftest.Context(t)
	s := kftest.Supervisor(t, supervisor.Options{})
	sp := spec(t, "n", engine.Redis)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Create(ctx, sp); err != nil {
				t.Error(err)
			}
			if err := s.Start(ctx, "n"); err != nil {
				t.Error(err)
			}
			if err := s.WaitReady(ctx, "n", nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n, _ := s.Node("n")
	if pids := sessionsIn(t, n.Dir); len(pids) != 1 {
		t.Errorf("processes %v", pids)
	}
}

func TestDeathIsTold(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		ctx := kftest.Context(t)
		deaths := make(chan supervisor.Death, 10)
		s := kftest.Supervisor(t, supervisor.Options{OnDeath: func(d supervisor.Death) { deaths <- d }})
		run(t, s, spec(t, "n", e))
		pid := s.PID("n")
		syscall.Kill(pid, syscall.SIGKILL)
		d := kftest.Receive(t, "a death", deaths)
		if d.ID != "n" || d.Status != "killed by signal killed" || !strings.Contains(d.LogTail, "eady to accept connections") {
			t.Errorf("%+v", d)
		}
		if err := syscall.Kill(pid, 0); err == nil {
			t.Error("a zombie is left")
		}
		if err := s.Start(ctx, "n"); err != nil {
			t.Fatal(err)
		}
		if err := s.WaitReady(ctx, "n", nil); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(ctx, "n"); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(ctx, "n"); err != nil {
			t.Errorf("second stop: %v", err)
		}
		s.Close()
		if len(deaths) != 0 {
			t.Errorf("a stop is told as a death: %+v", <-deaths)
		}
	})
}

func TestStopKillsWhatDoesNotListen(t *testing.T) {
	t.Parallel()
	s := kftest.Supervisor(t, supervisor.Options{Grace: 50 * time.Millisecond})
	run(t, s, spec(t, "n", engine.Valkey))
	pid := s.PID("n")
	syscall.Kill(pid, syscall.SIGSTOP)
	if err := s.Stop(kftest.Context(t), "n"); err != nil {
		t.Fatal(err)
	}
	if syscall.Kill(pid, 0) == nil {
		t.Error("it is still there")
	}
}

// What is in a node's directory by chance is neither taken for the engine nor harmed, and does not stand in the way.
func TestBystanderIsLeftAlone(t *testing.T) {
	t.Parallel()
	ctx := kftest.Context(t)
	s := kftest.Supervisor(t, supervisor.Options{})
	n := run(t, s, spec(t, "n", engine.Valkey))
	by := exec.Command("cat")
	by.Dir = n.Dir
	by.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // as a shell does
	in, err := by.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := by.Start(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(ctx, "n"); err != nil {
		t.Error(err)
	}
	if err := s.Start(ctx, "n"); err != nil {
		t.Error(err)
	}
	if err := s.Remove(ctx, "n"); err != nil {
		t.Error(err)
	}
	in.Close()
	if err := by.Wait(); err != nil {
		t.Errorf("the bystander ended: %v", err)
	}
}

// A child of a dead engine must not keep the node from starting.
func TestOrphanedChildIsEnded(t *testing.T) {
	t.Parallel()
	ctx := kftest.Context(t)
	deaths := make(chan supervisor.Death, 1)
	s := kftest.Supervisor(t, supervisor.Options{OnDeath: func(d supervisor.Death) { deaths <- d }})
	sp := spec(t, "n", engine.Valkey)
	sp.Parameters = map[string]string{"rdb-key-save-delay": "10000000"} // a child that takes ten seconds for each key
	run(t, s, sp)
	c, err := s.Admin(ctx, "n")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Pipeline(ctx, []string{"MSET", "a", "1", "b", "2"}, []string{"BGSAVE"}); err != nil {
		t.Fatal(err)
	}
	kftest.Eventually(t, "the child", func() error {
		info, err := c.Info(ctx, "persistence")
		if err == nil && info["rdb_bgsave_in_progress"] != "1" {
			err = errors.New("it has not started")
		}
		return err
	})
	syscall.Kill(s.PID("n"), syscall.SIGKILL)
	kftest.Receive(t, "the engine's death", deaths)
	if err := s.Start(ctx, "n"); err != nil {
		t.Fatal(err)
	}
	kftest.Guard(t, s.PID("n"))
	if err := s.WaitReady(ctx, "n", nil); err != nil {
		t.Error(err)
	}
}

func TestRemoveLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx := kftest.Context(t)
	dir, leases := t.TempDir(), t.TempDir()
	s := kftest.Supervisor(t, supervisor.Options{Dir: dir, Addresses: supervisor.Addresses{LeaseDir: leases}})
	sp := spec(t, "n", engine.Valkey)
	sp.TLS = true
	run(t, s, sp)
	pid := s.PID("n")
	for range 2 {
		if err := s.Remove(ctx, "n"); err != nil {
			t.Fatal(err)
		}
	}
	if syscall.Kill(pid, 0) == nil {
		t.Error("the process is left")
	}
	for _, d := range []string{filepath.Join(dir, "nodes"), leases} {
		if left, err := os.ReadDir(d); err != nil || len(left) != 0 {
			t.Errorf("%s holds %v, %v", d, left, err)
		}
	}
	if err := s.Start(ctx, "n"); !errors.Is(err, supervisor.ErrUnknownNode) {
		t.Errorf("start of a node that is no more: %v", err)
	}
	if err := s.Remove(ctx, "../nodes"); err == nil {
		t.Error("a path is taken for an id")
	}
}

func TestFilesArePrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := kftest.Supervisor(t, supervisor.Options{Dir: dir})
	sp := spec(t, "n", engine.Valkey)
	sp.TLS = true
	run(t, s, sp)
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if path != dir && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, fi.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDirectoryOfAnyName(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e resource.Engine) {
		dir := filepath.Join(t.TempDir(), "a \"b\" '\\x41 #ü\n$HOME")
		s := kftest.Supervisor(t, supervisor.Options{Dir: dir})
		sp := spec(t, "n", e)
		sp.Password = engine.NewSecret("p \"q' \\ #\u00fc")
		n := run(t, s, sp)
		c, err := s.Admin(kftest.Context(t), "n")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		v, err := c.Do(kftest.Context(t), "CONFIG", "GET", "dir")
		if got, _ := v.Strings(); err != nil || len(got) != 2 || got[1] != n.Dir {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestWaitReadyTellsWhyTheEngineEnded(t *testing.T) {
	t.Parallel()
	ctx := kftest.Context(t)
	s := kftest.Supervisor(t, supervisor.Options{})
	if _, err := s.Create(ctx, spec(t, "n", engine.Valkey)); err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(t.TempDir(), "bad.rdb")
	if err := os.WriteFile(bad, []byte("REDIS0099 and no more"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.SetData(ctx, "n", bad); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx, "n"); err != nil {
		t.Fatal(err)
	}
	err := s.WaitReady(ctx, "n", nil)
	if !errors.Is(err, supervisor.ErrNotRunning) || !strings.Contains(err.Error(), "RDB format version 99") {
		t.Errorf("got %v", err)
	}
}

func TestWaitReadyObeysItsContext(t *testing.T) {
	t.Parallel()
	s := kftest.Supervisor(t, supervisor.Options{})
	run(t, s, spec(t, "n", engine.Valkey))
	syscall.Kill(s.PID("n"), syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.WaitReady(ctx, "n", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
