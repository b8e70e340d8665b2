package supervisor

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/engine/resp"
)

// SaveAndStop has a node write all its data into its data file and end. No write is lost: the engine saves when it has
// stopped to serve. A node that does not run is left alone.
func (s *Supervisor) SaveAndStop(ctx context.Context, id string) error {
	if alive, err := s.Adopt(ctx, id); err != nil || !alive {
		return err
	}
	n, err := s.find(id)
	if err != nil {
		return err
	}
	n.op.Lock()
	defer n.op.Unlock()
	c, err := s.Admin(ctx, id)
	if err != nil {
		return err
	}
	defer c.Close()
	c.Limit = nil // it is as quiet as this while it saves, however much that is
	p := n.process()
	p.expected.Store(true)
	_, answer := c.Do(ctx, "SHUTDOWN", "SAVE") // ends with the connection
	var refused *resp.Error
	if errors.As(answer, &refused) {
		p.expected.Store(false)
		return fmt.Errorf("node %s did not save and end: %w", id, refused)
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		p.expected.Store(false)
		return fmt.Errorf("node %s did not end: %w (it answered: %v)", id, context.Cause(ctx), answer)
	}
}

// SetBinary has a node run on another engine from its next start on.
func (s *Supervisor) SetBinary(id string, b engine.Installed) error {
	n, err := s.find(id)
	if err != nil {
		return err
	}
	return s.update(n, func(spec *Spec) { spec.Engine, spec.Binary = b.Engine, b })
}
