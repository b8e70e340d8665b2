package capture

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/keyframe/keyframe/internal/engine/memcache"
)

// replies reads what the cache says to each batch.
func (l *itemLoad) replies() error {
	for b := range l.sent {
		if len(b.large) > 0 {
			if err := l.conn.Expect("HD"); err != nil {
				return fmt.Errorf("store %.300q: %w", b.large, storeError(err))
			}
		} else if err := l.conn.Expect("MN"); err != nil {
			// Quiet commands do not tell which of them failed.
			return l.blame(b, err)
		}
		b.commands, b.starts, b.large = b.commands[:0], b.starts[:0], b.large[:0]
		l.free <- b
	}
	return nil
}

// blame finds the item of a batch that is not stored, by storing them again one by one.
func (l *itemLoad) blame(b *setBatch, cause error) error {
	var reply *memcache.ReplyError
	if !errors.As(cause, &reply) && !errors.Is(cause, memcache.ErrProtocol) {
		return itemsError(cause)
	}
	conn, err := dialItems(l.ctx, l.src, l.o.ProgressTimeout)
	if err != nil {
		return storeError(cause)
	}
	defer conn.Close()
	for i, start := range b.starts {
		end := len(b.commands) - len("mn\r\n")
		if i+1 < len(b.starts) {
			end = b.starts[i+1]
		}
		line, rest, _ := bytes.Cut(b.commands[start:end], []byte(" q\r\n"))
		if err := conn.Send(append(append(bytes.Clone(line), "\r\n"...), rest...)); err != nil {
			return storeError(cause)
		}
		if err := conn.Expect("HD"); err != nil {
			return fmt.Errorf("store %.300q: %w", bytes.SplitN(line, []byte{' '}, 3)[1], storeError(err))
		}
	}
	return fmt.Errorf("store one of %d items: %w", len(b.starts), storeError(cause))
}

// storeError says what it means that a cache did not store an item.
func storeError(err error) error {
	var reply *memcache.ReplyError
	if errors.As(err, &reply) && strings.Contains(reply.Line, "out of memory") {
		return fmt.Errorf("%w: %w", ErrTooSmall, err)
	}
	return itemsError(err)
}
