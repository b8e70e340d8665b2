package supervisor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
)

// SetParameters gives a node other engine parameters: for every later start and, where the engine lets them be changed while it
// runs, at once. It tells which of them a running node has not taken and will have after its next start. A value that the engine
// refuses is an error, and is not kept for the next start, which would fail.
func (s *Supervisor) SetParameters(ctx context.Context, id string, parameters map[string]string) (pending []string, err error) {
	n, err := s.find(id)
	if err != nil {
		return nil, err
	}
	node := n.snapshot(s)
	if !s.Running(id) {
		return nil, s.update(n, func(spec *Spec) { spec.Parameters = parameters })
	}
	if node.Engine == engine.Memcached {
		if err := s.update(n, func(spec *Spec) { spec.Parameters = parameters }); err != nil {
			return nil, err
		}
		return s.startedOtherwise(n)
	}
	c, err := s.Admin(ctx, id)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if pending, err = changeSettings(ctx, c, node.Parameters, parameters); err != nil {
		return nil, fmt.Errorf("node %s: %w", id, err)
	}
	return pending, s.update(n, func(spec *Spec) { spec.Parameters = parameters })
}

// changeSettings sets everything that old or wanted name on a running engine.
func changeSettings(ctx context.Context, c *resp.Conn, old, wanted map[string]string) (pending []string, err error) {
	values := engine.Settings(wanted)
	all := make(map[string]bool)
	for name := range old {
		all[strings.ToLower(name)] = true
	}
	for name := range wanted {
		all[strings.ToLower(name)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value, known := values[name]
		if !known { // what the engine itself takes when nobody says anything, it takes at its start
			pending = append(pending, name)
			continue
		}
		if !engine.AtStart(name) {
			_, err := c.Do(ctx, "CONFIG", "SET", name, value)
			if err == nil {
				continue
			}
			var refused *resp.Error
			if !errors.As(err, &refused) {
				return nil, err
			}
			if !strings.Contains(refused.Message, "immutable") {
				return nil, fmt.Errorf("CONFIG SET %s: %w", name, err)
			}
		}
		v, err := c.Do(ctx, "CONFIG", "GET", name)
		if err != nil {
			return nil, err
		}
		if pair, err := v.Strings(); err != nil || len(pair) != 2 || pair[1] != value {
			pending = append(pending, name)
		}
	}
	return pending, nil
}

// startedOtherwise compares memcached's command line with the one that it would be started with now.
func (s *Supervisor) startedOtherwise(n *node) ([]string, error) {
	node := n.snapshot(s)
	tls, err := s.tls.files(node)
	if err != nil {
		return nil, err
	}
	args, err := memcachedArgs(node, tls)
	if err != nil {
		return nil, err
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.PID(node.ID)))
	if err != nil {
		return nil, err
	}
	is := strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")
	// The limit of memory is changed while it runs.
	if slices.Equal(withoutLimit(is[1:]), withoutLimit(args)) {
		return nil, nil
	}
	return slices.Sorted(maps.Keys(node.Parameters)), nil
}

func withoutLimit(args []string) []string {
	args = slices.Clone(args)
	if i := slices.Index(args, "-m"); i >= 0 && i+1 < len(args) {
		args = slices.Delete(args, i, i+2)
	}
	return args
}
