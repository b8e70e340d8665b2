package control

import (
	"context"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// The bounds of a page. AWS documents 50 for snapshots.
const (
	mostSnapshots = 50
	mostCaches    = 100
)

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

// DescribeSnapshots says which serverless snapshots are asked for.
type DescribeSnapshots struct {
	Scope resource.Scope
	Name  string
	Cache string
	Type  string // manual or user, automated or system; empty for both
	Page  Page
}

// DescribeSnapshots lists serverless snapshots by name. A filter by a cache that is gone still finds its snapshots;
// a cache that neither exists nor has any is not found.
func (c *Control) DescribeSnapshots(ctx context.Context, in DescribeSnapshots) (snapshots []*resource.Snapshot, next string, err error) {
	after, most, err := in.Page.start(mostSnapshots)
	if err != nil {
		return nil, "", err
	}
	filter := metastore.SnapshotFilter{Scope: in.Scope, Space: resource.Serverless.SnapshotSpace(), CacheName: oldName(in.Cache),
		AfterName: after, Limit: most + 1}
	switch strings.ToLower(in.Type) {
	case "":
	case "manual", "user":
		filter.Type = resource.Manual
	case "automated", "system":
		filter.Type = resource.Automated
	default:
		return nil, "", invalid("SnapshotType", "SnapshotType must be manual or automated; %q was given.", clip(in.Type))
	}
	err = c.db.View(ctx, func(tx *metastore.Tx) error {
		if in.Name != "" {
			return namedSnapshot(tx, in, filter, &snapshots)
		}
		if snapshots, err = tx.Snapshots(filter); err != nil || len(snapshots) > 0 || in.Cache == "" || after != "" {
			return err
		}
		return known(tx, filter, in.Cache)
	})
	if err != nil {
		return nil, "", err
	}
	if len(snapshots) > most {
		snapshots = snapshots[:most]
		next = token(snapshots[most-1].Name)
	}
	return snapshots, next, nil
}

// known refuses the name of a cache that neither exists nor has left a snapshot of any type.
func known(tx *metastore.Tx, f metastore.SnapshotFilter, name string) error {
	_, err := tx.CacheByName(f.Scope, resource.Serverless, f.CacheName)
	if !is(err, resource.NotFound) {
		return err
	}
	f.Type, f.Limit = "", 1
	if left, err := tx.Snapshots(f); err != nil || len(left) > 0 {
		return err
	}
	return notFound(err, resource.TypeCache, name)
}

// namedSnapshot finds the one snapshot that is named, if the other filters let it pass.
func namedSnapshot(tx *metastore.Tx, in DescribeSnapshots, f metastore.SnapshotFilter, out *[]*resource.Snapshot) error {
	s, err := tx.SnapshotByName(in.Scope, f.Space, oldName(in.Name))
	if err != nil {
		return notFound(err, resource.TypeSnapshot, in.Name)
	}
	if (f.CacheName == "" || s.Source.Name == f.CacheName) && (f.Type == "" || s.Type == f.Type) {
		*out = []*resource.Snapshot{s}
	}
	return nil
}
