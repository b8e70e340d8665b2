package memcache

import "bytes"

// parseValue reads the line that announces a value: VA <size> <flag>*. The size is at most MaxValue.
func parseValue(line []byte, v *Value) (size int, err error) {
	if len(line) < 4 || string(line[:3]) != "VA " {
		if isError(line) {
			return 0, &ReplyError{string(line)}
		}
		return 0, protocolError("to mg", line)
	}
	n, at, ok := numberAt(line, 3)
	if !ok || n > MaxValue {
		return 0, protocolError("the size of a value", line)
	}
	v.Token, v.Base64, v.Flags, v.TTL, v.CAS = nil, false, 0, -1, 0
	for at < len(line) {
		c := line[at]
		at++
		var val uint64
		ok := true
		switch c {
		case ' ':
			continue
		case 'k':
			end := wordEnd(line, at)
			v.Token, at = line[at:end], end
			ok = len(v.Token) > 0 && len(v.Token) <= maxToken
		case 'b':
			v.Base64 = at == len(line) || line[at] == ' '
			at = wordEnd(line, at)
		case 'f':
			val, at, ok = numberAt(line, at)
			v.Flags = uint32(val)
			ok = ok && val <= 1<<32-1
		case 'c':
			v.CAS, at, ok = numberAt(line, at)
		case 't':
			if end := wordEnd(line, at); string(line[at:end]) == "-1" {
				at = end
				break
			}
			val, at, ok = numberAt(line, at)
			v.TTL = int64(val)
			ok = ok && val < 1<<40
		default:
			at = wordEnd(line, at)
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
}

// ParseEntry reads a line of lru_crawler metadump. The key is decoded into e.Key's own memory. Other fields are passed over.
func ParseEntry(line []byte, e *Entry) error {
	if len(line) < 4 || string(line[:4]) != "key=" {
		return protocolError("to lru_crawler metadump", line)
	}
	at := wordEnd(line, 4)
	var ok bool
	if e.Key, ok = appendUnescaped(e.Key[:0], line[4:at]); !ok || len(e.Key) == 0 || len(e.Key) > MaxKey {
		return protocolError("the key in a line of lru_crawler metadump", line)
	}
	e.Expire, e.CAS = 0, 0
	for at < len(line) {
		var val uint64
		rest, ok := line[at:], true
		switch {
		case rest[0] == ' ':
			at++
			continue
		case len(rest) > 4 && string(rest[:4]) == "exp=":
			if end := wordEnd(line, at); string(line[at+4:end]) == "-1" {
				e.Expire, at = -1, end
				break
			}
			val, at, ok = numberAt(line, at+4)
			e.Expire = int64(val)
			ok = ok && val > 0 && val < 1<<40
		case len(rest) > 4 && string(rest[:4]) == "cas=":
			if e.CAS, at, ok = numberAt(line, at+4); ok && e.Expire != 0 {
				return nil // what follows is not needed
			}
		default:
			at = wordEnd(line, at)
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

// wordEnd is where the word that goes on at an index ends.
func wordEnd(b []byte, at int) int {
	for at < len(b) && b[at] != ' ' {
		at++
	}
	return at
}

// numberAt reads a decimal number of 64 bits that begins at an index and is a whole word, or the rest of one.
func numberAt(b []byte, at int) (n uint64, end int, ok bool) {
	for end = at; end < len(b) && b[end] != ' '; end++ {
		d := uint64(b[end] - '0')
		if d > 9 || end-at >= 19 && (end-at > 19 || n > (1<<64-1-d)/10) {
			return 0, end, false
		}
		n = n*10 + d
	}
	return n, end, end > at
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
