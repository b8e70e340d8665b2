package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/keyframe/keyframe/internal/engine/memcache"
)

// inFlight is how many batches are asked for before the first is answered, at most.
const inFlight = 4

// batchBytes bounds the commands of a batch, so that those in flight always fit into a socket's buffers.
const batchBytes = 24 << 10

// getBatch is a batch of keys that were asked for.
type getBatch struct {
	commands []byte
	entries  []getEntry
	sent     int64 // Unix time of the server, about

	odd []byte // a key that only the binary protocol can ask for; then it is the only one, and was not asked for
}

// getEntry is one of them: where its key stands in the commands, and what the crawler said.
type getEntry struct {
	at, size int
	base64   bool
	expire   int64
	cas      uint64
}

func (b *getBatch) token(e *getEntry) []byte { return b.commands[e.at : e.at+e.size] }

// add appends the request for a key.
func (b *getBatch) add(key []byte, expire int64, cas uint64) error {
	at := len(b.commands)
	commands, isBase64, err := memcache.AppendGet(b.commands, key)
	if err != nil {
		return err
	}
	b.commands = commands
	at += len("mg ")
	size := len(key)
	if isBase64 {
		size = bytes.IndexByte(commands[at:], ' ')
	}
	b.entries = append(b.entries, getEntry{at, size, isBase64, expire, cas})
	return nil
}

// list has the crawler list the items and puts them into the queue.
func (c *itemCapture) list(ctx context.Context, q *queue) error {
	conn, err := dialItems(ctx, c.src, c.o.ProgressTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	var record []byte
	put := func(e *memcache.Entry) error {
		record = append(append(record[:0], byte(len(e.Key))), e.Key...)
		record = binary.LittleEndian.AppendUint64(record, uint64(e.Expire))
		record = binary.LittleEndian.AppendUint64(record, e.CAS)
		_, err := q.Write(record)
		return err
	}
	deadline := time.Now().Add(c.o.ChildMax)
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		err = conn.Metadump(put)
		if !errors.Is(err, memcache.ErrBusy) || time.Now().After(deadline) {
			break
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	if err != nil {
		return itemsError(err)
	}
	return q.close()
}

// asker takes the list from the queue and asks for its items.
type asker struct {
	ctx  context.Context
	c    *itemCapture
	rest []byte // of a record that is not yet complete
	now  *getBatch
}

// Write takes a piece of the list.
func (a *asker) Write(p []byte) (int, error) {
	b := p
	if len(a.rest) > 0 {
		a.rest = append(a.rest, p...)
		b = a.rest
	}
	for len(b) > 0 && len(b) >= 1+int(b[0])+16 {
		n := 1 + int(b[0])
		if err := a.add(b[1:n], int64(binary.LittleEndian.Uint64(b[n:])), binary.LittleEndian.Uint64(b[n+8:])); err != nil {
			return 0, err
		}
		b = b[n+16:]
	}
	a.rest = append(a.rest[:0], b...)
	return len(p), nil
}

func (a *asker) add(key []byte, expire int64, cas uint64) error {
	if a.now == nil {
		select {
		case a.now = <-a.c.free:
		case <-a.ctx.Done():
			return context.Cause(a.ctx)
		}
	}
	if err := a.now.add(key, expire, cas); errors.Is(err, memcache.ErrKey) {
		return a.addOdd(key, expire, cas)
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if len(a.now.entries) == a.c.o.Batch || len(a.now.commands) >= batchBytes {
		return a.send()
	}
	return nil
}

// addOdd passes on a key that cannot stand in a batch.
func (a *asker) addOdd(key []byte, expire int64, cas uint64) error {
	if len(a.now.entries) > 0 {
		if err := a.send(); err != nil {
			return err
		}
		select {
		case a.now = <-a.c.free:
		case <-a.ctx.Done():
			return context.Cause(a.ctx)
		}
	}
	b := a.now
	a.now = nil
	b.odd = append(b.odd, key...)
	b.entries = append(b.entries, getEntry{expire: expire, cas: cas})
	a.c.asked <- b
	return nil
}

// send sends the current batch.
func (a *asker) send() error {
	b := a.now
	if b == nil || len(b.entries) == 0 {
		return nil
	}
	a.now = nil
	b.commands = memcache.AppendEnd(b.commands)
	b.sent = a.c.clock.now()
	if err := a.c.conn.Send(b.commands); err != nil {
		return itemsError(err)
	}
	a.c.asked <- b // there is room: batches are few
	return nil
}
