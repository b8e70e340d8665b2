package wire

import "log/slog"

// Secret is a password or token of a request. It never prints; string(s) is the value.
type Secret string

const redacted = "[redacted]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue keeps the secret out of logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
