package supervisor

import (
	"context"
	"fmt"
)

// Adopt takes a node over that an earlier supervisor started, and tells whether it runs. It starts nothing.
func (s *Supervisor) Adopt(ctx context.Context, id string) (alive bool, err error) {
	n, err := s.take(id)
	if err != nil {
		return false, err
	}
	defer n.op.Unlock()
	if p := n.process(); p != nil && p.running() {
		return true, nil
	}
	p, lock, err := s.locate(ctx, id)
	if err != nil {
		return false, fmt.Errorf("node %s: %w", id, err)
	}
	if p == nil {
		return false, lock.Close()
	}
	if err := s.verifyOurs(ctx, n, p); err != nil {
		return false, fmt.Errorf("node %s: %w", id, err)
	}
	return true, s.follow(n, *p)
}
