package app

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockPatience is how long a lock is waited for whose holder is dead.
const lockPatience = 2 * time.Second

// lock takes the data directory for this process alone. The kernel lets go of it when the process ends, however it ends;
// the pid in the file only serves the message to the second comer.
func lock(dir string) (release func(), err error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for began := time.Now(); errors.Is(err, syscall.EWOULDBLOCK); {
		text, _ := io.ReadAll(io.NewSectionReader(f, 0, 32))
		pid := strings.TrimSpace(string(text))
		// A server that was killed while it started an engine leaves a child that has the lock until it is the engine.
		if !dead(pid) || time.Since(began) > lockPatience {
			f.Close()
			return nil, fmt.Errorf("the data directory %s is in use by process %s: stop it, or name another directory with --data", dir, pid)
		}
		time.Sleep(10 * time.Millisecond)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := f.Truncate(0); err == nil {
		fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return func() { f.Close() }, nil
}

// dead reports whether a process is known not to run.
func dead(pid string) bool {
	n, err := strconv.Atoi(pid)
	return err == nil && n > 0 && errors.Is(syscall.Kill(n, 0), syscall.ESRCH)
}
