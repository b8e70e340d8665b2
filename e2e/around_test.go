package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/memorydb"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

// What stands around caches and snapshots: tags, events, versions, and the door.
func TestAround(t *testing.T) {
	t.Parallel()
	s := serve(t)
	c := s.as("default", "us-east-1")
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("orders", func(in *elasticache.CreateServerlessCacheInput) { in.Tags = tags(2) }))
	c.status(t, "orders", "available")
	t.Run("tags", func(t *testing.T) { tagOperations(t, c) })
	t.Run("events", func(t *testing.T) { eventOperations(t, c) })
	t.Run("versions", func(t *testing.T) { versionOperations(t, c) })
	t.Run("unserved", func(t *testing.T) { unservedOperations(t, s, c) })
	t.Run("door", func(t *testing.T) { strangers(t, s) })
}

func tagOperations(t *testing.T, c *client) {
	ctx := context.Background()
	const cacheARN, snapshotARN = "arn:aws:elasticache:us-east-1:123456789012:serverlesscache:orders", "arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:one"
	tag := func(pairs ...string) (out []types.Tag) {
		for _, p := range pairs {
			k, v, _ := strings.Cut(p, "=")
			out = append(out, types.Tag{Key: &k, Value: &v})
		}
		return out
	}
	add := func(arn string, tags []types.Tag) ([]types.Tag, error) {
		out, err := c.AddTagsToResource(ctx, &elasticache.AddTagsToResourceInput{ResourceName: &arn, Tags: tags})
		if err != nil {
			return nil, err
		}
		return out.TagList, nil
	}
	remove := func(arn string, keys ...string) ([]types.Tag, error) {
		out, err := c.RemoveTagsFromResource(ctx, &elasticache.RemoveTagsFromResourceInput{ResourceName: &arn, TagKeys: keys})
		if err != nil {
			return nil, err
		}
		return out.TagList, nil
	}
	// Inherited when none are given, replaced and not merged when some are.
	c.take(t, "orders", "one")
	wantTags(t, c, snapshotARN, "key-00=v", "key-01=v")
	c.take(t, "orders", "two", func(in *elasticache.CreateServerlessCacheSnapshotInput) { in.Tags = tag("own=1") })
	wantTags(t, c, "arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:TWO", "own=1")

	for _, arn := range []string{cacheARN, snapshotARN} {
		all := ok[[]types.Tag](t)(add(arn, tag("key-00=new", "Key-00=other case", "empty=", "unicode=ü€😀")))
		if got := written(all); !slices.Equal(got, []string{"Key-00=other case", "empty=", "key-00=new", "key-01=v", "unicode=ü€😀"}) {
			t.Errorf("after adding: %q", got)
		}
		left := ok[[]types.Tag](t)(remove(arn, "empty", "Key-00", "unicode"))
		if got := written(left); !slices.Equal(got, []string{"key-00=new", "key-01=v"}) {
			t.Errorf("after removing: %q", got)
		}
		_, err := remove(arn, "key-01", "never")
		wantFault[*types.TagNotFoundFault](t, err, 404, "never")
		_, err = add(arn, tags(50)[2:])
		if err != nil {
			t.Errorf("50 tags: %v", err)
		}
		_, err = add(arn, tag("one-more=1"))
		wantFault[tagQuota](t, err, 400, "The maximum number of tags permitted on a resource is 50.")
		ok[[]types.Tag](t)(add(arn, tag("key-07=overwritten")))
		for _, bad := range [][]types.Tag{tag("aws:mine=1"), tag("AWS:mine=1"), tag("a=1", "a=2"), tag("=1"), tag(strings.Repeat("k", 129) + "=1"), tag("a=" + strings.Repeat("v", 257)), {}} {
			_, err := add(arn, bad)
			wantFault[invalidValue](t, err, 400)
		}
		if got := ok[*elasticache.ListTagsForResourceOutput](t)(c.ListTagsForResource(ctx, &elasticache.ListTagsForResourceInput{ResourceName: &arn})); len(got.TagList) != 50 {
			t.Errorf("refused commands left %d tags", len(got.TagList))
		}
		_, err = c.RemoveTagsFromResource(ctx, &elasticache.RemoveTagsFromResourceInput{ResourceName: &arn, TagKeys: []string{}})
		wantFault[invalidValue](t, err, 400)
	}
	const prefix = "arn:aws:elasticache:us-east-1:123456789012:"
	_, err := add(prefix+"serverlesscache:none", tag("a=1"))
	wantFault[noCache](t, err, 404, "none")
	_, err = add(prefix+"serverlesscachesnapshot:none", tag("a=1"))
	wantFault[noSnapshot](t, err, 404, "none")
	_, err = add(prefix+"cluster:none", tag("a=1"))
	wantFault[*types.CacheClusterNotFoundFault](t, err, 404, "none is either not present or not available.")
	_, err = add(prefix+"replicationgroup:none", tag("a=1"))
	wantFault[*types.ReplicationGroupNotFoundFault](t, err, 404)
	_, err = add(prefix+"snapshot:none", tag("a=1"))
	wantFault[*types.SnapshotNotFoundFault](t, err, 404)
	_, err = add(prefix+"usergroup:none", tag("a=1"))
	wantFault[*types.UserGroupNotFoundFault](t, err, 404)
	for _, bad := range []string{"orders", prefix + "queue:orders", "arn:aws:sqs:us-east-1:123456789012:a:b", "arn:aws:elasticache:us-west-1:123456789012:serverlesscache:orders", "arn:::::"} {
		_, err := add(bad, tag("a=1"))
		wantFault[*types.InvalidARNFault](t, err, 400, "is invalid")
	}
}

