package metastore

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/resource"
)

func TestCaches(t *testing.T) {
	t.Parallel()
	db := open(t)
	c := cacheNamed("one")
	update(t, db, func(tx *Tx) error { return tx.InsertCache(c) })

	clash := cacheNamed("one")
	err := db.Update(context.Background(), func(tx *Tx) error { return tx.InsertCache(clash) })
	wantKind(t, err, resource.AlreadyExists, resource.TypeCache)
	otherKind, otherRegion := cacheNamed("one"), cacheNamed("one")
	otherKind.Kind, otherRegion.Scope = resource.CacheCluster, west
	update(t, db, func(tx *Tx) error {
		if err := tx.InsertCache(otherKind); err != nil {
			return err
		}
		return tx.InsertCache(otherRegion)
	})

	view(t, db, func(tx *Tx) error {
		for name, find := range map[string]func() (*resource.Cache, error){
			"name": func() (*resource.Cache, error) { return tx.CacheByName(east, resource.Serverless, "one") },
			"id":   func() (*resource.Cache, error) { return tx.CacheByID(c.ID) },
		} {
			if got, err := find(); err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("by %s: %+v, %v", name, got, err)
			}
		}
		_, err := tx.CacheByName(west, resource.CacheCluster, "one")
		wantKind(t, err, resource.NotFound, resource.TypeCluster)
		_, err = tx.CacheByID("none")
		wantKind(t, err, resource.NotFound, resource.TypeCache)
		return nil
	})

	c.Status, c.SubnetIDs = resource.CacheAvailable, nil
	update(t, db, func(tx *Tx) error { return tx.UpdateCache(c) })
	renamed := *c
	renamed.Name = "two"
	err = db.Update(context.Background(), func(tx *Tx) error { return tx.UpdateCache(&renamed) })
	wantKind(t, err, resource.NotFound, resource.TypeCache)
	view(t, db, func(tx *Tx) error {
		if got, err := tx.CacheByID(c.ID); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("after the update: %+v, %v", got, err)
		}
		return nil
	})

	for range 2 { // the second deletes nothing
		update(t, db, func(tx *Tx) error { return tx.DeleteCache(c.ID) })
	}
	view(t, db, func(tx *Tx) error {
		_, err := tx.CacheByID(c.ID)
		wantKind(t, err, resource.NotFound, resource.TypeCache)
		return nil
	})
	update(t, db, func(tx *Tx) error { return tx.InsertCache(clash) }) // the name is free again
}

func TestCachesInPages(t *testing.T) {
	t.Parallel()
	db := open(t)
	const n = 600 // more than two pages of AllCaches
	update(t, db, func(tx *Tx) error {
		for i := range n {
			if err := tx.InsertCache(cacheNamed(fmt.Sprintf("c%03d", (i*7)%n))); err != nil {
				return err
			}
		}
		elsewhere := cacheNamed("c000")
		elsewhere.Scope = west
		return tx.InsertCache(elsewhere)
	})
	view(t, db, func(tx *Tx) error {
		if got, err := tx.CountCaches(east, resource.Serverless); got != n || err != nil {
			t.Errorf("counted %d, %v", got, err)
		}
		page, err := tx.Caches(east, resource.Serverless, "c100", 3)
		if err != nil || len(page) != 3 || page[0].Name != "c101" || page[2].Name != "c103" {
			t.Errorf("page is %v, %v", page, err)
		}
		if all, err := tx.Caches(east, resource.Serverless, "", 0); len(all) != n || err != nil {
			t.Errorf("listed %d, %v", len(all), err)
		}
		return nil
	})
	update(t, db, func(tx *Tx) error {
		seen := map[string]bool{}
		for c, err := range tx.AllCaches() {
			if err != nil {
				return err
			}
			seen[c.ID] = true
			if err := tx.SetSetting("last", c.ID); err != nil { // the body may use the transaction
				return err
			}
		}
		if len(seen) != n+1 {
			t.Errorf("walked %d caches, want %d", len(seen), n+1)
		}
		for range tx.AllCaches() {
			break
		}
		return nil
	})
}

