package dataset

import "strconv"

// cmds builds commands in the wire format.
type cmds struct {
	b       []byte
	n       int    // commands in b
	scratch []byte // one argument under construction
}

func (c *cmds) reset() { c.b, c.n = c.b[:0], 0 }

// open begins a command of n arguments, its name included.
func (c *cmds) open(name string, n int) {
	c.n++
	c.b = append(c.b, '*')
	c.b = strconv.AppendInt(c.b, int64(n), 10)
	c.b = append(c.b, '\r', '\n')
	c.str(name)
}

func (c *cmds) size(n int) {
	c.b = append(c.b, '$')
	c.b = strconv.AppendInt(c.b, int64(n), 10)
	c.b = append(c.b, '\r', '\n')
}

func (c *cmds) str(s string) {
	c.size(len(s))
	c.b = append(c.b, s...)
	c.b = append(c.b, '\r', '\n')
}

func (c *cmds) bytes(p []byte) {
	c.size(len(p))
	c.b = append(c.b, p...)
	c.b = append(c.b, '\r', '\n')
}

func (c *cmds) int(n int64) {
	c.scratch = strconv.AppendInt(c.scratch[:0], n, 10)
	c.bytes(c.scratch)
}

// made builds an argument from what f appends.
func (c *cmds) made(f func([]byte) []byte) {
	c.scratch = f(c.scratch[:0])
	c.bytes(c.scratch)
}

var kindNames = [...]string{"str", "count", "hash", "list", "zset", "stream", "ints", "set", "bighash", "biglist", "bigzset", "bigset"}

// name appends the name of key i.
func (s *Spec) name(b []byte, k kind, i int) []byte {
	b = append(b, s.Prefix...)
	b = append(b, kindNames[k]...)
	b = append(b, ':')
	return strconv.AppendInt(b, int64(i), 10)
}

// expiry is when key i expires in Unix milliseconds, 0 for never.
func (s *Spec) expiry(r *rng) int64 {
	if float64(r.next()>>11)/(1<<53) >= s.TTLShare {
		return 0
	}
	return s.Epoch.UnixMilli() + 3_600_000 + int64(r.below(30*86_400_000))
}

// key appends the commands that create key i.
func (s *Spec) key(c *cmds, k kind, name []byte, i int) {
	r := keyed(s.Seed, i)
	at := s.expiry(&r)
	switch k {
	case kString, kCounter:
		args := 3
		if at != 0 {
			args = 5
		}
		c.open("SET", args)
		c.bytes(name)
		if k == kCounter {
			c.int(int64(r.next()) >> (r.below(60)))
		} else {
			c.made(func(b []byte) []byte { return r.value(b, s) })
		}
		if at != 0 {
			c.str("PXAT")
			c.int(at)
		}
		return
	case kHash:
		s.hash(c, name, &r, 8)
	case kBigHash:
		s.hash(c, name, &r, 5_000)
	case kList:
		s.list(c, name, &r, 40)
	case kBigList:
		s.list(c, name, &r, 10_000)
	case kZSet:
		s.zset(c, name, &r, 30)
	case kBigZSet:
		s.zset(c, name, &r, 10_000)
	case kIntSet:
		c.open("SADD", 2+30)
		c.bytes(name)
		shift := 20 + r.below(40)
		for range 30 {
			c.int(int64(r.next()) >> shift)
		}
	case kSet:
		s.set(c, name, &r, 20)
	case kBigSet:
		s.set(c, name, &r, 10_000)
	case kStream:
		s.stream(c, name, &r)
	}
	if at != 0 {
		c.open("PEXPIREAT", 3)
		c.bytes(name)
		c.int(at)
	}
}

// batch is how many elements one command adds.
const batch = 1_000

// inBatches calls open with the size of each command and element n times.
func inBatches(n int, open func(n int), element func(i int)) {
	for from := 0; from < n; from += batch {
		to := min(from+batch, n)
		open(to - from)
		for i := from; i < to; i++ {
			element(i)
		}
	}
}

func (s *Spec) hash(c *cmds, name []byte, r *rng, n int) {
	inBatches(n, func(n int) {
		c.open("HSET", 2+2*n)
		c.bytes(name)
	}, func(i int) {
		c.made(func(b []byte) []byte { return strconv.AppendInt(append(b, "field:"...), int64(i), 10) })
		c.made(func(b []byte) []byte { return r.text(b, 8+r.below(40)) })
	})
}

func (s *Spec) list(c *cmds, name []byte, r *rng, n int) {
	inBatches(n, func(n int) {
		c.open("RPUSH", 2+n)
		c.bytes(name)
	}, func(int) {
		if r.below(8) == 0 {
			c.int(int64(r.below(1_000_000)))
			return
		}
		c.made(func(b []byte) []byte { return r.text(b, 8+r.below(40)) })
	})
}

func (s *Spec) zset(c *cmds, name []byte, r *rng, n int) {
	inBatches(n, func(n int) {
		c.open("ZADD", 2+2*n)
		c.bytes(name)
	}, func(i int) {
		c.made(func(b []byte) []byte {
			if r.below(2) == 0 {
				return strconv.AppendInt(b, int64(r.below(100_000)), 10)
			}
			return strconv.AppendFloat(b, float64(r.below(1_000_000))/1000, 'g', -1, 64)
		})
		c.made(func(b []byte) []byte {
			b = append(b, "member:"...)
			b = strconv.AppendInt(b, int64(i), 10)
			return r.text(append(b, ':'), 6)
		})
	})
}

func (s *Spec) set(c *cmds, name []byte, r *rng, n int) {
	inBatches(n, func(n int) {
		c.open("SADD", 2+n)
		c.bytes(name)
	}, func(int) {
		c.made(func(b []byte) []byte { return r.text(b, 12) })
	})
}

// stream writes 150 entries, drops a few, and gives every third stream a group with entries that wait for two consumers.
func (s *Spec) stream(c *cmds, name []byte, r *rng) {
	base := int64(1_700_000_000_000) // in the past: engines replace delivery times in the future
	id := func(i int) func([]byte) []byte {
		return func(b []byte) []byte {
			return append(strconv.AppendInt(b, base+int64(i)*250, 10), "-1"...)
		}
	}
	const entries = 150
	for i := range entries {
		c.open("XADD", 7)
		c.bytes(name)
		c.made(id(i))
		c.str("event")
		c.str(r.word())
		c.str("payload")
		c.made(func(b []byte) []byte { return r.text(b, 16+r.below(32)) })
	}
	c.open("XDEL", 4)
	c.bytes(name)
	c.made(id(r.below(entries)))
	c.made(id(entries - 1))
	if r.below(3) != 0 {
		return
	}
	c.open("XGROUP", 5)
	c.str("CREATE")
	c.bytes(name)
	c.str("workers")
	c.made(id(60))
	for i := range 10 {
		c.open("XCLAIM", 12) // with a time, for XREADGROUP would write its own
		c.bytes(name)
		c.str("workers")
		c.str([]string{"anna", "berta"}[i%2])
		c.int(0)
		c.made(id(20 + 3*i))
		c.str("TIME")
		c.int(base + int64(i))
		c.str("RETRYCOUNT")
		c.int(int64(1 + i%4))
		c.str("FORCE")
		c.str("JUSTID")
	}
	c.open("XGROUP", 5)
	c.str("CREATE")
	c.bytes(name)
	c.str("audit")
	c.str("$")
}
