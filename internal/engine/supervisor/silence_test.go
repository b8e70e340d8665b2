package supervisor_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

// silent is a node that gets no answer from anybody for longer than a test may take it to be given up.
func silent(t *testing.T, e resource.Engine, opts ...kftest.Option) *kftest.Node {
	t.Helper()
	sup := kftest.Supervisor(t, supervisor.Options{Silence: 2 * time.Second})
	return kftest.Engine(t, e, append(opts, kftest.Under(sup))...)
}

// An engine that hangs, on connections that stay open or before it takes one, does not hold those who wait for it.
func TestSilenceEndsAWait(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis, engine.Memcached} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			n := silent(t, e)
			ctx := kftest.Context(t)
			waits, ended := make(chan struct{}, 1), make(chan error, 2)
			wait := func() {
				ended <- n.Sup.WaitReady(ctx, n.ID, func(p supervisor.Progress) {
					if p.Phase == "joining" {
						waits <- struct{}{}
					}
				})
			}
			if e != engine.Memcached {
				c, err := n.Sup.Admin(ctx, n.ID)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := n.Sup.SetReplicaOf(ctx, n.ID, resource.Endpoint{Address: n.Lease.Address, Port: 1}); err != nil {
					t.Fatal(err)
				}
				go wait()
				kftest.Receive(t, "a wait for the link", waits)
				stop(t, n)
				if _, err := c.Do(t.Context(), "PING"); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("a command ended with %v", err)
				}
			} else {
				stop(t, n)
				go wait()
			}
			go wait() // finds it so
			for range 2 {
				err := kftest.Receive(t, "the end of a wait", ended)
				if err == nil || !strings.Contains(err.Error(), "has said nothing") || errors.Is(err, supervisor.ErrNotRunning) {
					t.Errorf("the wait ended with %v", err)
				}
			}
		})
	}
}

// stop has a node's engine hang.
func stop(t *testing.T, n *kftest.Node) {
	t.Helper()
	if err := syscall.Kill(n.Sup.PID(n.ID), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// An engine that saves its data says nothing until it ends, and is not given up.
func TestSavingIsNotSilence(t *testing.T) {
	t.Parallel()
	n := silent(t, engine.Valkey, kftest.Parameter("rdb-key-save-delay", "10000")) // microseconds
	for i := range 400 {
		n.Do(t, "SET", "key:"+strconv.Itoa(i), "v")
	}
	if err := n.Sup.SaveAndStop(kftest.Context(t), n.ID); err != nil {
		t.Fatal(err)
	}
	if n.Sup.Running(n.ID) {
		t.Error("it runs")
	}
	if info, err := os.Stat(n.Sup.DataPath(n.ID)); err != nil || info.Size() < 400 {
		t.Errorf("it left %v, %v", info, err)
	}
}
