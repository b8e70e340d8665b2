package control

import (
	"context"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// mostCaches bounds a page.
const mostCaches = 100

// Page says which part of a list is asked for.
type Page struct {
	Most  *int   // items; nil for the most there can be
	Token string // of the page before; empty for the first
}

// start checks a page and returns the name after which it begins and the number of items, at most limit.
func (p Page) start(limit int) (after string, most int, err error) {
	most = min(limit, 50)
	if p.Most != nil {
		most = *p.Most
	}
	if most < 1 || most > limit {
		return "", 0, invalid("MaxResults", "MaxResults must be between 1 and %d; %d was given.", limit, most)
	}
	if p.Token == "" {
		return "", most, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.Token)
	after, ok := strings.CutPrefix(string(raw), tokenMark)
	if err != nil || !ok || !utf8.ValidString(after) || strings.Contains(after, "\x00") { // which PostgreSQL would choke on
		return "", 0, invalid("NextToken", "The NextToken is not one that this service gave out.")
	}
	return after, most, nil
}

// tokenMark tells our tokens from guesses.
const tokenMark = "after:"

func token(name string) string { return base64.RawURLEncoding.EncodeToString([]byte(tokenMark + name)) }

// DescribeCaches lists the serverless caches of a scope by name, or the one that is named.
func (c *Control) DescribeCaches(ctx context.Context, scope resource.Scope, name string, page Page) (caches []*resource.Cache, next string, err error) {
	after, most, err := page.start(mostCaches)
	if err != nil {
		return nil, "", err
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		if name != "" {
			cache, err := tx.CacheByName(scope, resource.Serverless, oldName(name))
			caches = []*resource.Cache{cache}
			return notFound(err, resource.TypeCache, name)
		}
		caches, err = tx.Caches(scope, resource.Serverless, after, most+1)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(caches) > most {
		caches = caches[:most]
		next = token(caches[most-1].Name)
	}
	return caches, next, nil
}
