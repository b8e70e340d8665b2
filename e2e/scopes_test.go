package e2e

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// One endpoint serves accounts and regions that know nothing of each other.
func TestScopes(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.addAccount("other", "210987654321")
	ctx := context.Background()
	scopes := map[string]*client{
		"123456789012/us-east-1": s.as("default", "us-east-1"), "123456789012/eu-west-1": s.as("default", "eu-west-1"), "210987654321/us-east-1": s.as("other", "us-east-1"),
	}
	for _, c := range scopes {
		ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("same", func(in *elasticache.CreateServerlessCacheInput) { in.Description = aws.String("one of three") }))
	}
	for scope, c := range scopes {
		cache := c.status(t, "same", "available")
		if want := "arn:aws:elasticache:" + scope[13:] + ":" + scope[:12] + ":serverlesscache:same"; *cache.ARN != want {
			t.Errorf("ARN is %s, want %s", *cache.ARN, want)
		}
		do(t, address(cache), "SET", "scope", scope)
		c.take(t, "same", "same-1")
	}
	home, away, other := scopes["123456789012/us-east-1"], scopes["123456789012/eu-west-1"], scopes["210987654321/us-east-1"]
	ok[*types.ServerlessCacheSnapshot](t)(home.copy("same-1", "only-here"))
	home.snapshotIn(t, "only-here", "available")
	for scope, c := range scopes {
		snapshots := c.names(t, &elasticache.DescribeServerlessCacheSnapshotsInput{})
		caches := ok[*elasticache.DescribeServerlessCachesOutput](t)(c.DescribeServerlessCaches(ctx, &elasticache.DescribeServerlessCachesInput{})).ServerlessCaches
		if want := map[bool]int{true: 2, false: 1}[c == home]; len(snapshots) != want || len(caches) != 1 {
			t.Errorf("%s has %d caches and the snapshots %q", scope, len(caches), snapshots)
		}
		if got := do(t, address(c.status(t, "same", "available")), "GET", "scope"); got != scope {
			t.Errorf("the cache of %s holds the data of %s", scope, got)
		}
		if events := c.events(t, "serverless-cache-snapshot", "only-here"); (len(events) > 0) != (c == home) {
			t.Errorf("%s sees the events %q", scope, events)
		}
	}
	for _, c := range []*client{away, other} {
		_, err := c.copy("only-here", "x")
		wantFault[noSnapshot](t, err, 404)
		_, err = c.export("only-here", "bucket")
		wantFault[noSnapshot](t, err, 404)
		_, err = c.deleteSnapshot("only-here")
		wantFault[noSnapshot](t, err, 404)
	}
	arn := "arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:only-here"
	_, err := away.newCache("restored", from(arn))
	wantFault[invalidValue](t, err, 400, "another account or region")
	_, err = away.ListTagsForResource(ctx, &elasticache.ListTagsForResourceInput{ResourceName: &arn})
	wantFault[*types.InvalidARNFault](t, err, 400)
	_, err = other.newCache("restored", from(arn))
	wantCode(t, err, 403, "AccessDenied")
	_, err = other.ListTagsForResource(ctx, &elasticache.ListTagsForResourceInput{ResourceName: &arn})
	wantCode(t, err, 403, "AccessDenied")

	// Buckets are the account's own, in all its regions.
	home.newBucket(t, "of-home")
	_, err = other.s3.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: aws.String("of-home")})
	wantCode(t, err, 403, "AccessDenied")
	if mine := ok[*s3.ListBucketsOutput](t)(other.s3.ListBuckets(ctx, &s3.ListBucketsInput{})); len(mine.Buckets) != 0 {
		t.Errorf("another account lists %d buckets", len(mine.Buckets))
	}

	t.Run("keys", func(t *testing.T) { keysOfSnapshots(t, s, home, away, other) })
}

// createKey makes a key by the command line and returns its id and ARN.
func (s *server) createKey(t *testing.T, args ...string) (id, arn string) {
	t.Helper()
	var made []struct{ ID, ARN string }
	out := s.cli(append([]string{"key", "create", "--output", "json"}, args...)...)
	if err := json.Unmarshal([]byte(out), &made); err != nil || len(made) != 1 {
		t.Fatalf("key create: %v: %s", err, out)
	}
	return made[0].ID, made[0].ARN
}

