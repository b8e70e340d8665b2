// Package kftest is the test kit: real engines on addresses of their own, and waiting without sleeps. Only tests import it.
package kftest

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
	"github.com/keyframe/keyframe/internal/resource"
)

// Patience bounds every wait of the kit. It is long, as many tests share few cores.
const Patience = 90 * time.Second

var discovered = sync.OnceValues(func() (*engine.Catalog, error) { return supervisor.Discover(context.Background()) })

// Catalog is what is installed on this machine.
func Catalog(t testing.TB) *engine.Catalog {
	t.Helper()
	c, err := discovered()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Context ends with the test, or when the kit's patience does.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Supervisor opens a supervisor on a directory of the test's own. At the end of the test its nodes are removed.
func Supervisor(t testing.TB, o supervisor.Options) *supervisor.Supervisor {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	if o.Grace == 0 {
		o.Grace = 2 * time.Second
	}
	s, err := supervisor.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		for _, n := range s.Nodes() {
			if err := s.Remove(ctx, n.ID); err != nil {
				t.Errorf("remove node: %v", err)
			}
		}
		s.Close()
	})
	return s
}

// Option changes the node that Engine boots.
type Option func(*setup)

type setup struct {
	supervisor.Spec
	sup  *supervisor.Supervisor
	data string
}

// InCluster makes a cluster of one node that serves all slots, as serverless caches are.
func InCluster() Option {
	return func(s *setup) { s.Spec.Cluster, s.Shard, s.Slots = true, "0001", resource.AllSlots }
}

// WithTLS makes the node speak TLS instead of plain TCP.
func WithTLS() Option { return func(s *setup) { s.TLS = true } }

// WithAOF turns the append-only file on.
func WithAOF() Option { return func(s *setup) { s.AOF = true } }

// MaxMemory limits the node, in bytes.
func MaxMemory(bytes int64) Option { return func(s *setup) { s.Spec.MaxMemory = bytes } }

// Parameter sets a configuration setting, as a parameter group would.
func Parameter(name, value string) Option {
	return func(s *setup) {
		if s.Parameters == nil {
			s.Parameters = map[string]string{}
		}
		s.Parameters[name] = value
	}
}

// Under runs the node under a supervisor that is there already.
func Under(sup *supervisor.Supervisor) Option { return func(s *setup) { s.sup = sup } }

// Data makes the node load an RDB file at its start. The file is moved away.
func Data(path string) Option { return func(s *setup) { s.data = path } }

// ReplicaOf makes the node follow a primary outside of cluster mode. Both have the same supervisor and admin password.
func ReplicaOf(n *Node) Option {
	return func(s *setup) { s.Spec.ReplicaOf, s.Password, s.sup, s.TLS = n.Endpoint(), n.Password, n.Sup, n.TLS }
}

// Node is an engine that runs.
type Node struct {
	supervisor.Node
	Sup *supervisor.Supervisor
}

var serial struct {
	sync.Mutex
	n int
}

func nextID() string {
	serial.Lock()
	defer serial.Unlock()
	serial.n++
	return fmt.Sprintf("node-%04d", serial.n)
}

// Engine boots an engine and waits until it is ready. It is stopped, and nothing is left of it, at the end of the test.
func Engine(t testing.TB, e resource.Engine, opts ...Option) *Node {
	t.Helper()
	n := create(t, e, opts...)
	n.start(t)
	return n
}

func create(t testing.TB, e resource.Engine, opts ...Option) *Node {
	t.Helper()
	choice, err := Catalog(t).Resolve(e, "")
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{Spec: supervisor.Spec{ID: nextID(), Engine: e, Binary: choice.Binary, Password: engine.RandomSecret()}}
	for _, o := range opts {
		o(s)
	}
	if s.sup == nil {
		s.sup = Supervisor(t, supervisor.Options{})
	}
	node, err := s.sup.Create(Context(t), s.Spec)
	if err != nil {
		t.Fatal(err)
	}
	if s.data != "" {
		if err := s.sup.SetData(Context(t), node.ID, s.data); err != nil {
			t.Fatal(err)
		}
	}
	return &Node{Node: node, Sup: s.sup}
}

func (n *Node) start(t testing.TB) {
	t.Helper()
	if err := n.Sup.Start(Context(t), n.ID); err != nil {
		t.Fatal(err)
	}
	Guard(t, n.Sup.PID(n.ID))
	if err := n.Sup.WaitReady(Context(t), n.ID, nil); err != nil {
		t.Fatal(err)
	}
}

