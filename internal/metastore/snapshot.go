package metastore

import (
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/keyframe/keyframe/internal/resource"
)

func noSnapshot(typ resource.Type, id string) error {
	return resource.Errorf(resource.NotFound, typ, id, "Snapshot %s not found.", id)
}

// baseStatus is the status that a snapshot has by itself: restoring and copying only say that jobs use an available one.
func baseStatus(s resource.SnapshotStatus) resource.SnapshotStatus {
	if s == resource.SnapshotRestoring || s == resource.SnapshotCopying {
		return resource.SnapshotAvailable
	}
	return s
}

// InsertSnapshot adds a snapshot. Another of the same name in the scope and snapshot space is a resource.Error AlreadyExists.
func (tx *Tx) InsertSnapshot(s *resource.Snapshot) error {
	doc, err := encode(s)
	if err != nil {
		return err
	}
	base := string(baseStatus(s.Status))
	n, err := tx.Exec(`INSERT INTO snapshots (id, account, region, space, name, type, base, status, cache_id, cache_name, capture_id,
			copied_from, requested_at, expires_at, kind, member, document)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, region, space, name) DO NOTHING`,
		s.ID, s.Account, s.Region, s.Kind.SnapshotSpace(), s.Name, string(s.Type), base, base, s.Source.ID, s.Source.Name, s.CaptureID,
		s.CopiedFrom, millis(s.RequestedAt), millis(s.ExpiresAt), string(s.Kind), s.Member(), doc)
	if err == nil && n == 0 {
		return resource.Errorf(resource.AlreadyExists, s.Kind.SnapshotErrorType(), s.Name, "Snapshot %s already exists.", s.Name)
	}
	return err
}

// SnapshotByName finds a snapshot, or returns a resource.Error NotFound. Space is what Kind.SnapshotSpace says.
func (tx *Tx) SnapshotByName(s resource.Scope, space, name string) (*resource.Snapshot, error) {
	typ := resource.TypeNodeSnapshot
	if space == resource.Serverless.SnapshotSpace() {
		typ = resource.TypeSnapshot
	}
	return tx.snapshot(noSnapshot(typ, name), `account = ? AND region = ? AND space = ? AND name = ?`, s.Account, s.Region, space, name)
}

// SnapshotByID finds a snapshot, or returns a resource.Error NotFound.
func (tx *Tx) SnapshotByID(id string) (*resource.Snapshot, error) {
	return tx.snapshot(noSnapshot(resource.TypeSnapshot, id), `id = ?`, id)
}

func (tx *Tx) snapshot(missing error, where string, args ...any) (*resource.Snapshot, error) {
	var doc []byte
	var status string
	switch err := tx.QueryRow(`SELECT document, status FROM snapshots WHERE `+where, args...).Scan(&doc, &status); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, missing
	case err != nil:
		return nil, fmt.Errorf("metastore: %w", err)
	}
	return decodeSnapshot(doc, status)
}

func decodeSnapshot(doc []byte, status string) (*resource.Snapshot, error) {
	s, err := decode[resource.Snapshot](doc)
	if err != nil {
		return nil, err
	}
	s.Status = resource.SnapshotStatus(status)
	return s, nil
}

func (tx *Tx) snapshots(query string, args ...any) ([]*resource.Snapshot, error) {
	return Rows(tx, func(row *sql.Rows) (*resource.Snapshot, error) {
		var doc []byte
		var status string
		if err := row.Scan(&doc, &status); err != nil {
			return nil, err
		}
		return decodeSnapshot(doc, status)
	}, query, args...)
}

// UpdateSnapshot replaces what is kept of the snapshot s.ID. Scope, space and name never change: a mismatch is NotFound, as is an
// unknown ID. A status of restoring or copying is taken as available: it was read while jobs used the snapshot, and their uses decide what is
// shown. Read the snapshot in the same Update, or another's change is lost.
func (tx *Tx) UpdateSnapshot(s *resource.Snapshot) error {
	doc, err := encode(s)
	if err != nil {
		return err
	}
	base := string(baseStatus(s.Status))
	n, err := tx.Exec(`UPDATE snapshots SET type = ?, base = ?, status = ?, cache_id = ?, cache_name = ?, capture_id = ?, copied_from = ?,
			requested_at = ?, expires_at = ?, document = ?
		WHERE id = ? AND account = ? AND region = ? AND space = ? AND name = ?`,
		string(s.Type), base, base, s.Source.ID, s.Source.Name, s.CaptureID, s.CopiedFrom, millis(s.RequestedAt), millis(s.ExpiresAt), doc,
		s.ID, s.Account, s.Region, s.Kind.SnapshotSpace(), s.Name)
	if err != nil {
		return err
	}
	if n == 0 {
		return noSnapshot(s.Kind.SnapshotErrorType(), s.Name)
	}
	return tx.showUses(s.ID)
}

