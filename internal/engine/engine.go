// Package engine knows what engines are: their versions and the RDB versions that they read and write, the text of their
// configuration, access and cluster files. It does no I/O; processes are the business of package supervisor.
package engine

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"

	"github.com/keyframe/keyframe/internal/resource"
)

// The engines, under the names that the API gives them.
const (
	Valkey    = resource.Valkey
	Redis     = resource.Redis
	Memcached = resource.Memcached
)

// Engines lists every engine in the order that the API shows them.
func Engines() []resource.Engine { return []resource.Engine{Memcached, Redis, Valkey} }

// AdminUser is the ACL user through which Keyframe steers an engine, and through which replicas follow their primary.
const AdminUser = "keyframe-admin"

// DefaultPort is the port on which AWS serves an engine.
func DefaultPort(e resource.Engine) int {
	if e == Memcached {
		return 11211
	}
	return 6379
}

// Program is the name of an engine's server binary, and Package the Debian package that brings it.
func Program(e resource.Engine) string {
	if e == Memcached {
		return "memcached"
	}
	return string(e) + "-server"
}

// Package names the Debian package that holds an engine's server.
func Package(e resource.Engine) string { return Program(e) }

// Secret holds a password. It shows itself to nobody but the caller of Reveal, not even as an unexported field, into which
// package fmt looks without asking: it sees an address there.
type Secret struct{ v *string }

// NewSecret wraps a password.
func NewSecret(password string) Secret { return Secret{&password} }

// RandomSecret makes a password of 256 random bits, in hexadecimal.
func RandomSecret() Secret {
	var b [32]byte
	rand.Read(b[:])
	return NewSecret(hex.EncodeToString(b[:]))
}

// Reveal returns the password itself.
func (s Secret) Reveal() string {
	if s.v == nil {
		return ""
	}
	return *s.v
}

// IsZero tells whether there is no password.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Hash is the SHA-256 of the password in hexadecimal, as ACL files hold it.
func (s Secret) Hash() string {
	h := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(h[:])
}

const redacted = "[secret]"

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (s Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Format keeps every verb of package fmt from looking inside.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }
