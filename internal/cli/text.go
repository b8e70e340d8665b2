package cli

import (
	"bufio"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escaped writes bytes out for people: what is printable stays, all else becomes \n, \r, \t or \xHH, and a backslash two.
func escaped(b []byte) string {
	var w strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == '\\':
			w.WriteString(`\\`)
		case r == '\n':
			w.WriteString(`\n`)
		case r == '\r':
			w.WriteString(`\r`)
		case r == '\t':
			w.WriteString(`\t`)
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r):
			for _, c := range b[:n] {
				fmt.Fprintf(&w, `\x%02x`, c)
			}
		default:
			w.Write(b[:n])
		}
		b = b[n:]
	}
	return w.String()
}

// writeEscaped writes what escaped returns, piece by piece: of what is large that can be four times as much.
func writeEscaped(out *bufio.Writer, b []byte) {
	const piece = 16 << 10
	for len(b) > piece {
		cut := piece
		if last := lastRune(b[:piece]); !utf8.FullRune(b[last:piece]) { // it goes on in the next piece
			cut = last
		}
		if _, err := out.WriteString(escaped(b[:cut])); err != nil {
			return // bufio keeps the error for the next write
		}
		b = b[cut:]
	}
	out.WriteString(escaped(b))
}

// unescaped is the inverse of escaped.
func unescaped(s string) ([]byte, error) {
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b = append(b, s[i])
			continue
		}
		i++
		if i == len(s) {
			return nil, errors.New("a backslash at the end")
		}
		switch s[i] {
		case 'n':
			b = append(b, '\n')
		case 'r':
			b = append(b, '\r')
		case 't':
			b = append(b, '\t')
		case '\\', '"':
			b = append(b, s[i])
		case 'x':
			if i+2 >= len(s) {
				return nil, errors.New(`\x without two digits`)
			}
			c, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return nil, fmt.Errorf(`\x%s is not two hexadecimal digits`, s[i+1:i+3])
			}
			b = append(b, byte(c))
			i += 2
		default:
			return nil, fmt.Errorf(`\%c means nothing; a backslash is written as two`, s[i])
		}
	}
	return b, nil
}

// shortened is escaped for one column: what is too long ends in dots.
func shortened(b []byte, most int) string {
	if len(b) <= most {
		return escaped(b)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(b[cut]) {
		cut--
	}
	return escaped(b[:cut]) + "…"
}
