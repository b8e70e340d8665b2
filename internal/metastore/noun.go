package metastore

import "github.com/keyframe/keyframe/internal/resource"

// A noun is what the table nouns keeps: found by service, type and name within a scope.
type noun struct {
	scope   resource.Scope
	service string
	typ     resource.Type
	name    string
}

func (n noun) key() []any {
	return []any{n.scope.Account, n.scope.Region, n.service, string(n.typ), n.name}
}

func (n noun) missing() error {
	return resource.Errorf(resource.NotFound, n.typ, n.name, "%s %s not found.", n.typ, n.name)
}

const ofNoun = ` WHERE account = ? AND region = ? AND service = ? AND type = ? AND name = ?`

func insertNoun(tx *Tx, n noun, v any) error {
	doc, err := encode(v)
	if err != nil {
		return err
	}
	rows, err := tx.Exec(`INSERT INTO nouns (account, region, service, type, name, document) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (account, region, service, type, name) DO NOTHING`, append(n.key(), doc)...)
	if err == nil && rows == 0 {
		return resource.Errorf(resource.AlreadyExists, n.typ, n.name, "%s %s already exists.", n.typ, n.name)
	}
	return err
}

func updateNoun(tx *Tx, n noun, v any) error {
	doc, err := encode(v)
	if err != nil {
		return err
	}
	rows, err := tx.Exec(`UPDATE nouns SET document = ?`+ofNoun, append([]any{doc}, n.key()...)...)
	if err == nil && rows == 0 {
		return n.missing()
	}
	return err
}

func findNoun[T any](tx *Tx, n noun) (*T, error) {
	return document[T](tx, n.missing(), `SELECT document FROM nouns`+ofNoun, n.key()...)
}

func deleteNoun(tx *Tx, n noun) error {
	_, err := tx.Exec(`DELETE FROM nouns`+ofNoun, n.key()...)
	return err
}

// listNouns lists by name, from the first after n.name. A limit of 0 means all.
func listNouns[T any](tx *Tx, n noun, limit int) ([]*T, error) {
	query := `SELECT document FROM nouns WHERE account = ? AND region = ? AND service = ? AND type = ? AND name > ? ORDER BY name`
	args := n.key()
	if limit > 0 {
		query, args = query+` LIMIT ?`, append(args, limit)
	}
	return documents[T](tx, query, args...)
}
