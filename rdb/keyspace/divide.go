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
	class [256]byte // 0 none, else 1 strong or 2 weak
}

func newSeparators(chosen string) *separators {
	s := new(separators)
	if chosen == "" {
		for _, b := range []byte(weakSeparators) {
			s.class[b] = 2
		}
		chosen = strongSeparators
	}
	for _, b := range []byte(chosen) {
		s.class[b] = 1
	}
	return s
}

// cuts are the ends of a key's prefixes, each behind its separator.
type cuts struct {
	n    int
	ends [maxDepth]uint8
}

// cut fills in c.
func (s *separators) cut(c *cuts, key []byte) {
	if len(key) > maxPrefix {
		key = key[:maxPrefix]
	}
	strong, weak := 0, 0
	for i, b := range key {
		switch s.class[b] {
		case 0:
			continue
		case 1:
			if strong == maxDepth {
				c.n = strong
				return
			}
			c.ends[strong] = uint8(i + 1)
			strong++
		default:
			if strong == 0 && weak < maxDepth {
				c.ends[weak] = uint8(i + 1)
				weak++
			}
		}
	}
	c.n = strong
	if strong == 0 {
		c.n = weak
	}
}
