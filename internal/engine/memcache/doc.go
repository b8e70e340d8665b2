// Package memcache speaks the part of Memcached's text and meta protocol that moving items takes: listing them (lru_crawler metadump hash),
// reading them in pipelined batches (mg ... mn), storing them (ms), and the statistics by which one knows that a server did what it was told.
//
// Replies may come from anywhere. Lines, keys and values have bounds, and memory grows only as bytes arrive.
package memcache

import (
	"errors"
	"fmt"
)

const (
	// MaxKey is the length in bytes of the longest key.
	MaxKey = 250
	// MaxValue is the length in bytes of the largest value: an engine's -I goes up to 1 GiB.
	MaxValue = 1 << 30
	// MaxExpiry is the latest expiry that an engine takes: it parses it as a signed number of 32 bits.
	MaxExpiry = 1<<31 - 1

	maxLine  = 8 << 10
	maxStats = 10000
	maxToken = MaxKey // of a key in base64
)

var (
	// ErrProtocol: the reply is not one of Memcached. The connection is of no use any more.
	ErrProtocol = errors.New("memcache: unexpected reply")
	// ErrStalled: nothing moved for the connection's timeout.
	ErrStalled = errors.New("memcache: the server stopped answering")
	// ErrBusy: the server's crawler is doing something else. It may be free in a moment.
	ErrBusy = errors.New("memcache: the crawler is busy")
)

// ReplyError is an error that the server answered with.
type ReplyError struct{ Line string }

func (e *ReplyError) Error() string {
	return fmt.Sprintf("memcache: the server answered %.200q", e.Line)
}

func protocolError(what string, line []byte) error {
	return fmt.Errorf("%w: %s: %.200q", ErrProtocol, what, line)
}