// DeleteSnapshot forgets a snapshot and the uses of it; an unknown one is fine. Its tags are deleted by a call of their own, and what the ledger
// counts stays.
func (tx *Tx) DeleteSnapshot(id string) error {
	if _, err := tx.Exec(`DELETE FROM snapshot_uses WHERE snapshot_id = ?`, id); err != nil {
		return err
	}
	_, err := tx.Exec(`DELETE FROM snapshots WHERE id = ?`, id)
	return err
}

// SnapshotFilter selects a page of snapshots. Scope and Space are required.
type SnapshotFilter struct {
	Scope     resource.Scope
	Space     string                // what Kind.SnapshotSpace says
	CacheName string                // of the source; empty for any
	Kind      resource.Kind         // of the source; empty for any
	Member    string                // what Snapshot.Member says; empty for any
	Type      resource.SnapshotType // empty for any
	AfterName string                // the last name of the page before
	Limit     int                   // 0 for all
}

// Snapshots lists snapshots by name. Every combination of filters has an index in the order of the page.
func (tx *Tx) Snapshots(f SnapshotFilter) ([]*resource.Snapshot, error) {
	query, args := f.query()
	return tx.snapshots(query, args...)
}

func (f SnapshotFilter) query() (string, []any) {
	query := `SELECT document, status FROM snapshots WHERE account = ? AND region = ? AND space = ?`
	args := []any{f.Scope.Account, f.Scope.Region, f.Space}
	if f.CacheName != "" {
		query, args = query+` AND cache_name = ?`, append(args, f.CacheName)
	}
	if f.Kind != "" {
		query, args = query+` AND kind = ?`, append(args, string(f.Kind))
	}
	if f.Member != "" {
		query, args = query+` AND member = ? AND member <> ''`, append(args, f.Member)
	}
	if f.Type != "" {
		query, args = query+` AND type = ?`, append(args, string(f.Type))
	}
	query, args = query+` AND name > ? ORDER BY name`, append(args, f.AfterName)
	if f.Limit > 0 {
		query, args = query+` LIMIT ?`, append(args, f.Limit)
	}
	return query, args
}

// AllSnapshots lists the snapshots of all scopes by account, region, space and name, all in memory: for the command line, not for a request.
func (tx *Tx) AllSnapshots() ([]*resource.Snapshot, error) {
	return tx.snapshots(`SELECT document, status FROM snapshots ORDER BY account, region, space, name`)
}

// CountSnapshots counts the snapshots of a space in a scope.
func (tx *Tx) CountSnapshots(s resource.Scope, space string) (int, error) {
	return tx.count(`SELECT COUNT(*) FROM snapshots WHERE account = ? AND region = ? AND space = ?`, s.Account, s.Region, space)
}

// CountOthersOfCapture counts the snapshots, besides one, whose bytes are the capture's: at 0 its parts may be swept.
func (tx *Tx) CountOthersOfCapture(captureID, exceptSnapshotID string) (int, error) {
	return tx.count(`SELECT COUNT(*) FROM snapshots WHERE capture_id = ? AND capture_id <> '' AND id <> ?`, captureID, exceptSnapshotID)
}

// ExpiredSnapshots lists up to limit snapshots whose time has come, the longest expired first, of all scopes. Those that are in use, or being
// made or deleted, are left out.
func (tx *Tx) ExpiredSnapshots(now time.Time, limit int) ([]*resource.Snapshot, error) {
	return tx.snapshots(`SELECT document, status FROM snapshots WHERE expires_at > 0 AND expires_at <= ? AND status IN ('available', 'failed')
		ORDER BY expires_at, id LIMIT ?`, millis(now), limit)
}

// AutomatedSnapshotsOf lists the automated snapshots of a cache, the newest request first.
func (tx *Tx) AutomatedSnapshotsOf(cacheID string) ([]*resource.Snapshot, error) {
	return tx.snapshots(`SELECT document, status FROM snapshots WHERE cache_id = ? AND type = 'automated' ORDER BY requested_at DESC, id DESC`, cacheID)
}
