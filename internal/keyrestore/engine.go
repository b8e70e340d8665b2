package keyrestore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
	"github.com/keyframe/keyframe/internal/resource"
	"github.com/keyframe/keyframe/rdb"
)

// Engine is a running engine, or a cluster of them.
type Engine struct {
	Kind    resource.Engine
	Version engine.Version
	Cluster bool

	target  Target
	first   *conn
	nodes   map[string]*conn // of a cluster, by address
	primary [rdb.Slots]string
}

// Connect finds out what listens at an address. Of a cluster any node will do.
func Connect(ctx context.Context, t Target) (*Engine, error) {
	c, err := dial(ctx, t)
	if err != nil {
		return nil, err
	}
	e := &Engine{target: t, first: c, nodes: map[string]*conn{t.Address: c}}
	if err := e.identify(ctx); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

func (e *Engine) identify(ctx context.Context) error {
	v, err := e.first.do(ctx, "INFO", "server")
	if err != nil {
		return fmt.Errorf("%s: %w", e.target.Address, err)
	}
	text, err := v.Text()
	if err != nil {
		return err
	}
	info := resp.ParseInfo(text)
	e.Kind = resource.Redis
	number := info["redis_version"]
	if info["server_name"] == "valkey" || info["valkey_version"] != "" {
		e.Kind, number = resource.Valkey, info["valkey_version"]
	}
	if e.Version, err = engine.ParseVersion(number); err != nil {
		return fmt.Errorf("%s: %w", e.target.Address, err)
	}
	if !e.Version.AtLeast(5, 0) {
		return fmt.Errorf("%s is %s %s: RESTORE takes no absolute expiry before Redis 5", e.target.Address, e.Kind, e.Version)
	}
	if e.Cluster = info["redis_mode"] == "cluster" || info["server_mode"] == "cluster"; e.Cluster {
		return e.learn(ctx)
	}
	return nil
}

// reads tells whether the engine takes a payload of a version.
func (e *Engine) reads(version int) bool {
	family := rdb.FamilyRedis
	if version >= onlyValkey {
		family = rdb.FamilyValkey
	}
	return engine.CanLoad(e.Kind, e.Version, family, version)
}

// newest is the highest version that the engine takes and that can be written here.
func (e *Engine) newest() int {
	for _, v := range []int{onlyValkey, 12, 11, 10} {
		if e.reads(v) {
			return v
		}
	}
	return 9
}

// learn asks which node has which slots.
func (e *Engine) learn(ctx context.Context) error {
	var errs []error
	for _, c := range e.nodes {
		v, err := c.do(ctx, "CLUSTER", "SLOTS")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		e.primary = [rdb.Slots]string{}
		for _, r := range v.Elems {
			if len(r.Elems) < 3 || len(r.Elems[2].Elems) < 2 {
				return fmt.Errorf("%s: CLUSTER SLOTS answers what is not understood", c.address)
			}
			host, port := r.Elems[2].Elems[0].Str, r.Elems[2].Elems[1].Int
			if host == "" { // the node does not know its own address; we do
				host, _, _ = net.SplitHostPort(c.address)
			}
			for slot := max(r.Elems[0].Int, 0); slot <= min(r.Elems[1].Int, rdb.Slots-1); slot++ {
				e.primary[slot] = net.JoinHostPort(host, strconv.FormatInt(port, 10))
			}
		}
		return nil
	}
	return errors.Join(errs...)
}

// at is the connection to a node, made when it is first needed.
func (e *Engine) at(ctx context.Context, address string) (*conn, error) {
	if c := e.nodes[address]; c != nil {
		return c, nil
	}
	t := e.target
	t.Address = address
	c, err := dial(ctx, t)
	if err != nil {
		return nil, err
	}
	e.nodes[address] = c
	return c, nil
}

// home is where a slot's keys go.
func (e *Engine) home(slot int) string {
	if e.Cluster && e.primary[slot] != "" {
		return e.primary[slot]
	}
	return e.target.Address
}

// Close ends all connections.
func (e *Engine) Close() {
	for _, c := range e.nodes {
		c.close()
	}
}
