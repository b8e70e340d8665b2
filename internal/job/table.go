package job

import (
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
)

const columns = `id, seq, kind, subject, args, state, serial, attempt, max_attempts, crashes, owner, fence, lease_until, run_at, progress, checkpoint,
	last_error, created_at, started_at, finished_at`

// waiting and unfinishedStates must read exactly so: the partial indexes are found by their text.
const (
	waiting          = `state IN ('available', 'retryable')`
	unfinishedStates = `state IN ('available', 'retryable', 'running')`
)

func scan(row *sql.Rows) (Job, error) {
	var j Job
	var args, progress, checkpoint string
	var serial, lease, run, created, started, finished int64
	err := row.Scan(&j.ID, &j.Seq, &j.Kind, &j.Subject, &args, &j.State, &serial, &j.Attempt, &j.MaxAttempts, &j.Crashes, &j.Owner, &j.Fence,
		&lease, &run, &progress, &checkpoint, &j.LastError, &created, &started, &finished)
	j.Args, j.Progress, j.Checkpoint = raw(args), raw(progress), raw(checkpoint)
	j.Serial = serial != 0
	j.LeaseUntil, j.RunAt, j.CreatedAt, j.StartedAt, j.FinishedAt = at(lease), at(run), at(created), at(started), at(finished)
	return j, err
}

func raw(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}

func at(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func insert(tx *metastore.Tx, id string, s Spec, args []byte, now time.Time) (bool, error) {
	// The sequence need not be free of gaps, only grow: a clock may step back.
	n, err := tx.Exec(`INSERT INTO jobs (id, seq, kind, subject, serial, only_one, args, state, attempt, max_attempts, crashes, owner, fence,
			lease_until, run_at, progress, checkpoint, last_error, created_at, started_at, finished_at)
		VALUES (?, (SELECT COALESCE(MAX(seq), 0) + 1 FROM jobs), ?, ?, ?, ?, ?, 'available', 0, ?, 0, '', 0, 0, ?, '', '', '', ?, 0, 0)
		ON CONFLICT DO NOTHING`,
		id, s.Kind, s.Subject, flag(s.Serial), flag(s.UniqueSubject), string(args), s.MaxAttempts, s.RunAt.UnixMilli(), now.UnixMilli())
	return n > 0, err
}

func unfinished(tx *metastore.Tx, kind, subject string) (id string, err error) {
	err = tx.QueryRow(`SELECT id FROM jobs WHERE kind = ? AND subject = ? AND only_one = 1 AND `+unfinishedStates, kind, subject).Scan(&id)
	if err != nil {
		return "", fmt.Errorf("job: the unfinished %s of %s: %w", kind, subject, err)
	}
	return id, nil
}

// take leases up to n jobs that are due, the longest due first.
func take(tx *metastore.Tx, kinds []string, n int, owner string, now, until time.Time) ([]Job, error) {
	query := `WITH due AS (
			SELECT id FROM jobs WHERE ` + waiting + ` AND run_at <= ? AND kind IN (?` + strings.Repeat(", ?", len(kinds)-1) + `)
				AND NOT (serial = 1 AND EXISTS (SELECT 1 FROM jobs earlier WHERE earlier.subject = jobs.subject AND earlier.seq < jobs.seq
					AND earlier.serial = 1 AND earlier.` + unfinishedStates + `))
			ORDER BY run_at, seq LIMIT ?` + tx.Locking() + `)
		UPDATE jobs SET state = 'running', attempt = attempt + 1, fence = fence + 1, owner = ?, lease_until = ?, started_at = ?
		WHERE id IN (SELECT id FROM due) RETURNING ` + columns
	args := []any{now.UnixMilli()}
	for _, kind := range kinds {
		args = append(args, kind)
	}
	return metastore.Rows(tx, scan, query, append(args, n, owner, until.UnixMilli(), now.UnixMilli())...)
}

// nextDue is when the next waiting job becomes due, zero when none will.
func nextDue(tx *metastore.Tx, now time.Time) (time.Time, error) {
	var ms int64
	err := tx.QueryRow(`SELECT COALESCE(MIN(run_at), 0) FROM jobs WHERE `+waiting+` AND run_at > ?`, now.UnixMilli()).Scan(&ms)
	if err != nil {
		return time.Time{}, fmt.Errorf("job: %w", err)
	}
	return at(ms), nil
}

// held lists running jobs for which a condition holds.
func held(tx *metastore.Tx, condition string, args ...any) ([]Job, error) {
	return metastore.Rows(tx, scan, `SELECT `+columns+` FROM jobs WHERE state = 'running' AND `+condition+` ORDER BY lease_until, id`, args...)
}

// fenced changes a running job for the holder of its lease. It reports ErrLostLease when the lease has gone to somebody else.
func fenced(tx *metastore.Tx, j *Job, set string, args ...any) error {
	n, err := tx.Exec(`UPDATE jobs SET `+set+` WHERE id = ? AND fence = ? AND state = 'running'`, append(args, j.ID, j.Fence)...)
	if err == nil && n == 0 {
		return ErrLostLease
	}
	return err
}

// end moves a running job to a finished state.
func end(tx *metastore.Tx, j *Job, s State, now time.Time, lastError string) error {
	tx.Notify(Topic)
	return fenced(tx, j, `state = ?, owner = '', lease_until = 0, finished_at = ?, last_error = ?`, string(s), now.UnixMilli(), lastError)
}

// release gives a running job back. The fence grows, so that its last worker can change nothing any more.
func release(tx *metastore.Tx, j *Job, s State, attempt, crashes int, runAt time.Time, lastError string) error {
	tx.Notify(Topic)
	return fenced(tx, j, `state = ?, owner = '', lease_until = 0, fence = fence + 1, attempt = ?, crashes = ?, run_at = ?, last_error = ?`,
		string(s), attempt, crashes, runAt.UnixMilli(), lastError)
}

func prune(tx *metastore.Tx, before time.Time) (int64, error) {
	return tx.Exec(`DELETE FROM jobs WHERE finished_at > 0 AND finished_at < ?`, before.UnixMilli())
}
