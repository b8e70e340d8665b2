package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/metastore"
)

func TestSnapshotLife(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c, ctx := s.as("default", "us-east-1"), context.Background()
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("Orders", func(in *elasticache.CreateServerlessCacheInput) {
		in.SnapshotRetentionLimit, in.DailySnapshotTime = aws.Int32(2), aws.String(time.Now().UTC().Add(-2*time.Minute).Format("15:04"))
		in.Tags = []types.Tag{{Key: aws.String("team"), Value: aws.String("blue")}, {Key: aws.String("empty"), Value: aws.String("")}}
	}))
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("plain"))
	cache := c.status(t, "orders", "available")
	c.status(t, "plain", "available")
	if _, err := dataset.Fill(ctx, dataset.At(address(cache)), dataset.Spec{Keys: 300, Seed: 1}); err != nil {
		t.Fatal(err)
	}

	t.Run("fields", func(t *testing.T) { fieldsOfSnapshots(t, c) })
	t.Run("automated", func(t *testing.T) { automatedSnapshots(t, s, c) })
	t.Run("pages", func(t *testing.T) { pagesOfSnapshots(t, c) })
	t.Run("uses", func(t *testing.T) { snapshotsInUse(t, c) })
	t.Run("final", func(t *testing.T) { finalSnapshots(t, c) })
}

// Each phase shows its fields and no others.
func fieldsOfSnapshots(t *testing.T, c *client) {
	before := time.Now().Add(-time.Second)
	made := ok[*types.ServerlessCacheSnapshot](t)(c.newSnapshot("ORDERS", "Orders-1"))
	check := func(got *types.ServerlessCacheSnapshot, name, status string) {
		t.Helper()
		config := got.ServerlessCacheConfiguration
		if *got.ServerlessCacheSnapshotName != name || *got.ARN != "arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:"+name ||
			*got.SnapshotType != "manual" || *got.Status != status || got.ExpiryTime != nil || got.KmsKeyId != nil ||
			*config.ServerlessCacheName != "orders" || *config.Engine != "valkey" || *config.MajorEngineVersion != "8" {
			t.Errorf("%s while %s: %+v %+v", name, status, *got, *config)
		}
	}
	check(made, "orders-1", "creating")
	if made.CreateTime != nil || made.BytesUsedForCache != nil {
		t.Errorf("creating shows %v and %v", made.CreateTime, made.BytesUsedForCache)
	}
	done := c.snapshotIn(t, "orders-1", "available", "failed")
	check(done, "orders-1", "available")
	if n, err := strconv.ParseInt(*done.BytesUsedForCache, 10, 64); err != nil || n < 1000 {
		t.Errorf("size %q", *done.BytesUsedForCache)
	}
	if at := *done.CreateTime; at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("the instant is %v", at)
	}

	copied := ok[*types.ServerlessCacheSnapshot](t)(c.copy("ORDERS-1", "Orders-2"))
	check(copied, "orders-2", "creating")
	if copied.CreateTime != nil || copied.BytesUsedForCache != nil {
		t.Errorf("a copy in the making shows %v and %v", copied.CreateTime, copied.BytesUsedForCache)
	}
	done2 := c.snapshotIn(t, "orders-2", "available", "failed")
	check(done2, "orders-2", "available")
	if *done2.BytesUsedForCache != *done.BytesUsedForCache || !done2.CreateTime.Equal(*done.CreateTime) {
		t.Errorf("the copy shows %s of %v", *done2.BytesUsedForCache, done2.CreateTime)
	}

	c.snapshotIn(t, "orders-1", "available")
	deleted := ok[*types.ServerlessCacheSnapshot](t)(c.deleteSnapshot("Orders-1"))
	check(deleted, "orders-1", "deleting")
	c.snapshotGone(t, "orders-1")
	wantEvent(t, c.events(t, "serverless-cache-snapshot", "orders-1"), "Snapshot orders-1 created for cache orders.")
	if _, err := c.ListTagsForResource(context.Background(), &elasticache.ListTagsForResourceInput{ResourceName: made.ARN}); err == nil {
		t.Error("the tags of a deleted snapshot can be listed")
	}
	// The name is free again, and the copy is not hurt by the end of its source.
	c.take(t, "orders", "orders-1")
	check(c.snapshotIn(t, "orders-2", "available"), "orders-2", "available")
}

