package keyspace

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// Name is a key or a part of one: any bytes. As JSON it is a string if it is
// valid UTF-8, else {"base64":"..."}: both hold exactly the bytes.
type Name []byte

// MarshalJSON implements json.Marshaler.
func (n Name) MarshalJSON() ([]byte, error) {
	if utf8.Valid(n) {
		return json.Marshal(string(n))
	}
	return json.Marshal(binaryName{n})
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Name) UnmarshalJSON(p []byte) error {
	if bytes.HasPrefix(p, []byte{'{'}) {
		var b binaryName
		if err := json.Unmarshal(p, &b); err != nil {
			return err
		}
		if b.Base64 == nil {
			return errors.New("keyspace: a name without text or base64")
		}
		*n = b.Base64
		return nil
	}
	var s string
	err := json.Unmarshal(p, &s)
	*n = Name(s)
	return err
}

type binaryName struct {
	Base64 []byte `json:"base64"`
}
