package metastore

import (
	"context"
	"fmt"
	"testing"

	"github.com/keyframe/keyframe/internal/resource"
)

func BenchmarkInsertSnapshot(b *testing.B) {
	db := open(b)
	cache := cacheNamed("c")
	n := 0
	for b.Loop() {
		n++
		s := snapshotNamed(fmt.Sprintf("s%09d", n), cache)
		if err := db.Update(context.Background(), func(tx *Tx) error { return tx.InsertSnapshot(s) }); err != nil {
			b.Fatal(err)
		}
	}
}

// fill inserts n snapshots of ten caches, every fourth automated.
func fill(b *testing.B, db *DB, n int) {
	b.Helper()
	update(b, db, func(tx *Tx) error {
		for i := range n {
			s := snapshotNamed(fmt.Sprintf("s%09d", (i*7919)%n), cacheNamed(fmt.Sprint("c", i%10)))
			if i%4 == 0 {
				s.Type = resource.Automated
			}
			if err := tx.InsertSnapshot(s); err != nil {
				return err
			}
		}
		return nil
	})
}

func BenchmarkGetSnapshot(b *testing.B) {
	db := open(b)
	fill(b, db, 100_000)
	i := 0
	for b.Loop() {
		i = (i + 7919) % 100_000
		err := db.View(context.Background(), func(tx *Tx) error {
			_, err := tx.SnapshotByName(east, "serverless", fmt.Sprintf("s%09d", i))
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPageOf50(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint("of", n), func(b *testing.B) {
			db := open(b)
			fill(b, db, n)
			for name, f := range map[string]SnapshotFilter{"all": {}, "cache": {CacheName: "c3"}, "type": {Type: resource.Automated},
				"both": {CacheName: "c4", Type: resource.Automated}} {
				b.Run(name, func(b *testing.B) {
					f.Scope, f.Space, f.AfterName, f.Limit = east, "serverless", fmt.Sprintf("s%09d", n/3), 50
					if name == "both" {
						f.AfterName = ""
					}
					for b.Loop() {
						err := db.View(context.Background(), func(tx *Tx) error {
							page, err := tx.Snapshots(f)
							if len(page) != 50 && n > 1000 {
								b.Errorf("%d in the page", len(page))
							}
							return err
						})
						if err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}
