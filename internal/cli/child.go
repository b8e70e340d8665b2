package cli

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// child is a program that the demo runs beside itself.
type child struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// startChild runs a program in a process group of its own, so that Ctrl-C reaches us alone and we end it in order.
func startChild(dir, log, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.Command(program, args...), log: filepath.Join(dir, log), done: make(chan struct{})}
	out, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.cmd.Wait() //nolint:errcheck // that it ended is what counts; its log says why
		close(c.done)
	}()
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// stop ends the program and waits until it is gone.
func (c *child) stop() {
	c.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may be gone already
	select {
	case <-c.done:
	case <-time.After(15 * time.Second):
		c.cmd.Process.Kill() //nolint:errcheck // likewise
		<-c.done
	}
}

// logTail is the end of what the program said.
func (c *child) logTail() string {
	if c == nil {
		return ""
	}
	text, _ := os.ReadFile(c.log) //nolint:errcheck // nothing to show then
	return string(text[max(0, len(text)-2000):])
}

// poll asks until it gets a yes, an error, or the program that it waits for has ended.
func poll(ctx context.Context, c *child, ask func() (bool, error)) error {
	for wait := 5 * time.Millisecond; ; wait = min(wait*3/2, 100*time.Millisecond) {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-c.done:
			timer.Stop()
			return fmt.Errorf("%s ended unexpectedly", filepath.Base(c.cmd.Path))
		}
	}
}

// freePort finds a port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
