package metastore

import (
	"database/sql"
	"fmt"

	"github.com/keyframe/keyframe/internal/resource"
)

// SnapshotUse is one job's hold on a snapshot.
type SnapshotUse struct {
	SnapshotID string
	JobID      string
	Use        resource.Use
}

// AddUse notes that a job uses a snapshot; repeating it is fine. An available snapshot shows as restoring, or else copying, while it has uses.
// An unknown snapshot is a resource.Error NotFound.
func (tx *Tx) AddUse(snapshotID, jobID string, use resource.Use) error {
	n, err := tx.count(`SELECT COUNT(*) FROM snapshots WHERE id = ?`, snapshotID)
	if err != nil {
		return err
	}
	if n == 0 {
		return noSnapshot(resource.TypeSnapshot, snapshotID)
	}
	if _, err := tx.Exec(`INSERT INTO snapshot_uses (snapshot_id, job_id, purpose) VALUES (?, ?, ?)
		ON CONFLICT (snapshot_id, job_id) DO UPDATE SET purpose = excluded.purpose`, snapshotID, jobID, string(use)); err != nil {
		return err
	}
	return tx.showUses(snapshotID)
}

// RemoveUse ends all uses of a job; a job without uses is fine. A snapshot whose last use ends shows its own status again.
func (tx *Tx) RemoveUse(jobID string) error {
	ids, err := Rows(tx, func(row *sql.Rows) (id string, err error) {
		err = row.Scan(&id)
		return id, err
	}, `DELETE FROM snapshot_uses WHERE job_id = ? RETURNING snapshot_id`, jobID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := tx.showUses(id); err != nil {
			return err
		}
	}
	return nil
}

// Uses lists the uses of a snapshot in order of job ID.
func (tx *Tx) Uses(snapshotID string) ([]SnapshotUse, error) {
	return Rows(tx, func(row *sql.Rows) (u SnapshotUse, err error) {
		err = row.Scan(&u.SnapshotID, &u.JobID, &u.Use)
		return u, err
	}, `SELECT snapshot_id, job_id, purpose FROM snapshot_uses WHERE snapshot_id = ? ORDER BY job_id`, snapshotID)
}

// showUses derives the status that is shown from the snapshot's own status and its uses.
func (tx *Tx) showUses(snapshotID string) error {
	var restores, copies int
	err := tx.QueryRow(`SELECT COALESCE(SUM(CASE WHEN purpose = 'restore' THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN purpose <> 'restore' THEN 1 ELSE 0 END), 0)
		FROM snapshot_uses WHERE snapshot_id = ?`, snapshotID).Scan(&restores, &copies)
	if err != nil {
		return fmt.Errorf("metastore: %w", err)
	}
	shown := resource.SnapshotAvailable
	switch {
	case restores > 0: // further restores are allowed meanwhile, so this one wins
		shown = resource.SnapshotRestoring
	case copies > 0:
		shown = resource.SnapshotCopying
	}
	_, err = tx.Exec(`UPDATE snapshots SET status = CASE WHEN base = 'available' THEN ? ELSE base END WHERE id = ?`, string(shown), snapshotID)
	return err
}
