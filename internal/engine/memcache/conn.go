package memcache

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a connection to a server. One goroutine may send while another reads.
type Conn struct {
	*Reader
	nc      net.Conn
	timeout time.Duration
	moved   atomic.Int64 // when bytes were last taken from us, Unix nanoseconds
	tcp     *net.TCPConn // nil under TLS: there bytes and records are different things
	bulk    bool         // the low-water mark is set; only the reading goroutine's
	unhook  func() bool
	once    sync.Once
}

// Dial connects to addr ("ip:port"), with TLS when cfg is not nil. The connection closes itself when ctx ends. Reads fail with ErrStalled when
// for the timeout neither a byte came nor one was taken.
func Dial(ctx context.Context, addr string, cfg *tls.Config, timeout time.Duration) (*Conn, error) {
	d := net.Dialer{Timeout: timeout}
	nc, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	if cfg != nil {
		if cfg.ServerName == "" {
			cfg = cfg.Clone()
			cfg.ServerName, _, _ = net.SplitHostPort(addr)
		}
		hctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		tc := tls.Client(nc, cfg)
		if err := tc.HandshakeContext(hctx); err != nil {
			nc.Close()
			return nil, fmt.Errorf("memcache: TLS with %s: %w", addr, err)
		}
		nc = tc
	}
	c := &Conn{nc: nc, timeout: timeout}
	c.tcp, _ = nc.(*net.TCPConn)
	c.Reader = NewReader(patient{c})
	c.unhook = context.AfterFunc(ctx, c.shut)
	return c, nil
}

func (c *Conn) shut() { c.once.Do(func() { c.nc.Close() }) }

// Close ends the connection. It may be repeated.
func (c *Conn) Close() {
	c.unhook()
	c.shut()
}

// patient reads from the socket, no longer than the timeout without anything moving.
type patient struct{ c *Conn }

func (p patient) Read(b []byte) (int, error) {
	start := time.Now()
	for now := start; ; now = time.Now() {
		wait := p.c.timeout
		if p.c.bulk {
			wait = nudge // below the mark, only a read that begins gets what is there
		}
		if err := p.c.nc.SetReadDeadline(now.Add(wait)); err != nil {
			return 0, err
		}
		n, err := p.c.nc.Read(b)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if min(time.Since(start), time.Since(time.Unix(0, p.c.moved.Load()))) >= p.c.timeout {
			return 0, fmt.Errorf("%w: nothing in %v", ErrStalled, p.c.timeout)
		}
	}
}

// Servers send the replies to a batch in small pieces. To be woken for each costs more than to read it.
const (
	lowWater = 32 << 10
	nudge    = 2 * time.Millisecond // after which we look anyway
)

// Bulk tells, from the goroutine that reads, whether many replies are on their way: then they are read in larger pieces.
func (c *Conn) Bulk(bulk bool) {
	if c.tcp == nil {
		return
	}
	n := 1
	if bulk {
		n = lowWater
	}
	c.bulk = setLowWater(c.tcp, n) && bulk
}

// Send writes commands. It waits for as long as the server does not take them: who reads the replies notices that, and closes the connection.
func (c *Conn) Send(b []byte) error {
	for len(b) > 0 {
		n, err := c.nc.Write(b[:min(len(b), 256<<10)])
		if err != nil {
			return err
		}
		c.moved.Store(time.Now().UnixNano())
		b = b[n:]
	}
	return nil
}

// command sends one that is so short that it always fits into the socket's buffer.
func (c *Conn) command(line string) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(c.timeout)); err != nil {
		return err
	}
	err := c.Send([]byte(line + "\r\n"))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w: nothing in %v", ErrStalled, c.timeout)
	}
	if err != nil {
		return err
	}
	return c.nc.SetWriteDeadline(time.Time{})
}

// Version asks for the server's version, such as 1.6.18.
func (c *Conn) Version() (string, error) {
	if err := c.command("version"); err != nil {
		return "", err
	}
	return c.Reader.Version()
}

// Stats asks for statistics: the general ones, or those of a kind such as settings.
func (c *Conn) Stats(kind string) (map[string]string, error) {
	if err := c.command(strings.TrimSpace("stats " + kind)); err != nil {
		return nil, err
	}
	return c.Reader.Stats()
}

// MemLimit limits the server's memory, at least 8. It frees nothing that holds items.
func (c *Conn) MemLimit(megabytes int64) error {
	if err := c.command("cache_memlimit " + strconv.FormatInt(megabytes, 10)); err != nil {
		return err
	}
	return c.Expect("OK")
}

// Metadump has the crawler list all items, bucket by bucket of the hash table. fn must not wait for long: a list that nobody reads holds the
// crawler, and whoever else wants it meanwhile holds all clients of a thread of the server (seen with 1.6.18).
func (c *Conn) Metadump(fn func(*Entry) error) error {
	if err := c.command("lru_crawler metadump hash"); err != nil {
		return err
	}
	return c.Reader.Metadump(fn)
}
