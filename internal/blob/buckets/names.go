package buckets

import (
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// MaxKey is the greatest length of a key, in bytes.
const MaxKey = 1024

// ValidName reports whether s is a DNS-compliant bucket name: 3 to 63 lower-case letters, digits, dots and hyphens in labels that
// begin and end with a letter or digit, not an IP address.
func ValidName(s string) bool {
	if len(s) < 3 || len(s) > 63 || ipLike(s) {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return !strings.HasPrefix(s, "xn--") && !strings.HasSuffix(s, "-s3alias")
}

func ipLike(s string) bool {
	return strings.Count(s, ".") == 3 && strings.Trim(s, "0123456789.") == ""
}

func checkKey(key string) error {
	if key == "" || len(key) > MaxKey {
		return ErrKeyLength
	}
	if !utf8.ValidString(key) {
		return ErrInvalidKey
	}
	return nil
}

// A key is cut at its slashes. Each piece becomes the name of a directory, the last one that of a file:
//
//	d<piece>  a piece that a slash follows
//	o<piece>  the last piece, which may be empty
//	c<80 bytes of a piece>  a directory that holds the rest of a piece that has 80 bytes or more
//
// In a piece every byte but lower-case letters, digits, '.', '_' and '-' is written %xx. So no name is longer than 241 bytes, none is
// "." or "..", "a" and "a/b" do not meet, and file systems that fold case or normalise Unicode do no harm.
const (
	kindDir    = 'd'
	kindObject = 'o'
	kindChunk  = 'c'

	chunkSize = 80
)

const hexDigits = "0123456789abcdef"

func plain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

func escape(kind byte, piece string) string {
	var b strings.Builder
	b.WriteByte(kind)
	for i := 0; i < len(piece); i++ {
		if c := piece[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// unescape is the inverse of escape. It reports false for a name that escape never makes.
func unescape(name string) (kind byte, piece string, ok bool) {
	if name == "" {
		return 0, "", false
	}
	kind = name[0]
	if kind != kindDir && kind != kindObject && kind != kindChunk {
		return 0, "", false
	}
	var b strings.Builder
	for i := 1; i < len(name); i++ {
		if c := name[i]; plain(c) {
			b.WriteByte(c)
			continue
		} else if c != '%' || i+2 >= len(name) {
			return 0, "", false
		}
		hi, lo := strings.IndexByte(hexDigits, name[i+1]), strings.IndexByte(hexDigits, name[i+2])
		if hi < 0 || lo < 0 || plain(byte(hi<<4|lo)) {
			return 0, "", false
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	piece = b.String()
	if (kind == kindChunk) != (len(piece) == chunkSize) || len(piece) > chunkSize || strings.Contains(piece, "/") {
		return 0, "", false
	}
	return kind, piece, true
}

// keyPath is the path of an object below the directory of its bucket's objects.
func keyPath(key string) string {
	var names []string
	for {
		piece, rest, more := strings.Cut(key, "/")
		for len(piece) >= chunkSize {
			names = append(names, escape(kindChunk, piece[:chunkSize]))
			piece = piece[chunkSize:]
		}
		if !more {
			return filepath.Join(append(names, escape(kindObject, piece))...)
		}
		names = append(names, escape(kindDir, piece))
		key = rest
	}
}
