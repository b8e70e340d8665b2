package memcache

import "bytes"

// parseValue reads the line that announces a value: VA <size> <flag>*. The size is at most MaxValue.
func parseValue(line []byte, v *Value) (size int, err error) {
	rest, ok := bytes.CutPrefix(line, []byte("VA "))
	if !ok {
		if isError(line) {
			return 0, &ReplyError{string(line)}
		}
		return 0, protocolError("to mg", line)
	}
	word, rest := cutWord(rest)
	n, ok := number(word)
	if !ok || n > MaxValue {
		return 0, protocolError("the size of a value", line)
	}
	*v = Value{TTL: -1}
	for len(rest) > 0 {
		word, rest = cutWord(rest)
		if len(word) == 0 {
			continue
		}
		var val uint64
		ok := true
		switch word[0] {
		case 'k':
			v.Token = word[1:]
			ok = len(v.Token) > 0 && len(v.Token) <= maxToken
		case 'b':
			v.Base64 = len(word) == 1
		case 'f':
			val, ok = number(word[1:])
			v.Flags = uint32(val)
			ok = ok && val <= 1<<32-1
		case 'c':
			v.CAS, ok = number(word[1:])
		case 't':
			if string(word) == "t-1" {
				break
			}
			val, ok = number(word[1:])
			v.TTL = int64(val)
			ok = ok && val < 1<<40
		}
		if !ok {
			return 0, protocolError("what belongs to a value", line)
		}
	}
	return int(n), nil
}

// Entry is an item as the crawler lists it.
type Entry struct {
	Key    []byte // valid until the next
	Expire int64  // Unix time of the server in seconds, -1 is never
	CAS    uint64
	Size   int64 // with what the server needs for itself
}

// ParseEntry reads a line of lru_crawler metadump. The key is decoded into e.Key's own memory. Fields that are not known are passed over.
func ParseEntry(line []byte, e *Entry) error {
	rest, ok := bytes.CutPrefix(line, []byte("key="))
	if !ok {
		return protocolError("to lru_crawler metadump", line)
	}
	word, rest := cutWord(rest)
	if e.Key, ok = appendUnescaped(e.Key[:0], word); !ok || len(e.Key) == 0 || len(e.Key) > MaxKey {
		return protocolError("the key in a line of lru_crawler metadump", line)
	}
	e.Expire, e.CAS, e.Size = 0, 0, -1
	for len(rest) > 0 {
		word, rest = cutWord(rest)
		var val uint64
		ok := true
		switch {
		case bytes.HasPrefix(word, []byte("exp=")):
			if string(word) == "exp=-1" {
				e.Expire = -1
				break
			}
			val, ok = number(word[4:])
			e.Expire = int64(val)
			ok = ok && val > 0 && val < 1<<40
		case bytes.HasPrefix(word, []byte("cas=")):
			e.CAS, ok = number(word[4:])
		case bytes.HasPrefix(word, []byte("size=")):
			val, ok = number(word[5:])
			e.Size = int64(val)
			ok = ok && val < 1<<40
		}
		if !ok {
			return protocolError("a field in a line of lru_crawler metadump", line)
		}
	}
	if e.Expire == 0 {
		return protocolError("no expiry in a line of lru_crawler metadump", line)
	}
	return nil
}

func cutWord(b []byte) (word, rest []byte) {
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// number reads a decimal number of 64 bits.
func number(b []byte) (n uint64, ok bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || n > (1<<64-1-d)/10 {
			return 0, false
		}
		n = n*10 + d
	}
	return n, true
}

// appendUnescaped decodes a key in which bytes stand as %XX.
func appendUnescaped(dst, src []byte) ([]byte, bool) {
	for {
		i := bytes.IndexByte(src, '%')
		if i < 0 {
			return append(dst, src...), true
		}
		dst = append(dst, src[:i]...)
		if len(src) < i+3 {
			return dst, false
		}
		hi, lo := hexDigit(src[i+1]), hexDigit(src[i+2])
		if hi > 15 || lo > 15 {
			return dst, false
		}
		dst = append(dst, hi<<4|lo)
		src = src[i+3:]
	}
}

func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// Metadump reads the reply to lru_crawler metadump and calls fn for each item. Its error ends the reading and is returned as it is. ErrBusy:
// the crawler has other work, nothing was listed.
func (r *Reader) Metadump(fn func(*Entry) error) error {
	var e Entry
	for first := true; ; first = false {
		line, err := r.Line()
		switch {
		case err != nil:
			return err
		case string(line) == "END":
			return nil
		case first && bytes.HasPrefix(line, []byte("BUSY")):
			return ErrBusy
		case isError(line), bytes.HasPrefix(line, []byte("BUSY")), bytes.HasPrefix(line, []byte("LOCKED")), bytes.HasPrefix(line, []byte("NOTSTARTED")):
			return &ReplyError{string(line)}
		}
		if err := ParseEntry(line, &e); err != nil {
			return err
		}
		if err := fn(&e); err != nil {
			return err
		}
	}
}
