package wire

import "unicode/utf8"

// legal tells whether XML 1.0 can carry the character.
func legal(r rune) bool {
	return r >= 0x20 && r <= 0xD7FF || r == '\t' || r == '\n' || r == '\r' || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= 0x10FFFF
}

// appendXMLText escapes s for element content. What XML cannot carry becomes U+FFFD, so that the document always parses.
func appendXMLText(b []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		var instead string
		width := 1
		switch {
		case c == '&':
			instead = "&amp;"
		case c == '<':
			instead = "&lt;"
		case c == '>':
			instead = "&gt;"
		case c == '"':
			instead = "&quot;"
		case c == '\r': // a parser would turn it into a newline
			instead = "&#xD;"
		case c >= 0x20 && c < utf8.RuneSelf || c == '\n' || c == '\t':
			i++
			continue
		default:
			var r rune
			r, width = utf8.DecodeRuneInString(s[i:])
			if legal(r) && !(r == utf8.RuneError && width == 1) {
				i += width
				continue
			}
			instead = "\uFFFD"
		}
		b = append(append(b, s[done:i]...), instead...)
		i += width
		done = i
	}
	return append(b, s[done:]...)
}

// appendElement writes <name>text</name>. The name is ours and needs no escaping.
func appendElement(b []byte, name, text string) []byte {
	b = appendStart(b, name)
	b = appendXMLText(b, text)
	return appendEnd(b, name)
}

func appendStart(b []byte, name string) []byte {
	b = append(append(b, '<'), name...)
	return append(b, '>')
}

func appendEnd(b []byte, name string) []byte {
	b = append(append(b, '<', '/'), name...)
	return append(b, '>')
}

func appendNamespace(b []byte, ns string) []byte {
	if ns == "" {
		return b
	}
	b = append(b, ` xmlns="`...)
	b = appendXMLText(b, ns)
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"

// appendJSONString writes s as a JSON string. Bytes that are not UTF-8 become U+FFFD.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, width := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || width > 1 {
				i += width
				continue
			}
			b = append(append(b, s[done:i]...), "\uFFFD"...)
		} else {
			b = append(append(b, s[done:i]...), '\\')
			switch c {
			case '"', '\\':
				b = append(b, c)
			case '\n':
				b = append(b, 'n')
			case '\t':
				b = append(b, 't')
			default:
				b = append(b, 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
		}
		i++
		done = i
	}
	return append(append(b, s[done:]...), '"')
}
