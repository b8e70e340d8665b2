package metastore

import "github.com/keyframe/keyframe/internal/resource"

// AllSnapshots lists the snapshots of all scopes by account, region, space and name.
func (tx *Tx) AllSnapshots() ([]*resource.Snapshot, error) {
	return tx.snapshots(`SELECT document, status FROM snapshots ORDER BY account, region, space, name`)
}
