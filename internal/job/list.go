package job

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// Get finds a job, or returns a resource.Error NotFound.
func Get(tx *metastore.Tx, id string) (Job, error) {
	found, err := metastore.Rows(tx, scan, `SELECT `+columns+` FROM jobs WHERE id = ?`, id)
	if err != nil {
		return Job{}, err
	}
	if len(found) == 0 {
		return Job{}, resource.Errorf(resource.NotFound, resource.TypeOther, id, "Job %s not found.", id)
	}
	return found[0], nil
}

// Filter selects jobs; empty fields select all.
type Filter struct {
	State   State
	Kind    string
	Subject string
	Before  int64 // Seq of the last job of the page before
	Limit   int   // 0 for all
}

// List lists jobs, the last created first.
func List(tx *metastore.Tx, f Filter) ([]Job, error) {
	query, args := `SELECT `+columns+` FROM jobs WHERE 1 = 1`, []any{}
	for _, c := range []struct{ column, value string }{{"state", string(f.State)}, {"kind", f.Kind}, {"subject", f.Subject}} {
		if c.value != "" {
			query, args = query+` AND `+c.column+` = ?`, append(args, c.value)
		}
	}
	if f.Before > 0 {
		query, args = query+` AND seq < ?`, append(args, f.Before)
	}
	query += ` ORDER BY seq DESC`
	if f.Limit > 0 {
		query, args = query+` LIMIT ?`, append(args, f.Limit)
	}
	return metastore.Rows(tx, scan, query, args...)
}

// Count is how many jobs of a kind are in a state.
type Count struct {
	Kind  string
	State State
	N     int
}

// Counts counts jobs by kind and state; finished ones are counted until they are pruned.
func Counts(tx *metastore.Tx) ([]Count, error) {
	return metastore.Rows(tx, func(row *sql.Rows) (c Count, err error) {
		err = row.Scan(&c.State, &c.Kind, &c.N)
		return c, err
	}, `SELECT state, kind, COUNT(*) FROM jobs GROUP BY state, kind ORDER BY state, kind`)
}

// Wait returns the job once it is finished. It notices what this process does at once, and what another does within a second.
func Wait(ctx context.Context, db *metastore.DB, id string) (Job, error) {
	moved, stop := db.Subscribe(Topic)
	defer stop()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		var j Job
		err := db.View(ctx, func(tx *metastore.Tx) (err error) {
			j, err = Get(tx, id)
			return err
		})
		if err != nil || j.State.Finished() {
			return j, err
		}
		select {
		case <-moved:
		case <-tick.C:
		case <-ctx.Done():
			return j, fmt.Errorf("job: %s is %s: %w", id, j.State, context.Cause(ctx))
		}
	}
}
