package metastore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// Tx is a transaction, valid inside the function that View or Update runs, for one goroutine.
type Tx struct {
	ctx    context.Context
	db     *DB
	raw    *sql.Tx
	topics []string
}

// Context is the context of the transaction.
func (tx *Tx) Context() context.Context { return tx.ctx }

// Exec runs a statement with ? placeholders and returns the number of rows that it changed. With Query and QueryRow it serves the packages
// that keep tables of their own here; a result of Query must be closed before the next statement.
func (tx *Tx) Exec(query string, args ...any) (rows int64, err error) {
	res, err := tx.raw.ExecContext(tx.ctx, tx.db.engine.rewrite(query), args...)
	if err != nil {
		return 0, fmt.Errorf("metastore: %w", err)
	}
	return res.RowsAffected()
}

// Query runs a query with ? placeholders.
func (tx *Tx) Query(query string, args ...any) (*sql.Rows, error) {
	rows, err := tx.raw.QueryContext(tx.ctx, tx.db.engine.rewrite(query), args...)
	if err != nil {
		return nil, fmt.Errorf("metastore: %w", err)
	}
	return rows, nil
}

// QueryRow runs a query with ? placeholders that yields at most one row.
func (tx *Tx) QueryRow(query string, args ...any) *sql.Row {
	return tx.raw.QueryRowContext(tx.ctx, tx.db.engine.rewrite(query), args...)
}

// Locking is what a SELECT of rows to be claimed must end with: nothing on SQLite, where writers are alone anyway.
func (tx *Tx) Locking() string {
	if tx.db.engine.name == "postgres" {
		return " FOR UPDATE SKIP LOCKED"
	}
	return ""
}

// Rows runs a query and collects what scan makes of each row.
func Rows[T any](tx *Tx, scan func(row *sql.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.Query(query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("metastore: %w", err)
		}
		all = append(all, v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("metastore: %w", err)
	}
	return all, nil
}

// documents collects the nouns that a query for one document column finds.
func documents[T any](tx *Tx, query string, args ...any) ([]*T, error) {
	return Rows(tx, func(row *sql.Rows) (*T, error) {
		var doc []byte
		if err := row.Scan(&doc); err != nil {
			return nil, err
		}
		return decode[T](doc)
	}, query, args...)
}

// document is the one noun that a query finds; missing is the error when there is none.
func document[T any](tx *Tx, missing error, query string, args ...any) (*T, error) {
	var doc []byte
	switch err := tx.QueryRow(query, args...).Scan(&doc); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, missing
	case err != nil:
		return nil, fmt.Errorf("metastore: %w", err)
	}
	return decode[T](doc)
}

func (tx *Tx) count(query string, args ...any) (int, error) {
	var n int
	if err := tx.QueryRow(query, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("metastore: %w", err)
	}
	return n, nil
}

func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("metastore: encode %T: %w", v, err)
	}
	return string(b), nil
}

func decode[T any](doc []byte) (*T, error) {
	v := new(T)
	if err := json.Unmarshal(doc, v); err != nil {
		return nil, fmt.Errorf("metastore: decode %T: %w", v, err)
	}
	return v, nil
}

// Notify wakes the subscribers of a topic after the transaction has committed; a rolled-back one wakes nobody.
func (tx *Tx) Notify(topic string) {
	if !slices.Contains(tx.topics, topic) {
		tx.topics = append(tx.topics, topic)
	}
}

// Subscribe returns a channel that holds a token whenever a transaction of this process that notified the topic has committed since the
// last receive. The function ends the subscription.
func (db *DB) Subscribe(topic string) (<-chan struct{}, func()) {
	ch := make(chan struct{}, 1)
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.subs == nil {
		db.subs = map[string]map[chan struct{}]struct{}{}
	}
	if db.subs[topic] == nil {
		db.subs[topic] = map[chan struct{}]struct{}{}
	}
	db.subs[topic][ch] = struct{}{}
	return ch, func() {
		db.mu.Lock()
		defer db.mu.Unlock()
		delete(db.subs[topic], ch)
	}
}

func (db *DB) publish(topic string) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for ch := range db.subs[topic] {
		select {
		case ch <- struct{}{}:
		default: // a token waits there already
		}
	}
}
