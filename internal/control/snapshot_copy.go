package control

import (
	"context"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// CopySnapshot asks for a copy of a snapshot under a name, and perhaps a key, of its own.
type CopySnapshot struct {
	Scope    resource.Scope
	Space    string // of both snapshots, as Kind.SnapshotSpace says
	Source   string
	Target   string
	KMSKeyID string         // empty for the service's default key
	Tags     []resource.Tag // none: the source's tags are inherited
}

// CopySnapshot accepts the command. The copy is manual, whatever its source; it is in the state creating, and the source
// shows copying, until the job is done.
func (c *Control) CopySnapshot(ctx context.Context, in CopySnapshot) (*resource.Snapshot, error) {
	param := "TargetSnapshotName"
	if in.Space == serverlessSpace {
		param = "TargetServerlessCacheSnapshotName"
	}
	name, err := newName(param, in.Target, longestSnapshotName)
	if err != nil {
		return nil, err
	}
	if name == oldName(in.Source) {
		return nil, conflicting("The source and the target of a copy must have different names; both are %s.", name)
	}
	var source *resource.Snapshot
	check := func(tx *metastore.Tx) error {
		if err := absent(tx, in.Scope, in.Space, name); err != nil {
			return err
		}
		if source, err = readySnapshot(tx, in.Scope, in.Space, in.Source); err != nil {
			return err
		}
		return c.checkRoom(tx, in.Scope, in.Space)
	}
	if err := c.db.View(ctx, check); err != nil {
		return nil, err
	}
	if err := c.checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := c.usableKey(ctx, source); err != nil {
		return nil, err
	}
	s := &resource.Snapshot{ID: newID(), Kind: source.Kind, Scope: in.Scope, Name: name, Type: resource.Manual,
		Status: resource.SnapshotCreating, RequestedAt: c.now(), CopiedFrom: source.ID}
	if err := c.resolveKey(ctx, s, in.KMSKeyID); err != nil {
		return nil, err
	}
	err = c.db.Update(ctx, func(tx *metastore.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		s.Source, s.FromNode, s.Databases = source.Source, source.FromNode, source.Databases
		s.Shards = source.Shards // with the sizes and times that they have already
		if err := tx.InsertSnapshot(s); err != nil {
			return err
		}
		tags := in.Tags
		if len(tags) == 0 {
			if tags, err = tx.Tags(source.ARN()); err != nil {
				return err
			}
		}
		if err := tx.SetTags(s.ARN(), tags); err != nil {
			return err
		}
		id, err := c.enqueue(tx, resource.TaskCopySnapshot, s.ID, resource.CopySnapshotTask{SourceID: source.ID, TargetID: s.ID})
		if err != nil {
			return err
		}
		return tx.AddUse(source.ID, id, resource.UseCopy)
	})
	return s, err
}

// readySnapshot finds a snapshot whose data can be read now. One that is being restored from, copied or exported is ready:
// readers do not disturb each other.
func readySnapshot(tx *metastore.Tx, scope resource.Scope, space, name string) (*resource.Snapshot, error) {
	s, err := tx.SnapshotByName(scope, space, oldName(name))
	if err != nil {
		return nil, noSnapshot(err, space, name)
	}
	switch s.Status {
	case resource.SnapshotAvailable, resource.SnapshotRestoring, resource.SnapshotCopying:
		return s, nil
	}
	return nil, resource.Errorf(resource.InvalidState, snapshotType(space), s.Name,
		"%s %s is not in the available state; it is %s.", snapshotNoun(space), s.Name, s.Status)
}

// usableKey refuses to begin work on a snapshot whose data key cannot be unwrapped.
func (c *Control) usableKey(ctx context.Context, s *resource.Snapshot) error {
	if err := c.keys.Check(ctx, s.KMSKeyID); err != nil {
		if is(err, resource.InvalidKey) {
			return invalid("KmsKeyId", "Snapshot %s cannot be read: %v", s.Name, err)
		}
		return err
	}
	return nil
}
