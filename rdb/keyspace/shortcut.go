package keyspace

import "encoding/binary"

const (
	shortcutBits = 6
	shortcuts    = 1 << shortcutBits // of a sketch
)

// A shortcut leads from a whole prefix that comes often to its node, without a look
// at the shorter ones. It fills a cache line.
type shortcut struct {
	at   uint32 // 0 leads nowhere
	size uint8
	text [59]byte
}

// shortcutOf is the place of a prefix's shortcut.
func shortcutOf(prefix []byte) uint64 {
	var end uint64
	if len(prefix) >= 8 {
		end = binary.LittleEndian.Uint64(prefix[len(prefix)-8:])
	} else {
		for _, b := range prefix {
			end = end<<8 | uint64(b)
		}
	}
	return (end ^ uint64(len(prefix))) * 0x9e3779b97f4a7c15 >> (64 - shortcutBits)
}

// to is the node of a prefix, 0 if the shortcut is another's.
func (s *shortcut) to(prefix []byte) uint32 {
	if int(s.size) == len(prefix) && string(s.text[:s.size]) == string(prefix) {
		return s.at
	}
	return 0
}

// set makes it the shortcut of a prefix, unless that is too long.
func (s *shortcut) set(prefix []byte, at uint32) {
	if len(prefix) <= len(s.text) {
		s.at, s.size = at, uint8(copy(s.text[:], prefix))
	}
}
