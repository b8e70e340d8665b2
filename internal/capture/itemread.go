package capture

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/keyframe/keyframe/internal/engine/memcache"
	"github.com/keyframe/keyframe/internal/itemfile"
)

// itemCapture is one capture of items under way.
type itemCapture struct {
	src    Source
	o      Options
	out    *itemfile.Writer
	conn   *memcache.Conn // that items are read from
	odd    *memcache.Conn // that items with odd keys are read from; nil before the first
	clock  serverClock
	expect int64 // items of the cache at the beginning
	cancel context.CancelCauseFunc

	asked chan *getBatch // in the order of their answers
	free  chan *getBatch

	key    []byte
	result *ItemsResult
	told   time.Time
}

// run lists, asks and reads, each in its goroutine.
func (c *itemCapture) run(ctx context.Context) error {
	for range inFlight {
		c.free <- new(getBatch)
	}
	o := c.o
	o.Patience = min(o.Patience, listPatience)
	q := newQueue(o, func() {})
	defer q.spool.close()
	unhook := context.AfterFunc(ctx, func() { q.fail(context.Cause(ctx)) })
	defer unhook()

	listed, drained := make(chan error, 1), make(chan error, 1)
	go func() {
		err := c.list(ctx, q)
		if err != nil {
			c.cancel(err) // which fails the queue and closes the connections
		}
		listed <- err
	}()
	go func() {
		a := &asker{ctx: ctx, c: c}
		err := q.drain(a)
		if err == nil {
			err = a.send()
		}
		if err != nil {
			c.cancel(err)
		}
		close(c.asked)
		drained <- err
	}()
	err := c.read(ctx)
	if err != nil {
		c.cancel(err)
	}
	if c.odd != nil {
		c.odd.Close()
	}
	lerr, derr := <-listed, <-drained
	c.result.Spooled = q.spooled
	if ctx.Err() != nil {
		return context.Cause(ctx) // the first reason
	}
	for _, e := range []error{lerr, derr} {
		if err == nil {
			err = e
		}
	}
	return err
}

// read reads what was asked for.
func (c *itemCapture) read(ctx context.Context) error {
	var v memcache.Value
	c.conn.Bulk(true)
	defer c.conn.Bulk(false)
	for b := range c.asked {
		if len(b.odd) > 0 {
			if err := c.readOdd(ctx, b); err != nil {
				return err
			}
			continue
		}
		next := 0
		for {
			ok, err := c.conn.Value(&v)
			if err != nil {
				return itemsError(err)
			}
			if !ok {
				break
			}
			for next < len(b.entries) && !b.asks(&b.entries[next], &v) {
				c.missed(&b.entries[next])
				next++
			}
			if next == len(b.entries) {
				return fmt.Errorf("%w: it answered with %.300q, which was not asked for", ErrProtocol, v.Token)
			}
			if err := c.write(b, &b.entries[next], &v); err != nil {
				return err
			}
			next++
		}
		for ; next < len(b.entries); next++ {
			c.missed(&b.entries[next])
		}
		c.report(false)
		b.commands, b.entries = b.commands[:0], b.entries[:0]
		c.free <- b
	}
	return nil
}

// readOdd reads an item whose key only the binary protocol can write, which knows no remaining time: the list's expiry counts. Another list
// would not be sure to be right either, as a touch between it and the reading leaves the CAS as it was.
func (c *itemCapture) readOdd(ctx context.Context, b *getBatch) error {
	if c.odd == nil {
		conn, err := dialItems(ctx, c.src, c.o.ProgressTimeout)
		if err != nil {
			return err
		}
		c.odd = conn
	}
	var v memcache.Value
	e := &b.entries[0]
	there, err := c.odd.BinaryGet(b.odd, &v)
	if err != nil {
		return itemsError(err)
	}
	if there {
		if v.CAS != e.cas {
			c.result.Changed++
		}
		expire := int64(0)
		if e.expire > 0 {
			expire = c.clock.ours(e.expire)
		}
		if err := c.pass(&itemfile.Item{Key: b.odd, Flags: v.Flags, ExpireAt: expire, Value: v.Data}); err != nil {
			return err
		}
	} else {
		c.missed(e)
	}
	b.odd, b.entries = b.odd[:0], b.entries[:0]
	c.free <- b
	return nil
}

// asks tells whether a reply is the one to an entry. A server writes a key as it was stored, by base64 or not, whatever it was asked by.
func (b *getBatch) asks(e *getEntry, v *memcache.Value) bool {
	token := b.token(e)
	if e.base64 == v.Base64 {
		return bytes.Equal(token, v.Token)
	}
	plain, coded := token, v.Token
	if e.base64 {
		plain, coded = coded, plain
	}
	var buf [memcache.MaxKey + 2]byte
	if base64.StdEncoding.DecodedLen(len(coded)) > len(buf) {
		return false
	}
	n, err := base64.StdEncoding.Decode(buf[:], coded)
	return err == nil && bytes.Equal(buf[:n], plain)
}

// missed counts an item that is not there any more.
func (c *itemCapture) missed(e *getEntry) {
	if e.expire > 0 && e.expire <= c.clock.now()+1 {
		c.result.Expired++
	} else {
		c.result.Vanished++
	}
}

func (c *itemCapture) write(b *getBatch, e *getEntry, v *memcache.Value) error {
	if v.CAS != e.cas {
		c.result.Changed++
	}
	it := itemfile.Item{Key: v.Token, Flags: v.Flags, ExpireAt: c.expiry(b, e, v), Value: v.Data}
	if v.Base64 {
		key, err := base64.StdEncoding.AppendDecode(c.key[:0], v.Token)
		if err != nil {
			return fmt.Errorf("%w: it answered with the key %.300q", ErrProtocol, v.Token)
		}
		c.key, it.Key = key, key
	}
	return c.pass(&it)
}

// pass hands an item on, and counts it.
func (c *itemCapture) pass(it *itemfile.Item) error {
	if c.result.Keys != nil {
		CountItem(c.result.Keys, it)
	}
	if err := c.out.Write(it); err != nil {
		return fmt.Errorf("pass the items on: %w", err)
	}
	return nil
}

// expiry is when an item expires, by our clock. The crawler tells it exactly. Only if what the item says about its remaining time contradicts
// that, since somebody has changed it, the remaining time counts.
func (c *itemCapture) expiry(b *getBatch, e *getEntry, v *memcache.Value) int64 {
	if v.TTL < 0 {
		return 0
	}
	read := e.expire - v.TTL // when the item was read, if its expiry is still the same
	if e.expire > 0 && read >= b.sent-clockSlack && read <= c.clock.now()+clockSlack {
		return c.clock.ours(e.expire)
	}
	return c.clock.ours(b.sent + v.TTL)
}

func (c *itemCapture) report(last bool) {
	if c.o.OnProgress == nil || !last && time.Since(c.told) < 100*time.Millisecond {
		return
	}
	c.told = time.Now()
	sum := c.out.Sum()
	if last {
		c.o.OnProgress(c.result.Bytes, c.result.Bytes)
		return
	}
	bytes := sum.KeyBytes + sum.ValueBytes + 8*sum.Items
	total := int64(0)
	if sum.Items > 0 && sum.Items <= c.expect {
		total = int64(float64(bytes) / float64(sum.Items) * float64(c.expect))
	}
	c.o.OnProgress(bytes, total)
}
