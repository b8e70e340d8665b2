package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/resource"
)

// ErrUnknownNode is returned for a node that was never created or has been removed.
var ErrUnknownNode = errors.New("no such node")

// ErrNotRunning is returned when a node's process does not run, or ended while it was waited for.
var ErrNotRunning = errors.New("node is not running")

// Options configure a Supervisor. Only Dir is required.
type Options struct {
	Dir       string // nodes live in Dir/nodes/<id>, the local CA in Dir/ca.pem
	Addresses Addresses
	Log       *slog.Logger     // default: discards
	Now       func() time.Time // default: time.Now; for certificates
	Grace     time.Duration    // between SIGTERM and SIGKILL; default 10 s
	Silence   time.Duration    // of an engine, until who asks it something or waits for it gives it up; default 5 minutes

	// OnDeath is told of every process that ended without being asked to. It runs on its own goroutine.
	OnDeath func(Death)
}

// Death tells that a node's process ended unexpectedly.
type Death struct {
	ID      string
	Status  string // "exit status 1", "killed by signal killed"; unknown for a process that an earlier supervisor started
	LogTail string // the last lines of its log
}

// Spec says what a node is to be. It is kept for the node's life.
type Spec struct {
	ID      string // letters, digits, dot, dash, underscore; at most 64
	Engine  resource.Engine
	Binary  engine.Installed
	Port    int // wanted port; 0: the engine's own
	Cluster bool
	Shard   string               // cluster mode: name of the shard
	Slots   []resource.SlotRange // cluster mode: the shard's slots. A node that has all of them is a cluster by itself
	// ReplicaOf is the primary to follow, outside of cluster mode.
	ReplicaOf  resource.Endpoint
	MaxMemory  int64 // bytes; 0: no limit. Not in force while data is loaded: see SetMaxMemory
	TLS        bool
	AOF        bool
	Password   engine.Secret `json:"-"` // of engine.AdminUser
	Users      []engine.User // clients' accounts; none: one open account, as AWS has it without access control
	Parameters map[string]string
}

// Node is a node as it is.
type Node struct {
	Spec
	Lease
	Dir string // its directory
}

// Endpoint is where the node's clients connect.
func (n Node) Endpoint() resource.Endpoint {
	return resource.Endpoint{Address: n.Lease.Address, Port: n.Lease.Port}
}

// record is node.json. It is the one place where the password is written out.
type record struct {
	Spec     Spec
	Lease    Lease
	Password string
}

type node struct {
	op sync.Mutex // one of start, stop, remove at a time

	mu   sync.Mutex // guards what follows
	rec  record
	proc *process // nil: never seen running
	gone bool     // removed
}

func (n *node) snapshot(s *Supervisor) Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return Node{Spec: n.rec.Spec, Lease: n.rec.Lease, Dir: s.nodeDir(n.rec.Spec.ID)}
}

// present tells whether the node exists: not before it is created, nor once it is removed.
func (n *node) present() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone {
		return ErrUnknownNode
	}
	return nil
}

func (n *node) process() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.proc
}

// Supervisor runs the nodes of one data directory. There must be one supervisor at a time for a directory.
type Supervisor struct {
	opts Options
	addr Addresses

	mu     sync.Mutex
	nodes  map[string]*node
	closed bool

	deaths sync.WaitGroup
	stop   chan struct{}
	tls    authority
}

// New opens a directory. It starts and adopts nothing by itself: call Start for each node that should run.
func New(o Options) (*Supervisor, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	if o.Silence <= 0 {
		o.Silence = 5 * time.Minute
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "nodes"), 0o700); err != nil {
		return nil, err
	}
	// The kernel tells working directories without symbolic links.
	if o.Dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	s := &Supervisor{opts: o, addr: o.Addresses.orDefault(), nodes: make(map[string]*node), stop: make(chan struct{})}
	s.tls = authority{dir: o.Dir, now: o.Now}
	entries, err := os.ReadDir(filepath.Join(o.Dir, "nodes"))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		path := filepath.Join(o.Dir, "nodes", e.Name())
		if id, removed := strings.CutSuffix(e.Name(), removedSuffix); removed {
			// A remove was interrupted, perhaps before it gave the address back.
			if dir := s.nodeDir(id); !exists(dir) {
				s.addr.release(Lease{Names: s.addr.namesOf(dir)}, dir)
			}
			if err := os.RemoveAll(path); err != nil {
				return nil, err
			}
			continue
		}
		rec, err := readRecord(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Create was interrupted and will be called again
		}
		if err != nil {
			return nil, err
		}
		s.nodes[e.Name()] = &node{rec: rec}
	}
	if len(s.nodes) > 0 {
		if err := s.addr.prepare(); err != nil {
			return nil, err
		}
	}
	for id := range s.nodes {
		s.keepLease(id)
	}
	go s.tend()
	return s, nil
}

