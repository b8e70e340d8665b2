package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/keyframe/keyframe/internal/api/client"
	"github.com/keyframe/keyframe/internal/auth/iam"
	"github.com/keyframe/keyframe/internal/auth/sigv4"
	"github.com/keyframe/keyframe/internal/engine/supervisor"
)

// booted is a server process on a data directory of its own.
type booted struct {
	cmd  *exec.Cmd
	done chan struct{}
	data string
	log  string
	api  *client.Client
}

// boot starts the program on a data directory and waits until it serves.
func boot(program, data string) (*booted, error) {
	b := &booted{data: data, log: data + ".log", done: make(chan struct{})}
	log, err := os.Create(b.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	b.cmd = exec.Command(program, "serve", "--data", data, "--listen", "127.0.0.1:0", "--log-level", "warn",
		"--quota-serverless-snapshots", "1000", "--default-data-gb", "8")
	b.cmd.Stderr = log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	go func() {
		io.Copy(io.Discard, lines) //nolint:errcheck // it says nothing that we need
		b.cmd.Wait()               //nolint:errcheck // that it ended is what counts
		close(b.done)
	}()
	if err != nil {
		<-b.done
		text, _ := os.ReadFile(b.log) //nolint:errcheck // only for the message
		return nil, fmt.Errorf("%s did not start: %s", program, text)
	}
	_, rest, _ := strings.Cut(line, "serves ")
	url, _, _ := strings.Cut(rest, ";")
	directory, err := iam.Open(iam.Options{Path: filepath.Join(data, "credentials")})
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	who, secret := directory.Default()
	b.api = &client.Client{URL: url, Region: region, Credentials: sigv4.Credentials{AccessKeyID: who.AccessKeyID, Secret: secret}}
	return b, nil
}

const region = "us-east-1"

// close ends the server, and the engines that it leaves.
func (b *booted) close() error {
	b.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may be gone
	select {
	case <-b.done:
	case <-time.After(20 * time.Second):
		b.cmd.Process.Kill() //nolint:errcheck // likewise
		<-b.done
	}
	engines, err := supervisor.New(supervisor.Options{Dir: b.data, Grace: 2 * time.Second})
	if err != nil {
		return err
	}
	defer engines.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, n := range engines.Nodes() {
		err = errors.Join(err, engines.Remove(ctx, n.ID))
	}
	return err
}

// node is the first node of the data directory.
func (b *booted) node() (supervisor.Node, error) {
	engines, err := supervisor.New(supervisor.Options{Dir: b.data})
	if err != nil {
		return supervisor.Node{}, err
	}
	defer engines.Close()
	nodes := engines.Nodes()
	if len(nodes) != 1 {
		return supervisor.Node{}, fmt.Errorf("%d nodes instead of 1", len(nodes))
	}
	return nodes[0], nil
}

// poll asks often: what it waits for is measured.
func poll(ctx context.Context, ask func() (bool, error)) error {
	return pollEvery(ctx, 5*time.Millisecond, ask)
}

// pollEvery asks less often, where the asking itself would take too much of the machine.
func pollEvery(ctx context.Context, pause time.Duration, ask func() (bool, error)) error {
	for {
		ok, err := ask()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}
