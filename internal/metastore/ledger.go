package metastore

import "time"

// RecordTaken enters a manual snapshot of a cache into the ledger that the daily quota counts. It stays there when the snapshot is deleted.
func (tx *Tx) RecordTaken(cacheID, snapshotID string, at time.Time) error {
	_, err := tx.Exec(`INSERT INTO taken (snapshot_id, cache_id, at) VALUES (?, ?, ?) ON CONFLICT (snapshot_id) DO NOTHING`,
		snapshotID, cacheID, millis(at))
	return err
}

// CountTaken counts the cache's snapshots in the ledger that were taken after since: pass now minus 24 hours.
func (tx *Tx) CountTaken(cacheID string, since time.Time) (int, error) {
	return tx.count(`SELECT COUNT(*) FROM taken WHERE cache_id = ? AND at > ?`, cacheID, millis(since))
}

// ForgetTaken strikes a snapshot that failed out of the ledger.
func (tx *Tx) ForgetTaken(snapshotID string) error {
	_, err := tx.Exec(`DELETE FROM taken WHERE snapshot_id = ?`, snapshotID)
	return err
}

// PruneTaken removes entries from before a time and returns their number.
func (tx *Tx) PruneTaken(before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM taken WHERE at < ?`, millis(before))
}
