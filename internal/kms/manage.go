package kms

import (
	"regexp"
	"slices"

	"github.com/keyframe/keyframe/internal/resource"
)

var aliasPattern = regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`)

func checkAlias(alias string) error {
	if !aliasPattern.MatchString(alias) {
		return resource.Errorf(resource.InvalidValue, resource.TypeParameter, "Alias", "Alias must be alias/ and letters, digits, '/', '_' or '-'.")
	}
	return nil
}

// Create makes a key. alias may be empty; one that exists is refused with kind AlreadyExists.
func (l *Local) Create(s resource.Scope, alias, description string) (Key, error) {
	k := newKey(s, description, l.now())
	err := l.change(func(r *ring) error {
		if alias != "" {
			if err := checkAlias(alias); err != nil {
				return err
			}
			if _, err := r.find(s, alias); err == nil {
				return resource.Errorf(resource.AlreadyExists, resource.TypeOther, alias, "An alias with the name %s already exists", aliasARN(s, alias))
			}
			k.Aliases = []string{alias}
		}
		r.Keys = append(r.Keys, k)
		return nil
	})
	return k.public(), err
}

// List gives the keys of a scope, oldest first.
func (l *Local) List(s resource.Scope) ([]Key, error) {
	r, err := l.load()
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, k := range r.Keys {
		if k.scope() == s {
			keys = append(keys, k.public())
		}
	}
	slices.SortStableFunc(keys, func(a, b Key) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return keys, nil
}

// edit changes one key, named as Resolve would have it.
func (l *Local) edit(s resource.Scope, ref string, fn func(*ring, *storedKey)) (k Key, err error) {
	err = l.change(func(r *ring) error {
		stored, err := r.find(s, ref)
		if err != nil {
			return err
		}
		fn(r, stored)
		k = stored.public()
		return nil
	})
	return k, err
}

// Enable makes a disabled key usable again.
func (l *Local) Enable(s resource.Scope, ref string) (Key, error) {
	return l.edit(s, ref, func(_ *ring, k *storedKey) { k.Enabled = true })
}

// Disable refuses all further use of a key, until it is enabled.
func (l *Local) Disable(s resource.Scope, ref string) (Key, error) {
	return l.edit(s, ref, func(_ *ring, k *storedKey) { k.Enabled = false })
}

// Rotate gives a key new material. What was wrapped before can still be unwrapped.
func (l *Local) Rotate(s resource.Scope, ref string) (Key, error) {
	return l.edit(s, ref, func(_ *ring, k *storedKey) { k.Versions = append(k.Versions, newMaterial()) })
}

// SetAlias points an alias to a key, away from any other that had it.
func (l *Local) SetAlias(s resource.Scope, ref, alias string) (Key, error) {
	if err := checkAlias(alias); err != nil {
		return Key{}, err
	}
	return l.edit(s, ref, func(r *ring, k *storedKey) {
		for _, other := range r.Keys {
			if other.scope() == s {
				other.Aliases = slices.DeleteFunc(other.Aliases, func(a string) bool { return a == alias })
			}
		}
		k.Aliases = append(k.Aliases, alias)
	})
}
