package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/keyframe/keyframe/internal/dataset"
	"github.com/keyframe/keyframe/internal/kftest"
	"github.com/keyframe/keyframe/rdb"
)

// Exports to an S3 server that other people wrote, and restores from it.
func TestExportToForeignS3(t *testing.T) {
	t.Parallel()
	foreign := kftest.S3(t)
	s := serve(t, "--export-endpoint", foreign.Endpoint, "--export-region", foreign.Region, "--export-access-key-id", foreign.AccessKeyID,
		"--export-secret-access-key", foreign.SecretAccessKey)
	c, ctx := s.elasticache(), t.Context()
	buckets := s3.New(s3.Options{Region: foreign.Region, BaseEndpoint: &foreign.Endpoint, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(foreign.AccessKeyID, foreign.SecretAccessKey, "")})
	if _, err := buckets.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("exports")}); err != nil {
		t.Fatal(err)
	}
	source := s.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("orders"), Engine: aws.String("valkey")})
	if _, err := dataset.Fill(ctx, dataset.At(source), dataset.Spec{Keys: 3000, Seed: 3}); err != nil {
		t.Fatal(err)
	}
	want := digest(t, source)
	if _, err := c.CreateServerlessCacheSnapshot(ctx, &elasticache.CreateServerlessCacheSnapshotInput{
		ServerlessCacheName: aws.String("orders"), ServerlessCacheSnapshotName: aws.String("orders-1")}); err != nil {
		t.Fatal(err)
	}
	s.settled("orders-1", "available")
	export := &elasticache.ExportServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: aws.String("orders-1"), S3BucketName: aws.String("exports")}
	if _, err := c.ExportServerlessCacheSnapshot(ctx, export); err != nil {
		t.Fatal(err)
	}
	s.settled("orders-1", "available")
	object, err := buckets.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String("exports"), Key: aws.String("orders-1-0001.rdb")})
	if err != nil {
		t.Fatal(err)
	}
	defer object.Body.Close()
	sum, err := rdb.NewScanner(object.Body, rdb.Options{}).Scan()
	if err != nil || sum.Keys != want.Keys || sum.Checksum != rdb.ChecksumVerified {
		t.Errorf("the exported file: %+v, %v; want %d keys", sum, err, want.Keys)
	}
	if _, err := c.ExportServerlessCacheSnapshot(ctx, export); err == nil {
		t.Error("a second export overwrote the first")
	}
	restored := s.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("restored"), Engine: aws.String("valkey"),
		SnapshotArnsToRestore: []string{"arn:aws:s3:::exports/orders-1-0001.rdb"}})
	if got := digest(t, restored); got != want {
		t.Errorf("restored from the foreign bucket: %v, want %v", got, want)
	}
}
