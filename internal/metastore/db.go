// Package metastore keeps what Keyframe knows: caches, nodes, snapshots, tags, events and settings, and the table of jobs. It is SQLite
// in one file, or PostgreSQL; both run the same SQL. Everything happens in transactions: View reads, Update writes.
package metastore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// DB is an open metastore. It is safe for concurrent use.
type DB struct {
	engine engine
	write  *sql.DB // nil when read-only
	read   *sql.DB

	mu   sync.Mutex
	subs map[string]map[chan struct{}]struct{} // by topic
}

// engine is what differs between the two databases.
type engine struct {
	name      string
	rewrite   func(query string) string
	writeOpts *sql.TxOptions
	readOpts  *sql.TxOptions
	retry     func(error) bool // whether a transaction that failed so is to be run again
}

// Open opens the metastore at dsn, which is a file path, or a postgres:// URL, and brings its schema up to date.
// A file is created when it is absent (mode 0600); only one process may have it open for writing. A schema newer than this
// program is refused.
func Open(ctx context.Context, dsn string) (*DB, error) {
	if isPostgres(dsn) {
		return openPostgres(ctx, dsn)
	}
	return openSQLite(ctx, dsn)
}

// OpenReadOnly opens an existing metastore for View only, also while a server has it open. It refuses a schema that this program does not know.
func OpenReadOnly(ctx context.Context, dsn string) (*DB, error) {
	if isPostgres(dsn) {
		return openPostgresReadOnly(ctx, dsn)
	}
	return openSQLiteReadOnly(ctx, dsn)
}

func isPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// Close ends all connections. Transactions must have ended.
func (db *DB) Close() error {
	err := db.read.Close()
	if db.write != nil && db.write != db.read {
		// The writer last: SQLite folds its log into the file when the last connection goes.
		err = errors.Join(err, db.write.Close())
	}
	return err
}

// Engine is "sqlite" or "postgres".
func (db *DB) Engine() string { return db.engine.name }

// ErrReadOnly is returned by Update on a metastore that was opened read-only.
var ErrReadOnly = errors.New("metastore: opened read-only")

// View runs fn in a transaction that sees one unchanging state and cannot write.
func (db *DB) View(ctx context.Context, fn func(*Tx) error) error {
	return db.run(ctx, db.read, db.engine.readOpts, false, fn)
}

// Update runs fn in a transaction and commits it durably when fn returns nil; an error or a panic rolls everything back. Updates
// happen one after the other, as if each were alone. On PostgreSQL fn may run several times, so it must have no effects of its own besides those on tx.
// An Update inside an Update would wait for itself: pass the Tx instead.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	if db.write == nil {
		return ErrReadOnly
	}
	const tries = 20 // serialization failures under contention; each try lets another transaction through
	for i := 1; ; i++ {
		err := db.run(ctx, db.write, db.engine.writeOpts, true, fn)
		if err == nil || i == tries || !db.engine.retry(err) || ctx.Err() != nil {
			return err
		}
	}
}

func (db *DB) run(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, commit bool, fn func(*Tx) error) (err error) {
	raw, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("metastore: begin: %w", err)
	}
	tx := &Tx{ctx: ctx, db: db, raw: raw}
	done := false
	defer func() {
		if !done { // an error, or a panic on its way up
			raw.Rollback()
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if !commit {
		return nil
	}
	if err := raw.Commit(); err != nil {
		return fmt.Errorf("metastore: commit: %w", err)
	}
	done = true
	for _, topic := range tx.topics {
		db.publish(topic)
	}
	return nil
}
