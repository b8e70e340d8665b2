package capture

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/engine/memcache"
)

// clockSlack is by how many seconds the clock of a server may differ from ours before times are converted. A server's clock ticks once a
// second, later when it is busy; and expiries shall stay the same to the second while clocks are as good as equal.
const clockSlack = 5

// serverClock is the difference of a server's clock from ours in seconds.
type serverClock int64

func (c serverClock) now() int64 { return time.Now().Unix() + int64(c) }

// ours converts a time of the server into ours, and theirs back; small differences are none.
func (c serverClock) ours(t int64) int64 {
	if c >= -clockSlack && c <= clockSlack {
		return t
	}
	return t - int64(c)
}

func (c serverClock) theirs(t int64) int64 { return 2*t - c.ours(t) }

// serverState is what a Memcached says about itself.
type serverState struct {
	version   string
	pid       string
	clock     serverClock
	flushes   int64
	items     int64
	evictions int64
	itemMax   int64 // 0 if it does not say
	limit     int64 // of its memory in bytes; 0 if it has none, or does not say
}

// askState asks for it.
func askState(c *memcache.Conn) (*serverState, error) {
	version, err := c.Version()
	if err != nil {
		return nil, err
	}
	asked := time.Now().Unix()
	stats, err := c.Stats("")
	if err != nil {
		return nil, err
	}
	s := &serverState{version: version, pid: stats["pid"]}
	var now int64
	for name, to := range map[string]*int64{"time": &now, "cmd_flush": &s.flushes, "curr_items": &s.items, "evictions": &s.evictions} {
		if *to, err = strconv.ParseInt(stats[name], 10, 64); err != nil || *to < 0 {
			return nil, fmt.Errorf("%w: the statistic %s is %.40q", memcache.ErrProtocol, name, stats[name])
		}
	}
	s.clock = serverClock(now - (asked+time.Now().Unix())/2)
	settings, err := c.Stats("settings")
	if err != nil {
		return nil, err
	}
	s.itemMax, _ = strconv.ParseInt(settings["item_size_max"], 10, 64)
	s.limit, _ = strconv.ParseInt(stats["limit_maxbytes"], 10, 64)
	return s, nil
}

// compare makes sure that the server is still the same, and nobody has emptied it.
func (s *serverState) compare(after *serverState) error {
	switch {
	case s.pid != after.pid:
		return fmt.Errorf("%w: the server was started anew meanwhile", ErrLink)
	case s.flushes != after.flushes:
		return fmt.Errorf("%w: the cache was flushed meanwhile", ErrTemporary)
	}
	return nil
}

// itemsError says in the words of this package what went wrong on a connection to a Memcached.
func itemsError(err error) error {
	var reply *memcache.ReplyError
	switch {
	case err == nil || errors.Is(err, ErrLink) || errors.Is(err, ErrTemporary) || errors.Is(err, ErrTooSmall):
		return err
	case errors.Is(err, memcache.ErrStalled):
		return fmt.Errorf("%w: %w: %w", ErrLink, ErrStalled, err)
	case errors.Is(err, memcache.ErrBusy):
		return fmt.Errorf("%w: %w", ErrTemporary, err)
	case errors.Is(err, memcache.ErrProtocol):
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	case errors.As(err, &reply):
		switch {
		case strings.Contains(reply.Line, "object too large"):
			return fmt.Errorf("%w: %w", ErrTooLarge, err)
		case strings.Contains(reply.Line, "unauthenticated"):
			return fmt.Errorf("%w: %w", ErrAuth, err)
		case strings.HasPrefix(reply.Line, "SERVER_ERROR"), strings.Contains(reply.Line, "Too many open connections"):
			return fmt.Errorf("%w: %w", ErrTemporary, err)
		}
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return fmt.Errorf("%w: %w", ErrLink, err)
}