// Cluster boots a real cluster: shards primaries that share the slots evenly, each with the given number of replicas.
// The result holds the primaries first, in the order of their slots, then the replicas of the first shard, and so on.
func Cluster(t testing.TB, e resource.Engine, shards, replicas int, opts ...Option) []*Node {
	t.Helper()
	var given setup
	for _, o := range opts {
		o(&given)
	}
	sup, password := given.sup, engine.RandomSecret()
	if sup == nil {
		sup = Supervisor(t, supervisor.Options{})
	}
	var nodes []*Node
	var all []engine.ClusterNode
	add := func(shard int, primary bool) {
		n := create(t, e, append(opts, func(s *setup) {
			s.sup, s.Password, s.Spec.Cluster, s.Shard = sup, password, true, fmt.Sprintf("%04d", shard+1)
			s.Slots = []resource.SlotRange{{Start: shard * 16384 / shards, End: (shard+1)*16384/shards - 1}}
		})...)
		c, err := sup.ClusterNode(n.ID, primary)
		if err != nil {
			t.Fatal(err)
		}
		nodes, all = append(nodes, n), append(all, c)
	}
	for i := range shards {
		add(i, true)
	}
	for i := range shards {
		for range replicas {
			add(i, false)
		}
	}
	for _, n := range nodes {
		if err := sup.SetCluster(Context(t), n.ID, all); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes {
		if err := sup.Start(Context(t), n.ID); err != nil {
			t.Fatal(err)
		}
		Guard(t, sup.PID(n.ID))
	}
	for _, n := range nodes {
		if err := sup.WaitReady(Context(t), n.ID, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range nodes[shards:] {
		n.WaitLink(t)
	}
	return nodes
}

// Addr is the node's "ip:port".
func (n *Node) Addr() string { return n.Lease.Address + ":" + strconv.Itoa(n.Lease.Port) }

// TLSConfig is what a client needs to connect; nil for plain TCP.
func (n *Node) TLSConfig(t testing.TB) *tls.Config {
	t.Helper()
	c, err := n.Sup.ClientTLS(n.ID)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Admin opens a connection as the admin user; it is closed at the end of the test.
func (n *Node) Admin(t testing.TB) *resp.Conn {
	t.Helper()
	c, err := n.Sup.Admin(Context(t), n.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Client opens a connection as a client of the cache has it; it is closed at the end of the test.
func (n *Node) Client(t testing.TB) *resp.Conn {
	t.Helper()
	c, err := resp.Dial(Context(t), n.Addr(), n.TLSConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Do runs one command as the admin user and fails the test on any error.
func (n *Node) Do(t testing.TB, args ...string) resp.Value {
	t.Helper()
	c, err := n.Sup.Admin(Context(t), n.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	v, err := c.Do(Context(t), args...)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	return v
}

// WaitLink waits until a replica is in step with its primary's link.
func (n *Node) WaitLink(t testing.TB) {
	t.Helper()
	c := n.Admin(t)
	Eventually(t, "replica "+n.ID+" to follow its primary", func() error {
		info, err := c.Info(Context(t), "replication")
		if err == nil && info["master_link_status"] != "up" {
			err = fmt.Errorf("link is %q", info["master_link_status"])
		}
		return err
	})
}

// Eventually calls ok until it returns nil, and fails the test when the kit's patience ends.
func Eventually(t testing.TB, what string, ok func() error) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := ok()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s: %v", what, err)
		}
		time.Sleep(wait)
	}
}

// Receive returns the next value of a channel, and fails the test when none comes.
func Receive[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v, ok := <-ch:
		if !ok {
			t.Fatalf("channel closed while waiting for %s", what)
		}
		return v
	case <-time.After(Patience):
		t.Fatalf("waited in vain for %s", what)
	}
	panic("unreachable")
}

// Guard kills an engine if the test process dies without its cleanup, as it does on a panic or a timeout: engines are
// made to outlive their supervisor.
func Guard(t testing.TB, pid int) {
	t.Helper()
	if pid == 0 {
		return
	}
	cmd := exec.Command("sh", "-c", `read line; [ "$line" = done ] || kill -9 "$0"`, strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		io.WriteString(in, "done\n")
		in.Close()
		cmd.Wait()
	})
}
