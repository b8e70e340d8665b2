package cli

import (
	"encoding/json"
	"unicode/utf8"
)

// jsonText is bytes of a cache in JSON, nothing lost: a string if they are UTF-8, {"Base64": "…"} if they are not.
type jsonText []byte

func (t jsonText) MarshalJSON() ([]byte, error) {
	if utf8.Valid(t) {
		return json.Marshal(string(t))
	}
	return json.Marshal(struct{ Base64 []byte }{t})
}
