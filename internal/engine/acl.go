package engine

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// refused are the commands that AWS does not let clients run, CLIENT PAUSE, which would break a snapshot's cut, and SCRIPT
// DEBUG: its sessions fork the engine as often as a client likes, or hold it, and with it every snapshot, for as long as one likes.
// Every engine from Redis 7.0 on knows all of them; an unknown one would keep the engine from starting.
var refused = []string{
	"acl|setuser", "acl|deluser", "acl|load", "acl|save", "bgrewriteaof", "bgsave", "save", "config", "debug", "migrate", "module",
	"psync", "sync", "replconf", "replicaof", "slaveof", "failover", "shutdown",
	"cluster|addslots", "cluster|addslotsrange", "cluster|delslots", "cluster|delslotsrange", "cluster|setslot", "cluster|meet", "cluster|forget",
	"cluster|failover", "cluster|flushslots", "cluster|bumpepoch", "cluster|replicate", "cluster|reset", "cluster|set-config-epoch", "cluster|saveconfig",
	"client|pause", "client|unpause", "script|debug",
}

// Refused lists the commands that clients may not run, subcommands in the form cluster|meet.
func Refused() []string { return append([]string(nil), refused...) }

// User is a client's account on a cache.
type User struct {
	Name   string
	NoPass bool     // any password will do
	Hashes []string // SHA-256 of each password, hexadecimal
	Access string   // access string such as "on ~* &* +@all"; commands refused to clients are taken away in any case
}

// OpenUser is the account of a cache without access control: everything that AWS allows, without a password.
func OpenUser() User { return User{Name: "default", NoPass: true, Access: "on ~* &* +@all"} }

// ACLText is the text of an engine's ACL file: our own account, then the users. Without a user named default the engine's
// default account is switched off.
func ACLText(admin Secret, users []User) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "user %s on #%s ~* &* +@all\n", AdminUser, admin.Hash())
	hasDefault := false
	seen := map[string]bool{AdminUser: true}
	for _, u := range users {
		if u.Name == "" || strings.ContainsFunc(u.Name, unprintable) || seen[u.Name] {
			return "", fmt.Errorf("user name %.40q is malformed or taken", u.Name)
		}
		seen[u.Name] = true
		hasDefault = hasDefault || u.Name == "default"
		rules, err := accessRules(u.Access)
		if err != nil {
			return "", fmt.Errorf("user %s: %w", u.Name, err)
		}
		fmt.Fprintf(&b, "user %s reset %s", u.Name, rules)
		if u.NoPass {
			b.WriteString(" nopass")
		}
		for _, h := range u.Hashes {
			if raw, err := hex.DecodeString(h); err != nil || len(raw) != 32 {
				return "", fmt.Errorf("user %s: a password hash is not a SHA-256", u.Name)
			}
			b.WriteString(" #" + strings.ToLower(h))
		}
		for _, r := range refused {
			b.WriteString(" -" + r)
		}
		b.WriteByte('\n')
	}
	if !hasDefault {
		b.WriteString("user default reset off\n")
	}
	return b.String(), nil
}

func unprintable(r rune) bool { return r <= ' ' || r >= 0x7f }

// accessRules checks an access string. Passwords have their own parameter, and a selector would escape the refused list.
func accessRules(s string) (string, error) {
	fields := strings.Fields(s)
	for _, f := range fields {
		switch {
		case strings.ContainsFunc(f, unprintable):
			return "", fmt.Errorf("access string has unprintable characters")
		case strings.ContainsAny(f[:1], "><#!"), f == "nopass", f == "resetpass", f == "reset", f == "sanitize-payload", f == "skip-sanitize-payload":
			return "", fmt.Errorf("access string may not contain %.20q", f)
		case strings.ContainsAny(f, "()"), f == "clearselectors":
			return "", fmt.Errorf("access string may not contain selectors")
		}
	}
	return strings.Join(fields, " "), nil
}
