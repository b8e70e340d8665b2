package keyrestore

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/keydiff"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// busy decides about a key that the engine has already. One that an earlier run may have sent without noting the answer counts as
// restored only if the engine has just what would be restored: else somebody else wrote it, before or after.
func (r *Run) busy(ctx context.Context, it *item) (verdict, error) {
	if r.o.State.inDoubt(it.position) {
		has, err := r.compare(ctx, it)
		switch {
		case err != nil:
			return settled, err
		case has == nothing:
			return retry, nil
		case has == same:
			return done, nil
		}
	}
	if r.o.Conflict == Skip {
		r.Report.Skipped++
		r.conflict(it)
		return settled, nil
	}
	return settled, &ConflictError{it.db, it.key}
}

// found is what the engine has under a key.
type found int

const (
	other found = iota
	same
	nothing // any more
)

// compare looks whether the engine has a key with the value and the expiry with which it would be restored.
func (r *Run) compare(ctx context.Context, it *item) (found, error) {
	expiry := "PEXPIRETIME"
	if !r.e.Version.AtLeast(7, 0) { // which knows only for how long
		expiry = "PTTL"
	}
	var at int64
	err := r.ask(ctx, []*item{it}, call{send: func(c *conn, it *item) error { return c.send(expiry, string(it.key)) }}, func(_ *item, v resp.Value) { at = v.Int })
	const gone, never = -2, -1
	switch {
	case err != nil:
		return other, err
	case at == gone:
		return nothing, nil
	case (at == never) != (it.expireAt == 0), expiry == "PEXPIRETIME" && at != never && at != it.expireAt:
		return other, nil
	}
	engines := &payload{dir: r.o.Dir}
	defer engines.close()
	dump := call{
		send: func(c *conn, it *item) error { return c.send("DUMP", string(it.key)) },
		read: func(c *conn) (resp.Value, error) { return c.r.Pass(&patient{c, engines}) },
	}
	missing := false
	if err := r.ask(ctx, []*item{it}, dump, func(_ *item, v resp.Value) { missing = v.Kind == resp.Null }); err != nil {
		return other, err
	}
	if missing {
		return nothing, nil
	}
	// How a value is stored is the engine's choice: only what it says can be compared. What cannot be read here was not sent from here.
	digester := keydiff.NewDigester()
	theirs, err := engines.digest(digester, r.e)
	if err == nil {
		var ours keydiff.Digest
		if ours, err = it.payload.digest(digester, r.e); err == nil && ours == theirs {
			return same, nil
		}
	}
	if errors.Is(err, rdb.ErrCorrupt) || errors.Is(err, rdb.ErrTooLarge) {
		err = nil
	}
	return other, err
}

// digest reads the value of a payload that an engine made or takes.
func (p *payload) digest(of *keydiff.Digester, e *Engine) (d keydiff.Digest, err error) {
	if p.size <= 1+tail {
		return d, rdb.ErrCorrupt
	}
	family := rdb.FamilyRedis
	if e.Kind == resource.Valkey {
		family = rdb.FamilyValkey
	}
	_, err = rdb.NewScanner(p.asFile(family, p.mem[0]), rdb.Options{OnValue: func(_ *rdb.Record, v *rdb.Value) (err error) {
		d, err = of.Of(v)
		return err
	}}).Scan()
	return d, err
}

// patient gives every piece of a long answer the whole patience.
type patient struct {
	c *conn
	w io.Writer
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	return p.w.Write(b)
}
