package supervisor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyframe/keyframe/internal/engine"
)

const (
	lockName    = "lock"         // inherited by the engine
	processFile = "process.json" // who runs, for those who come later
	configFile  = "engine.conf"
	startedFile = "started" // there was a first start
)

// Start makes a node run. A node that runs already, started by this supervisor or an earlier one, is taken over as it is.
// It returns when the process exists; WaitReady tells when it serves.
func (s *Supervisor) Start(ctx context.Context, id string) error {
	n, err := s.take(id)
	if err != nil {
		return err
	}
	defer n.op.Unlock()
	if p := n.process(); p != nil && p.running() {
		return nil
	}
	p, lock, err := s.locate(ctx, id)
	if err != nil {
		return fmt.Errorf("node %s: %w", id, err)
	}
	if p != nil {
		if err := s.verifyOurs(ctx, n, p); err != nil {
			return fmt.Errorf("node %s: %w", id, err)
		}
		return s.follow(n, *p)
	}
	defer lock.Close()
	proc, err := s.spawn(n, lock)
	if err != nil {
		return fmt.Errorf("node %s: start %s: %w", id, n.snapshot(s).Binary.Path, err)
	}
	return s.follow(n, proc)
}

// Running tells whether the node's process is known to run. A process that an earlier supervisor started is known after Start.
func (s *Supervisor) Running(id string) bool {
	n, err := s.find(id)
	if err != nil {
		return false
	}
	p := n.process()
	return p != nil && p.running()
}

// PID is the number of the node's process, 0 when it is not known to run.
func (s *Supervisor) PID(id string) int {
	n, err := s.find(id)
	if err != nil {
		return 0
	}
	if p := n.process(); p != nil && p.running() {
		return p.PID
	}
	return 0
}

// locate returns the node's process if there is one, else the node's lock: with the lock in hand there is none, and none
// can come.
func (s *Supervisor) locate(ctx context.Context, id string) (*identity, *os.File, error) {
	dir := s.nodeDir(id)
	for deadline := time.Now().Add(5 * time.Second); ; {
		lock, err := lockFile(filepath.Join(dir, lockName), 0o600)
		if !errors.Is(err, errTaken) {
			return nil, lock, err
		}
		leaders, others := holders(dir)
		switch len(leaders) {
		case 1:
			p, err := identify(leaders[0])
			if err == nil {
				return &p, nil, nil
			}
		case 0:
			// What an engine left behind, such as a child that writes a snapshot to nobody. A process that is just being
			// forked is not here yet, as it has not changed its directory.
			for _, pid := range others {
				unix.Kill(pid, unix.SIGKILL)
			}
		default:
			return nil, nil, fmt.Errorf("processes %v all run in %s", leaders, dir)
		}
		if time.Now().After(deadline) {
			return nil, nil, fmt.Errorf("%s is locked by a process that cannot be found", dir)
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return nil, nil, err
		}
	}
}