// age makes a cache older, as nobody can wait for its daily snapshot. The server stands still meanwhile.
func (s *server) age(t *testing.T, name string, by time.Duration) {
	t.Helper()
	s.stop()
	db := ok[*metastore.DB](t)(metastore.Open(context.Background(), filepath.Join(s.dir, "keyframe.db")))
	defer s.start()
	defer db.Close()
	err := db.Update(context.Background(), func(tx *metastore.Tx) error {
		for cache, err := range tx.AllCaches() {
			if err != nil {
				return err
			}
			if cache.Name == name {
				cache.CreatedAt = cache.CreatedAt.Add(-by)
				return tx.UpdateCache(cache)
			}
		}
		return fmt.Errorf("no cache %s", name)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func automatedSnapshots(t *testing.T, s *server, c *client) {
	s.age(t, "orders", time.Hour)
	*c = *s.as("default", "us-east-1") // the address changed
	var daily types.ServerlessCacheSnapshot
	until(t, "the daily snapshot", func() (bool, error) {
		out, err := c.DescribeServerlessCacheSnapshots(context.Background(), &elasticache.DescribeServerlessCacheSnapshotsInput{SnapshotType: aws.String("automated")})
		if err != nil || len(out.ServerlessCacheSnapshots) == 0 {
			return false, err
		}
		daily = out.ServerlessCacheSnapshots[0]
		return *daily.Status == "available", nil
	})
	day := time.Now().UTC().Format("2006-01-02")
	if name := *daily.ServerlessCacheSnapshotName; !strings.HasPrefix(name, "automatic.orders-") || !strings.Contains(name, day[:4]) {
		t.Errorf("it is called %s", name)
	}
	if *daily.SnapshotType != "automated" || daily.ExpiryTime == nil || daily.ExpiryTime.Sub(*daily.CreateTime).Round(time.Hour) != 48*time.Hour {
		t.Errorf("it shows %+v", daily)
	}
	wantTags(t, c, *daily.ARN, "empty=", "team=blue")
	// It can be copied; the copy is manual and never expires. It can be restored under its name, which no user could give.
	ok[*types.ServerlessCacheSnapshot](t)(c.copy(*daily.ServerlessCacheSnapshotName, "kept"))
	kept := c.snapshotIn(t, "kept", "available", "failed")
	if *kept.SnapshotType != "manual" || kept.ExpiryTime != nil {
		t.Errorf("the copy shows %+v", kept)
	}
	wantTags(t, c, *kept.ARN, "empty=", "team=blue")
	ok[*types.ServerlessCacheSnapshot](t)(c.copy("kept", "tagged", func(in *elasticache.CopyServerlessCacheSnapshotInput) {
		in.Tags = []types.Tag{{Key: aws.String("own")}}
	}))
	wantTags(t, c, "arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:tagged", "own=")
}

// names lists what a describe finds, over all its pages.
func (c *client) names(t *testing.T, in *elasticache.DescribeServerlessCacheSnapshotsInput) (names []string) {
	t.Helper()
	pages := elasticache.NewDescribeServerlessCacheSnapshotsPaginator(c.Client, in)
	for pages.HasMorePages() {
		page := ok[*elasticache.DescribeServerlessCacheSnapshotsOutput](t)(pages.NextPage(context.Background()))
		if most := 50; len(page.ServerlessCacheSnapshots) > most || in.MaxResults != nil && len(page.ServerlessCacheSnapshots) > int(*in.MaxResults) {
			t.Errorf("a page of %d", len(page.ServerlessCacheSnapshots))
		}
		for _, s := range page.ServerlessCacheSnapshots {
			names = append(names, *s.ServerlessCacheSnapshotName)
		}
	}
	return names
}

func pagesOfSnapshots(t *testing.T, c *client) {
	ctx := context.Background()
	c.take(t, "plain", "plain-1")
	for i := range 52 {
		ok[*types.ServerlessCacheSnapshot](t)(c.copy("plain-1", fmt.Sprintf("page-%02d", i)))
	}
	c.snapshotIn(t, "page-51", "available")
	all := c.names(t, &elasticache.DescribeServerlessCacheSnapshotsInput{})
	if len(all) != 58 || !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != 58 { // automated, kept, orders-1, orders-2, 52 pages, plain-1, tagged
		t.Errorf("%d snapshots: %q", len(all), all)
	}
	for _, most := range []int32{1, 7, 29, 50} {
		if got := c.names(t, &elasticache.DescribeServerlessCacheSnapshotsInput{MaxResults: &most}); !slices.Equal(got, all) {
			t.Errorf("pages of %d list %q", most, got)
		}
	}
	automated := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return !strings.HasPrefix(n, "automatic.") })
	manual := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return strings.HasPrefix(n, "automatic.") })
	for filter, want := range map[string][]string{"manual": manual, "user": manual, "automated": automated, "system": automated} {
		if got := c.names(t, &elasticache.DescribeServerlessCacheSnapshotsInput{SnapshotType: &filter, MaxResults: aws.Int32(20)}); !slices.Equal(got, want) {
			t.Errorf("%s lists %q, want %q", filter, got, want)
		}
	}
	ofPlain := slices.DeleteFunc(slices.Clone(all), func(n string) bool { return !strings.HasPrefix(n, "page-") && n != "plain-1" })
	if got := c.names(t, &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheName: aws.String("PLAIN"), MaxResults: aws.Int32(11)}); !slices.Equal(got, ofPlain) {
		t.Errorf("of plain: %q", got)
	}
	if got := c.names(t, &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheName: aws.String("plain"), SnapshotType: aws.String("automated")}); len(got) != 0 {
		t.Errorf("automated of plain: %q", got)
	}
	if got := c.names(t, &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheName: aws.String("orders"), ServerlessCacheSnapshotName: aws.String("plain-1")}); len(got) != 0 {
		t.Errorf("plain-1 of orders: %q", got)
	}
	for _, bad := range []*elasticache.DescribeServerlessCacheSnapshotsInput{
		{MaxResults: aws.Int32(0)}, {MaxResults: aws.Int32(51)}, {MaxResults: aws.Int32(-1)},
		{NextToken: aws.String("page-10")}, {NextToken: aws.String("YWZ0ZXI")}, {NextToken: aws.String("!")}, {NextToken: aws.String(strings.Repeat("A", 5000))},
		{SnapshotType: aws.String("daily")},
	} {
		_, err := c.DescribeServerlessCacheSnapshots(ctx, bad)
		wantFault[invalidValue](t, err, 400)
	}
	for _, bad := range []*elasticache.DescribeServerlessCachesInput{{MaxResults: aws.Int32(0)}, {MaxResults: aws.Int32(101)}, {NextToken: aws.String("x")}} {
		_, err := c.DescribeServerlessCaches(ctx, bad)
		wantFault[invalidValue](t, err, 400)
	}
	first := ok[*elasticache.DescribeServerlessCachesOutput](t)(c.DescribeServerlessCaches(ctx, &elasticache.DescribeServerlessCachesInput{MaxResults: aws.Int32(1)}))
	second := ok[*elasticache.DescribeServerlessCachesOutput](t)(c.DescribeServerlessCaches(ctx, &elasticache.DescribeServerlessCachesInput{MaxResults: aws.Int32(1), NextToken: first.NextToken}))
	if *first.ServerlessCaches[0].ServerlessCacheName != "orders" || *second.ServerlessCaches[0].ServerlessCacheName != "plain" || second.NextToken != nil {
		t.Errorf("caches: %v then %v", first, second)
	}
}

