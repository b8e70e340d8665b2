package metastore

import (
	"iter"

	"github.com/keyframe/keyframe/internal/resource"
)

func noCache(kind resource.Kind, id string) error {
	return resource.Errorf(resource.NotFound, kind.ErrorType(), id, "Cache %s not found.", id)
}

// InsertCache adds a cache. A cache of the same kind with the same name in the scope is a resource.Error AlreadyExists.
func (tx *Tx) InsertCache(c *resource.Cache) error {
	doc, err := encode(c)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`INSERT INTO caches (id, account, region, kind, name, document) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, region, kind, name) DO NOTHING`, c.ID, c.Account, c.Region, string(c.Kind), c.Name, doc)
	if err == nil && n == 0 {
		return resource.Errorf(resource.AlreadyExists, c.Kind.ErrorType(), c.Name, "Cache %s already exists.", c.Name)
	}
	return err
}

// CacheByName finds a cache, or returns a resource.Error NotFound.
func (tx *Tx) CacheByName(s resource.Scope, kind resource.Kind, name string) (*resource.Cache, error) {
	return document[resource.Cache](tx, noCache(kind, name), `SELECT document FROM caches WHERE account = ? AND region = ? AND kind = ? AND name = ?`,
		s.Account, s.Region, string(kind), name)
}

// CacheByID finds a cache, or returns a resource.Error NotFound.
func (tx *Tx) CacheByID(id string) (*resource.Cache, error) {
	return document[resource.Cache](tx, noCache(resource.Serverless, id), `SELECT document FROM caches WHERE id = ?`, id)
}

// UpdateCache replaces what is kept of the cache c.ID. Scope, kind and name never change: a mismatch is NotFound, as is an unknown ID.
// Read the cache in the same Update, or another's change is lost.
func (tx *Tx) UpdateCache(c *resource.Cache) error {
	doc, err := encode(c)
	if err != nil {
		return err
	}
	n, err := tx.Exec(`UPDATE caches SET document = ? WHERE id = ? AND account = ? AND region = ? AND kind = ? AND name = ?`,
		doc, c.ID, c.Account, c.Region, string(c.Kind), c.Name)
	if err == nil && n == 0 {
		return noCache(c.Kind, c.Name)
	}
	return err
}

// DeleteCache forgets a cache; an unknown one is fine. Its nodes and tags are deleted by calls of their own. Users and groups
// that wait for it wait no more.
func (tx *Tx) DeleteCache(id string) error {
	all, err := documents[resource.Cache](tx, `SELECT document FROM caches WHERE id = ?`, id)
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := tx.SettleAccess(c.Scope, c.Kind.Service(), id); err != nil {
			return err
		}
	}
	_, err = tx.Exec(`DELETE FROM caches WHERE id = ?`, id)
	return err
}

// Caches lists the caches of a kind by name, from the first after afterName. A limit of 0 means all.
func (tx *Tx) Caches(s resource.Scope, kind resource.Kind, afterName string, limit int) ([]*resource.Cache, error) {
	query := `SELECT document FROM caches WHERE account = ? AND region = ? AND kind = ? AND name > ? ORDER BY name`
	args := []any{s.Account, s.Region, string(kind), afterName}
	if limit > 0 {
		query, args = query+` LIMIT ?`, append(args, limit)
	}
	return documents[resource.Cache](tx, query, args...)
}

// CountCaches counts the caches of a kind in a scope.
func (tx *Tx) CountCaches(s resource.Scope, kind resource.Kind) (int, error) {
	return tx.count(`SELECT COUNT(*) FROM caches WHERE account = ? AND region = ? AND kind = ?`, s.Account, s.Region, string(kind))
}

// AllCaches walks every cache of every scope in order of ID, reading a page at a time: the loop's body may use tx. An error ends it.
func (tx *Tx) AllCaches() iter.Seq2[*resource.Cache, error] {
	return func(yield func(*resource.Cache, error) bool) {
		const page = 256
		for after := ""; ; {
			all, err := documents[resource.Cache](tx, `SELECT document FROM caches WHERE id > ? ORDER BY id LIMIT ?`, after, page)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, c := range all {
				if !yield(c, nil) {
					return
				}
				after = c.ID
			}
			if len(all) < page {
				return
			}
		}
	}
}
