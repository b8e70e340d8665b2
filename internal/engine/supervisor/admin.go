package supervisor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
)

func hostPort(n Node) string { return net.JoinHostPort(n.Lease.Address, strconv.Itoa(n.Lease.Port)) }

func dialTCP(ctx context.Context, n Node, cfg *tls.Config) (net.Conn, error) {
	if cfg != nil {
		return (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", hostPort(n))
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", hostPort(n))
}

// clientTLS is the client's side of a node's TLS; nil for a node without.
func (s *Supervisor) clientTLS(n Node) (*tls.Config, error) {
	if !n.TLS {
		return nil, nil
	}
	return s.tls.client()
}

// dial connects as the admin user.
func (s *Supervisor) dial(ctx context.Context, n Node) (*resp.Conn, error) {
	if n.Engine == engine.Memcached {
		return nil, fmt.Errorf("node %s: memcached has no admin connection", n.ID)
	}
	cfg, err := s.clientTLS(n)
	if err != nil {
		return nil, err
	}
	dctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := resp.Dial(dctx, hostPort(n), cfg)
	if err != nil {
		return nil, err
	}
	if err := c.Auth(dctx, engine.AdminUser, n.Password.Reveal()); err != nil {
		c.Close()
		return nil, err
	}
	c.Limit = func() time.Duration { return s.opts.Silence }
	return c, nil
}

// Admin opens a connection to a Valkey or Redis node as the admin user. The caller closes it. Commands fail when the engine says nothing for
// Options.Silence, unless the caller sets another limit.
func (s *Supervisor) Admin(ctx context.Context, id string) (*resp.Conn, error) {
	n, err := s.Node(id)
	if err != nil {
		return nil, err
	}
	c, err := s.dial(ctx, n)
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", id, err)
	}
	return c, nil
}

// ClientTLS returns what a client needs to trust the node's certificate, or nil when the node speaks plain TCP.
func (s *Supervisor) ClientTLS(id string) (*tls.Config, error) {
	n, err := s.Node(id)
	if err != nil {
		return nil, err
	}
	return s.clientTLS(n)
}

// SetMaxMemory limits a node's memory, in bytes, 0 for no limit: at once if it runs, and at every later start. After data
// was loaded, this is what puts the limit in force.
func (s *Supervisor) SetMaxMemory(ctx context.Context, id string, bytes int64) error {
	n, err := s.find(id)
	if err != nil {
		return err
	}
	if err := s.update(n, func(spec *Spec) { spec.MaxMemory = bytes }); err != nil {
		return err
	}
	if !s.Running(id) {
		return nil
	}
	node := n.snapshot(s)
	if node.Engine == engine.Memcached {
		return s.tellMemcached(ctx, node, "cache_memlimit "+strconv.FormatInt(megabytes(bytes), 10))
	}
	return s.command(ctx, id, "CONFIG", "SET", "maxmemory", strconv.FormatInt(max(bytes, 0), 10))
}

// SetUsers replaces the clients' accounts; connections of users that are no more are closed by the engine.
func (s *Supervisor) SetUsers(ctx context.Context, id string, users []engine.User) error {
	n, err := s.find(id)
	if err != nil {
		return err
	}
	if _, err := aclText(n.snapshot(s), users); err != nil {
		return err
	}
	if err := s.update(n, func(spec *Spec) { spec.Users = users }); err != nil {
		return err
	}
	if err := writeACL(n.snapshot(s)); err != nil || !s.Running(id) {
		return err
	}
	text, err := aclText(n.snapshot(s), users)
	if err != nil {
		return err
	}
	if err := s.setUsers(ctx, id, text); err != nil {
		return fmt.Errorf("node %s: %w", id, err)
	}
	return nil
}

// setUsers makes the accounts of a running engine those of an ACL file, one by one: ACL LOAD ends replicas of Valkey 8.0 and Redis 7.0,
// which stumble over the link to their primary, as it belongs to no user.
func (s *Supervisor) setUsers(ctx context.Context, id, text string) error {
	c, err := s.Admin(ctx, id)
	if err != nil {
		return err
	}
	defer c.Close()
	gone := make(map[string]bool)
	v, err := c.Do(ctx, "ACL", "USERS")
	if err != nil {
		return err
	}
	have, err := v.Strings()
	if err != nil {
		return err
	}
	for _, name := range have {
		gone[name] = true
	}
	for line := range strings.Lines(text) {
		rule := strings.Fields(line) // user, name, rules
		if len(rule) < 3 {
			continue
		}
		delete(gone, rule[1])
		if rule[1] == engine.AdminUser {
			continue // never changes
		}
		if _, err := c.Do(ctx, append([]string{"ACL", "SETUSER"}, rule[1:]...)...); err != nil {
			return fmt.Errorf("user %s: %w", rule[1], err)
		}
	}
	for name := range gone {
		if _, err := c.Do(ctx, "ACL", "DELUSER", name); err != nil {
			return fmt.Errorf("user %s: %w", name, err)
		}
	}
	return nil
}

func (s *Supervisor) command(ctx context.Context, id string, args ...string) error {
	c, err := s.Admin(ctx, id)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Do(ctx, args...); err != nil {
		return fmt.Errorf("node %s: %s %s: %w", id, args[0], args[1], err)
	}
	return nil
}

// Load tells what the last load of a data file brought.
type Load struct {
	Keys    int64 // keys that were loaded
	Expired int64 // keys that were in the file but whose time was up
}

// Loaded returns the counts of the node's last load.
func (s *Supervisor) Loaded(ctx context.Context, id string) (Load, error) {
	info, err := s.info(ctx, id, "persistence")
	if err != nil {
		return Load{}, err
	}
	keys, err1 := strconv.ParseInt(info["rdb_last_load_keys_loaded"], 10, 64)
	expired, err2 := strconv.ParseInt(info["rdb_last_load_keys_expired"], 10, 64)
	if err1 != nil || err2 != nil {
		return Load{}, fmt.Errorf("node %s does not tell how many keys it loaded", id)
	}
	return Load{Keys: keys, Expired: expired}, nil
}

// UsedMemory returns the bytes that the node has allocated.
func (s *Supervisor) UsedMemory(ctx context.Context, id string) (int64, error) {
	n, err := s.Node(id)
	if err != nil {
		return 0, err
	}
	text := ""
	if n.Engine == engine.Memcached {
		stats := map[string]string{}
		err = s.askMemcached(ctx, n, stats)
		text = stats["bytes"]
	} else {
		var info map[string]string
		info, err = s.info(ctx, id, "memory")
		text = info["used_memory"]
	}
	if err != nil {
		return 0, err
	}
	bytes, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("node %s does not tell its memory: %q", id, text)
	}
	return bytes, nil
}

func (s *Supervisor) info(ctx context.Context, id, section string) (map[string]string, error) {
	c, err := s.Admin(ctx, id)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.Info(ctx, section)
}
