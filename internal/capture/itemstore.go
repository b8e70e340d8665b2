package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/keyframe/keyframe/internal/engine/memcache"
	"github.com/keyframe/keyframe/internal/itemfile"
)

const (
	setBytes = 64 << 10  // of a batch, about
	setItems = 1024      // of a batch, at most
	setLarge = 128 << 10 // a value of so many bytes travels alone and is not kept
)

// setBatch is a batch of items that were sent and not yet acknowledged.
type setBatch struct {
	commands []byte
	starts   []int  // of each item's command
	large    []byte // key of a single large item, which has its own reply
}

// itemLoad is one load of items under way.
type itemLoad struct {
	src    Source
	o      LoadOptions
	file   *itemfile.Reader
	conn   *memcache.Conn
	state  *serverState
	cancel context.CancelCauseFunc

	odd    *memcache.Conn // that items with odd keys are stored through; nil before the first
	sent   chan *setBatch
	free   chan *setBatch
	ctx    context.Context
	now    *setBatch
	bytes  int64
	told   time.Time
	result *LoadResult
}

// run sends, and reads the replies beside.
func (l *itemLoad) run(ctx context.Context) error {
	l.ctx = ctx
	for range inFlight {
		l.free <- new(setBatch)
	}
	replied := make(chan error, 1)
	go func() {
		err := l.replies()
		if err != nil {
			l.cancel(err) // which closes the connection
		}
		replied <- err
	}()
	err := l.send()
	if err != nil {
		l.cancel(err)
	}
	if l.odd != nil {
		l.odd.Close()
	}
	close(l.sent)
	rerr := <-replied
	if ctx.Err() != nil {
		return context.Cause(ctx) // the first reason
	}
	return errors.Join(err, rerr)
}

// send sends the items of the file.
func (l *itemLoad) send() error {
	for {
		it, err := l.file.Next()
		if errors.Is(err, io.EOF) && l.file.Summary() != nil {
			return l.push()
		}
		if err != nil {
			return err
		}
		if it.ExpireAt != 0 && it.ExpireAt <= time.Now().Unix() {
			l.result.Expired++
			continue
		}
		if err := l.add(it); err != nil {
			return err
		}
		l.result.Loaded++
		l.bytes += int64(len(it.Key) + len(it.Value))
		l.report()
	}
}

func (l *itemLoad) add(it *itemfile.Item) error {
	if l.state.itemMax > 0 && int64(len(it.Value)) > l.state.itemMax {
		return fmt.Errorf("%w: the value of %.300q has %d bytes, the cache takes %d", ErrTooLarge, it.Key, len(it.Value), l.state.itemMax)
	}
	large := len(it.Value) >= setLarge
	if large {
		if err := l.push(); err != nil {
			return err
		}
	}
	if l.now == nil {
		select {
		case l.now = <-l.free:
		case <-l.ctx.Done():
			return context.Cause(l.ctx)
		}
	}
	b := l.now
	expire := it.ExpireAt
	if expire != 0 {
		expire = l.state.clock.theirs(expire)
	}
	start := len(b.commands)
	commands, err := memcache.AppendSet(b.commands, it.Key, it.Flags, expire, len(it.Value), !large)
	if errors.Is(err, memcache.ErrKey) {
		return l.addOdd(it, expire)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	b.commands = commands
	if large {
		b.large = append(b.large[:0], it.Key...)
		return l.transmit(b, commands, it.Value, []byte("\r\n"))
	}
	b.starts = append(b.starts, start)
	b.commands = append(append(b.commands, it.Value...), "\r\n"...)
	if len(b.commands) >= setBytes || len(b.starts) == setItems {
		return l.push()
	}
	return nil
}

// addOdd stores an item whose key only the binary protocol can write.
func (l *itemLoad) addOdd(it *itemfile.Item, expire int64) error {
	if l.odd == nil {
		conn, err := dialItems(l.ctx, l.src, l.o.ProgressTimeout)
		if err != nil {
			return err
		}
		l.odd = conn
	}
	if err := l.odd.BinarySet(it.Key, it.Flags, expire, it.Value); err != nil {
		return fmt.Errorf("store %.300q: %w", it.Key, storeError(err))
	}
	return nil
}

// push sends the current batch.
func (l *itemLoad) push() error {
	b := l.now
	if b == nil || len(b.starts) == 0 {
		return nil
	}
	b.commands = memcache.AppendEnd(b.commands)
	return l.transmit(b, b.commands)
}

// transmit sends a batch, whose reply is awaited from the beginning: that is how a server that hangs is noticed.
func (l *itemLoad) transmit(b *setBatch, parts ...[]byte) error {
	l.now = nil
	l.sent <- b // there is room: batches are few
	for _, p := range parts {
		if err := l.conn.Send(p); err != nil {
			return itemsError(err)
		}
	}
	return nil
}

func (l *itemLoad) report() {
	if l.o.OnProgress != nil && time.Since(l.told) >= 100*time.Millisecond {
		l.told = time.Now()
		l.o.OnProgress(l.result.Loaded, l.bytes)
	}
}
