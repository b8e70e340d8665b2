package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/keyframe/keyframe/internal/engine/resp"
)

// reads names the command that reads a type: the name and what follows the key.
var reads = map[string][]string{
	"string": {"GET"}, "hash": {"HGETALL"}, "set": {"SMEMBERS"}, "list": {"LRANGE", "0", "-1"}, "zset": {"ZRANGE", "0", "-1", "WITHSCORES"},
	"stream": {"XINFO"},
}

func appendInt(b []byte, n int64) []byte { return binary.LittleEndian.AppendUint64(b, uint64(n)) }

func appendString(b []byte, s string) []byte { return append(appendInt(b, int64(len(s))), s...) }

// appendValue appends the canonical form of a value: sets and hashes as sums of their members' hashes, the rest in order.
func appendValue(b []byte, typ string, v resp.Value) ([]byte, error) {
	if v.Kind == resp.ErrorKind {
		if v.Err.Code == "WRONGTYPE" {
			return b, ErrChanged
		}
		return b, v.Err
	}
	if v.Kind == resp.Null || v.Kind == resp.Array && len(v.Elems) == 0 {
		return b, ErrChanged // no type has empty values
	}
	switch typ {
	case "string":
		return appendString(b, v.Str), nil
	case "list":
		for _, e := range v.Elems {
			b = appendString(b, e.Str)
		}
	case "set":
		return unordered(b, v.Elems, 1), nil
	case "hash":
		if len(v.Elems)%2 != 0 {
			return b, errors.New("hash with a field but no value")
		}
		return unordered(b, v.Elems, 2), nil
	case "zset":
		if len(v.Elems)%2 != 0 {
			return b, errors.New("sorted set with a member but no score")
		}
		for i := 0; i < len(v.Elems); i += 2 {
			// Engines print the same number in different ways.
			score, err := strconv.ParseFloat(v.Elems[i+1].Str, 64)
			if err != nil {
				return b, fmt.Errorf("score of member %d: %w", i/2, err)
			}
			b = binary.LittleEndian.AppendUint64(appendString(b, v.Elems[i].Str), math.Float64bits(score))
		}
	case "stream":
		return appendStream(b, v), nil
	}
	return b, nil
}

// unordered appends the sum of the hashes of groups of n elements.
func unordered(b []byte, elems []resp.Value, n int) []byte {
	var sum Sum
	var one []byte
	for i := 0; i < len(elems); i += n {
		one = one[:0]
		for _, e := range elems[i : i+n] {
			one = appendString(one, e.Str)
		}
		sum.addHash(sha256.Sum256(one))
	}
	return sum.append(appendInt(b, int64(len(elems)/n)))
}

// field finds a value by name in a map reply, which RESP2 sends as a flat array.
func field(m resp.Value, name string) resp.Value {
	for i := 0; i+1 < len(m.Elems); i += 2 {
		if m.Elems[i].Str == name {
			return m.Elems[i+1]
		}
	}
	return resp.Value{}
}

// appendStream appends a stream without the times at which consumers were seen: a replica has its own.
func appendStream(b []byte, v resp.Value) []byte {
	for _, name := range []string{"length", "last-generated-id", "max-deleted-entry-id", "entries-added", "entries"} {
		b = appendTree(b, field(v, name))
	}
	groups := field(v, "groups").Elems
	b = appendInt(b, int64(len(groups)))
	for _, g := range groups {
		for _, name := range []string{"name", "last-delivered-id", "entries-read", "pending"} {
			b = appendTree(b, field(g, name))
		}
		for _, c := range field(g, "consumers").Elems {
			b = appendTree(b, field(c, "name"))
			b = appendTree(b, field(c, "pel-count"))
		}
	}
	return b
}

// appendTree appends any reply so that different replies append different bytes.
func appendTree(b []byte, v resp.Value) []byte {
	b = append(b, byte(v.Kind))
	switch v.Kind {
	case resp.Int:
		return appendInt(b, v.Int)
	case resp.Array, resp.Map:
		b = appendInt(b, int64(len(v.Elems)))
		for _, e := range v.Elems {
			b = appendTree(b, e)
		}
		return b
	}
	return appendString(b, v.Str)
}
