package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/job"
)

// engineOf is the process and the node directory of a cache's first primary.
func (c *crashed) engineOf(name string) (pid int, node string) {
	c.t.Helper()
	world, err := look(c.t.Context(), c.stores.DB)
	if err != nil {
		c.t.Fatal(err)
	}
	cache := world.caches[name]
	if cache == nil || len(world.nodes[cache.ID]) == 0 {
		c.t.Fatalf("cache %s has no node", name)
	}
	node = world.nodes[cache.ID][0].ID
	pids := c.engines(c.t)[node]
	if len(pids) != 1 {
		c.t.Fatalf("cache %s has the engine processes %v, want one", name, pids)
	}
	return pids[0], node
}

func (c *crashed) killEngine(name string) {
	c.t.Helper()
	pid, _ := c.engineOf(name)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
}

// told waits for an event of a cache that contains a text, for the n-th time.
func (c *crashed) told(name, text string, n int) {
	c.t.Helper()
	until(c.t, fmt.Sprintf("event %q of cache %s", text, name), func() (bool, error) {
		out, err := c.elasticache().DescribeEvents(c.t.Context(), &elasticache.DescribeEventsInput{
			SourceIdentifier: &name, SourceType: types.SourceType("serverless-cache")})
		if err != nil {
			return false, err
		}
		found := 0
		for _, e := range out.Events {
			if strings.Contains(*e.Message, text) {
				found++
			}
		}
		return found >= n, nil
	})
}

// Engines survive the server's death and are adopted; a dead engine is restarted, and an event says so; a delete leaves nothing.
func TestCrashEnginesOutliveServer(t *testing.T) {
	t.Parallel()
	c := serveToCrash(t, "")
	c.through(c.create("orders", "valkey"))
	c.fill("orders", 3)
	before, _ := c.engineOf("orders")
	at := c.available("orders")
	c.kill()
	if got := digest(t, at); got != c.want.caches["orders"] {
		t.Errorf("without a server the engine holds %v, want %v", got, c.want.caches["orders"])
	}
	c.start()
	c.verify()
	if now, _ := c.engineOf("orders"); now != before {
		t.Errorf("the restarted server runs engine %d; %d was there", now, before)
	}

	// An adopted engine dies.
	c.killEngine("orders")
	c.told("orders", "ended unexpectedly", 1)
	c.told("orders", "returned empty", 1)
	c.want.caches["orders"] = dataset.Digest{}
	c.verify()
	if c.available("orders") != at {
		t.Errorf("the endpoint moved from %s to %s", at, c.available("orders"))
	}

	// One dies while nobody looks.
	c.kill()
	c.killEngine("orders")
	c.start()
	c.told("orders", "found dead", 1)
	c.told("orders", "returned empty", 2)
	c.verify()

	pid, _ := c.engineOf("orders")
	c.through(c.deleteCache("orders", ""))
	c.verify()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("engine %d outlived its cache", pid)
	}
}

// A start takes over its dead predecessor's leases at once, and does not wait until they are over.
func TestCrashTakesOver(t *testing.T) {
	t.Parallel()
	c := serveToCrash(t, "")
	c.through(c.create("orders", "valkey"))
	c.fill("orders", 4)
	c.env = []string{"KEYFRAME_FAILPOINT=create-snapshot.cut"}
	c.kill()
	c.start()
	c.give(c.take("orders", "s1"), true)
	<-c.done
	world, err := look(t.Context(), c.stores.DB)
	if err != nil {
		t.Fatal(err)
	}
	var held job.Job
	for _, j := range world.jobs {
		if j.State == job.StateRunning && j.LeaseUntil.After(time.Now()) {
			held = j
		}
	}
	if held.ID == "" {
		t.Fatal("the dead server left no lease that is good: nothing to take over")
	}
	c.env = nil
	c.start()
	world = c.quiet(t, c.stores)
	for _, j := range world.jobs {
		if j.ID == held.ID && !j.StartedAt.Before(held.LeaseUntil) {
			t.Errorf("the job went on at %v, when the lease of the dead was over since %v", j.StartedAt, held.LeaseUntil)
		}
	}
	c.verify()
}

// SIGTERM ends the server (stop says how soon), with no lease held; the next start goes on.
func TestCrashSIGTERM(t *testing.T) {
	t.Parallel()
	c := serveToCrash(t, "")
	c.give(c.create("orders", "valkey"), false)
	until(t, "the job runs", func() (bool, error) {
		world, err := look(t.Context(), c.stores.DB)
		return err == nil && len(world.jobs) == 1 && world.jobs[0].State == job.StateRunning, err
	})
	c.stop()
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the server's exit code is %d", code)
	}
	world, err := look(t.Context(), c.stores.DB)
	if err != nil {
		t.Fatal(err)
	}
	for _, j := range world.jobs {
		if j.State == job.StateRunning || j.Owner != "" || !j.LeaseUntil.IsZero() {
			t.Errorf("%s is %s, leased to %q until %v", j.Kind, j.State, j.Owner, j.LeaseUntil)
		}
		// A failure of its own, before the stop, would be on record.
		stopped := j.LastError == "" || strings.Contains(j.LastError, context.Canceled.Error()) || strings.Contains(j.LastError, job.ErrStopping.Error())
		if j.Crashes > 0 || j.Attempt > 0 && stopped && !j.State.Finished() {
			t.Errorf("%s counts %d crashes and %d attempts: a stop is neither", j.Kind, j.Crashes, j.Attempt)
		}
	}
	c.start()
	c.quiet(t, c.stores)
	c.available("orders")
	c.verify()
}

