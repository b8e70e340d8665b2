package cli

import "github.com/keyframe/keyframe/rdb/keyspace"

// jsonText is bytes of a cache in JSON, nothing lost: a string if they are UTF-8, {"base64": "…"} if they are not.
type jsonText []byte

func (t jsonText) MarshalJSON() ([]byte, error) { return keyspace.Name(t).MarshalJSON() }