func keysOfSnapshots(t *testing.T, s *server, home, away, other *client) {
	id, arn := s.createKey(t, "--alias", "alias/audit")
	awayID, awayARN := s.createKey(t, "--region", "eu-west-1", "--alias", "alias/audit-eu")
	_, otherARN := s.createKey(t, "--account", "210987654321")
	with := func(key string) func(*elasticache.CopyServerlessCacheSnapshotInput) {
		return func(in *elasticache.CopyServerlessCacheSnapshotInput) { in.KmsKeyId = &key }
	}
	for _, bad := range []string{awayARN, otherARN, awayID, "alias/audit-eu", "alias/none", "00000000-0000-0000-0000-000000000000", "arn:aws:s3:::bucket", "?"} {
		_, err := home.copy("same-1", "x", with(bad))
		wantFault[invalidValue](t, err, 400)
		_, err = home.newSnapshot("same", "x", func(in *elasticache.CreateServerlessCacheSnapshotInput) { in.KmsKeyId = &bad })
		wantFault[invalidValue](t, err, 400)
	}
	_, err := other.copy("same-1", "x", with("alias/audit"))
	wantFault[invalidValue](t, err, 400, "alias/audit is not found")

	// However it is named, what is read back is the ARN.
	for name, ref := range map[string]string{"by-id": id, "by-arn": arn, "by-alias": "alias/audit", "by-alias-arn": "arn:aws:kms:us-east-1:123456789012:alias/audit"} {
		made := ok[*types.ServerlessCacheSnapshot](t)(home.copy("same-1", name, with(ref)))
		if *made.KmsKeyId != arn || *home.snapshotIn(t, name, "available").KmsKeyId != arn {
			t.Errorf("%s is read back as %s", ref, *made.KmsKeyId)
		}
	}
	home.take(t, "same", "direct", func(in *elasticache.CreateServerlessCacheSnapshotInput) { in.KmsKeyId = &arn })
	home.newBucket(t, "exports")

	s.cli("key", "disable", "alias/audit")
	const disabled = " is disabled."
	_, err = home.newSnapshot("same", "x", func(in *elasticache.CreateServerlessCacheSnapshotInput) { in.KmsKeyId = &arn })
	wantFault[invalidValue](t, err, 400, arn+disabled)
	_, err = home.copy("same-1", "x", with("alias/audit"))
	wantFault[invalidValue](t, err, 400, arn+disabled)
	_, err = home.copy("direct", "x") // the source's key
	wantFault[invalidValue](t, err, 400, "direct cannot be read", arn+disabled)
	_, err = home.export("direct", "exports")
	wantFault[invalidValue](t, err, 400, "direct cannot be read", arn+disabled)
	_, err = home.newCache("restored", from("arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:direct"))
	wantFault[invalidValue](t, err, 400, "direct cannot be read", arn+disabled)
	home.snapshotIn(t, "direct", "available") // it is not lost
	ok[*types.ServerlessCacheSnapshot](t)(home.deleteSnapshot("by-id"))
	home.snapshotGone(t, "by-id") // deleting needs no key

	s.cli("key", "enable", id)
	s.cli("key", "rotate", id)
	ok[*types.ServerlessCacheSnapshot](t)(home.export("direct", "exports"))
	ok[*types.ServerlessCacheSnapshot](t)(home.copy("direct", "healed"))
	if got := home.snapshotIn(t, "healed", "available", "failed"); *got.Status != "available" || got.KmsKeyId != nil {
		t.Errorf("the copy under the default key shows %+v", got)
	}
	ok[*elasticache.CreateServerlessCacheOutput](t)(home.newCache("restored", from("arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:direct")))
	restored := home.status(t, "restored", "available", "create-failed")
	if got := do(t, address(restored), "GET", "scope"); got != "123456789012/us-east-1" {
		t.Errorf("restored holds %q", got)
	}
	s.cli("snapshot", "verify")
}
