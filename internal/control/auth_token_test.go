package control

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyframe/keyframe/internal/engine"
	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

func TestTokensThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "short", strings.Repeat("x", 15), strings.Repeat("x", 129), "sixteen-or-more@here", "sixteen-or-more/here", `sixteen-or-more"here`, "sixteen or more here", "sixteen-or-more\nhere", "sixteen-or-mörë-here"} {
		_, err := hashToken("AuthToken", resource.Secret(bad))
		about(t, "a token", err, value, param)
		if len(bad) > 5 && strings.Contains(fmt.Sprint(err), bad) {
			t.Errorf("the message shows it: %v", err)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		token := rapid.StringMatching(`[!#-.0-?A-~]{16,128}`).Draw(rt, "token")
		if hash, err := hashToken("AuthToken", resource.Secret(token)); err != nil || hash != engine.NewSecret(token).Hash() {
			rt.Fatalf("%s: %q, %v", token, hash, err)
		}
	})
}

func TestTokenRotation(t *testing.T) {
	t.Parallel()
	token := func(n int) (*resource.Secret, string) {
		s := resource.Secret(fmt.Sprint("sixteen-or-more-", n))
		return &s, engine.NewSecret(string(s)).Hash()
	}
	one, h1 := token(1)
	two, h2 := token(2)
	three, h3 := token(3)
	bad := resource.Secret("short")
	at := noon.Add(time.Hour)
	for name, c := range map[string]struct {
		before   []string
		groups   []string
		strategy string
		token    *resource.Secret
		want     []string
		kind     resource.ErrorKind
	}{
		"set":                 {[]string{h1}, nil, "SET", two, []string{h2}, 0},
		"set after rotate":    {[]string{h1, h2}, nil, "set", two, []string{h2}, 0},
		"set the first":       {nil, nil, "SET", one, []string{h1}, 0},
		"rotate":              {[]string{h1}, nil, "ROTATE", two, []string{h1, h2}, 0},
		"rotate by default":   {[]string{h1}, nil, "", two, []string{h1, h2}, 0},
		"rotate again":        {[]string{h1, h2}, nil, "ROTATE", three, []string{h2, h3}, 0},
		"rotate to the same":  {[]string{h1, h2}, nil, "ROTATE", two, []string{h1, h2}, 0},
		"rotate to the first": {nil, nil, "ROTATE", one, []string{noToken, h1}, 0},
		"rotate, then rotate": {[]string{noToken, h1}, nil, "ROTATE", two, []string{h1, h2}, 0},
		"delete":              {[]string{h1, h2}, []string{"g"}, "DELETE", nil, nil, 0},
		"delete, stay open":   {[]string{h1}, nil, "DELETE", nil, nil, combo},
		"delete a token":      {[]string{h1}, []string{"g"}, "DELETE", one, nil, combo},
		"delete nothing":      {nil, []string{"g"}, "DELETE", nil, nil, combo},
		"beside groups":       {nil, []string{"g"}, "SET", one, nil, combo},
		"no token":            {[]string{h1}, nil, "ROTATE", nil, nil, combo},
		"bad token":           {[]string{h1}, nil, "SET", &bad, nil, value},
		"unknown":             {[]string{h1}, nil, "TURN", one, nil, value},
	} {
		l := &resource.Layout{AuthTokens: slices.Clone(c.before), UserGroups: c.groups, AuthTokenAt: noon}
		err := rotateToken(l, c.strategy, c.token, at)
		if c.kind != 0 {
			about(t, name, err, c.kind, param)
			if !slices.Equal(l.AuthTokens, c.before) || l.AuthTokenAt != noon {
				t.Errorf("%s: refused, and done: %v", name, l.AuthTokens)
			}
			continue
		}
		if err != nil || !slices.Equal(l.AuthTokens, c.want) || slices.Equal(c.before, c.want) != l.AuthTokenAt.Equal(noon) {
			t.Errorf("%s: %v at %v, %v; want %v", name, l.AuthTokens, l.AuthTokenAt, err, c.want)
		}
	}
}

func TestGroupsOfCaches(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	p.group("elasticache", "r", "redis", "default")
	p.group("elasticache", "v", "valkey")
	p.group("memorydb", "acl", "")
	p.must(p.db.View(t.Context(), func(tx *metastore.Tx) error {
		for name, c := range map[string]struct {
			service string
			groups  []string
			engine  resource.Engine
			kind    resource.ErrorKind
			typ     resource.Type
		}{
			"none": {"elasticache", nil, resource.Memcached, 0, ""}, "redis": {"elasticache", []string{"R"}, resource.Redis, 0, ""}, "both": {"elasticache", []string{"r"}, resource.Valkey, 0, ""},
			"valkey": {"elasticache", []string{"v"}, resource.Valkey, 0, ""}, "open-access": {"memorydb", []string{"open-access"}, resource.Redis, 0, ""}, "acl": {"memorydb", []string{"acl"}, resource.Redis, 0, ""},
			"valkey for redis": {"elasticache", []string{"v"}, resource.Redis, combo, param}, "memcached": {"elasticache", []string{"r"}, resource.Memcached, combo, param}, "two": {"elasticache", []string{"r", "v"}, resource.Valkey, value, param},
			"unknown": {"elasticache", []string{"acl"}, resource.Redis, resource.NotFound, resource.TypeUserGroup}, "no open-access here": {"elasticache", []string{"open-access"}, resource.Redis, resource.NotFound, resource.TypeUserGroup},
		} {
			err := checkUserGroups(tx, home, c.service, c.groups, c.engine)
			if c.kind != 0 {
				about(t, name, err, c.kind, c.typ)
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	}))
}
