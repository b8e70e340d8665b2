package metastore

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

func provider(dialect goose.Dialect, db *sql.DB, options ...goose.ProviderOption) (*goose.Provider, int64, error) {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, 0, err
	}
	p, err := goose.NewProvider(dialect, db, sub, append(options, goose.WithDisableGlobalRegistry(true))...)
	if err != nil {
		return nil, 0, err
	}
	sources := p.ListSources()
	return p, sources[len(sources)-1].Version, nil
}

// migrate brings the schema to this program's version. It refuses one that is newer: an older program would misread it.
func migrate(ctx context.Context, dialect goose.Dialect, db *sql.DB, options ...goose.ProviderOption) error {
	p, newest, err := provider(dialect, db, options...)
	if err != nil {
		return err
	}
	at, err := p.GetDBVersion(ctx)
	if err != nil {
		return err
	}
	if at > newest {
		return fmt.Errorf("schema version %d is newer than this program's %d", at, newest)
	}
	_, err = p.Up(ctx)
	return err
}

// checkSchema is migrate for those who may not write.
func checkSchema(ctx context.Context, dialect goose.Dialect, db *sql.DB) error {
	_, newest, err := provider(dialect, db)
	if err != nil {
		return err
	}
	var at int64
	if err := db.QueryRowContext(ctx, "SELECT MAX(version_id) FROM goose_db_version WHERE is_applied").Scan(&at); err != nil {
		return err
	}
	if at != newest {
		return fmt.Errorf("schema version is %d, this program's is %d", at, newest)
	}
	return nil
}
