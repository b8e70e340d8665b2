package metastore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/resource"
)

var (
	east = resource.Scope{Account: "123456789012", Region: "us-east-1"}
	west = resource.Scope{Account: "123456789012", Region: "us-west-2"}
	noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
)

// dsn is a fresh place for a metastore: a file, or a schema of the PostgreSQL that KEYFRAME_TEST_POSTGRES names.
func dsn(t testing.TB) string {
	server := os.Getenv("KEYFRAME_TEST_POSTGRES")
	if server == "" {
		return filepath.Join(t.TempDir(), "meta data #1%?.db") // a path that a URI must escape
	}
	db, err := dialPostgres(server)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	schema := "t" + strings.ToLower(NewID(time.Now()))
	if _, err := db.Exec("CREATE SCHEMA " + schema); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db, err := dialPostgres(server)
		if err != nil {
			t.Error(err)
			return
		}
		defer db.Close()
		if _, err := db.Exec("DROP SCHEMA " + schema + " CASCADE"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return u.String()
}

func open(t testing.TB) *DB { return openAt(t, dsn(t)) }

func openAt(t testing.TB, dsn string) *DB {
	t.Helper()
	db, err := Open(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func update(t testing.TB, db *DB, fn func(*Tx) error) {
	t.Helper()
	if err := db.Update(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

func view(t testing.TB, db *DB, fn func(*Tx) error) {
	t.Helper()
	if err := db.View(context.Background(), fn); err != nil {
		t.Fatal(err)
	}
}

// wantKind checks that err is a resource.Error of a kind and type.
func wantKind(t testing.TB, err error, kind resource.ErrorKind, typ resource.Type) {
	t.Helper()
	var e *resource.Error
	if !errors.As(err, &e) || e.Kind != kind || e.Type != typ {
		t.Fatalf("error is %v (%T), want %v of a %v", err, err, kind, typ)
	}
}

func cacheNamed(name string) *resource.Cache {
	most := int64(7)
	return &resource.Cache{ID: NewID(noon), Kind: resource.Serverless, Scope: east, Name: name, Status: resource.CacheCreating, CreatedAt: noon,
		Engine: resource.Valkey, MajorEngineVersion: "8", Limits: resource.Limits{MaxGB: &most}, SubnetIDs: []string{"subnet-1"},
		Endpoint: resource.Endpoint{Address: "127.0.0.2", Port: 6379}}
}

func snapshotNamed(name string, of *resource.Cache) *resource.Snapshot {
	return &resource.Snapshot{ID: NewID(noon), Kind: of.Kind, Scope: of.Scope, Name: name, Type: resource.Manual, Status: resource.SnapshotAvailable,
		Source: *of, RequestedAt: noon}
}

func TestUpdateRollsBack(t *testing.T) {
	t.Parallel()
	db := open(t)
	broken := errors.New("broken")
	err := db.Update(context.Background(), func(tx *Tx) error {
		if err := tx.SetSetting("a", "1"); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() != "bang" {
				t.Error("the panic did not come through")
			}
		}()
		_ = db.Update(context.Background(), func(tx *Tx) error {
			if err := tx.SetSetting("a", "2"); err != nil {
				return err
			}
			panic("bang")
		})
	}()
	ctx, cancel := context.WithCancel(context.Background())
	err = db.Update(ctx, func(tx *Tx) error {
		if err := tx.SetSetting("a", "3"); err != nil {
			return err
		}
		cancel()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("an update whose context ended returned %v", err)
	}
	view(t, db, func(tx *Tx) error {
		value, ok, err := tx.Setting("a")
		if ok {
			t.Errorf("the setting is %q after three rollbacks", value)
		}
		return err
	})
	// The one connection for writing must have survived all that.
	update(t, db, func(tx *Tx) error { return tx.SetSetting("a", "4") })
	view(t, db, func(tx *Tx) error {
		if value, ok, err := tx.Setting("a"); value != "4" || !ok || err != nil {
			t.Errorf("setting is %q %v %v", value, ok, err)
		}
		return nil
	})
}

func TestViewCannotWriteAndSeesOneState(t *testing.T) {
	t.Parallel()
	db := open(t)
	if err := db.View(context.Background(), func(tx *Tx) error { return tx.SetSetting("a", "1") }); err == nil {
		t.Error("a View wrote")
	}
	view(t, db, func(tx *Tx) error {
		if _, ok, err := tx.Setting("a"); ok || err != nil {
			return fmt.Errorf("setting is there: %v %v", ok, err)
		}
		update(t, db, func(tx *Tx) error { return tx.SetSetting("a", "1") })
		if _, ok, err := tx.Setting("a"); ok || err != nil {
			return fmt.Errorf("a View saw a later commit: %v %v", ok, err)
		}
		return nil
	})
}

func TestNotifyAfterCommitOnly(t *testing.T) {
	t.Parallel()
	db := open(t)
	woken, stop := db.Subscribe("topic")
	broken := errors.New("broken")
	if err := db.Update(context.Background(), func(tx *Tx) error { tx.Notify("topic"); return broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	select {
	case <-woken:
		t.Error("a rollback woke the subscriber")
	default:
	}
	for range 3 { // tokens do not pile up, and nobody blocks
		update(t, db, func(tx *Tx) error {
			tx.Notify("topic")
			if err := tx.SetSetting("a", "1"); err != nil {
				return err
			}
			return nil
		})
	}
	<-woken
	select {
	case <-woken:
		t.Error("three commits left two tokens")
	default:
	}
	stop()
	update(t, db, func(tx *Tx) error { tx.Notify("topic"); return nil })
	select {
	case <-woken:
		t.Error("an ended subscription was woken")
	default:
	}
}

func TestReopenKeepsAndReadOnlyReads(t *testing.T) {
	t.Parallel()
	at := dsn(t)
	if _, err := OpenReadOnly(context.Background(), at); err == nil {
		t.Error("opened read-only what does not exist")
	}
	first, err := Open(context.Background(), at)
	if err != nil {
		t.Fatal(err)
	}
	update(t, first, func(tx *Tx) error { return tx.SetSetting("host", "h1") })
	read := func(when string) {
		ro, err := OpenReadOnly(context.Background(), at)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		defer ro.Close()
		view(t, ro, func(tx *Tx) error {
			if value, _, err := tx.Setting("host"); value != "h1" || err != nil {
				t.Errorf("%s: setting is %q, %v", when, value, err)
			}
			return nil
		})
		if err := ro.Update(context.Background(), func(tx *Tx) error { return nil }); !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: Update returned %v", when, err)
		}
	}
	read("beside the server")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	read("alone")
	second := openAt(t, at)
	view(t, second, func(tx *Tx) error {
		if value, ok, err := tx.Setting("host"); value != "h1" || !ok || err != nil {
			t.Errorf("setting is %q %v %v", value, ok, err)
		}
		return nil
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	at := dsn(t)
	db := openAt(t, at)
	update(t, db, func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, ?)`, true)
		return err
	})
	for name, opener := range map[string]func(context.Context, string) (*DB, error){"Open": Open, "OpenReadOnly": OpenReadOnly} {
		if db, err := opener(context.Background(), at); err == nil {
			db.Close()
			t.Errorf("%s took a schema of a later program", name)
		} else if !strings.Contains(err.Error(), "999") {
			t.Errorf("%s: the error does not name the version: %v", name, err)
		}
	}
}

func TestFileIsPrivateAndDurable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "meta.db")
	db := openAt(t, path)
	update(t, db, func(tx *Tx) error { return tx.SetSetting("a", "1") })
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", suffix, info.Mode())
		}
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2"} {
		var got string
		if err := db.write.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", pragma, got, err, want)
		}
	}
}

func TestNumbered(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":         "",
		"SELECT ?": "SELECT $1",
		`a = ? AND b = '?' AND "?" = ?, 'it''s ?' ?`: `a = $1 AND b = '?' AND "?" = $2, 'it''s ?' $3`,
		strings.Repeat("?", 11):                      "$1$2$3$4$5$6$7$8$9$10$11",
	} {
		if got := numbered(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}
