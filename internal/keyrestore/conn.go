package keyrestore

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

// Target is where an engine listens.
type Target struct {
	Address  string // host:port
	TLS      *tls.Config
	User     string // empty: the default user
	Password string // empty: no login
}

// patience bounds every wait for one answer. Restoring the greatest value takes an engine seconds.
const patience = 60 * time.Second

// conn is a connection whose commands may have arguments as long as they like. After an error it cannot be used.
type conn struct {
	nc      net.Conn
	w       *bufio.Writer
	r       *resp.Reader
	address string
	db      int64 // selected
}

func dial(ctx context.Context, t Target) (*conn, error) {
	connecting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	nc, err := resp.Connect(connecting, t.Address, t.TLS)
	if err != nil {
		return nil, err
	}
	c := &conn{nc: nc, w: bufio.NewWriterSize(nc, 64<<10), r: resp.NewReader(nc, resp.Limits{}), address: t.Address}
	if t.Password != "" {
		args := []string{"AUTH", t.Password}
		if t.User != "" {
			args = []string{"AUTH", t.User, t.Password}
		}
		if _, err := c.do(ctx, args...); err != nil {
			nc.Close()
			return nil, fmt.Errorf("login at %s: %w", t.Address, err)
		}
	}
	return c, nil
}

// do sends one command and waits for its answer, in which an error is returned as such.
func (c *conn) do(ctx context.Context, args ...string) (resp.Value, error) {
	answers, err := c.exchange(ctx, 1, func(int) error { return c.send(args...) }, func(int) (resp.Value, error) { return c.r.Read() })
	if err != nil {
		return resp.Value{}, err
	}
	if answers[0].Kind == resp.ErrorKind {
		return resp.Value{}, answers[0].Err
	}
	return answers[0], nil
}

// exchange sends n commands and reads their answers. It reads while it writes, so that neither side waits for the other to read.
func (c *conn) exchange(ctx context.Context, n int, send func(i int) error, read func(i int) (resp.Value, error)) ([]resp.Value, error) {
	if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	// A deadline in the past would not do: both sides put deadlines off as they go on.
	stop := context.AfterFunc(ctx, func() { c.nc.Close() })
	defer stop()
	wrote := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < n && err == nil; i++ {
			// Every command, and piece of a large one, has the whole patience.
			if err = send(i); err == nil {
				err = c.nc.SetDeadline(time.Now().Add(patience))
			}
		}
		if err == nil {
			err = c.w.Flush()
		}
		if err != nil {
			c.nc.Close() // ends the reader
		}
		wrote <- err
	}()
	var err error
	answers := make([]resp.Value, 0, n)
	for i := range n {
		var v resp.Value
		if v, err = read(i); err != nil {
			c.nc.Close() // ends the writer
			break
		}
		answers = append(answers, v)
	}
	if werr := <-wrote; werr != nil && (err == nil || errors.Is(err, net.ErrClosed)) {
		err = werr
	}
	switch {
	case ctx.Err() != nil:
		c.nc.Close()
		return nil, ctx.Err()
	case errors.Is(err, io.EOF):
		err = errors.New("the connection was closed by the engine")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.address, err)
	}
	return answers, nil
}

func (c *conn) head(typ byte, n int64) {
	c.w.WriteByte(typ)
	c.w.Write(strconv.AppendInt(c.w.AvailableBuffer(), n, 10))
	c.w.WriteString("\r\n")
}

func (c *conn) send(args ...string) error {
	c.head('*', int64(len(args)))
	for _, a := range args {
		c.argument(a)
	}
	return nil // bufio keeps the error for the flush
}

func (c *conn) argument(a string) {
	c.head('$', int64(len(a)))
	c.w.WriteString(a)
	c.w.WriteString("\r\n")
}

func (c *conn) close() { c.nc.Close() }
