package metastore

import (
	"database/sql"
	"errors"
	"fmt"
)

// Setting reads a small fact that this installation keeps about itself; ok is false when it was never set.
func (tx *Tx) Setting(key string) (value string, ok bool, err error) {
	switch err := tx.QueryRow(`SELECT value FROM settings WHERE name = ?`, key).Scan(&value); {
	case errors.Is(err, sql.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("metastore: %w", err)
	}
	return value, true, nil
}

// SetSetting sets a small fact, or changes it.
func (tx *Tx) SetSetting(key, value string) error {
	_, err := tx.Exec(`INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`, key, value)
	return err
}
