package keyrestore

import (
	"context"
	"io"
	"time"
)

// pace keeps within a rate, from the first batch on.
type pace struct {
	keys, bytes float64 // a second; 0: no limit
	begun       time.Time
	free        time.Time // when what was sent so far is within the rate
}

// batch is how much may be sent at once: a tenth of a second of the rate.
func (p *pace) batch() (keys int, bytes int64) {
	keys, bytes = batchKeys, batchBytes
	if p.keys > 0 {
		keys = min(keys, max(1, int(p.keys/10)))
	}
	if p.bytes > 0 {
		bytes = min(bytes, max(1, int64(p.bytes/10)))
	}
	return keys, bytes
}

// wait returns when so much more may be sent.
func (p *pace) wait(ctx context.Context, keys int, bytes int64) error {
	now := time.Now()
	if p.begun.IsZero() || p.free.Before(now) {
		p.begun, p.free = now, now
	}
	timer := time.NewTimer(p.free.Sub(now))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	var cost float64 // seconds
	if p.keys > 0 {
		cost = float64(keys) / p.keys
	}
	if p.bytes > 0 {
		cost = max(cost, float64(bytes)/p.bytes)
	}
	p.free = p.free.Add(time.Duration(cost * float64(time.Second)))
	return nil
}

// pass writes a payload, giving each piece the whole patience.
func (c *conn) pass(p *payload) error {
	r := p.reader(p.size)
	for {
		n, err := io.CopyN(c.w, r, inMemory)
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if n == inMemory {
			if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
				return err
			}
		}
	}
}
