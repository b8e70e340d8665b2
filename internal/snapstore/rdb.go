package snapstore

import (
	"context"
	"fmt"
	"io"

	"github.com/keyframe/keyframe/rdb"
)

// scanRDB makes a walk over every record of a dump, which verifies its checksum and its exact end.
func scanRDB(o rdb.Options) ScanFunc {
	return func(_ context.Context, r io.Reader) (Scanned, error) {
		sc := rdb.NewScanner(r, o)
		sum, err := sc.Scan()
		if err != nil {
			return Scanned{}, err
		}
		if n, err := io.Copy(io.Discard, sc.Rest()); err != nil {
			return Scanned{}, err
		} else if n > 0 {
			return Scanned{}, fmt.Errorf("%d bytes after the end", n)
		}
		return Scanned{Keys: sum.Keys, Expiring: sum.Expiring, Bytes: sum.Bytes, CRC64: CRC64(sum.CRC), Version: sum.Version}, nil
	}
}

// SetRDB fills in what a scan of the shard's dump found, but for its parts.
func (s *Shard) SetRDB(sum *rdb.Summary) {
	s.Keys, s.Expiring, s.Bytes, s.CRC64 = sum.Keys, sum.Expiring, sum.Bytes, CRC64(sum.CRC)
	s.Functions, s.Databases, s.Types = sum.Functions, sum.Databases, map[int]int64{}
	for t, n := range sum.Types {
		if n > 0 {
			s.Types[t] = n
		}
	}
}

// CRC64 writes the checksum of a dump, trailer excluded, as manifests hold it.
func CRC64(sum uint64) string { return fmt.Sprintf("%016x", sum) }
