package engine

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/keyframe/keyframe/internal/resource"
)

// refused are the commands that AWS does not let clients run, CLIENT PAUSE, which would break a snapshot's cut, and SCRIPT
// DEBUG: its sessions fork the engine as often as a client likes, or hold it, and with it every snapshot, for as long as one likes.
// An engine is told of those that it knows, since an unknown one would keep it from starting.
var refused = []string{
	"acl|setuser", "acl|deluser", "acl|load", "acl|save", "bgrewriteaof", "bgsave", "save", "config", "debug", "migrate", "module",
	"psync", "sync", "replconf", "replicaof", "slaveof", "failover", "shutdown",
	"cluster|addslots", "cluster|addslotsrange", "cluster|delslots", "cluster|delslotsrange", "cluster|setslot", "cluster|meet", "cluster|forget",
	"cluster|failover", "cluster|flushslots", "cluster|bumpepoch", "cluster|replicate", "cluster|reset", "cluster|set-config-epoch", "cluster|saveconfig",
	"cluster|migrateslots", "cluster|cancelslotmigrations", "cluster|syncslots",
	"client|pause", "client|unpause", "script|debug",
}

// Refused lists the commands that clients of an engine may not run, subcommands in the form cluster|meet.
func Refused(e resource.Engine, v Version) []string {
	return slices.DeleteFunc(slices.Clone(refused), func(name string) bool { return !hasCommand(e, v, name) })
}

// User is a client's account on a cache.
type User struct {
	Name   string
	NoPass bool     // none is asked for, and any will do
	Hashes []string // SHA-256 of each password, hexadecimal
	Access string   // access string such as "on ~* &* +@all"; commands refused to clients are taken away in any case
}

// OpenUser is the account of a cache without access control: everything that AWS allows, without a password.
func OpenUser() User { return User{Name: "default", NoPass: true, Access: "on ~* &* +@all"} }

// ClosedUser is the account of a cache whose users are all gone: nobody may log in.
func ClosedUser() User { return User{Name: "default", Access: "off"} }

// ACL is what an engine's ACL file says.
type ACL struct {
	Engine  resource.Engine
	Version Version // of the binary
	Cluster bool    // the node is in cluster mode
	Admin   Secret  // password of AdminUser
	Users   []User
}

// Text is the text of the file: our own account, then the users. Without a user named default the engine's default account is
// switched off.
func (a ACL) Text() (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "user %s on #%s ~* &* +@all\n", AdminUser, a.Admin.Hash())
	denied := Refused(a.Engine, a.Version)
	if a.Cluster {
		denied = append(denied, "client|unblock") // of a client that the pause of a snapshot holds it kills the engine: Valkey 8.0.1, Redis 7.0.15
	}
	hasDefault := false
	seen := map[string]bool{AdminUser: true}
	for _, u := range a.Users {
		if CheckUserName(u.Name) != nil || seen[u.Name] {
			return "", fmt.Errorf("user name %.40q is malformed or taken", u.Name)
		}
		seen[u.Name] = true
		hasDefault = hasDefault || u.Name == "default"
		access, err := parseAccess(u.Access)
		if err != nil {
			return "", fmt.Errorf("user %s: %w", u.Name, err)
		}
		fmt.Fprintf(&b, "user %s reset", u.Name)
		for _, h := range u.Hashes {
			if raw, err := hex.DecodeString(h); err != nil || len(raw) != 32 {
				return "", fmt.Errorf("user %s: a password hash is not a SHA-256", u.Name)
			}
			b.WriteString(" #" + strings.ToLower(h))
		}
		if u.NoPass {
			b.WriteString(" nopass") // last: a password that follows would take it away
		}
		access.write(&b, a.Engine, a.Version, denied)
		b.WriteByte('\n')
	}
	if !hasDefault {
		b.WriteString("user default reset off\n")
	}
	return b.String(), nil
}

// CheckUserName refuses a name with which nobody can log in to an engine.
func CheckUserName(name string) error {
	switch {
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return fmt.Errorf("%.40q is not a user name: printable ASCII characters without spaces are expected", name)
	case name == AdminUser:
		return fmt.Errorf("the user name %s is taken by Keyframe itself", name)
	}
	return nil
}