func eventOperations(t *testing.T, c *client) {
	ctx := context.Background()
	for i := range 30 {
		ok[*types.ServerlessCacheSnapshot](t)(c.copy("one", fmt.Sprintf("copy-%02d", i)))
	}
	for i := range 30 {
		c.snapshotIn(t, fmt.Sprintf("copy-%02d", i), "available")
	}
	find := func(in *elasticache.DescribeEventsInput) (found []types.Event) {
		t.Helper()
		pages := elasticache.NewDescribeEventsPaginator(c.Client, in)
		for pages.HasMorePages() {
			found = append(found, ok[*elasticache.DescribeEventsOutput](t)(pages.NextPage(ctx)).Events...)
		}
		return found
	}
	all := find(&elasticache.DescribeEventsInput{MaxRecords: aws.Int32(20)})
	if len(all) < 34 || !slices.IsSortedFunc(all, func(a, b types.Event) int { return b.Date.Compare(*a.Date) }) {
		t.Errorf("%d events, or not the newest first", len(all))
	}
	if got := find(&elasticache.DescribeEventsInput{}); len(got) != len(all) {
		t.Errorf("%d events on one page, %d on pages of 20", len(got), len(all))
	}
	if got := find(&elasticache.DescribeEventsInput{SourceType: types.SourceTypeServerlessCache}); len(got) == 0 || len(got) >= len(all) || *got[0].SourceIdentifier != "orders" {
		t.Errorf("events of caches: %v", got)
	}
	one := find(&elasticache.DescribeEventsInput{SourceType: types.SourceTypeServerlessCacheSnapshot, SourceIdentifier: aws.String("COPY-07")})
	if len(one) != 1 || *one[0].Message != "Snapshot copy-07 created for cache orders." || one[0].SourceType != types.SourceTypeServerlessCacheSnapshot {
		t.Errorf("events of copy-07: %v", one)
	}
	now, at := time.Now(), *one[0].Date
	for name, want := range map[string]struct {
		in *elasticache.DescribeEventsInput
		n  int
	}{
		"at its moment":  {&elasticache.DescribeEventsInput{StartTime: &at, EndTime: &at}, 1},
		"before":         {&elasticache.DescribeEventsInput{EndTime: aws.Time(at.Add(-time.Millisecond))}, 0},
		"after":          {&elasticache.DescribeEventsInput{StartTime: aws.Time(at.Add(time.Millisecond))}, 0},
		"last minutes":   {&elasticache.DescribeEventsInput{Duration: aws.Int32(10)}, 1},
		"an hour ago":    {&elasticache.DescribeEventsInput{EndTime: aws.Time(now.Add(-time.Hour)), Duration: aws.Int32(60)}, 0},
		"from yesterday": {&elasticache.DescribeEventsInput{StartTime: aws.Time(now.Add(-24 * time.Hour)), Duration: aws.Int32(60)}, 0},
		"a whole day":    {&elasticache.DescribeEventsInput{StartTime: aws.Time(now.Add(-24 * time.Hour))}, 1},
		"no such type":   {&elasticache.DescribeEventsInput{SourceType: types.SourceTypeServerlessCache}, 0},
	} {
		want.in.SourceIdentifier = aws.String("copy-07")
		if want.in.SourceType == "" {
			want.in.SourceType = types.SourceTypeServerlessCacheSnapshot
		}
		if got := find(want.in); len(got) != want.n {
			t.Errorf("%s: %d events", name, len(got))
		}
	}
	for name, bad := range map[string]*elasticache.DescribeEventsInput{
		"few": {MaxRecords: aws.Int32(19)}, "many": {MaxRecords: aws.Int32(101)}, "marker": {Marker: aws.String("17")}, "no length": {Duration: aws.Int32(0)},
		"long": {Duration: aws.Int32(20161)}, "type": {SourceType: "cache"}, "forged": {Marker: aws.String("YWZ0ZXI6eA")},
	} {
		_, err := c.DescribeEvents(ctx, bad)
		wantFault[invalidValue](t, err, 400)
		if t.Failed() {
			t.Fatal(name)
		}
	}
	for _, bad := range []*elasticache.DescribeEventsInput{
		{SourceIdentifier: aws.String("orders")}, {StartTime: &now, EndTime: aws.Time(now.Add(-time.Minute))}, {StartTime: &at, EndTime: &now, Duration: aws.Int32(5)},
	} {
		_, err := c.DescribeEvents(ctx, bad)
		wantFault[invalidCombination](t, err, 400)
	}
}

