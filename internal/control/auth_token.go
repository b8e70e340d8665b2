package control

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/keyframe/keyframe/internal/metastore"
	"github.com/keyframe/keyframe/internal/resource"
)

// What AWS documents of passwords and tokens.
const (
	shortestPassword = 16
	longestPassword  = 128
)

// hashToken checks an AUTH token and returns its SHA-256 in hexadecimal, which is all that is kept of it.
func hashToken(param string, t resource.Secret) (string, error) {
	return hashSecret(param, "The AUTH token", `@"/`, t)
}

// hashSecret checks a password; characters in banned may not stand in it. Messages never show it.
func hashSecret(param, what, banned string, t resource.Secret) (string, error) {
	s := string(t)
	switch {
	case len(s) < shortestPassword || len(s) > longestPassword:
		return "", invalid(param, "%s must have %d to %d characters.", what, shortestPassword, longestPassword)
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return "", invalid(param, "%s must consist of printable ASCII characters without spaces.", what)
	case strings.ContainsAny(s, banned):
		return "", invalid(param, "%s may not contain any of these characters: %s", what, banned)
	}
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:]), nil
}

// noToken stands in Layout.AuthTokens for clients without a token, while a cache that was open is being given its first one.
const noToken = ""

// rotateToken changes which AUTH tokens are accepted. SET: only the given one. ROTATE, the default: the given one and the newest
// of those before; a cache that had none serves clients without a token too, until SET. DELETE: none, when user groups
// decide who may log in; so apply a change of user groups to the layout first.
func rotateToken(l *resource.Layout, strategy string, token *resource.Secret, now time.Time) error {
	strategy = strings.ToUpper(strategy)
	if strategy == "DELETE" {
		switch {
		case token != nil && *token != "":
			return conflicting("AuthToken cannot be given with the AuthTokenUpdateStrategy DELETE.")
		case len(l.AuthTokens) == 0:
			return conflicting("There is no AUTH token to delete.")
		case len(l.UserGroups) == 0:
			return conflicting("The AuthTokenUpdateStrategy DELETE is allowed only when a user group takes over: give UserGroupIdsToAdd with it.")
		}
		l.AuthTokens, l.AuthTokenAt = nil, now
		return nil
	}
	if strategy != "" && strategy != "ROTATE" && strategy != "SET" {
		return invalid("AuthTokenUpdateStrategy", "AuthTokenUpdateStrategy must be SET, ROTATE or DELETE; %q was given.", clip(strategy))
	}
	if token == nil {
		return conflicting("AuthTokenUpdateStrategy %s needs an AuthToken.", strategy)
	}
	hash, err := hashToken("AuthToken", *token)
	if err != nil {
		return err
	}
	if len(l.UserGroups) > 0 {
		return conflicting("An AUTH token and user groups cannot be used together.")
	}
	if strategy == "SET" {
		l.AuthTokens, l.AuthTokenAt = []string{hash}, now
		return nil
	}
	before := noToken
	if n := len(l.AuthTokens); n > 0 {
		before = l.AuthTokens[n-1]
	}
	if before == hash {
		return nil // it is the newest one already
	}
	l.AuthTokens, l.AuthTokenAt = []string{before, hash}, now
	return nil
}

// checkUserGroups refuses user groups, or the ACL, that a cache with an engine cannot have: unknown ones, those that are not ready,
// and those of another engine. A valkey cache takes groups of both engines, a redis cache only its own. Records keep the names in lower case.
func checkUserGroups(tx *metastore.Tx, scope resource.Scope, service string, names []string, e resource.Engine) error {
	if len(names) > 1 {
		return invalid("UserGroupIds", "A cache can have one user group; %d were given.", len(names))
	}
	if len(names) > 0 && e == resource.Memcached {
		return conflicting("User groups are not available for memcached.")
	}
	for _, name := range names {
		g, err := findGroup(tx, scope, service, name)
		if err != nil {
			return err
		}
		if !slices.Contains([]resource.AccessStatus{resource.AccessActive, resource.AccessModifying}, g.Status) {
			return groupBusy(g)
		}
		if g.Engine == resource.Valkey && e == resource.Redis {
			return conflicting("User group %s is of the engine valkey and cannot be used with a cache of the engine redis.", g.Name)
		}
	}
	return nil
}
