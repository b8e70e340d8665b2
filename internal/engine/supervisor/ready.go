package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
)

// Progress tells how far a node is on its way to being ready.
type Progress struct {
	Phase  string // "starting", "loading", "joining" its cluster
	Loaded int64  // bytes of the data file, while loading
	Total  int64
}

// WaitReady returns once the node serves clients: it answers, has loaded its data, is in step with its primary if it is a replica
// and, in cluster mode, knows that all 16384 slots are served. A process that ends meanwhile is an error at once, with the last lines of its log,
// and one that says nothing for Options.Silence is an error then. Progress may be nil.
func (s *Supervisor) WaitReady(ctx context.Context, id string, progress func(Progress)) error {
	return s.wait(ctx, id, true, progress)
}

// WaitUp returns once the node answers and has loaded its data: in cluster mode before it has found its place in the cluster, too.
func (s *Supervisor) WaitUp(ctx context.Context, id string) error { return s.wait(ctx, id, false, nil) }

func (s *Supervisor) wait(ctx context.Context, id string, joined bool, progress func(Progress)) error {
	n, err := s.find(id)
	if err != nil {
		return err
	}
	p := n.process()
	if p == nil {
		return fmt.Errorf("%w: %s", ErrNotRunning, id)
	}
	node := n.snapshot(s)
	if progress == nil {
		progress = func(Progress) {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.done:
			cancel(fmt.Errorf("%w: %s ended (%s):\n%s", ErrNotRunning, id, p.status, s.LogTail(id, 10)))
		case <-s.stop:
			cancel(errors.New("supervisor is closed"))
		case <-ctx.Done():
		}
	}()
	var conn *resp.Conn
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	last := Progress{Phase: "starting"}
	progress(last)
	var why error
	answered := time.Now()
	for wait := 2 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		var now Progress
		if node.Engine == engine.Memcached {
			if why = s.askMemcached(ctx, node, nil); why == nil {
				return nil
			}
		} else {
			if conn == nil {
				conn, why = s.dial(ctx, node)
			}
			if conn != nil {
				if now, why = readiness(ctx, conn, node.Cluster && joined); why == nil {
					return nil
				}
				if errors.Is(why, resp.ErrBroken) || ctx.Err() != nil {
					conn.Close()
					conn = nil
				}
			}
			if now.Phase != "" && now != last {
				last = now
				progress(now)
			}
			var said *resp.Error
			if now.Phase != "" || errors.As(why, &said) {
				answered = time.Now()
			}
		}
		if time.Since(answered) > s.opts.Silence {
			return fmt.Errorf("node %s has said nothing for %v: %w", id, s.opts.Silence, why)
		}
		if pause(ctx, wait) != nil {
			cause := context.Cause(ctx)
			if errors.Is(cause, ErrNotRunning) {
				return cause
			}
			return fmt.Errorf("node %s is not ready: %w (last: %w)", id, cause, why)
		}
	}
}

// readiness asks once. The error says what is still missing.
func readiness(ctx context.Context, c *resp.Conn, cluster bool) (Progress, error) {
	info, err := c.Info(ctx, "persistence")
	if err != nil {
		return Progress{}, err
	}
	if info["loading"] != "0" {
		p := Progress{Phase: "loading"}
		p.Loaded, _ = strconv.ParseInt(info["loading_loaded_bytes"], 10, 64)
		p.Total, _ = strconv.ParseInt(info["loading_total_bytes"], 10, 64)
		return p, errors.New("it is loading its data")
	}
	if _, err := c.Do(ctx, "PING"); err != nil {
		return Progress{}, err
	}
	if err := link(ctx, c); err != nil {
		return Progress{Phase: "joining"}, err
	}
	if !cluster {
		return Progress{}, nil
	}
	v, err := c.Do(ctx, "CLUSTER", "INFO")
	if err != nil {
		return Progress{}, err
	}
	text, err := v.Text()
	if err != nil {
		return Progress{}, err
	}
	state := resp.ParseInfo(text)
	if state["cluster_state"] != "ok" || state["cluster_slots_assigned"] != "16384" || state["cluster_slots_ok"] != "16384" {
		return Progress{Phase: "joining"}, fmt.Errorf("cluster state is %s with %s slots assigned", state["cluster_state"], state["cluster_slots_assigned"])
	}
	return Progress{}, nil
}

// errStranger marks an answer that this node would not give.
var errStranger = errors.New("something else answers at its address")

// probe makes sure that the process pid is what answers at the node's address, and that it takes our password.
func (s *Supervisor) probe(ctx context.Context, n Node, pid int) error {
	if n.Engine == engine.Memcached {
		got := map[string]string{}
		if err := s.askMemcached(ctx, n, got); err != nil {
			return err
		}
		if got["pid"] != strconv.Itoa(pid) {
			return fmt.Errorf("%w: process %s", errStranger, got["pid"])
		}
		return nil
	}
	c, err := s.dial(ctx, n)
	if resp.IsCode(err, "WRONGPASS") {
		return fmt.Errorf("%w: %w", errStranger, err)
	}
	if err != nil {
		return err
	}
	defer c.Close()
	info, err := c.Info(ctx, "server")
	if err != nil {
		return err
	}
	if info["process_id"] != strconv.Itoa(pid) {
		return fmt.Errorf("%w: process %s", errStranger, info["process_id"])
	}
	return nil
}

// askMemcached checks that memcached answers, and reads its statistics into stats unless that is nil.
func (s *Supervisor) askMemcached(ctx context.Context, n Node, stats map[string]string) error {
	nc, err := s.dialMemcached(ctx, n)
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := nc.Write([]byte("stats\r\n")); err != nil {
		return err
	}
	lines := bufio.NewReader(nc)
	for range 1000 {
		line, err := lines.ReadSlice('\n')
		if err != nil {
			return err
		}
		text := strings.TrimSpace(string(line))
		if text == "END" {
			return nil
		}
		if f := strings.SplitN(text, " ", 3); len(f) == 3 && f[0] == "STAT" && stats != nil {
			stats[f[1]] = f[2]
		}
	}
	return errStranger
}

// tellMemcached sends one command line that is answered by OK.
func (s *Supervisor) tellMemcached(ctx context.Context, n Node, command string) error {
	nc, err := s.dialMemcached(ctx, n)
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := nc.Write([]byte(command + "\r\n")); err != nil {
		return err
	}
	line, err := bufio.NewReader(nc).ReadSlice('\n')
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(line)); got != "OK" {
		return fmt.Errorf("memcached answers %q to %s", got, command)
	}
	return nil
}

func (s *Supervisor) dialMemcached(ctx context.Context, n Node) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cfg, err := s.clientTLS(n)
	if err != nil {
		return nil, err
	}
	nc, err := dialTCP(ctx, n, cfg)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	return nc, nc.SetDeadline(deadline)
}
