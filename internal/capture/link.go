package capture

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

const (
	maxLine = 4 << 10 // of a reply before the RDB

	// Engines write in small pieces. The kernel wakes us for this many bytes at once; while the engine is slower than that we look after nudge
	// at the latest. It goes on sending meanwhile, as there is room for more.
	lowWater = 256 << 10
	room     = 4 * lowWater
	nudge    = 10 * time.Millisecond
)

// link is a connection on which we pose as a replica.
type link struct {
	conn    net.Conn
	sock    *socket // nil under TLS: there bytes and records are different things
	in      *bufio.Reader
	timeout time.Duration
	bulk    bool  // much will come: the transfer has begun
	left    int64 // bytes until its end; -1 if unknown
	gathers int   // bytes until we are woken; 0 is not set yet
	once    sync.Once
	unhook  func() bool
}

// dial connects. The link closes itself when ctx ends.
func dial(ctx context.Context, src Source, timeout time.Duration) (*link, error) {
	connecting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nc, err := resp.Connect(connecting, src.Address, src.TLS)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLink, err)
	}
	l := &link{conn: nc, sock: newSocket(nc), timeout: timeout, left: -1}
	l.in = bufio.NewReaderSize(l, maxLine) // large reads go around it
	l.unhook = context.AfterFunc(ctx, l.shut)
	return l, nil
}

func (l *link) shut() { l.once.Do(func() { l.conn.Close() }) }

func (l *link) close() {
	l.unhook()
	l.shut()
}

// Read reads from the socket, and waits for the engine no longer than the progress timeout.
func (l *link) Read(p []byte) (int, error) {
	var n int
	var err error
	if l.sock != nil && l.bulk {
		n, err = l.readBulk(p)
	} else {
		n, err = l.read(p, l.timeout)
	}
	switch {
	case err == nil:
		return n, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, fmt.Errorf("%w: %w: no byte in %v", ErrLink, ErrStalled, l.timeout)
	case errors.Is(err, io.EOF):
		return 0, io.EOF
	}
	return 0, fmt.Errorf("%w: %w", ErrLink, err)
}

// read waits for at most so long.
func (l *link) read(p []byte, wait time.Duration) (int, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return 0, err
	}
	if l.sock != nil {
		return l.sock.read(p)
	}
	for {
		if n, err := l.conn.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
}

// readBulk lets bytes gather before it reads, unless the engine is too slow or near the end.
func (l *link) readBulk(p []byte) (int, error) {
	if l.left < 0 || l.left >= lowWater {
		l.gather(lowWater)
	} else {
		l.gather(1)
	}
	if l.gathers > 1 {
		n, err := l.read(p, nudge)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if n, err := l.sock.take(p); n > 0 || err != nil {
			return n, err
		}
		l.gather(1) // nothing at all: then the first byte counts
	}
	return l.read(p, l.timeout)
}

// gather sets how much must be there until we are woken. Where that does not work everything does, more slowly.
func (l *link) gather(n int) {
	if l.gathers == 0 {
		l.sock.gather(room) // the kernel keeps what it makes room for
	}
	if l.gathers != n {
		l.gathers = n
		if !l.sock.gather(n) {
			l.gathers = 1
			l.sock = nil
		}
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
