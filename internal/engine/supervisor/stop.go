package supervisor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// dying is how long a process that was killed may take to be gone: a large one is not at once, and one that waits for a disk may never be.
const dying = time.Minute

// Stop ends a node's process and waits until it is gone: SIGTERM, and SIGKILL after the grace period or when the context
// ends. A node that does not run is left alone. Without replicas or an append-only file the node's data is lost.
func (s *Supervisor) Stop(ctx context.Context, id string) error {
	n, err := s.take(id)
	if err != nil {
		return err
	}
	defer n.op.Unlock()
	return s.halt(ctx, n)
}

func (s *Supervisor) halt(ctx context.Context, n *node) error {
	id := n.snapshot(s).ID
	p := n.process()
	if p == nil || !p.running() {
		// Perhaps an earlier supervisor's engine runs. Its directory and its lock say that it is the node's.
		found, lock, err := s.locate(ctx, id)
		if err != nil {
			return fmt.Errorf("node %s: %w", id, err)
		}
		if lock != nil {
			return lock.Close()
		}
		if err := s.follow(n, *found); errors.Is(err, ErrNotRunning) {
			return nil
		} else if err != nil {
			return fmt.Errorf("node %s: %w", id, err)
		}
		p = n.process()
	}
	p.expected.Store(true)
	if err := p.signal(unix.SIGTERM); err != nil {
		return fmt.Errorf("node %s: %w", id, err)
	}
	grace := time.NewTimer(s.opts.Grace)
	defer grace.Stop()
	select {
	case <-p.done:
	case <-s.stop:
		return errors.New("supervisor is closed")
	case <-grace.C:
	case <-ctx.Done():
	}
	if p.running() {
		s.opts.Log.Warn("engine did not end by itself and is killed", "node", id, "pid", p.PID)
		if err := p.signal(unix.SIGKILL); err != nil {
			return fmt.Errorf("node %s: %w", id, err)
		}
		select {
		case <-p.done:
		case <-s.stop:
			return errors.New("supervisor is closed")
		case <-time.After(dying):
			return fmt.Errorf("node %s: process %d does not end, not even when killed", id, p.PID)
		}
	}
	// Children go with it.
	_, lock, err := s.locate(context.WithoutCancel(ctx), id)
	if err != nil {
		return fmt.Errorf("node %s: %w", id, err)
	}
	if lock == nil {
		return fmt.Errorf("node %s: a second process runs in its directory", id)
	}
	return lock.Close()
}

// Remove stops a node and deletes all that is left of it: directory, data, log, address. It may be repeated; a node that
// does not exist is no error.
func (s *Supervisor) Remove(ctx context.Context, id string) error {
	if !nodeID.MatchString(id) {
		return fmt.Errorf("node id %.80q is malformed", id)
	}
	dir := s.nodeDir(id)
	s.mu.Lock()
	n := s.nodes[id]
	s.mu.Unlock()
	if n == nil {
		// Left by a Create that was interrupted: a directory, and at most a lease that names it.
		return s.erase(dir, Lease{})
	}
	n.op.Lock()
	defer n.op.Unlock()
	if n.present() != nil {
		return nil
	}
	if err := s.halt(ctx, n); err != nil {
		return err
	}
	if err := s.erase(dir, n.snapshot(s).Lease); err != nil {
		return fmt.Errorf("node %s: %w", id, err)
	}
	s.mu.Lock()
	delete(s.nodes, id)
	s.mu.Unlock()
	n.mu.Lock()
	n.gone = true
	n.mu.Unlock()
	return nil
}

// erase takes the directory out of sight in one step, so that no half of it can be taken for a node. Without a lease it
// looks for one that names the directory.
func (s *Supervisor) erase(dir string, l Lease) error {
	trash := dir + removedSuffix
	if err := os.RemoveAll(trash); err != nil {
		return err
	}
	if exists(dir) {
		if err := os.Rename(dir, trash); err != nil {
			return err
		}
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return err
		}
	}
	if l.Names == nil {
		l.Names = s.addr.namesOf(dir)
	}
	s.addr.release(l, dir)
	return os.RemoveAll(trash)
}
