package resource

import "log/slog"

// Secret is a password or key that never prints: not by fmt, not in JSON, not in a log. Convert it to a string to use it.
type Secret string

const redacted = "[secret]"

func (Secret) String() string               { return redacted }
func (Secret) GoString() string             { return redacted }
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil } // encoding/json uses it too
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
