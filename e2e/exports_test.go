package e2e

import (
	"bytes"
	"context"
	be "encoding/binary"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/keyframe/keyframe/internal/dataset"
)

// What stands between a snapshot and a bucket, and between a file in a bucket and a cache.
func TestExports(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.addAccount("other", "210987654321")
	c, ctx := s.as("default", "us-east-1"), context.Background()
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("orders"))
	cache := c.status(t, "orders", "available")
	if _, err := dataset.Fill(ctx, dataset.At(address(cache)), dataset.Spec{Keys: 500, Seed: 4}); err != nil {
		t.Fatal(err)
	}
	want := digest(t, address(cache))
	c.take(t, "orders", "orders-1")

	c.newBucket(t, "mine")
	s.as("default", "us-west-2").newBucketIn(t, "western", "us-west-2")
	s.as("other", "us-east-1").newBucket(t, "theirs")
	s.as("other", "us-west-2").newBucketIn(t, "far-away", "us-west-2")
	refused := func(bucket, message string) {
		t.Helper()
		_, err := c.export("orders-1", bucket)
		wantFault[invalidValue](t, err, 400)
		if err != nil && !strings.HasSuffix(err.Error(), message) {
			t.Errorf("exporting to %s says %v", bucket, err)
		}
		if got := ok[*types.ServerlessCacheSnapshot](t)(c.snapshot("orders-1")); *got.Status != "available" {
			t.Errorf("after a refused export the snapshot is %s", *got.Status)
		}
	}
	refused("nowhere", ": The S3 bucket nowhere does not exist.")
	refused("western", "The S3 bucket western is outside of the region.")
	refused("theirs", "The S3 bucket theirs is not owned by the authenticated user.")
	refused("far-away", "The S3 bucket far-away is outside of the region.") // region before owner
	refused("Not A Bucket", "The S3 bucket Not A Bucket does not exist.")
	refused("../mine", "The S3 bucket ../mine does not exist.")
	c.putObject(t, "mine", "orders-1-0001.rdb", []byte("taken"))
	refused("mine", "The S3 bucket mine already contains an object with key orders-1-0001.rdb.")
	ok[*s3.DeleteObjectOutput](t)(c.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String("mine"), Key: aws.String("orders-1-0001.rdb")}))

	ok[*types.ServerlessCacheSnapshot](t)(c.export("ORDERS-1", "mine"))
	c.snapshotIn(t, "orders-1", "available")
	refused("mine", "The S3 bucket mine already contains an object with key orders-1-0001.rdb.")
	object := ok[*s3.GetObjectOutput](t)(c.s3.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("mine"), Key: aws.String("orders-1-0001.rdb")}))
	file := ok[[]byte](t)(io.ReadAll(object.Body))
	if got := *c.snapshotIn(t, "orders-1", "available").BytesUsedForCache; got != strconv.Itoa(len(file)) {
		t.Errorf("the snapshot shows %s bytes, the file has %d", got, len(file))
	}
	t.Run("files", func(t *testing.T) { restoredFiles(t, s, c, file, want.String()) })
}

