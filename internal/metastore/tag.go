package metastore

import (
	"database/sql"

	"github.com/keyframe/keyframe/internal/resource"
)

// SetTags adds tags to a resource; a key that it has already gets the new value.
func (tx *Tx) SetTags(arn string, tags []resource.Tag) error {
	for _, t := range tags {
		if _, err := tx.Exec(`INSERT INTO tags (arn, name, value) VALUES (?, ?, ?)
			ON CONFLICT (arn, name) DO UPDATE SET value = excluded.value`, arn, t.Key, t.Value); err != nil {
			return err
		}
	}
	return nil
}

// ReplaceTags makes tags the only ones of a resource.
func (tx *Tx) ReplaceTags(arn string, tags []resource.Tag) error {
	if err := tx.DeleteTags(arn); err != nil {
		return err
	}
	return tx.SetTags(arn, tags)
}

// Tags lists a resource's tags by key, in byte order.
func (tx *Tx) Tags(arn string) ([]resource.Tag, error) {
	return Rows(tx, func(row *sql.Rows) (t resource.Tag, err error) {
		err = row.Scan(&t.Key, &t.Value)
		return t, err
	}, `SELECT name, value FROM tags WHERE arn = ? ORDER BY name`, arn)
}

// RemoveTags removes the tags with these keys; keys that the resource does not have are fine.
func (tx *Tx) RemoveTags(arn string, keys []string) error {
	for _, key := range keys {
		if _, err := tx.Exec(`DELETE FROM tags WHERE arn = ? AND name = ?`, arn, key); err != nil {
			return err
		}
	}
	return nil
}

// DeleteTags removes all tags of a resource.
func (tx *Tx) DeleteTags(arn string) error {
	_, err := tx.Exec(`DELETE FROM tags WHERE arn = ?`, arn)
	return err
}

// CountTags counts the tags of a resource, those that start with aws: not included.
func (tx *Tx) CountTags(arn string) (int, error) {
	return tx.count(`SELECT COUNT(*) FROM tags WHERE arn = ? AND substr(name, 1, 4) <> 'aws:'`, arn)
}
