package keyspace

const (
	maxDepth  = 8   // separators of a key that count
	maxPrefix = 128 // bytes of a key in which they are looked for

	strongSeparators = ":/|"
	weakSeparators   = "._-"
)

// separators finds the ends of a key's prefixes. If nobody has chosen, the weak
// ones count only in keys that have no strong one: otherwise every UUID in a key
// would make four prefixes that nobody means.
type separators struct {
	class [256]byte // which of these a byte is
}

const (
	strongSeparator = 1 << iota
	weakSeparator
	openingBrace // of a hash tag; found along the way
)

func newSeparators(chosen string) *separators {
	s := new(separators)
	if chosen == "" {
		for _, b := range []byte(weakSeparators) {
			s.class[b] = weakSeparator
		}
		chosen = strongSeparators
	}
	for _, b := range []byte(chosen) {
		s.class[b] = strongSeparator
	}
	s.class['{'] |= openingBrace
	return s
}

// cuts are the ends of a key's prefixes, each behind its separator.
type cuts struct {
	n    int
	ends [maxDepth]uint8
}

// cut fills in c, and returns where the first brace is, -1 if none is among the bytes
// that it looks at.
func (s *separators) cut(c *cuts, key []byte) (brace int) {
	if len(key) > maxPrefix {
		key = key[:maxPrefix]
	}
	strong, weak, brace := 0, 0, -1
	for i, b := range key {
		class := s.class[b]
		if class == 0 {
			continue
		}
		if class&openingBrace != 0 && brace < 0 {
			brace = i
		}
		if class&strongSeparator != 0 && strong < maxDepth {
			c.ends[strong] = uint8(i + 1)
			strong++
		}
		if class&weakSeparator != 0 && strong == 0 && weak < maxDepth {
			c.ends[weak] = uint8(i + 1)
			weak++
		}
	}
	c.n = strong
	if strong == 0 {
		c.n = weak
	}
	return brace
}