// A second process on a data directory is refused with the first one's pid, and the first does not notice.
func TestCrashSecondProcess(t *testing.T) {
	t.Parallel()
	c := serveToCrash(t, "")
	second := exec.Command(binary, "serve", "--data", c.dir, "--listen", "127.0.0.1:0")
	out, err := second.CombinedOutput()
	if err == nil || second.ProcessState.ExitCode() <= 0 {
		t.Fatalf("the second server ended with %v, want a failure\n%s", err, out)
	}
	if pid := fmt.Sprintf("process %d", c.cmd.Process.Pid); !strings.Contains(string(out), pid) {
		t.Errorf("it does not name %s:\n%s", pid, out)
	}
	c.through(c.create("orders", "valkey"))
	c.available("orders")
	c.verify()
}

// A server that is killed while it starts for the first time leaves nothing that the next start stumbles over.
func TestCrashDuringStart(t *testing.T) {
	t.Parallel()
	c := &crashed{server: serve(t), died: map[string]int{}, want: wanted{caches: map[string]dataset.Digest{}}}
	started := time.Now()
	c.kill()
	c.start()
	usual := time.Since(started)
	c.kill()
	for i := range 20 {
		if err := os.RemoveAll(c.dir); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(binary, "serve", "--data", c.dir, "--listen", "127.0.0.1:0")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(usual * time.Duration(i) / 20) // the moment of the kill
		cmd.Process.Kill()
		cmd.Wait()
		c.start()
		if _, err := c.elasticache().DescribeServerlessCaches(t.Context(), &elasticache.DescribeServerlessCachesInput{}); err != nil {
			t.Fatalf("after a kill at %d/20 of the start: %v", i, err)
		}
		c.kill()
	}
	c.start()
	c.stores = c.server.stores(t)
	c.through(c.create("orders", "valkey"))
	c.through(c.take("orders", "s1"))
	c.verify()
}

// An engine that hangs while the server starts is taken over when it answers, and holds nobody else up.
func TestCrashHangingEngine(t *testing.T) {
	t.Parallel()
	c := serveToCrash(t, "")
	c.through(c.create("orders", "valkey"))
	c.fill("orders", 5)
	pid, _ := c.engineOf("orders")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
	c.kill()
	c.start()
	c.give(c.create("other", "valkey"), false)
	c.available("other")
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.verify()
	if now, _ := c.engineOf("orders"); now != pid {
		t.Errorf("the restarted server runs engine %d; %d was there", now, pid)
	}
	c.killEngine("orders") // that it was taken over shows in that its death is noticed
	c.told("orders", "ended unexpectedly", 1)
	c.told("orders", "returned empty", 1)
}

// The server and the engine die together. What cannot succeed any more ends in a named failure, and what is saved is not lost.
func TestCrashTogetherWithEngine(t *testing.T) {
	t.Parallel()
	c := serveToCrash(t, "")
	c.through(c.create("orders", "redis"))
	c.fill("orders", 6)
	die := func(step string, order func() error) {
		t.Helper()
		c.kill()
		c.env = []string{"KEYFRAME_FAILPOINT=" + step}
		c.start()
		c.give(order, true)
		<-c.done
		c.killEngine("orders")
		c.env = nil
		c.start()
		c.quiet(t, c.stores)
	}
	upgrade := elasticache.ModifyServerlessCacheInput{ServerlessCacheName: aws.String("orders"), Engine: aws.String("valkey"), MajorEngineVersion: aws.String("8")}
	die("modify-cache.started", c.modify(upgrade)) // its data file is still there
	c.verify()

	c.want.failures = true
	c.want.caches["orders"] = dataset.Digest{}
	die("create-snapshot.begun", c.take("orders", "s1"))
	c.told("orders", "returned empty", 1)
	if s := c.settled("s1", "failed", "available"); *s.Status != "failed" {
		t.Errorf("the snapshot of an engine that died before the cut is %s", *s.Status)
	}
	c.verify()

	c.fill("orders", 7)
	order := c.deleteCache("orders", "final")
	c.want.caches["orders"] = dataset.Digest{}
	die("delete-cache.begun", order)
	c.quiet(t, c.stores)
	if s := c.settled("final", "failed", "available"); *s.Status != "failed" {
		t.Errorf("the final snapshot of an engine that died before the cut is %s", *s.Status)
	}
	c.available("orders")
	c.verify()
	c.through(c.deleteCache("orders", ""))
	c.verify()
}
