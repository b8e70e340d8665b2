package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/keyframe/keyframe/internal/failpoint"
)

// feedPipe is the size of the pipe between us and a loading engine. The kernel may give less.
const feedPipe = 1 << 20

// StartWith starts a node on the RDB that fill writes. The bytes go through a pipe in the place of the data file, so that
// the engine loads while they are decoded, and no plain data touches the disk. When fill fails, or we are killed, the pipe
// ends early and the engine gives up: it never serves half of the data. A node that runs is stopped first.
// WaitReady tells when all is loaded.
func (s *Supervisor) StartWith(ctx context.Context, id string, fill func(io.Writer) error) error {
	if err := s.kill(ctx, id); err != nil {
		return err
	}
	path := s.DataPath(id)
	if err := removeIfThere(path); err != nil {
		return err
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return fmt.Errorf("node %s: make a pipe at %s: %w", id, filepath.Base(path), err)
	}
	if err := s.Start(ctx, id); err != nil {
		return err
	}
	failpoint.Hit("create-cache.piped")
	w, err := s.openPipe(ctx, id, path)
	if err != nil {
		return errors.Join(err, s.kill(context.WithoutCancel(ctx), id))
	}
	// The engine has it open. It would open it a second time after the load, and wait for us for ever.
	err = os.Remove(path)
	if err == nil {
		unhook := context.AfterFunc(ctx, func() { w.Close() })
		err = fill(w)
		unhook()
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == nil {
		return w.Close()
	}
	w.Close()
	if errors.Is(err, unix.EPIPE) {
		// The engine gave up first, and its log says why.
		err = fmt.Errorf("%w: %s stopped reading:\n%s", ErrNotRunning, id, s.LogTail(id, 10))
	}
	return errors.Join(err, s.kill(context.WithoutCancel(ctx), id))
}

// openPipe opens the writing end as soon as the engine has opened the reading one.
func (s *Supervisor) openPipe(ctx context.Context, id, path string) (*os.File, error) {
	for {
		fd, err := unix.Open(path, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, feedPipe) //nolint:errcheck // a smaller pipe is slower, no more
			return os.NewFile(uintptr(fd), path), nil
		}
		if !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.EINTR) {
			return nil, fmt.Errorf("node %s: open its pipe: %w", id, err)
		}
		if !s.Running(id) {
			return nil, fmt.Errorf("%w: %s ended before it loaded anything:\n%s", ErrNotRunning, id, s.LogTail(id, 10))
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// kill ends a node at once: one that has no data that anybody could miss, or that waits for a pipe and hears nothing else.
func (s *Supervisor) kill(ctx context.Context, id string) error {
	p, lock, err := s.locate(ctx, id)
	if err != nil {
		return fmt.Errorf("node %s: %w", id, err)
	}
	if lock != nil {
		return lock.Close()
	}
	var known *process
	if n, err := s.find(id); err == nil {
		if known = n.process(); known != nil && known.PID == p.PID {
			known.expected.Store(true)
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, dying, fmt.Errorf("node %s: process %d does not end, not even when killed", id, p.PID))
	defer cancel()
	for p.alive() {
		if err := unix.Kill(p.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("node %s: %w", id, err)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return context.Cause(ctx)
		}
	}
	if known != nil && known.PID == p.PID {
		// A start that comes before its watcher noticed would take it for running.
		select {
		case <-known.done:
		case <-s.stop:
			return errors.New("supervisor is closed")
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
