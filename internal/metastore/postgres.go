package metastore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

var postgresEngine = engine{
	name:      "postgres",
	rewrite:   numbered,
	writeOpts: &sql.TxOptions{Isolation: sql.LevelSerializable},
	readOpts:  &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true},
	retry: func(err error) bool {
		var pg *pgconn.PgError
		return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01") // serialization failure, deadlock
	},
}

func openPostgres(ctx context.Context, dsn string) (*DB, error) {
	db, err := dialPostgres(dsn)
	if err != nil {
		return nil, err
	}
	if err := migratePostgres(ctx, db); err != nil {
		db.Close()
		return nil, fmt.Errorf("metastore: open PostgreSQL: %w", err)
	}
	return &DB{engine: postgresEngine, write: db, read: db}, nil
}

func openPostgresReadOnly(ctx context.Context, dsn string) (*DB, error) {
	db, err := dialPostgres(dsn)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, goose.DialectPostgres, db); err != nil {
		db.Close()
		return nil, fmt.Errorf("metastore: open PostgreSQL: %w", err)
	}
	return &DB{engine: postgresEngine, read: db}, nil
}

func dialPostgres(dsn string) (*sql.DB, error) {
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return nil, fmt.Errorf("metastore: open PostgreSQL: %w", err) // pgx hides the password in its errors
	}
	db.SetMaxOpenConns(16)
	db.SetMaxIdleConns(16)
	return db, nil
}

// migratePostgres lets several processes start at once: the first to take the lock migrates.
func migratePostgres(ctx context.Context, db *sql.DB) error {
	if checkSchema(ctx, goose.DialectPostgres, db) == nil {
		return nil // nothing to do, so nobody to wait for
	}
	if err := makeCollation(ctx, db); err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return err
	}
	return migrate(ctx, goose.DialectPostgres, db, goose.WithSessionLocker(locker))
}

// makeCollation names PostgreSQL's byte order as SQLite names it.
func makeCollation(ctx context.Context, db *sql.DB) error {
	for {
		_, err := db.ExecContext(ctx, `CREATE COLLATION IF NOT EXISTS "binary" FROM "C"`)
		var pg *pgconn.PgError
		if errors.As(err, &pg) && (pg.Code == "23505" || pg.Code == "42710") && ctx.Err() == nil {
			continue // another process made it in the same moment
		}
		return err
	}
}

// numbered turns each ? outside quotes into $1, $2, ...
func numbered(query string) string {
	var b strings.Builder
	n, quoted := 0, byte(0)
	for i := range len(query) {
		switch c := query[i]; {
		case quoted != 0:
			if c == quoted {
				quoted = 0
			}
		case c == '\'' || c == '"':
			quoted = c
		case c == '?':
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteByte(query[i])
	}
	return b.String()
}
