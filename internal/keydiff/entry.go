package keydiff

import (
	"encoding/binary"
	"errors"

	"github.com/keyframe/keyframe/rdb"
)

// keptKey is how much of a key is kept for people. Which key it is, its hash tells.
const keptKey = 1 << 10

type hash128 [2]uint64

// entry is one key of one side.
type entry struct {
	id, digest hash128 // of database and key; of the value
	size       int64
	expireAt   int64
	db         uint64
	kind       rdb.Kind
	keyLen     int64
	key        []byte // its start
}

// met is the first byte of an entry while partitions are joined, once the other side is seen to have the key.
const met = 1

const idAt = 1 // offset of the id

func (e *entry) append(p []byte) []byte {
	p = append(p, 0)
	for _, h := range [4]uint64{e.id[0], e.id[1], e.digest[0], e.digest[1]} {
		p = binary.LittleEndian.AppendUint64(p, h)
	}
	p = append(p, byte(e.kind))
	p = binary.AppendUvarint(p, uint64(e.size))
	p = binary.AppendVarint(p, e.expireAt)
	p = binary.AppendUvarint(p, e.db)
	p = binary.AppendUvarint(p, uint64(e.keyLen))
	p = binary.AppendUvarint(p, uint64(len(e.key)))
	return append(p, e.key...)
}

var errEntry = errors.New("keydiff: the temporary file changed")

// read decodes the entry at the start of p and returns its length. Its key is a slice of p.
func (e *entry) read(p []byte) (int, error) {
	const fixed = idAt + 4*8 + 1
	if len(p) < fixed {
		return 0, errEntry
	}
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(p[idAt+8*i:]) }
	*e = entry{id: hash128{word(0), word(1)}, digest: hash128{word(2), word(3)}, kind: rdb.Kind(p[fixed-1])}
	at, bad := fixed, false
	unsigned := func() uint64 {
		v, n := binary.Uvarint(p[at:])
		bad = bad || n <= 0
		at += max(n, 0)
		return v
	}
	e.size = int64(unsigned())
	expire, n := binary.Varint(p[at:])
	if n <= 0 {
		return 0, errEntry
	}
	at += n
	e.expireAt = expire
	e.db = unsigned()
	e.keyLen = int64(unsigned())
	k := unsigned()
	if bad || k > uint64(len(p)-at) {
		return 0, errEntry
	}
	e.key = p[at : at+int(k)]
	return at + int(k), nil
}
