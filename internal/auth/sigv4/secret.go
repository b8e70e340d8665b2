package sigv4

import (
	"fmt"
	"log/slog"
)

const redacted = "[secret]"

// Secret is a string that is never printed: not by fmt, encoding/json or slog, even as an unexported field.
type Secret struct{ p *string }

// NewSecret hides s.
func NewSecret(s string) Secret { return Secret{&s} }

// Reveal returns the hidden string; the zero Secret is empty.
func (s Secret) Reveal() string {
	if s.p == nil {
		return ""
	}
	return *s.p
}

// Empty reports whether nothing is hidden.
func (s Secret) Empty() bool { return s.Reveal() == "" }

// String is always the same word.
func (Secret) String() string { return redacted }

// GoString is always the same word.
func (Secret) GoString() string { return redacted }

// Format writes the same word for every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText keeps the secret out of JSON, XML and text encodings.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON keeps the secret out of JSON.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// LogValue keeps the secret out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