// While something reads a snapshot it shows so; further readers are welcome, and it cannot be deleted.
func snapshotsInUse(t *testing.T, c *client) {
	c.newBucket(t, "in-use")
	exporting := ok[*types.ServerlessCacheSnapshot](t)(c.export("kept", "in-use"))
	if *exporting.Status != "copying" {
		t.Errorf("an exported snapshot shows %s", *exporting.Status)
	}
	arn := *exporting.ARN
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("restored", from(arn)))
	if got := ok[*types.ServerlessCacheSnapshot](t)(c.snapshot("kept")); *got.Status != "restoring" || got.CreateTime == nil || got.BytesUsedForCache == nil {
		t.Errorf("a snapshot that is restored shows %+v", got)
	}
	_, err := c.deleteSnapshot("kept")
	wantFault[snapshotState](t, err, 400, "kept", "restoring")
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("restored-2", from(arn)))
	ok[*types.ServerlessCacheSnapshot](t)(c.copy("kept", "kept-2"))
	for _, name := range []string{"restored", "restored-2"} {
		cache := c.status(t, name, "available", "create-failed")
		if *cache.Status != "available" {
			t.Fatalf("%s: %q", name, c.events(t, "serverless-cache", name))
		}
		wantEvent(t, c.events(t, "serverless-cache", name), "Cache "+name+" is created and data was restored from snapshot. Your cache is ready to use.")
		if got, want := do(t, address(cache), "GET", "nothing"), ""; got != want {
			t.Errorf("read %q", got)
		}
	}
	if got := ok[*types.ServerlessCacheSnapshot](t)(c.snapshot("kept")); *got.Status != "available" {
		t.Errorf("when all is done it shows %s", *got.Status)
	}
}

