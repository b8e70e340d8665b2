package capture

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/internal/resource"
)

// Longer than any of these tests: a pause that ends before was lifted by us.
const forever = 10 * time.Minute

// writable waits until clients' writes go through on a primary.
func writable(t *testing.T, n *kftest.Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), kftest.Patience)
	defer cancel()
	c := n.Admin(t)
	if _, err := c.Do(ctx, "SET", keyOf(n), "v"); err != nil {
		t.Errorf("%s takes no writes: %v", n.ID, err)
	}
}

// held wants clients' writes not to go through on a primary now.
func held(t *testing.T, n *kftest.Node) {
	t.Helper()
	c := n.Admin(t)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Do(ctx, "SET", keyOf(n), "v"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s is not paused: %v", n.ID, err)
	}
}

// keyOf is a key of the node's first slot or one behind it.
func keyOf(n *kftest.Node) string {
	for i := 0; ; i++ {
		key := fmt.Sprint("k", i)
		if slot := slotOf(key); n.Slots == nil || slot >= n.Slots[0].Start && slot <= n.Slots[0].End {
			return key
		}
	}
}

func TestPauseIsLiftedWhenAShardHangs(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Valkey, 3, 0)
	ctx, cancel := context.WithCancelCause(kftest.Context(t))
	defer cancel(nil)
	stop := errors.New("enough")
	o := Options{Pause: forever}
	o.test.paused = func() {
		for _, n := range nodes {
			held(t, n)
		}
		syscall.Kill(nodes[1].Sup.PID(nodes[1].ID), syscall.SIGSTOP)
		time.AfterFunc(100*time.Millisecond, func() { cancel(stop) })
	}
	if _, err := captureAll(ctx, t, nodes, 3, o); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	writable(t, nodes[0])
	writable(t, nodes[2])
	syscall.Kill(nodes[1].Sup.PID(nodes[1].ID), syscall.SIGCONT)
	writable(t, nodes[1])
}

// A shard that hangs delays the others for no longer than the pause may last, and the capture says what is wrong.
func TestAHungShardIsNamed(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Redis, 3, 0)
	for _, n := range nodes {
		n.Do(t, "CONFIG", "SET", "cluster-node-timeout", "600000") // those that do not hang serve on
	}
	pid := nodes[2].Sup.PID(nodes[2].ID)
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
	o := Options{Pause: 3 * time.Second, ProgressTimeout: 5 * time.Second}
	once := sync.OnceFunc(func() { syscall.Kill(pid, syscall.SIGSTOP) })
	o.test.paused = once
	_, err := captureAll(kftest.Context(t), t, nodes, 3, o)
	var where *Error
	if !errors.As(err, &where) || where.Address != nodes[2].Addr() || !Retryable(err) {
		t.Errorf("got %v", err)
	}
	writable(t, nodes[0])
	writable(t, nodes[1])
}

// switchboard passes connections on to an engine until it is cut.
type switchboard struct {
	addr string
	mu   sync.Mutex
	open []net.Conn
	dead bool // new ones are refused too
}

func startSwitchboard(t *testing.T, to string) *switchboard {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &switchboard{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			e, err := net.Dial("tcp", to)
			s.mu.Lock()
			if s.dead || err != nil {
				c.Close()
				if e != nil {
					e.Close()
				}
				s.mu.Unlock()
				continue
			}
			s.open = append(s.open, c, e)
			s.mu.Unlock()
			wg.Go(func() { io.Copy(e, c); e.Close() })
			wg.Go(func() { io.Copy(c, e); c.Close() })
		}
	})
	t.Cleanup(func() { ln.Close(); s.cut(true); wg.Wait() })
	return s
}

// cut breaks all connections, and with dead those to come.
func (s *switchboard) cut(dead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = dead
	for _, c := range s.open {
		c.Close()
	}
	s.open = nil
}

func TestPauseIsLiftedWhenALinkIsCut(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Valkey, 3, 0)
	for _, dead := range []bool{false, true} {
		s := startSwitchboard(t, nodes[1].Addr())
		var targets []Target
		for _, n := range nodes {
			targets = append(targets, Target{Primary: source(t, n), Slots: n.Slots, W: io.Discard})
		}
		targets[1].Primary.Address = s.addr
		o := Options{Pause: forever}
		if dead {
			o.Pause = 3 * time.Second // nobody can reach the shard: its engine lifts the pause
		}
		o.test.paused = func() { s.cut(dead) }
		if _, err := Capture(kftest.Context(t), targets, o); !errors.Is(err, ErrLink) {
			t.Errorf("dead %v: got %v", dead, err)
		}
		for _, n := range nodes {
			writable(t, n)
		}
	}
}

