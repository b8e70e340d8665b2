package keyspace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Name is a key or a part of one: any bytes. As JSON it is a string if it is
// valid UTF-8, else {"base64":"..."}: both hold exactly the bytes. What cannot be
// printed is \u and digits there, so that a terminal does not obey it.
type Name []byte

// MarshalJSON implements json.Marshaler.
func (n Name) MarshalJSON() ([]byte, error) {
	if !utf8.Valid(n) {
		return json.Marshal(binaryName{n})
	}
	p, err := json.Marshal(string(n))
	if err != nil || bytes.IndexFunc(p, obeyed) < 0 {
		return p, err
	}
	var w []byte
	for _, r := range string(p) {
		switch {
		case !obeyed(r):
			w = utf8.AppendRune(w, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			w = fmt.Appendf(w, `\u%04x\u%04x`, high, low)
		default:
			w = fmt.Appendf(w, `\u%04x`, r)
		}
	}
	return w, nil
}

// obeyed tells what a terminal may take for a command, or for nothing, such as
// the second set of control characters, and changes of the writing direction.
func obeyed(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }

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
