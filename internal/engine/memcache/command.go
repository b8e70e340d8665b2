package memcache

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
)

// ErrKey: the key cannot be sent. It has a space or a control character, and is too long for base64.
var ErrKey = errors.New("memcache: the key cannot be written in a command")

// isPlain tells whether a key needs no base64, and whether it can be sent without.
func isPlain(key []byte) (plain, possible bool) {
	plain, possible = true, true
	for _, c := range key {
		if c <= ' ' || c == 0x7f {
			plain = false
			if c == ' ' || c == 0 || c == '\n' || c == '\r' {
				return false, false
			}
		}
	}
	return plain, possible
}

// AppendToken appends a key as commands and replies have it, and tells whether that is base64. The error matches ErrKey.
func AppendToken(dst, key []byte) (_ []byte, isBase64 bool, err error) {
	if len(key) == 0 || len(key) > MaxKey {
		return dst, false, fmt.Errorf("%w: it has %d bytes", ErrKey, len(key))
	}
	plain, possible := isPlain(key)
	switch {
	case plain:
		return append(dst, key...), false, nil
	case base64.StdEncoding.EncodedLen(len(key)) <= maxToken:
		return base64.StdEncoding.AppendEncode(dst, key), true, nil
	case possible:
		return append(dst, key...), false, nil
	}
	return dst, false, fmt.Errorf("%w: %.300q", ErrKey, key)
}

// AppendGet appends the request for an item: its key, flags, remaining seconds, cas and value, without touching its place in the LRU, and no
// reply if it is not there. End a batch with AppendEnd. IsBase64 tells how the key was written.
func AppendGet(dst, key []byte) (_ []byte, isBase64 bool, err error) {
	dst, isBase64, err = AppendToken(append(dst, "mg "...), key)
	if err != nil {
		return dst, false, err
	}
	if isBase64 {
		dst = append(dst, " b"...)
	}
	return append(dst, " k f t c v u q\r\n"...), isBase64, nil
}

// AppendEnd appends the request for MN, which ends a batch of quiet commands.
func AppendEnd(dst []byte) []byte { return append(dst, "mn\r\n"...) }

// AppendSet appends the line that stores an item; the value and \r\n follow. ExpireAt is a Unix time in seconds, 0 is never: as an engine takes
// numbers up to 30 days as relative, and others as times, and negative ones as past, only times are sent. A quiet command has no reply when
// it succeeds. The error matches ErrKey, or the expiry is later than MaxExpiry or before 1971.
func AppendSet(dst, key []byte, flags uint32, expireAt int64, size int, quiet bool) ([]byte, error) {
	if err := checkExpiry(key, expireAt); err != nil {
		return dst, err
	}
	dst, isBase64, err := AppendToken(append(dst, "ms "...), key)
	if err != nil {
		return dst, err
	}
	dst = strconv.AppendInt(append(dst, ' '), int64(size), 10)
	if isBase64 {
		dst = append(dst, " b"...)
	}
	dst = strconv.AppendInt(append(dst, " T"...), expireAt, 10)
	dst = strconv.AppendUint(append(dst, " F"...), uint64(flags), 10)
	if quiet {
		dst = append(dst, " q"...)
	}
	return append(dst, '\r', '\n'), nil
}

// checkExpiry refuses what an engine would take for something else.
func checkExpiry(key []byte, expireAt int64) error {
	if expireAt != 0 && (expireAt <= 365*24*3600 || expireAt > MaxExpiry) {
		return fmt.Errorf("memcache: the expiry %d of %.300q is none that an engine takes: it ends at %d", expireAt, key, int64(MaxExpiry))
	}
	return nil
}