func restoredFiles(t *testing.T, s *server, c *client, file []byte, want string) {
	damaged := bytes.Clone(file)
	damaged[len(damaged)/2] ^= 0x40
	files := map[string]struct {
		body []byte
		part string // of the event; empty: it can be restored
	}{
		"whole":     {file, ""},
		"garbage":   {bytes.Repeat([]byte("not an RDB "), 1000), "is not the start of an RDB file"},
		"empty":     {nil, "is not an RDB"},
		"cut":       {file[:len(file)*2/3], "corrupt"},
		"no-end":    {file[:len(file)-9], "corrupt"},
		"damaged":   {damaged, "corrupt"},
		"future":    {append([]byte("REDIS0099"), file[9:]...), "versions 1 to 12 are read"},
		"databases": {rdbFile(str(0, "a", "1"), str(7, "b", "2")), "1 keys in database 7, and a serverless cache has only database 0"},
		"tiny":      {rdbFile(str(0, "a", "1")), ""},
		"too-large": {rdbFile(zeros("x"), zeros("y"), zeros("z")), "and the data limit of the cache is 1073741824"},
	}
	create := func(name, object string) {
		ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("file-"+name, from("arn:aws:s3:::"+object)))
	}
	for name, f := range files {
		c.putObject(t, "mine", "in/"+name+".rdb", f.body)
		create(name, "mine/in/"+name+".rdb")
	}
	s.as("other", "us-east-1").putObject(t, "theirs", "dump.rdb", file)
	create("of-others", "theirs/dump.rdb")
	create("no-object", "mine/nothing.rdb")
	create("no-bucket", "nowhere/dump.rdb")
	c.putObject(t, "mine", "a b/ü+%20.rdb", file)
	create("odd-name", "mine/a b/ü+%20.rdb")

	fails := func(name string, parts ...string) {
		t.Helper()
		name = "file-" + name
		if got := c.status(t, name, "available", "create-failed"); *got.Status != "create-failed" {
			t.Errorf("%s became %s", name, *got.Status)
		}
		wantEvent(t, c.events(t, "serverless-cache", name), append(parts, "Failed to create cache "+name+". Data restoration from snapshot failed because")...)
	}
	for name, f := range files {
		if !slices.Contains([]string{"whole", "tiny"}, name) {
			fails(name, f.part)
		}
	}
	fails("of-others", "could not be retrieved from S3", "denied")
	fails("no-object", "could not be retrieved from S3", "the object does not exist")
	fails("no-bucket", "could not be retrieved from S3", "the bucket does not exist")
	for _, name := range []string{"file-whole", "file-odd-name"} {
		if got := digest(t, address(c.status(t, name, "available", "create-failed"))); got.String() != want {
			t.Errorf("%s holds %v, want %v", name, got, want)
		}
	}
	if got := do(t, address(c.status(t, "file-tiny", "available", "create-failed")), "GET", "a"); got != "1" {
		t.Errorf("a is %q", got)
	}
	// What failed takes no command but the one that removes it, and its name is free then.
	_, err := c.newSnapshot("file-garbage", "x")
	wantFault[cacheState](t, err, 400, "create-failed")
	_, err = c.modify("file-garbage", func(in *elasticache.ModifyServerlessCacheInput) { in.Description = aws.String("x") })
	wantFault[cacheState](t, err, 400, "create-failed")
	for name := range files {
		name = "file-" + name
		ok[*elasticache.DeleteServerlessCacheOutput](t)(c.DeleteServerlessCache(context.Background(), &elasticache.DeleteServerlessCacheInput{ServerlessCacheName: &name}))
	}
	c.gone(t, "file-garbage")
	c.gone(t, "file-too-large")
	ok[*elasticache.CreateServerlessCacheOutput](t)(c.newCache("file-garbage"))
	c.status(t, "file-garbage", "available")
}

func (c *client) newBucketIn(t *testing.T, name, region string) {
	t.Helper()
	ok[*s3.CreateBucketOutput](t)(c.s3.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &name,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}}))
}

// rdbFile is an RDB of these records, without a checksum.
func rdbFile(records ...[]byte) []byte {
	out := []byte("REDIS0010")
	for _, r := range records {
		out = append(out, r...)
	}
	return append(out, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0)
}

// str is a key of a database that holds a short string.
func str(db byte, key, value string) []byte {
	out := append([]byte{0xFE, db, 0, byte(len(key))}, key...)
	return append(append(out, byte(len(value))), value...)
}

// zeros is a key that holds 400 MB in five: one byte repeated, as LZF has it.
func zeros(key string) []byte {
	const runs = 400 << 20 / 264
	packed := append([]byte{0, 0}, bytes.Repeat([]byte{0xE0, 0xFF, 0}, runs)...)
	out := append([]byte{0xFE, 0, 0, byte(len(key))}, key...)
	out = append(out, 0xC3)
	for _, n := range []int{len(packed), 1 + 264*runs} {
		out = be.BigEndian.AppendUint32(append(out, 0x80), uint32(n))
	}
	return append(out, packed...)
}