func versionOperations(t *testing.T, c *client) {
	ctx := context.Background()
	list := func(in *elasticache.DescribeCacheEngineVersionsInput) (found []string) {
		t.Helper()
		for _, v := range ok[*elasticache.DescribeCacheEngineVersionsOutput](t)(c.DescribeCacheEngineVersions(ctx, in)).CacheEngineVersions {
			if *v.CacheParameterGroupFamily == "" || *v.CacheEngineDescription == "" || *v.CacheEngineVersionDescription == "" {
				t.Errorf("a version without description: %+v", v)
			}
			found = append(found, *v.Engine+" "+*v.EngineVersion)
		}
		return found
	}
	all := list(&elasticache.DescribeCacheEngineVersionsInput{})
	for _, want := range []string{"valkey 8.0", "redis 7.0"} {
		if !slices.Contains(all, want) {
			t.Errorf("%q lacks %s", all, want)
		}
	}
	for _, v := range list(&elasticache.DescribeCacheEngineVersionsInput{Engine: aws.String("Valkey")}) {
		if !strings.HasPrefix(v, "valkey ") {
			t.Errorf("valkey lists %s", v)
		}
	}
	if got := list(&elasticache.DescribeCacheEngineVersionsInput{Engine: aws.String("redis"), EngineVersion: aws.String("7.0"), CacheParameterGroupFamily: aws.String("redis7")}); len(got) != 1 {
		t.Errorf("redis 7.0 lists %q", got)
	}
	if got := list(&elasticache.DescribeCacheEngineVersionsInput{DefaultOnly: aws.Bool(true), Engine: aws.String("redis")}); len(got) != 1 {
		t.Errorf("the default of redis is %q", got)
	}
	if got := list(&elasticache.DescribeCacheEngineVersionsInput{Engine: aws.String("dragonfly")}); len(got) != 0 {
		t.Errorf("dragonfly lists %q", got)
	}
	// The operation declares no fault, so that the SDK has no type for these.
	_, err := c.DescribeCacheEngineVersions(ctx, &elasticache.DescribeCacheEngineVersionsInput{MaxRecords: aws.Int32(5)})
	wantCode(t, err, 400, "InvalidParameterValue", "MaxRecords")
	_, err = c.DescribeCacheEngineVersions(ctx, &elasticache.DescribeCacheEngineVersionsInput{Marker: aws.String("x")})
	wantCode(t, err, 400, "InvalidParameterValue", "Marker")
}

