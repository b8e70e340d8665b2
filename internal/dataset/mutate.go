package dataset

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

// Mutate changes keys of the data set at random, as fast as the engine takes it on one connection, until ctx ends; then it returns how many
// commands the engine has carried out, without an error. It stays in database 0. Started, if not nil, is closed after the first batch.
func Mutate(ctx context.Context, srv Server, spec Spec, started chan<- struct{}) (int64, error) {
	spec = spec.withDefaults()
	if err := spec.check(); err != nil {
		return 0, err
	}
	c, err := srv.connect(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	r := keyed(spec.Seed, -1)
	spans := spec.plan()
	var done int64
	for {
		var asks [][]string
		for len(asks) < 50 {
			if ask := spec.mutation(&r, spans[r.below(len(spans))]); ask != nil {
				asks = append(asks, ask)
			}
		}
		replies, err := c.Pipeline(ctx, asks...)
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) { // a connection may notice its deadline before the context does
			return done, nil
		}
		if err != nil {
			return done, fmt.Errorf("dataset: mutate: %w", err)
		}
		for i, v := range replies {
			if v.Kind == resp.ErrorKind {
				return done, fmt.Errorf("dataset: mutate: %s: %w", asks[i][0], errors.New(v.Err.Message))
			}
		}
		done += int64(len(replies))
		if started != nil {
			close(started)
			started = nil
		}
	}
}

// mutation is a command on a key of the span, nil when the key is not owned.
func (s *Spec) mutation(r *rng, sp span) []string {
	key := s.name(nil, sp.kind, sp.from+r.below(sp.to-sp.from))
	if s.Owns != nil && !s.Owns(key) {
		return nil
	}
	name, text := string(key), string(r.text(nil, 16))
	switch r.below(20) {
	case 0:
		return []string{"DEL", name}
	case 1:
		return []string{"PEXPIREAT", name, strconv.FormatInt(s.Epoch.UnixMilli()+int64(r.below(1_000_000)), 10)}
	}
	switch sp.kind {
	case kString:
		return []string{"SET", name, string(r.value(nil, s))}
	case kCounter:
		return []string{"SET", name, strconv.FormatUint(r.next()>>8, 10)}
	case kHash, kBigHash:
		return []string{"HSET", name, "field:" + strconv.Itoa(r.below(10)), text}
	case kList, kBigList:
		return []string{"RPUSH", name, text}
	case kZSet, kBigZSet:
		return []string{"ZADD", name, strconv.Itoa(r.below(1000)), text}
	case kStream:
		return []string{"XADD", name, "*", "event", text}
	case kIntSet:
		return []string{"SADD", name, strconv.FormatUint(r.next()>>40, 10)}
	}
	return []string{"SADD", name, text}
}
