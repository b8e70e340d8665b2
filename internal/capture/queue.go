package capture

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// chunkSize is what travels at once from reader to writer. It stays in a core's cache on the way.
const chunkSize = 256 << 10

// queue carries the RDB from the goroutine that reads to the one that writes: in memory while the writer keeps up, else through the spool,
// so that the engine never waits long. What is in memory is always older than what is in the spool.
type queue struct {
	cur      []byte // being filled; only the reader's
	patience time.Duration
	onFail   func() // frees a reader that waits for the engine

	data, space chan struct{} // "look again" for the writer, for the reader
	failed      chan struct{} // closed by fail

	mu       sync.Mutex
	err      error
	free     [][]byte // last used first, while it is warm
	made     int      // buffers, of at most
	limit    int
	batch    int // of them for which the writer is woken; to wake it is dear
	full     [][]byte
	closed   bool
	waited   time.Duration // by the reader since the writer last caught up
	spool    *spool        // nil never spools
	spooling bool          // all goes to the spool until it is empty
	writing  bool          // the reader is writing to the spool
	spooled  int64
}

func newQueue(o Options, onFail func()) *queue {
	q := &queue{
		patience: o.Patience, onFail: onFail, limit: max(int(o.Buffer/chunkSize), 2), made: 1, cur: make([]byte, 0, chunkSize),
		data: make(chan struct{}, 1), space: make(chan struct{}, 1), failed: make(chan struct{}),
	}
	q.batch = min(max(q.limit/4, 1), 4)
	if o.SpoolMax >= 0 {
		q.spool = &spool{dir: o.SpoolDir, max: o.SpoolMax}
	}
	return q
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// fail makes both sides stop. The first reason wins.
func (q *queue) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
		close(q.failed)
		q.onFail()
	}
}

// Write queues a copy of p.
func (q *queue) Write(p []byte) (int, error) {
	for at := 0; at < len(p); {
		n := min(len(p)-at, chunkSize-len(q.cur))
		q.cur = append(q.cur, p[at:at+n]...)
		at += n
		if len(q.cur) == chunkSize {
			if err := q.push(); err != nil {
				return at, err
			}
		}
	}
	return len(p), nil
}

// Exchange queues the first n bytes of buf without a copy.
func (q *queue) Exchange(buf []byte, n int) ([]byte, error) {
	if n > chunkSize || len(q.cur) > 0 {
		_, err := q.Write(buf[:n])
		return buf, err
	}
	spare := q.cur
	q.cur = buf[:n]
	err := q.push()
	buf, q.cur = q.cur[:cap(q.cur)], spare
	return buf, err
}

// close queues the last bytes. The writer ends when it has written them.
func (q *queue) close() error {
	if len(q.cur) > 0 {
		if err := q.push(); err != nil {
			return err
		}
	}
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	signal(q.data)
	return nil
}

// push hands the current buffer over and finds room for the next.
func (q *queue) push() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.err == nil {
		switch {
		case q.spooling && q.spool.room():
			if q.toSpool() {
				return nil
			}
		case q.spooling:
			q.wait(0)
		case len(q.free) > 0:
			next := q.free[len(q.free)-1]
			q.free = q.free[:len(q.free)-1]
			q.hand(next)
			return nil
		case q.made < q.limit:
			q.made++
			q.hand(make([]byte, 0, chunkSize))
			return nil
		case !q.spool.room():
			q.wait(0)
		case q.waited >= q.patience:
			q.spooling = true
		default:
			q.wait(q.patience - q.waited)
		}
	}
	return q.err
}

func (q *queue) hand(next []byte) {
	q.full = append(q.full, q.cur)
	q.cur = next[:0]
	if len(q.full) >= q.batch {
		signal(q.data)
	}
}

// wait sleeps until the writer has freed something, at most d; 0 is forever.
func (q *queue) wait(d time.Duration) {
	q.mu.Unlock()
	start := time.Now()
	var timeout <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timeout = t.C
	}
	select {
	case <-q.space:
	case <-timeout:
	case <-q.failed:
	}
	q.mu.Lock()
	q.waited += time.Since(start)
}

// toSpool writes the current buffer to the spool. If that fails, the spool takes no more, and the engine has to wait after all.
func (q *queue) toSpool() bool {
	q.writing = true
	slot := q.spool.take()
	q.mu.Unlock()
	piece, err := q.spool.write(q.cur, slot)
	q.mu.Lock()
	q.writing = false
	if err != nil {
		q.spool.refuse()
		q.spooling = q.spool.pending() > 0
		return false
	}
	q.spool.add(piece)
	q.spooled += int64(len(q.cur))
	q.cur = q.cur[:0]
	signal(q.data)
	return true
}

// drain writes everything to w until the queue is closed and empty.
func (q *queue) drain(w io.Writer) error {
	for {
		b, own, err := q.next()
		if err != nil {
			q.fail(err)
			return err
		}
		if b == nil {
			return nil
		}
		n, err := w.Write(b)
		if err == nil && n != len(b) {
			err = io.ErrShortWrite
		}
		if err != nil {
			err = fmt.Errorf("pass the RDB on: %w", err)
			q.fail(err)
			return err
		}
		if own {
			q.mu.Lock()
			q.free = append(q.free, b)
			q.mu.Unlock()
			signal(q.space)
		}
	}
}

// next waits for bytes; nil is the end. Own buffers go back to the free list, others belong to the spool.
func (q *queue) next() (b []byte, own bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.err == nil {
		switch {
		case len(q.full) > 0:
			b, q.full = q.full[0], q.full[1:]
			return b, true, nil
		case q.spool.pending() > 0:
			piece := q.spool.first()
			q.mu.Unlock()
			b, err := q.spool.read(piece)
			q.mu.Lock()
			if err != nil {
				return nil, false, err
			}
			q.spool.drop()
			signal(q.space)
			return b, false, nil
		case q.spooling && !q.writing:
			q.spooling, q.waited = false, 0
			signal(q.space)
		case q.closed:
			return nil, false, nil
		default:
			q.waited = 0
			q.mu.Unlock()
			select {
			case <-q.data:
			case <-q.failed:
			}
			q.mu.Lock()
		}
	}
	return nil, false, q.err
}