// verifyOurs makes sure that a process found in the node's directory is the engine that an earlier supervisor started: it
// is the one on record, if the record was written, and it answers to our password.
func (s *Supervisor) verifyOurs(ctx context.Context, n *node, p *identity) error {
	node := n.snapshot(s)
	if b, err := os.ReadFile(filepath.Join(node.Dir, processFile)); err == nil {
		var was identity
		// Another pid means that the supervisor was killed between the start and the record of it.
		if json.Unmarshal(b, &was) == nil && was.PID == p.PID && was != *p {
			return fmt.Errorf("process %d is not the engine that was started under that number", p.PID)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := s.probe(ctx, node, p.PID)
		if err == nil {
			return nil
		}
		if !p.alive() {
			return fmt.Errorf("%w: process %d ended while it was taken over", ErrNotRunning, p.PID)
		}
		if errors.Is(err, errStranger) || pause(ctx, 20*time.Millisecond) != nil {
			return fmt.Errorf("process %d in %s does not answer as this node: %w", p.PID, node.Dir, err)
		}
	}
}

// follow records the process and watches it.
func (s *Supervisor) follow(n *node, id identity) error {
	node := n.snapshot(s)
	b, err := json.Marshal(id)
	if err == nil {
		err = writeFile(filepath.Join(node.Dir, processFile), b)
	}
	if err != nil {
		return err // the process runs; the next Start finds it
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("supervisor is closed")
	}
	p, err := watch(id, func(p *process) { s.ended(node.ID, p) })
	if err != nil {
		if !id.alive() {
			return fmt.Errorf("%w: it ended at once: %s", ErrNotRunning, s.LogTail(node.ID, 5))
		}
		return err
	}
	n.mu.Lock()
	n.proc = p
	n.mu.Unlock()
	return nil
}

func (s *Supervisor) ended(id string, p *process) {
	p.release()
	s.mu.Lock()
	if s.closed || p.expected.Load() || s.opts.OnDeath == nil {
		s.mu.Unlock()
		return
	}
	s.deaths.Add(1)
	s.mu.Unlock()
	defer s.deaths.Done()
	s.opts.OnDeath(Death{ID: id, Status: p.status, LogTail: s.LogTail(id, 10)})
}

// spawn writes the node's files and starts its process, which inherits the locks.
func (s *Supervisor) spawn(n *node, lock *os.File) (identity, error) {
	node := n.snapshot(s)
	held, err := s.addr.claim(node.Lease, node.Dir)
	if err != nil {
		return identity{}, err
	}
	defer closeAll(held)
	args, err := s.writeFiles(node)
	if err != nil {
		return identity{}, err
	}
	log, err := openLog(node.Dir)
	if err != nil {
		return identity{}, err
	}
	defer log.Close()
	cmd := exec.Command(node.Binary.Path, args...)
	cmd.Dir = node.Dir
	cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = append([]*os.File{lock}, held...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // signals meant for us must not reach it
	if err := cmd.Start(); err != nil {
		return identity{}, err
	}
	defer cmd.Process.Release() // watch reaps it
	st, err := readStat(cmd.Process.Pid)
	if err != nil {
		return identity{}, err
	}
	boot, err := bootID()
	return identity{PID: cmd.Process.Pid, Start: st.start, Boot: boot}, err
}

// writeFiles brings everything that the engine reads at its start up to date, and returns its arguments.
func (s *Supervisor) writeFiles(node Node) ([]string, error) {
	tls, err := s.tls.files(node)
	if err != nil {
		return nil, err
	}
	if node.Engine == engine.Memcached {
		return memcachedArgs(node, tls)
	}
	c := engine.Config{Engine: node.Engine, Version: node.Binary.Version, Dir: node.Dir, Address: node.Lease.Address, Port: node.Lease.Port,
		BusPort: node.BusPort, Cluster: node.Cluster, ReplicaOf: node.ReplicaOf, TLS: tls, Admin: node.Password, MaxMemory: node.MaxMemory,
		AOF: node.AOF, Parameters: node.Parameters}
	if exists(filepath.Join(node.Dir, engine.DataFile)) {
		c.MaxMemory = 0 // with a limit, the first command after the load could evict
	}
	text, err := c.File()
	if err != nil {
		return nil, err
	}
	if err := writeFile(filepath.Join(node.Dir, configFile), []byte(text)); err != nil {
		return nil, err
	}
	if err := writeACL(node); err != nil {
		return nil, err
	}
	nodesConf := filepath.Join(node.Dir, engine.NodesFile)
	if node.Cluster && !exists(nodesConf) {
		self := s.clusterNode(node, true)
		if missing := engine.CheckSlots(node.Slots); missing != nil {
			return nil, fmt.Errorf("SetCluster must come before the first start: %w", missing)
		}
		if err := s.writeNodesConf(node, []engine.ClusterNode{self}); err != nil {
			return nil, err
		}
	}
	return []string{filepath.Join(node.Dir, configFile)}, writeFile(filepath.Join(node.Dir, startedFile), nil)
}

func (s *Supervisor) clusterNode(n Node, primary bool) engine.ClusterNode {
	c := engine.ClusterNode{ID: n.ID, Shard: n.Shard, Address: n.Lease.Address, Port: n.Lease.Port, BusPort: n.BusPort, Primary: primary}
	if primary {
		c.Slots = n.Slots
	}
	return c
}

func (s *Supervisor) writeNodesConf(n Node, nodes []engine.ClusterNode) error {
	text, err := engine.NodesConf(n.Binary.Version, n.Engine, n.ID, nodes, n.TLS)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(n.Dir, engine.NodesFile), []byte(text))
}

// SetCluster tells a node of a cluster, before its first start, who the others are. Nodes must name every node of the
// cluster, itself included, and give every slot an owner. After the first start the engines keep this knowledge themselves.
func (s *Supervisor) SetCluster(ctx context.Context, id string, nodes []engine.ClusterNode) error {
	n, err := s.take(id)
	if err != nil {
		return err
	}
	defer n.op.Unlock()
	node := n.snapshot(s)
	if !node.Cluster {
		return fmt.Errorf("node %s is not in cluster mode", id)
	}
	if exists(filepath.Join(node.Dir, startedFile)) {
		return nil
	}
	return s.writeNodesConf(node, nodes)
}

// JoinCluster prepares a node, before its first start, for a cluster that runs: it begins with no slots and knows nobody, until
// it is introduced by CLUSTER MEET.
func (s *Supervisor) JoinCluster(id string) error {
	n, err := s.take(id)
	if err != nil {
		return err
	}
	defer n.op.Unlock()
	node := n.snapshot(s)
	if !node.Cluster {
		return fmt.Errorf("node %s is not in cluster mode", id)
	}
	if exists(filepath.Join(node.Dir, startedFile)) {
		return nil
	}
	text := engine.JoinConf(node.Binary.Version, node.Engine, s.clusterNode(node, true), node.TLS)
	return writeFile(filepath.Join(node.Dir, engine.NodesFile), []byte(text))
}

// ClusterNode describes a node for SetCluster.
func (s *Supervisor) ClusterNode(id string, primary bool) (engine.ClusterNode, error) {
	n, err := s.Node(id)
	if err != nil {
		return engine.ClusterNode{}, err
	}
	return s.clusterNode(n, primary), nil
}

func aclText(n Node, users []engine.User) (string, error) {
	if len(users) == 0 {
		users = []engine.User{engine.OpenUser()}
	}
	return engine.ACL{Engine: n.Engine, Version: n.Binary.Version, Cluster: n.Cluster, Admin: n.Password, Users: users}.Text()
}

func writeACL(n Node) error {
	text, err := aclText(n, n.Users)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(n.Dir, engine.ACLFile), []byte(text))
}

