package keydiff

import (
	"hash/maphash"

	"github.com/keyframe/keyframe/rdb"
)

// Digester makes digests of values, for those who have too few to compare for a Diff. It must not be used by several goroutines at
// the same time.
type Digester struct{ h hasher }

// Digest stands for what a client can read of a value, as Diff sees it. Only those of one Digester can be compared, by ==.
type Digest struct {
	kind rdb.Kind
	of   hash128
}

// NewDigester draws the secrets of the digests.
func NewDigester() *Digester {
	return &Digester{hasher{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}}
}

// Of reads a value.
func (d *Digester) Of(v *rdb.Value) (Digest, error) {
	kind := v.Kind()
	of, err := d.h.value(v)
	return Digest{kind, of}, err
}
