package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// DeleteSnapshot deletes a snapshot by its space, as Kind.SnapshotSpace says, and its name. It accepts the command: the snapshot is in
// the state deleting, and gone when its job is done.
func (c *Control) DeleteSnapshot(ctx context.Context, scope resource.Scope, space, name string) (*resource.Snapshot, error) {
	var s *resource.Snapshot
	err := c.db.Update(ctx, func(tx *metastore.Tx) (err error) {
		if s, err = tx.SnapshotByName(scope, space, oldName(name)); err != nil {
			return noSnapshot(err, space, name)
		}
		if s.Status != resource.SnapshotAvailable && s.Status != resource.SnapshotFailed {
			return resource.Errorf(resource.InvalidState, snapshotType(space), s.Name,
				"%s %s cannot be deleted now: it is %s.", snapshotNoun(space), s.Name, s.Status)
		}
		return c.deleteSnapshot(tx, s)
	})
	return s, err
}

func (c *Control) deleteSnapshot(tx *metastore.Tx, s *resource.Snapshot) error {
	s.Status = resource.SnapshotDeleting
	if err := tx.UpdateSnapshot(s); err != nil {
		return err
	}
	_, err := c.enqueue(tx, resource.TaskDeleteSnapshot, s.ID, resource.SnapshotTask{SnapshotID: s.ID})
	return err
}