// TestMain of a process of its own: it captures, and stays within the pause until it is killed.
func TestChildThatIsKilledInThePause(t *testing.T) {
	spec := os.Getenv("KEYFRAME_TEST_CAPTURE")
	if spec == "" {
		t.Skip("only as a child of TestPauseIsLiftedWhenWeAreKilled")
	}
	var in struct {
		Addresses []string
		Password  string
	}
	if err := json.Unmarshal([]byte(spec), &in); err != nil {
		t.Fatal(err)
	}
	var targets []Target
	for _, a := range in.Addresses {
		targets = append(targets, Target{Primary: Source{Address: a, User: engine.AdminUser, Password: engine.NewSecret(in.Password)}, W: io.Discard})
	}
	o := Options{Pause: 5 * time.Second}
	o.test.paused = func() {
		fmt.Println("paused")
		select {}
	}
	_, err := Capture(context.Background(), targets, o)
	t.Fatal(err)
}

func TestPauseIsLiftedWhenWeAreKilled(t *testing.T) {
	t.Parallel()
	nodes := kftest.Cluster(t, engine.Redis, 2, 0)
	spec, err := json.Marshal(map[string]any{"Addresses": []string{nodes[0].Addr(), nodes[1].Addr()}, "Password": nodes[0].Password.Reveal()})
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestChildThatIsKilledInThePause$")
	child.Env = append(os.Environ(), "KEYFRAME_TEST_CAPTURE="+string(spec))
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for line := ""; line != "paused\n"; {
		if line, err = lines.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	held(t, nodes[0])
	held(t, nodes[1])
	child.Process.Kill()
	child.Wait()
	writable(t, nodes[0])
	writable(t, nodes[1])
}

// Clients cannot lift the pause, nor, in cluster mode, do what kills an engine that holds writes.
func TestClientsCannotDisturbThePause(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		for _, cluster := range []bool{true, false} {
			var opts []kftest.Option
			if cluster {
				opts = append(opts, kftest.InCluster())
			}
			c := kftest.Engine(t, e, opts...).Client(t)
			for command, denied := range map[string]bool{"PAUSE 1": true, "UNPAUSE": true, "UNBLOCK 1": cluster, "ID": false} {
				_, err := c.Do(kftest.Context(t), append([]string{"CLIENT"}, strings.Fields(command)...)...)
				if resp.IsCode(err, "NOPERM") != denied {
					t.Errorf("%s, cluster %v: CLIENT %s: %v", e, cluster, command, err)
				}
			}
		}
	}
}

// Whatever else clients do to those whose writes are held, the engine lives on, and nothing is written before the pause is lifted.
func TestHeldClientsMayLeave(t *testing.T) {
	t.Parallel()
	for _, e := range []resource.Engine{engine.Valkey, engine.Redis} {
		n := kftest.Engine(t, e, kftest.InCluster(), kftest.WithAOF())
		n.Do(t, "SET", "gone", "v", "PX", "1")
		blocked := n.Client(t)
		waited := make(chan error, 1)
		go func() {
			_, err := blocked.Do(kftest.Context(t), "BLPOP", "list", "0.2") // its time is up within the pause
			waited <- err
		}()
		n.Do(t, "CLIENT", "PAUSE", "60000", "WRITE")
		pid := n.Sup.PID(n.ID)
		var leave []func()
		for _, command := range [][]string{{"SET", "held", "v"}, {"EVAL", "return redis.call('SET', KEYS[1], 'v')", "1", "held"}, {"PUBLISH", "c", "m"}, {"FLUSHALL"}, {"RPUSH", "list", "v"}} {
			c := n.Client(t)
			v, err := c.Do(kftest.Context(t), "CLIENT", "ID")
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() {
				_, err := c.Do(kftest.Context(t), command...)
				ended <- err
			}()
			kill := len(leave)%2 == 0
			leave = append(leave, func() {
				if kill {
					n.Do(t, "CLIENT", "KILL", "ID", strconv.FormatInt(v.Int, 10))
				} else {
					c.Close()
				}
				if err := kftest.Receive(t, "the held client's end", ended); err == nil {
					t.Errorf("%s: %v was carried out", e, command)
				}
			})
		}
		kftest.Eventually(t, "the writes to be held", func() error {
			info, err := n.Admin(t).Info(kftest.Context(t), "clients")
			if err == nil && info["blocked_clients"] < "5" {
				err = errors.New(info["blocked_clients"] + " are")
			}
			return err
		})
		for _, f := range leave {
			f()
		}
		if v := n.Do(t, "GET", "gone"); v.Str != "" {
			t.Errorf("%s: an expired key is served: %+v", e, v)
		}
		kftest.Receive(t, "the client that waits for a list", waited)
		n.Do(t, "CLIENT", "UNPAUSE")
		if a, b := n.Do(t, "EXISTS", "held"), n.Do(t, "EXISTS", "list"); a.Int+b.Int != 0 || n.Sup.PID(n.ID) != pid {
			t.Errorf("%s: after the pause %v and %v keys are there, process %d was %d", e, a.Int, b.Int, n.Sup.PID(n.ID), pid)
		}
	}
}
