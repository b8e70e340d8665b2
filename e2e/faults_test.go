package e2e

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

type (
	invalidValue       = *types.InvalidParameterValueException
	invalidCombination = *types.InvalidParameterCombinationException
	noSnapshot         = *types.ServerlessCacheSnapshotNotFoundFault
	noCache            = *types.ServerlessCacheNotFoundFault
	snapshotExists     = *types.ServerlessCacheSnapshotAlreadyExistsFault
	cacheExists        = *types.ServerlessCacheAlreadyExistsFault
	cacheState         = *types.InvalidServerlessCacheStateFault
	snapshotState      = *types.InvalidServerlessCacheSnapshotStateFault
	snapshotQuota      = *types.ServerlessCacheSnapshotQuotaExceededFault
	tagQuota           = *types.TagQuotaPerResourceExceeded
)

func tags(n int) (out []types.Tag) {
	for i := range n {
		out = append(out, types.Tag{Key: aws.String(fmt.Sprintf("key-%02d", i)), Value: aws.String("v")})
	}
	return out
}

// Every fault that the reference documents name for serverless snapshots, provoked.
func TestSnapshotFaults(t *testing.T) {
	t.Parallel()
	const kept = 10
	s := serve(t, "--quota-serverless-snapshots", "3", "--quota-serverless-caches", "2", "--quota-snapshots-kept", fmt.Sprint(kept))
	c, ctx := s.as("default", "us-east-1"), context.Background()
	withTags := func(n int) func(*elasticache.CreateServerlessCacheSnapshotInput) {
		return func(in *elasticache.CreateServerlessCacheSnapshotInput) { in.Tags = tags(n) }
	}
	withKey := func(key string) func(*elasticache.CreateServerlessCacheSnapshotInput) {
		return func(in *elasticache.CreateServerlessCacheSnapshotInput) { in.KmsKeyId = &key }
	}
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("orders"))

	// A cache in the making.
	_, err := c.newSnapshot("orders", "too-early")
	wantFault[cacheState](t, err, 400, "orders", "creating")
	_, err = c.newCache("ORDERS")
	wantFault[cacheExists](t, err, 400, "orders")
	_, err = c.DeleteServerlessCache(ctx, &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("orders")})
	wantFault[cacheState](t, err, 400)
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("other"))
	_, err = c.newCache("third")
	wantFault[*types.ServerlessCacheQuotaForCustomerExceededFault](t, err, 400, "2")
	c.status(t, "orders", "available")
	c.status(t, "other", "available")
	c.take(t, "orders", "first")

	t.Run("names", func(t *testing.T) {
		for _, bad := range []string{"-a", "a-", "a--b", "1a", "../../etc/passwd", "a/b", "a.b", "automatic.orders-2026-01-01-00-00", "a b", "ä", "a_b", `a\b`, "a%00"} {
			const text = "is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, digits, and hyphens;"
			_, err := c.newSnapshot("orders", bad)
			wantFault[invalidValue](t, err, 400, "The parameter ServerlessCacheSnapshotName "+text)
			_, err = c.copy("first", bad)
			wantFault[invalidValue](t, err, 400, "The parameter TargetServerlessCacheSnapshotName "+text)
			_, err = c.newCache(bad)
			wantFault[invalidValue](t, err, 400, "The parameter ServerlessCacheName "+text)
			_, err = c.DeleteServerlessCache(ctx, &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("orders"), FinalSnapshotName: &bad})
			wantFault[invalidValue](t, err, 400, "The parameter FinalSnapshotName "+text)
			// A name that could never have been given is simply not there.
			_, err = c.snapshot(bad)
			wantFault[noSnapshot](t, err, 404)
			_, err = c.deleteSnapshot(bad)
			wantFault[noSnapshot](t, err, 404)
		}
		for name, bad := range map[string]string{"control": "a\x01b", "empty": "", "blank": "  ", "long": strings.Repeat("a", 256)} {
			_, err := c.newSnapshot("orders", bad)
			wantFault[invalidValue](t, err, 400, "ServerlessCacheSnapshotName")
			_, err = c.copy("first", bad)
			wantFault[invalidValue](t, err, 400, "TargetServerlessCacheSnapshotName")
			if t.Failed() {
				t.Fatal(name)
			}
		}
		_, err := c.newCache(strings.Repeat("a", 41))
		wantFault[invalidValue](t, err, 400, "ServerlessCacheName")
		_, err = c.newSnapshot("", "x")
		wantFault[invalidValue](t, err, 400, "The parameter ServerlessCacheName must be provided and must not be blank.")
		_, err = c.export("first", "")
		wantFault[invalidValue](t, err, 400, "The parameter S3BucketName must be provided and must not be blank.")
		_, err = c.copy("", "x")
		wantFault[invalidValue](t, err, 400, "The parameter SourceServerlessCacheSnapshotName must be provided and must not be blank.")
	})

	t.Run("not found", func(t *testing.T) {
		_, err := c.newSnapshot("nothing", "x")
		wantFault[noCache](t, err, 404, "nothing")
		_, err = c.copy("nothing", "x")
		wantFault[noSnapshot](t, err, 404, "nothing")
		_, err = c.export("nothing", "bucket")
		wantFault[noSnapshot](t, err, 404, "nothing")
		_, err = c.deleteSnapshot("nothing")
		wantFault[noSnapshot](t, err, 404, "nothing")
		_, err = c.snapshot("nothing")
		wantFault[noSnapshot](t, err, 404, "nothing")
		_, err = c.cache("nothing")
		wantFault[noCache](t, err, 404, "nothing")
		_, err = c.DeleteServerlessCache(ctx, &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("nothing")})
		wantFault[noCache](t, err, 404, "nothing")
		_, err = c.ModifyServerlessCache(ctx, &elasticache.ModifyServerlessCacheInput{ServerlessCacheName: aws.String("nothing"), Description: aws.String("d")})
		wantFault[noCache](t, err, 404, "nothing")
		_, err = c.DescribeServerlessCacheSnapshots(ctx, &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheName: aws.String("nothing")})
		wantFault[noCache](t, err, 404, "nothing")
		_, err = c.DescribeServerlessCacheSnapshots(ctx, &elasticache.DescribeServerlessCacheSnapshotsInput{ServerlessCacheName: aws.String("nothing"), SnapshotType: aws.String("manual")})
		wantFault[noCache](t, err, 404, "nothing")
	})

	// Which of several errors wins: syntax, combination, target exists, source not found, state, quota, tags, key, bucket.
	t.Run("order", func(t *testing.T) {
		_, err := c.newSnapshot("nothing", "a--b")
		wantFault[invalidValue](t, err, 400, "not a valid identifier")
		_, err = c.newSnapshot("nothing", "FIRST", withTags(51))
		wantFault[snapshotExists](t, err, 400, "first")
		_, err = c.newSnapshot("nothing", "x", withTags(51))
		wantFault[noCache](t, err, 404)
		_, err = c.newSnapshot("orders", "x", withTags(51), withKey("alias/none"))
		wantFault[tagQuota](t, err, 400, "The maximum number of tags permitted on a resource is 50.")
		_, err = c.newSnapshot("orders", "x", withTags(50), withKey("alias/none"))
		wantFault[invalidValue](t, err, 400, "alias/none is not found")
		_, err = c.copy("nothing", "First")
		wantFault[snapshotExists](t, err, 400, "first")
		_, err = c.copy("first", "x", func(in *elasticache.CopyServerlessCacheSnapshotInput) { in.Tags = tags(51) })
		wantFault[tagQuota](t, err, 400)
		_, err = c.export("nothing", "Not A Bucket")
		wantFault[invalidValue](t, err, 400, "The S3 bucket Not A Bucket does not exist.")
		_, err = c.export("nothing", "no-bucket")
		wantFault[noSnapshot](t, err, 404)
		if _, err := c.snapshot("x"); err == nil {
			t.Error("a refused command left a snapshot behind")
		}
	})

	// An engine that does not answer holds its snapshot in creating.
	t.Run("states", func(t *testing.T) {
		engines := s.enginePIDs(t)
		if len(engines) != 2 {
			t.Fatalf("found engines %v, want two", engines)
		}
		for _, pid := range engines {
			if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			defer syscall.Kill(pid, syscall.SIGCONT)
		}
		made := ok[*types.ServerlessCacheSnapshot](t)(c.newSnapshot("orders", "Slow"))
		if *made.Status != "creating" || *made.ServerlessCacheSnapshotName != "slow" || made.CreateTime != nil || made.BytesUsedForCache != nil || made.ExpiryTime != nil {
			t.Errorf("the answer shows %+v", made)
		}
		if *c.snapshotIn(t, "slow", "creating").Status != "creating" {
			t.Error("not creating")
		}
		_, err := c.copy("slow", "x")
		wantFault[snapshotState](t, err, 400, "slow", "creating")
		_, err = c.export("slow", "bucket")
		wantFault[snapshotState](t, err, 400, "slow", "creating")
		_, err = c.deleteSnapshot("slow")
		wantFault[snapshotState](t, err, 400, "slow", "creating")
		_, err = c.newCache("restored", from(*made.ARN))
		wantFault[invalidValue](t, err, 400, "slow", "creating")
		// Its cache shows available and takes no other operation.
		if got := c.status(t, "orders", "available"); *got.Status != "available" {
			t.Errorf("the cache shows %s", *got.Status)
		}
		_, err = c.newSnapshot("orders", "x")
		wantFault[cacheState](t, err, 400, "orders", "slow")
		_, err = c.DeleteServerlessCache(ctx, &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: aws.String("orders")})
		wantFault[cacheState](t, err, 400, "orders", "slow")
		_, err = c.ModifyServerlessCache(ctx, &elasticache.ModifyServerlessCacheInput{ServerlessCacheName: aws.String("orders"), Description: aws.String("d")})
		wantFault[cacheState](t, err, 400, "orders", "slow")
		// Tags can be read and written all the time.
		ok[*elasticache.ListTagsForResourceOutput](t)(c.ListTagsForResource(ctx, &elasticache.ListTagsForResourceInput{ResourceName: made.ARN}))
		for _, pid := range engines {
			syscall.Kill(pid, syscall.SIGCONT)
		}
		if got := c.snapshotIn(t, "slow", "available", "failed"); *got.Status != "available" {
			t.Errorf("after the engine went on, the snapshot is %s: %v", *got.Status, c.events(t, "serverless-cache-snapshot", "slow"))
		}
	})

	// Three a day: first, slow and a deleted one count, copies do not, nor does what was refused.
	t.Run("quota", func(t *testing.T) {
		for i := range 3 {
			name := fmt.Sprintf("copy-%d", i)
			ok[*types.ServerlessCacheSnapshot](t)(c.copy("first", name))
			c.snapshotIn(t, name, "available")
		}
		c.take(t, "orders", "third")
		ok[*types.ServerlessCacheSnapshot](t)(c.deleteSnapshot("third"))
		c.snapshotGone(t, "third")
		_, err := c.newSnapshot("orders", "fourth", withTags(51))
		wantFault[snapshotQuota](t, err, 400, "within 24 hours", "3")
		c.take(t, "other", "of-the-other") // the quota is each cache's own
		_, err = c.newSnapshot("orders", "first")
		wantFault[snapshotExists](t, err, 400)
	})

	t.Run("copy onto itself", func(t *testing.T) {
		_, err := c.copy("first", "First")
		wantFault[invalidCombination](t, err, 400, "different names")
	})

	// The bound on all snapshots is none of AWS's figures: the operator sets it.
	t.Run("room", func(t *testing.T) {
		out := ok[*elasticache.DescribeServerlessCacheSnapshotsOutput](t)(c.DescribeServerlessCacheSnapshots(ctx, &elasticache.DescribeServerlessCacheSnapshotsInput{}))
		for i := len(out.ServerlessCacheSnapshots); i < kept; i++ {
			name := fmt.Sprintf("filler-%d", i)
			ok[*types.ServerlessCacheSnapshot](t)(c.copy("first", name))
			c.snapshotIn(t, name, "available")
		}
		_, err := c.copy("first", "one-too-many")
		wantFault[snapshotQuota](t, err, 400, "quota of 10 serverless cache snapshots")
		_, err = c.newSnapshot("other", "one-too-many")
		wantFault[snapshotQuota](t, err, 400, "quota of 10 serverless cache snapshots")
	})
}