func unservedOperations(t *testing.T, s *server, c *client) {
	ctx := context.Background()
	_, err := c.PurchaseReservedCacheNodesOffering(ctx, &elasticache.PurchaseReservedCacheNodesOfferingInput{ReservedCacheNodesOfferingId: aws.String("x")})
	wantCode(t, err, 400, "UnsupportedOperation", "Keyframe does not serve the operation PurchaseReservedCacheNodesOffering of", "nothing to reserve")
	memory := memorydb.NewFromConfig(s.config("us-east-1"))
	_, err = memory.PurchaseReservedNodesOffering(ctx, &memorydb.PurchaseReservedNodesOfferingInput{ReservedNodesOfferingId: aws.String("x")})
	wantCode(t, err, 400, "UnsupportedOperationException", "PurchaseReservedNodesOffering", "nothing to reserve")
	who := ok[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(s.config("us-east-1")).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}))
	if *who.Account != "123456789012" || *who.Arn != "arn:aws:iam::123456789012:root" {
		t.Errorf("I am %+v", who)
	}
}

// Requests that nobody signed, or that somebody signed who is not known here, or with a wrong secret, or long ago.
func strangers(t *testing.T, s *server) {
	ctx := context.Background()
	mine := s.config("us-east-1")
	real := ok[aws.Credentials](t)(mine.Credentials.Retrieve(ctx))
	ask := func(id, secret string) error {
		cfg := mine.Copy()
		cfg.Credentials = credentials.NewStaticCredentialsProvider(id, secret, "")
		_, err := elasticache.NewFromConfig(cfg).DescribeServerlessCaches(ctx, &elasticache.DescribeServerlessCachesInput{})
		_, memoryErr := memorydb.NewFromConfig(cfg).DescribeClusters(ctx, &memorydb.DescribeClustersInput{})
		var api smithy.APIError
		if !errors.As(memoryErr, &api) || api.ErrorCode() == "UnsupportedOperationException" {
			t.Errorf("memorydb answered a stranger with %v", memoryErr)
		}
		return err
	}
	wantCode(t, ask("AKIASTRANGER", "secret"), 403, "InvalidClientTokenId")
	wantCode(t, ask(real.AccessKeyID, "wrong"), 403, "SignatureDoesNotMatch")

	raw := func(method, path, body string, headers ...string) (int, string) {
		t.Helper()
		r := ok[*http.Request](t)(http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body)))
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		answer := ok[*http.Response](t)(http.DefaultClient.Do(r))
		defer answer.Body.Close()
		text := ok[[]byte](t)(io.ReadAll(answer.Body))
		if answer.Header.Get("X-Amzn-Requestid") == "" {
			t.Errorf("%s %s is answered without a request id", method, path)
		}
		return answer.StatusCode, string(text)
	}
	const form = "Action=DescribeServerlessCaches&Version=2015-02-02"
	for name, c := range map[string]struct {
		status  int
		headers []string
		part    string
	}{
		"unsigned": {403, nil, "MissingAuthenticationToken"},
		"half":     {400, []string{"Authorization", "AWS4-HMAC-SHA256 Credential=x"}, "IncompleteSignature"},
		"basic":    {400, []string{"Authorization", "Basic dXNlcjpwYXNz"}, "<Code>"},
		"old": {400, []string{"X-Amz-Date", "20200101T000000Z", "Authorization", "AWS4-HMAC-SHA256 Credential=" + real.AccessKeyID +
			"/20200101/us-east-1/elasticache/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)}, "RequestExpired"},
		"elsewhere": {403, []string{"X-Amz-Date", time.Now().UTC().Format("20060102T150405Z"), "Authorization", "AWS4-HMAC-SHA256 Credential=" + real.AccessKeyID + "/" +
			time.Now().UTC().Format("20060102") + "/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64)}, "SignatureDoesNotMatch"},
	} {
		status, text := raw("POST", "/", form, append([]string{"Content-Type", "application/x-www-form-urlencoded"}, c.headers...)...)
		if status != c.status || !strings.Contains(text, c.part) || !strings.Contains(text, "<ErrorResponse") {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
	status, text := raw("POST", "/", "{}", "X-Amz-Target", "AmazonMemoryDB.DescribeClusters", "Content-Type", "application/x-amz-json-1.1")
	if status/100 != 4 || !strings.Contains(text, "MissingAuthenticationToken") || !strings.HasPrefix(text, "{") {
		t.Errorf("unsigned MemoryDB: %d %s", status, text)
	}
	if status, text = raw("GET", "/mine/key", ""); status != 403 || !strings.Contains(text, "<Code>AccessDenied</Code>") {
		t.Errorf("unsigned S3: %d %s", status, text)
	}
	for _, path := range []string{"/healthz", "/metrics"} {
		if status, text := raw("GET", path, ""); status != 200 || strings.Contains(text, real.SecretAccessKey) {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
}
