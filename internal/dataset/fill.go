package dataset

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// library is a function library; the engine keeps it beside the keys.
const library = "#!lua name=keyframe_demo\nredis.register_function('kf_echo', function(keys, args) return args[1] end)\n"

// Stats says what was written.
type Stats struct {
	Keys     int64
	Commands int64
	Bytes    int64 // sent
	Duration time.Duration
}

// Fill writes the data set into the engine, which keeps whatever other keys it has. It stops at the first error reply.
func Fill(ctx context.Context, srv Server, spec Spec) (Stats, error) {
	spec = spec.withDefaults()
	if err := spec.check(); err != nil {
		return Stats{}, err
	}
	start := time.Now()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	spans := spec.plan()
	var next, keys, commands, sent atomic.Int64
	var wg sync.WaitGroup
	for range min(spec.Workers, len(spans)) {
		wg.Go(func() {
			p, err := srv.pipeline(ctx)
			if err == nil {
				err = fillSpans(p, &spec, spans, &next, &keys)
				err = p.end(err)
				commands.Add(p.commands)
				sent.Add(p.sent)
			}
			if err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	st := Stats{Keys: keys.Load(), Commands: commands.Load(), Bytes: sent.Load()}
	if err := context.Cause(ctx); err != nil {
		return st, err
	}
	if spec.Functions {
		c, err := srv.connect(ctx)
		if err != nil {
			return st, err
		}
		defer c.Close()
		if _, err := c.Do(ctx, "FUNCTION", "LOAD", "REPLACE", library); err != nil {
			return st, fmt.Errorf("dataset: load the function library: %w", err)
		}
	}
	st.Duration = time.Since(start)
	return st, nil
}

// fillSpans takes spans until none is left.
func fillSpans(p *pipeline, spec *Spec, spans []span, next, keys *atomic.Int64) error {
	var c cmds
	var name []byte
	db := 0
	for {
		i := int(next.Add(1)) - 1
		if i >= len(spans) {
			return nil
		}
		sp := spans[i]
		if sp.db != db {
			c.open("SELECT", 2)
			c.int(int64(sp.db))
			db = sp.db
		}
		for k := sp.from; k < sp.to; k++ {
			name = spec.name(name[:0], sp.kind, k)
			if spec.Owns != nil && !spec.Owns(name) {
				continue
			}
			spec.key(&c, sp.kind, name, k)
			keys.Add(1)
			if len(c.b) >= 128<<10 {
				if err := p.send(&c); err != nil {
					return err
				}
			}
		}
		if err := p.send(&c); err != nil {
			return err
		}
	}
}

// pipeline sends batches of commands and checks their replies beside them.
type pipeline struct {
	conn     io.WriteCloser
	r        *bufio.Reader
	batches  chan int // commands per batch that was sent
	done     chan struct{}
	err      error // of the reader; valid after done
	stop     func() bool
	commands int64
	sent     int64
}

func (s Server) pipeline(ctx context.Context) (*pipeline, error) {
	nc, err := s.dial(ctx)
	if err != nil {
		return nil, err
	}
	p := &pipeline{conn: nc, r: bufio.NewReaderSize(nc, 64<<10), batches: make(chan int, 64), done: make(chan struct{})}
	p.stop = context.AfterFunc(ctx, func() { nc.Close() })
	go p.check()
	if !s.Password.IsZero() {
		var c cmds
		if s.User == "" {
			c.open("AUTH", 2)
		} else {
			c.open("AUTH", 3)
			c.str(s.User)
		}
		c.str(s.Password.Reveal())
		if err := p.send(&c); err != nil {
			return nil, p.end(err)
		}
	}
	return p, nil
}

// send writes what c holds and empties it.
func (p *pipeline) send(c *cmds) error {
	defer c.reset()
	if c.n == 0 {
		return nil
	}
	select {
	case <-p.done:
		return p.err
	case p.batches <- c.n:
	}
	p.commands += int64(c.n)
	p.sent += int64(len(c.b))
	if _, err := p.conn.Write(c.b); err != nil {
		p.conn.Close() // ends the reader
		return fmt.Errorf("dataset: write: %w", err)
	}
	return nil
}

// end waits for the replies that are still due. The reader often knows better than err why sending failed.
func (p *pipeline) end(err error) error {
	close(p.batches)
	<-p.done
	p.stop()
	p.conn.Close()
	if p.err != nil && (err == nil || !errors.Is(p.err, net.ErrClosed)) {
		return p.err
	}
	return err
}

func (p *pipeline) check() {
	defer close(p.done)
	for n := range p.batches {
		for range n {
			if err := p.skip(0); err != nil {
				p.err = fmt.Errorf("dataset: fill: %w", err)
				p.conn.Close()
				return
			}
		}
	}
}

// skip reads one reply and reports an error reply.
func (p *pipeline) skip(depth int) error {
	line, err := p.r.ReadSlice('\n')
	if err != nil {
		return err
	}
	line, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(line) == 0 || depth > 4 {
		return fmt.Errorf("malformed reply %.40q", line)
	}
	switch line[0] {
	case '+', ':':
		return nil
	case '-':
		return fmt.Errorf("engine answered %s", line[1:])
	case '$', '*':
		n, err := strconv.Atoi(string(line[1:]))
		if err != nil || n > 1<<30 {
			return fmt.Errorf("malformed reply %.40q", line)
		}
		if line[0] == '$' {
			if n >= 0 {
				_, err = p.r.Discard(n + 2)
			}
			return err
		}
		for range n {
			if err := p.skip(depth + 1); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("malformed reply %.40q", line)
}
