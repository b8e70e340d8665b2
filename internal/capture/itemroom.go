package capture

import (
	"fmt"
	"strconv"

	"github.com/keyframe/keyframe/internal/engine/memcache"
)

const (
	itemPage    = 1 << 20 // of memory, which a cache gives to items of one class of sizes
	itemClasses = 64      // of sizes, at most
)

// makeRoom lifts the limit of a cache by a page for each class of sizes. A cache gives a class its first page whatever the limit says. So one
// that was full before a size came that it had never seen holds more than its limit, and its items do not fit into another one with that
// limit, where all sizes come from the beginning.
func (s *serverState) makeRoom(c *memcache.Conn) error {
	if s.limit == 0 {
		return nil
	}
	return c.MemLimit(s.limit/itemPage + itemClasses)
}

// closeRoom puts the limit in force again, which throws nothing out, and refuses what no cache with this limit could have held.
func (s *serverState) closeRoom(c *memcache.Conn) error {
	if s.limit == 0 {
		return nil
	}
	if err := c.MemLimit(s.limit / itemPage); err != nil {
		return err
	}
	stats, err := c.Stats("slabs")
	if err != nil {
		return err
	}
	var classes, taken int64
	for name, to := range map[string]*int64{"active_slabs": &classes, "total_malloced": &taken} {
		if *to, err = strconv.ParseInt(stats[name], 10, 64); err != nil || *to < 0 {
			return fmt.Errorf("%w: the statistic %s is %.40q", memcache.ErrProtocol, name, stats[name])
		}
	}
	if most := s.limit + classes*itemPage; taken > most {
		return fmt.Errorf("%w: they take %d bytes, and it has %d", ErrTooSmall, taken, s.limit)
	}
	return nil
}