// Close stops watching. Engines go on running; a later supervisor takes them over.
func (s *Supervisor) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.stop)
	for _, n := range s.nodes {
		if p := n.process(); p != nil {
			p.release()
		}
	}
	s.mu.Unlock()
	s.deaths.Wait()
	return nil
}

func (s *Supervisor) nodeDir(id string) string { return filepath.Join(s.opts.Dir, "nodes", id) }

func (s *Supervisor) find(id string) (*node, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.nodes[id]; n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownNode, id)
}

// take is find for those who start, stop or change a node: it is theirs until they unlock op.
func (s *Supervisor) take(id string) (*node, error) {
	n, err := s.find(id)
	if err != nil {
		return nil, err
	}
	n.op.Lock()
	if err := n.present(); err != nil {
		n.op.Unlock()
		return nil, fmt.Errorf("%w: %s", err, id)
	}
	return n, nil
}

// Node returns a node by id.
func (s *Supervisor) Node(id string) (Node, error) {
	n, err := s.find(id)
	if err != nil {
		return Node{}, err
	}
	return n.snapshot(s), nil
}

// Nodes returns every node, in no particular order.
func (s *Supervisor) Nodes() []Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Node, 0, len(s.nodes))
	for _, n := range s.nodes {
		if n.present() == nil {
			out = append(out, n.snapshot(s))
		}
	}
	return out
}

const (
	recordFile    = "node.json"
	removedSuffix = ".removed"
)

var nodeID = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$`)

// Create gives a node its directory and its address. It may be repeated: a node that exists is returned as it is.
func (s *Supervisor) Create(ctx context.Context, spec Spec) (Node, error) {
	if !nodeID.MatchString(spec.ID) || strings.HasSuffix(spec.ID, removedSuffix) {
		return Node{}, fmt.Errorf("node id %.80q is malformed", spec.ID)
	}
	if spec.Binary.Path == "" || spec.Binary.Engine != spec.Engine {
		return Node{}, fmt.Errorf("node %s: no binary for engine %s", spec.ID, spec.Engine)
	}
	if spec.Engine != engine.Memcached && spec.Password.IsZero() {
		return Node{}, fmt.Errorf("node %s: no admin password", spec.ID)
	}
	if spec.Port == 0 {
		spec.Port = engine.DefaultPort(spec.Engine)
	}
	s.mu.Lock()
	if n := s.nodes[spec.ID]; n != nil {
		s.mu.Unlock()
		n.op.Lock() // another call may be creating or removing it
		defer n.op.Unlock()
		if err := n.present(); err != nil {
			return Node{}, fmt.Errorf("node %s: %w; try again", spec.ID, err)
		}
		have := n.snapshot(s)
		if have.Engine != spec.Engine || have.Cluster != spec.Cluster {
			return Node{}, fmt.Errorf("node %s exists as another kind of node", spec.ID)
		}
		return have, nil
	}
	n := &node{gone: true} // until the record is written
	n.op.Lock()
	defer n.op.Unlock()
	s.nodes[spec.ID] = n
	s.mu.Unlock()

	rec, err := s.create(ctx, spec)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.nodes, spec.ID)
		return Node{}, fmt.Errorf("node %s: %w", spec.ID, err)
	}
	n.mu.Lock()
	n.rec, n.gone = rec, false
	n.mu.Unlock()
	return n.snapshot(s), nil
}

func (s *Supervisor) create(ctx context.Context, spec Spec) (record, error) {
	if err := ctx.Err(); err != nil {
		return record{}, err
	}
	dir := s.nodeDir(spec.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return record{}, err
	}
	if err := syncDir(filepath.Dir(dir)); err != nil {
		return record{}, err
	}
	lease, err := s.addr.acquire(dir, spec.Port, spec.Cluster)
	if err != nil {
		os.Remove(dir)
		return record{}, err
	}
	if lease.Note != "" {
		s.opts.Log.Warn(lease.Note, "node", spec.ID)
	}
	rec := record{Spec: spec, Lease: lease}
	if err := rec.write(dir); err != nil {
		return record{}, err
	}
	return rec, nil
}

func (r record) write(dir string) error {
	r.Password = r.Spec.Password.Reveal()
	r.Spec.Password = engine.Secret{}
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, recordFile), b)
}

func readRecord(dir string) (record, error) {
	b, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return record{}, fmt.Errorf("%s: %w", filepath.Join(dir, recordFile), err)
	}
	r.Spec.Password, r.Password = engine.NewSecret(r.Password), ""
	return r, nil
}

// update changes a node's record, on disk first.
func (s *Supervisor) update(n *node, change func(*Spec)) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	rec := n.rec
	change(&rec.Spec)
	if err := rec.write(s.nodeDir(rec.Spec.ID)); err != nil {
		return err
	}
	n.rec = rec
	return nil
}
