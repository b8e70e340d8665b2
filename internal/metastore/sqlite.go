package metastore

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

var sqliteEngine = engine{
	name:    "sqlite",
	rewrite: func(query string) string { return query },
	retry:   func(error) bool { return false }, // one writer: nothing to lose a race against
}

func openSQLite(ctx context.Context, path string) (*DB, error) {
	if err := createPrivate(path); err != nil {
		return nil, fmt.Errorf("metastore: %w", err)
	}
	write, err := sql.Open("sqlite", sqliteDSN(path, "_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-32768)"))
	if err != nil {
		return nil, fmt.Errorf("metastore: open %s: %w", path, err)
	}
	write.SetMaxOpenConns(1)
	if err := migrate(ctx, goose.DialectSQLite3, write); err != nil {
		write.Close()
		return nil, fmt.Errorf("metastore: open %s: %w", path, err)
	}
	read, err := openReaders(path)
	if err != nil {
		write.Close()
		return nil, err
	}
	return &DB{engine: sqliteEngine, write: write, read: read}, nil
}

func openSQLiteReadOnly(ctx context.Context, path string) (*DB, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("metastore: %w", err)
	}
	read, err := openReaders(path)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, goose.DialectSQLite3, read); err != nil {
		read.Close()
		return nil, fmt.Errorf("metastore: open %s: %w", path, err)
	}
	return &DB{engine: sqliteEngine, read: read}, nil
}

func openReaders(path string) (*sql.DB, error) {
	read, err := sql.Open("sqlite", sqliteDSN(path, "mode=ro&_pragma=query_only(ON)&_pragma=cache_size(-8192)"))
	if err != nil {
		return nil, fmt.Errorf("metastore: open %s: %w", path, err)
	}
	n := max(4, runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(n)
	read.SetMaxIdleConns(n)
	return read, nil
}

// sqliteDSN is a URI, so that no character of the path can be taken for an option.
func sqliteDSN(path, options string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	// The busy timeout bridges the instants in which a log is recovered or folded into the file.
	return "file://" + (&url.URL{Path: path}).EscapedPath() + "?_pragma=busy_timeout(10000)&" + options
}

// createPrivate makes the file before SQLite does, which would leave the mode to the umask; the log files inherit the mode.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if os.IsExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
