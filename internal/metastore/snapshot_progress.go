package metastore

import (
	"database/sql"
	"errors"
	"fmt"
)

// SnapshotInProgress names a snapshot of the cache that is being taken; it is empty when there is none. Copies do not count.
func (tx *Tx) SnapshotInProgress(cacheID string) (name string, err error) {
	err = tx.QueryRow(`SELECT name FROM snapshots WHERE cache_id = ? AND base = 'creating' AND copied_from = '' LIMIT 1`, cacheID).Scan(&name)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("metastore: %w", err)
	}
	return name, nil
}
