package resp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

// ErrBroken is returned by a connection after an I/O or protocol error: replies could no longer be told apart.
var ErrBroken = errors.New("resp: connection is broken")

// Conn is a connection to an engine. It may be shared by goroutines; commands queue up behind each other.
type Conn struct {
	// Limit is how long a command waits for its reply at most, whatever its context says. Nil: for ever, as an engine that hangs keeps its
	// connections open. It is set before commands are sent, and called by each.
	Limit func() time.Duration

	mu     sync.Mutex
	nc     net.Conn
	w      *bufio.Writer
	r      *Reader
	broken error
}

// Dial connects to addr ("ip:port"), with TLS when cfg is not nil. The context bounds the connect and the handshake.
func Dial(ctx context.Context, addr string, cfg *tls.Config) (*Conn, error) {
	nc, err := Connect(ctx, addr, cfg)
	if err != nil {
		return nil, err
	}
	return NewConn(nc, Limits{}), nil
}

// Connect is Dial for those who speak for themselves. The name to verify is the address, unless cfg has one.
func Connect(ctx context.Context, addr string, cfg *tls.Config) (net.Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if cfg != nil {
		if cfg.ServerName == "" {
			cfg = cfg.Clone()
			cfg.ServerName, _, _ = net.SplitHostPort(addr)
		}
		tc := tls.Client(nc, cfg)
		if err := tc.HandshakeContext(ctx); err != nil {
			nc.Close()
			return nil, fmt.Errorf("resp: TLS with %s: %w", addr, err)
		}
		nc = tc
	}
	return nc, nil
}

// NewConn speaks RESP over nc, which it owns from now on.
func NewConn(nc net.Conn, l Limits) *Conn {
	return &Conn{nc: nc, w: bufio.NewWriterSize(nc, 16<<10), r: NewReader(nc, l)}
}

// Close ends the connection; a command that is under way fails.
func (c *Conn) Close() error { return c.nc.Close() }

// Do sends one command and returns its reply. An error reply is returned as *Error and leaves the connection usable;
// after any other error every call returns ErrBroken.
func (c *Conn) Do(ctx context.Context, args ...string) (Value, error) {
	vs, err := c.Pipeline(ctx, args)
	if err != nil {
		return Value{}, err
	}
	if vs[0].Kind == ErrorKind {
		return Value{}, vs[0].Err
	}
	return vs[0], nil
}

// Pipeline sends commands in one go and returns one reply for each; error replies are values of ErrorKind.
func (c *Conn) Pipeline(ctx context.Context, cmds ...[]string) ([]Value, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, c.broken)
	}
	for _, args := range cmds {
		if len(args) == 0 {
			return nil, errors.New("resp: empty command")
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	deadline, bounded := ctx.Deadline() // zero: none
	var limit time.Duration
	if c.Limit != nil {
		limit = c.Limit()
		if until := time.Now().Add(limit); !bounded || until.Before(deadline) {
			deadline = until
		}
	}
	if err := c.nc.SetDeadline(deadline); err != nil {
		return nil, c.fail(ctx, err)
	}
	cancelled := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.nc.SetDeadline(time.Unix(1, 0))
		close(cancelled)
	})
	vs, err := c.exchange(cmds)
	if !stop() {
		<-cancelled // or its deadline could hit the next command
	}
	if limit > 0 && errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil {
		err = fmt.Errorf("resp: no reply within %v: %w", limit, err)
	}
	if err != nil {
		return nil, c.fail(ctx, err)
	}
	return vs, nil
}

// fail marks the connection broken and prefers the context's reason.
func (c *Conn) fail(ctx context.Context, err error) error {
	c.broken = err
	c.nc.Close()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
		return context.DeadlineExceeded
	}
	return err
}

// exchange writes and reads at once, so that neither side's buffers can fill up and stop both.
func (c *Conn) exchange(cmds [][]string) ([]Value, error) {
	wrote := make(chan error, 1)
	if len(cmds) == 1 {
		wrote <- c.write(cmds)
	} else {
		go func() { wrote <- c.write(cmds) }()
	}
	vs := make([]Value, 0, min(len(cmds), 1024))
	var err error
	for range cmds {
		var v Value
		if v, err = c.r.Read(); err != nil {
			c.nc.Close() // ends the writer too
			break
		}
		vs = append(vs, v)
	}
	if werr := <-wrote; err == nil {
		err = werr
	}
	return vs, err
}

func (c *Conn) write(cmds [][]string) error {
	for _, args := range cmds {
		c.head('*', len(args))
		for _, a := range args {
			c.head('$', len(a))
			c.w.WriteString(a)
			c.w.WriteString("\r\n")
		}
	}
	return c.w.Flush() // bufio keeps the first error
}

func (c *Conn) head(typ byte, n int) {
	c.w.WriteByte(typ)
	c.w.Write(strconv.AppendInt(c.w.AvailableBuffer(), int64(n), 10))
	c.w.WriteString("\r\n")
}

// Auth logs in as a user. An empty user name logs in with the password alone.
func (c *Conn) Auth(ctx context.Context, user, password string) error {
	args := []string{"AUTH", user, password}
	if user == "" {
		args = []string{"AUTH", password}
	}
	_, err := c.Do(ctx, args...)
	return err
}

// Info returns a section of INFO as a map.
func (c *Conn) Info(ctx context.Context, section string) (map[string]string, error) {
	v, err := c.Do(ctx, "INFO", section)
	if err != nil {
		return nil, err
	}
	text, err := v.Text()
	if err != nil {
		return nil, err
	}
	return ParseInfo(text), nil
}
