package supervisor

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	logName   = "engine.log"
	logLimit  = 8 << 20 // bytes; one older file of at most this size is kept beside it
	tailBytes = 8 << 10
)

// openLog opens a node's log for appending. What earlier runs wrote is kept until the limit.
func openLog(dir string) (*os.File, error) {
	path := filepath.Join(dir, logName)
	if fi, err := os.Stat(path); err == nil && fi.Size() > logLimit {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, err
		}
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
}

// tend keeps the logs of running engines bounded and the leases fresh until Close.
func (s *Supervisor) tend() {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-tick.C:
		}
		for _, n := range s.Nodes() {
			if err := trimLog(n.Dir, logLimit); err != nil {
				s.opts.Log.Warn("engine log cannot be trimmed", "node", n.ID, "error", err)
			}
			s.keepLease(n.ID)
		}
	}
}

func (s *Supervisor) keepLease(id string) {
	n, err := s.find(id)
	if err != nil || !n.op.TryLock() {
		return // next time
	}
	defer n.op.Unlock()
	if n.present() == nil {
		node := n.snapshot(s)
		s.addr.keep(node.Lease, node.Dir, s.opts.Now())
	}
}

// trimLog copies a long log aside and empties it. The engine has it open for appending and goes on at its new end; lines
// that it writes in between are lost.
func trimLog(dir string, limit int64) error {
	path := filepath.Join(dir, logName)
	fi, err := os.Stat(path)
	if err != nil || fi.Size() <= limit {
		return nil // none yet, or short
	}
	in, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	if _, err := in.Seek(-limit, io.SeekEnd); err != nil {
		return err
	}
	out, err := os.OpenFile(path+".1", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return in.Truncate(0)
}

// LogTail returns the last lines of a node's log, at most n of them and 8 KiB.
func (s *Supervisor) LogTail(id string, n int) string {
	f, err := os.Open(filepath.Join(s.nodeDir(id), logName))
	if err != nil {
		return ""
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Size() > tailBytes {
		f.Seek(-tailBytes, io.SeekEnd)
	}
	b, err := io.ReadAll(io.LimitReader(f, tailBytes))
	if err != nil {
		return ""
	}
	b = bytes.TrimRight(b, "\n")
	at := len(b)
	for range n {
		if at = bytes.LastIndexByte(b[:at], '\n'); at < 0 {
			return string(b)
		}
	}
	return string(b[at+1:])
}