// memcachedArgs is memcached's whole configuration. Its limit is in megabytes and cannot be lifted.
func memcachedArgs(n Node, tls *engine.TLSFiles) ([]string, error) {
	args := []string{"-l", n.Lease.Address, "-p", strconv.Itoa(n.Lease.Port), "-U", "0", "-m", strconv.FormatInt(megabytes(n.MaxMemory), 10)}
	if os.Geteuid() == 0 {
		u, err := user.Current()
		if err != nil {
			return nil, err
		}
		args = append(args, "-u", cmp.Or(u.Username, "root")) // it refuses to run as root unless told to
	}
	if tls != nil {
		args = append(args, "-Z", "-o", "ssl_chain_cert="+tls.Cert, "-o", "ssl_key="+tls.Key)
	}
	if n := connections(); n > 0 {
		args = append(args, "-c", strconv.Itoa(n))
	}
	args = append(args, engine.MemcachedArgs(n.Parameters, n.MaxMemory)...)
	return args, writeFile(filepath.Join(n.Dir, startedFile), nil)
}

// connections is how many clients memcached is told to take: as many as AWS's, if this process may open so many files; 0 for its
// own default.
func connections() int {
	const ofAWS, besides = 65000, 512
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Max < 2*besides {
		return 0
	}
	return int(min(files.Max-besides, ofAWS))
}

// megabytes rounds up; no limit becomes a gigabyte, as memcached needs one.
func megabytes(bytes int64) int64 {
	if bytes <= 0 {
		return 1024
	}
	return max(1, (bytes+(1<<20)-1)>>20)
}

// SetData hands a node the RDB file that it loads at its next start. The file is moved. The node must not run.
func (s *Supervisor) SetData(ctx context.Context, id, path string) error {
	n, err := s.take(id)
	if err != nil {
		return err
	}
	defer n.op.Unlock()
	if p := n.process(); p != nil && p.running() {
		return fmt.Errorf("node %s runs: data is loaded at a start", id)
	}
	if err := moveFile(path, filepath.Join(s.nodeDir(id), engine.DataFile)); err != nil {
		return fmt.Errorf("node %s: %w", id, err)
	}
	return syncDir(s.nodeDir(id))
}

// DataPath is where a node's data file lies. A restore may write it there directly, before the start.
func (s *Supervisor) DataPath(id string) string {
	return filepath.Join(s.nodeDir(id), engine.DataFile)
}

// RemoveData unlinks the data file once it is loaded, or a later start would bring old data back.
func (s *Supervisor) RemoveData(ctx context.Context, id string) error {
	if err := removeIfThere(s.DataPath(id)); err != nil {
		return err
	}
	if err := syncDir(s.nodeDir(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
