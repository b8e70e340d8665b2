package capture

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"
)

const (
	maxLine = 4 << 10 // of a reply before the RDB

	// Engines write in small pieces. The kernel wakes us for this many bytes at once, which saves a third of our time; while the engine
	// is slower than that, or near the end, we look after nudge at the latest.
	lowWater = 128 << 10
	nudge    = 5 * time.Millisecond
)

// link is a connection on which we pose as a replica.
type link struct {
	conn    net.Conn
	tcp     *net.TCPConn // nil under TLS: there bytes and records are different things
	in      *bufio.Reader
	timeout time.Duration
	batched bool  // the low-water mark is set
	left    int64 // bytes until the end of the transfer; -1 if unknown
	once    sync.Once
	unhook  func() bool
}

// dial connects. The link closes itself when ctx ends.
func dial(ctx context.Context, src Source, timeout time.Duration) (*link, error) {
	d := net.Dialer{Timeout: timeout}
	nc, err := d.DialContext(ctx, "tcp", src.Address)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLink, err)
	}
	l := &link{conn: nc, timeout: timeout, left: -1}
	if src.TLS != nil {
		hctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		tc := tls.Client(nc, serverName(src))
		if err := tc.HandshakeContext(hctx); err != nil {
			nc.Close()
			return nil, fmt.Errorf("%w: TLS: %w", ErrLink, err)
		}
		l.conn = tc
	} else if tcp, ok := nc.(*net.TCPConn); ok {
		l.tcp = tcp
	}
	l.in = bufio.NewReaderSize(l, maxLine) // large reads go around it
	l.unhook = context.AfterFunc(ctx, l.shut)
	return l, nil
}

// serverName is the TLS configuration with the name to verify: the address, unless another was given.
func serverName(src Source) *tls.Config {
	host, _, err := net.SplitHostPort(src.Address)
	if src.TLS == nil || err != nil || src.TLS.ServerName != "" {
		return src.TLS
	}
	cfg := src.TLS.Clone()
	cfg.ServerName = host
	return cfg
}

func (l *link) shut() { l.once.Do(func() { l.conn.Close() }) }

func (l *link) close() {
	l.unhook()
	l.shut()
}

// Read reads from the socket, and waits for the engine no longer than the progress timeout.
func (l *link) Read(p []byte) (int, error) {
	for {
		if l.batched && l.left >= 0 && l.left < lowWater {
			l.batch(1)
		}
		wait := l.timeout
		if l.batched {
			wait = nudge
		}
		if err := l.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrLink, err)
		}
		n, err := l.conn.Read(p)
		switch {
		case n > 0:
			// Whether to batch depends on how much the engine sends, not on how much room p has.
			if !l.batched && n >= lowWater/4 && (l.left < 0 || l.left > lowWater) {
				l.batch(lowWater)
			}
			return n, nil
		case err == nil:
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			if l.batched {
				l.batch(1)
				continue
			}
			return 0, fmt.Errorf("%w: %w: no byte in %v", ErrLink, ErrStalled, l.timeout)
		case errors.Is(err, io.EOF):
			return 0, io.EOF
		}
		return 0, fmt.Errorf("%w: %w", ErrLink, err)
	}
}

// batch sets the low-water mark of the socket. Without one everything works, more slowly.
func (l *link) batch(n int) {
	if l.tcp != nil {
		l.batched = setLowWater(l.tcp, n) && n > 1
	}
}

// send writes one command.
func (l *link) send(args ...string) error {
	b := append(strconv.AppendInt([]byte{'*'}, int64(len(args)), 10), '\r', '\n')
	for _, a := range args {
		b = append(strconv.AppendInt(append(b, '$'), int64(len(a)), 10), '\r', '\n')
		b = append(append(b, a...), '\r', '\n')
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.timeout)); err != nil {
		return fmt.Errorf("%w: %w", ErrLink, err)
	}
	if _, err := l.conn.Write(b); err != nil {
		return fmt.Errorf("%w: %w", ErrLink, err)
	}
	return nil
}

// line reads a reply's line, without its end. Bare newlines, by which the engine shows that it is alive, are skipped.
func (l *link) line() (string, error) {
	for {
		b, err := l.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return "", fmt.Errorf("%w: reply of more than %d bytes", ErrProtocol, maxLine)
		case errors.Is(err, io.EOF):
			return "", fmt.Errorf("%w: closed by the engine", ErrLink)
		case err != nil:
			return "", err
		}
		b = b[:len(b)-1]
		if n := len(b); n > 0 && b[n-1] == '\r' {
			b = b[:n-1]
		}
		if len(b) > 0 {
			return string(b), nil
		}
	}
}