func TestNodes(t *testing.T) {
	t.Parallel()
	db := open(t)
	node := func(cache, host string) *resource.Node {
		return &resource.Node{ID: NewID(noon), CacheID: cache, Shard: "0001", Primary: true, Host: host, Address: "127.0.0.2", Port: 6379, Slots: resource.AllSlots}
	}
	a1, a2, b1 := node("a", "h1"), node("a", "h2"), node("b", "h1")
	update(t, db, func(tx *Tx) error {
		for _, n := range []*resource.Node{a2, b1, a1} {
			if err := tx.InsertNode(&resource.Cache{ID: n.CacheID}, n); err != nil {
				return err
			}
		}
		a2.Port, a2.Host = 7000, "h3"
		return tx.UpdateNode(a2)
	})
	err := db.Update(context.Background(), func(tx *Tx) error { return tx.UpdateNode(node("a", "h1")) })
	wantKind(t, err, resource.NotFound, resource.TypeCluster)
	check := func(what string, got []*resource.Node, err error, want ...*resource.Node) {
		t.Helper()
		if err != nil || !slices.EqualFunc(got, want, func(a, b *resource.Node) bool { return reflect.DeepEqual(a, b) }) {
			t.Errorf("%s: %d nodes, %v", what, len(got), err)
		}
	}
	view(t, db, func(tx *Tx) error {
		got, err := tx.NodesOf("a")
		check("of a", got, err, a1, a2)
		got, err = tx.Nodes("h1")
		check("on h1", got, err, a1, b1)
		got, err = tx.Nodes("h2")
		check("on h2", got, err)
		got, err = tx.Nodes("h3")
		check("on h3", got, err, a2)
		return nil
	})
	update(t, db, func(tx *Tx) error { return tx.DeleteNodes("a") })
	view(t, db, func(tx *Tx) error {
		got, err := tx.NodesOf("a")
		check("of a deleted", got, err)
		got, err = tx.NodesOf("b")
		check("of b", got, err, b1)
		return nil
	})
}

func TestTags(t *testing.T) {
	t.Parallel()
	db := open(t)
	list := func(arn string, want ...resource.Tag) {
		t.Helper()
		view(t, db, func(tx *Tx) error {
			if got, err := tx.Tags(arn); err != nil || !slices.Equal(got, want) {
				t.Errorf("tags of %s are %v, %v", arn, got, err)
			}
			return nil
		})
	}
	tag := func(k, v string) resource.Tag { return resource.Tag{Key: k, Value: v} }
	update(t, db, func(tx *Tx) error {
		if err := tx.SetTags("x", []resource.Tag{tag("b", ""), tag("a", "1"), tag("B", "2"), tag("é", "3"), tag("aws:by", "us")}); err != nil {
			return err
		}
		return tx.SetTags("y", []resource.Tag{tag("a", "other")})
	})
	list("x", tag("B", "2"), tag("a", "1"), tag("aws:by", "us"), tag("b", ""), tag("é", "3"))
	update(t, db, func(tx *Tx) error { return tx.SetTags("x", []resource.Tag{tag("a", "new"), tag("c", "4")}) })
	view(t, db, func(tx *Tx) error {
		if n, err := tx.CountTags("x"); n != 5 || err != nil {
			t.Errorf("counted %d, %v", n, err)
		}
		return nil
	})
	update(t, db, func(tx *Tx) error { return tx.RemoveTags("x", []string{"b", "B", "none", "é"}) })
	list("x", tag("a", "new"), tag("aws:by", "us"), tag("c", "4"))
	update(t, db, func(tx *Tx) error { return tx.ReplaceTags("x", []resource.Tag{tag("z", "5")}) })
	list("x", tag("z", "5"))
	update(t, db, func(tx *Tx) error { return tx.DeleteTags("x") })
	list("x")
	list("y", tag("a", "other"))
}

func TestLedger(t *testing.T) {
	t.Parallel()
	db := open(t)
	update(t, db, func(tx *Tx) error {
		for i := range 5 {
			if err := tx.RecordTaken("c", fmt.Sprint("s", i), noon.Add(time.Duration(i)*time.Hour)); err != nil {
				return err
			}
		}
		if err := tx.RecordTaken("c", "s4", noon); err != nil { // twice is once
			return err
		}
		return tx.RecordTaken("other", "o", noon)
	})
	count := func(since time.Time, want int) {
		t.Helper()
		view(t, db, func(tx *Tx) error {
			if got, err := tx.CountTaken("c", since); got != want || err != nil {
				t.Errorf("since %s: %d, %v; want %d", since, got, err, want)
			}
			return nil
		})
	}
	count(noon.Add(-time.Hour), 5)
	count(noon, 4) // exactly a day ago counts no more
	count(noon.Add(90*time.Minute), 3)
	update(t, db, func(tx *Tx) error { return tx.ForgetTaken("s3") })
	count(noon.Add(-time.Hour), 4)
	update(t, db, func(tx *Tx) error {
		n, err := tx.PruneTaken(noon.Add(time.Hour))
		if n != 2 {
			t.Errorf("pruned %d", n)
		}
		return err
	})
	count(noon.Add(-time.Hour), 3)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	db := open(t)
	update(t, db, func(tx *Tx) error {
		if _, ok, err := tx.Setting("a"); ok || err != nil {
			t.Errorf("an unset setting: %v %v", ok, err)
		}
		for _, v := range []string{"1", ""} {
			if err := tx.SetSetting("a", v); err != nil {
				return err
			}
			if got, ok, err := tx.Setting("a"); got != v || !ok || err != nil {
				t.Errorf("setting is %q %v %v", got, ok, err)
			}
		}
		return nil
	})
}
