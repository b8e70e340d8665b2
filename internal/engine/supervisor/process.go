package supervisor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// identity tells a process apart from every other, also after its number was used again or the machine restarted.
type identity struct {
	PID   int
	Start uint64 // clock ticks after boot, field 22 of /proc/PID/stat
	Boot  string // boot id of the kernel
}

func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

type stat struct {
	state   byte
	session int
	start   uint64
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// parseStat reads /proc/PID/stat. The name in parentheses may hold anything, so fields count from the last one.
func parseStat(b []byte) (stat, error) {
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 20 || len(f[0]) != 1 || !letter(f[0][0]) {
		return stat{}, fmt.Errorf("process status %.80q is malformed", b)
	}
	session, err1 := strconv.Atoi(string(f[3]))
	start, err2 := strconv.ParseUint(string(f[19]), 10, 64)
	return stat{state: f[0][0], session: session, start: start}, errors.Join(err1, err2)
}

func letter(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }

func (s stat) dead() bool { return s.state == 'Z' || s.state == 'X' }

// identify describes a live process; a zombie is not one.
func identify(pid int) (identity, error) {
	st, err := readStat(pid)
	if err != nil {
		return identity{}, err
	}
	if st.dead() {
		return identity{}, fmt.Errorf("process %d is a zombie", pid)
	}
	boot, err := bootID()
	return identity{PID: pid, Start: st.start, Boot: boot}, err
}

func (id identity) alive() bool {
	now, err := identify(id.PID)
	return err == nil && now == id
}

// holders lists the live processes that work in a node's directory and hold its lock: the engine, which leads its session,
// and others, such as a child that writes a snapshot. A person's shell in the directory is none of them.
func holders(dir string) (leaders, others []int) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, nil
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if cwd, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd")); err != nil || cwd != dir || !holds(pid, filepath.Join(dir, lockName)) {
			continue
		}
		st, err := readStat(pid)
		switch {
		case err != nil || st.dead():
		case st.session == pid:
			leaders = append(leaders, pid)
		default:
			others = append(others, pid)
		}
	}
	return leaders, others
}

// holds tells whether a process has a file open.
func holds(pid int, path string) bool {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && target == path {
			return true
		}
	}
	return false
}

// process is a live or ended engine process.
type process struct {
	identity
	fd       *os.File      // process file descriptor: signals through it cannot hit a stranger
	done     chan struct{} // closed when the process has ended
	status   string        // how it ended; set before done is closed
	expected atomic.Bool   // its end was asked for
}

// watch follows a process that has just been started or found. onExit runs once, unless release comes first.
func watch(id identity, onExit func(*process)) (*process, error) {
	fd, err := unix.PidfdOpen(id.PID, unix.PIDFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("process %d: %w", id.PID, err)
	}
	p := &process{identity: id, fd: os.NewFile(uintptr(fd), "pidfd"), done: make(chan struct{})}
	raw, err := p.fd.SyscallConn()
	if err != nil {
		p.fd.Close()
		return nil, err
	}
	go func() {
		ended := false
		err := raw.Read(func(fd uintptr) bool {
			ended = pollExit(int(fd))
			return ended
		})
		for err != nil && !ended && !errors.Is(err, os.ErrClosed) { // the descriptor cannot be waited for: look now and then
			time.Sleep(200 * time.Millisecond)
			if cerr := raw.Control(func(fd uintptr) { ended = pollExit(int(fd)) }); cerr != nil {
				err = os.ErrClosed
			}
		}
		if !ended {
			return // released
		}
		p.status = reap(p.PID)
		close(p.done)
		onExit(p)
	}()
	return p, nil
}

func pollExit(fd int) bool {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return err == nil && n > 0
}

// reap collects the exit status of a child that has ended; of another's child nothing is known.
func reap(pid int) string {
	var ws unix.WaitStatus
	for {
		got, err := unix.Wait4(pid, &ws, unix.WNOHANG, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil || got != pid:
			return "exit status unknown"
		case ws.Signaled():
			return "killed by signal " + ws.Signal().String()
		}
		return "exit status " + strconv.Itoa(ws.ExitStatus())
	}
}

func (p *process) signal(sig unix.Signal) error {
	raw, err := p.fd.SyscallConn()
	if err == nil {
		var serr error
		if err = raw.Control(func(fd uintptr) { serr = unix.PidfdSendSignal(int(fd), sig, nil, 0) }); err == nil {
			err = serr
		}
	}
	if errors.Is(err, unix.ESRCH) || err != nil && !p.running() {
		return nil // gone already
	}
	return err
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// release stops watching; the process goes on.
func (p *process) release() { p.fd.Close() }
