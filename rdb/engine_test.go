package rdb

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// engine is a real server of its own process group, on a socket in its directory.
type engine struct {
	t    *testing.T
	dir  string
	conn net.Conn
	in   *bufio.Reader
}

// startEngine runs a server until the test ends. If dir holds a dump.rdb, it is
// loaded. The test is skipped where the server is not installed.
func startEngine(t *testing.T, server, dir string, args ...string) *engine {
	t.Helper()
	path, err := exec.LookPath(server)
	if err != nil {
		t.Skipf("%s is not installed", server)
	}
	args = append([]string{"--port", "0", "--unixsocket", "s", "--dir", dir, "--save", "", "--appendonly", "no",
		"--enable-debug-command", "local"}, args...)
	cmd := exec.Command(path, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready, drained := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(drained)
		var log strings.Builder
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			log.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "eady to accept connections") {
				ready <- nil
				_, _ = io.Copy(io.Discard, out)
				return
			}
		}
		ready <- fmt.Errorf("%s ended: %s", server, log.String())
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait()
	})
	select {
	case err := <-ready:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatalf("%s is not ready after a minute", server)
	}
	e := &engine{t: t, dir: dir}
	e.connect()
	return e
}

// connect opens a connection in place of the one before.
func (e *engine) connect() {
	e.t.Helper()
	conn, err := net.Dial("unix", filepath.Join(e.dir, "s"))
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		e.t.Fatal(err)
	}
	e.conn, e.in = conn, bufio.NewReader(conn)
}

// do sends a command and returns the answer: string, int64, nil or []any.
func (e *engine) do(args ...any) any {
	e.t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(args))
	for _, a := range args {
		s := fmt.Sprint(a)
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(s), s)
	}
	if _, err := io.WriteString(e.conn, b.String()); err != nil {
		e.t.Fatal(err)
	}
	answer, err := e.read()
	if err != nil {
		e.t.Fatalf("%.200v: %v", args, err)
	}
	return answer
}

// line sends a command given as words.
func (e *engine) line(command string) any {
	e.t.Helper()
	var args []any
	for _, w := range strings.Fields(command) {
		args = append(args, w)
	}
	return e.do(args...)
}

func (e *engine) read() (any, error) {
	line, err := e.in.ReadString('\n')
	if err != nil {
		return nil, err
	}
	line = strings.TrimRight(line, "\r\n")
	kind, rest := line[0], line[1:]
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return nil, fmt.Errorf("the engine answers %q", rest)
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	if err != nil || kind == ':' || n < 0 {
		return n, err
	}
	if kind == '$' {
		p := make([]byte, n+2)
		_, err := io.ReadFull(e.in, p)
		return string(p[:n]), err
	}
	items := make([]any, n)
	for i := range items {
		if items[i], err = e.read(); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// save writes the engine's data and returns the file's name.
func (e *engine) save() string {
	e.t.Helper()
	e.do("SAVE")
	return filepath.Join(e.dir, "dump.rdb")
}