// A cache that is deleted takes its automated snapshots with it; manual ones and the final one stay, and are found by its name.
func finalSnapshots(t *testing.T, c *client) {
	ctx := context.Background()
	cache := c.status(t, "orders", "available")
	_, err := c.DeleteServerlessCache(ctx, &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("orders"), FinalSnapshotName: aws.String("kept")})
	wantFault[snapshotExists](t, err, 400, "kept")
	if _, err := dataset.Fill(ctx, dataset.At(address(cache)), dataset.Spec{Keys: 50, Seed: 2}); err != nil { // newer than every snapshot
		t.Fatal(err)
	}
	want := digest(t, address(cache))
	out := ok[*elasticache.DeleteServerlessCacheOutput](t)(c.DeleteServerlessCache(ctx, &elasticache.DeleteServerlessCacheInput{
		ServerlessCacheName: aws.String("Orders"), FinalSnapshotName: aws.String("Orders-Final")}))
	if *out.ServerlessCache.Status != "deleting" {
		t.Errorf("the answer shows %s", *out.ServerlessCache.Status)
	}
	_, err = c.newSnapshot("orders", "too-late")
	wantFault[cacheState](t, err, 400, "deleting")
	c.gone(t, "orders")
	final := c.snapshotIn(t, "orders-final", "available", "failed")
	if *final.Status != "available" || *final.SnapshotType != "manual" {
		t.Errorf("the final snapshot is %+v", final)
	}
	wantTags(t, c, *final.ARN, "empty=", "team=blue")
	wantEvent(t, c.events(t, "serverless-cache", "orders"), "Cache orders is deleted.")
	until(t, "the end of the automated snapshots", func() (bool, error) {
		got := c.names(t, &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheName: aws.String("orders")})
		return slices.Equal(got, []string{"kept", "kept-2", "orders-1", "orders-2", "orders-final", "tagged"}), nil
	})
	if _, err := c.ListTagsForResource(ctx, &elasticache.ListTagsForResourceInput{ResourceName: cache.ARN}); err == nil {
		t.Error("the tags of a deleted cache can be listed")
	}
	// A new cache of the old name is another cache: tags and quota are its own.
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("orders", from(*final.ARN)))
	again := c.status(t, "orders", "available", "create-failed")
	wantTags(t, c, *again.ARN)
	if got := digest(t, address(again)); got != want {
		t.Errorf("the final snapshot holds %v, want %v", got, want)
	}
}

// wantTags checks the tags of a resource, written key=value and sorted.
func wantTags(t *testing.T, c *client, arn string, want ...string) {
	t.Helper()
	out := ok[*elasticache.ListTagsForResourceOutput](t)(c.ListTagsForResource(context.Background(), &elasticache.ListTagsForResourceInput{ResourceName: &arn}))
	if got := written(out.TagList); !slices.Equal(got, want) {
		t.Errorf("%s has the tags %q, want %q", arn, got, want)
	}
}

func written(tags []types.Tag) (out []string) {
	for _, tag := range tags {
		out = append(out, aws.ToString(tag.Key)+"="+aws.ToString(tag.Value))
	}
	slices.Sort(out)
	return out
}
