package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/keyframe/keyframe/internal/dataset"
)

// The main job through the Go SDK: create, fill, snapshot under writes, copy under another key, export, restore, compare.
func TestMainJob(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"valkey", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			c, ctx := s.elasticache(), t.Context()
			spec := dataset.Spec{Keys: 5000, Seed: 7}
			source := s.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("Orders"), Engine: &engine})
			if _, err := dataset.Fill(ctx, dataset.At(source), spec); err != nil {
				t.Fatal(err)
			}
			before := digest(t, source)

			if _, err := c.CreateServerlessCacheSnapshot(ctx, &elasticache.CreateServerlessCacheSnapshotInput{
				ServerlessCacheName: aws.String("orders"), ServerlessCacheSnapshotName: aws.String("Orders-1")}); err != nil {
				t.Fatal(err)
			}
			s.settled("orders-1", "available")
			mutate(t, source, spec)
			if digest(t, source) == before {
				t.Fatal("the writes after the snapshot changed nothing: the comparison below would prove nothing")
			}

			s.cli("key", "create", "--alias", "alias/audit")
			if _, err := c.CopyServerlessCacheSnapshot(ctx, &elasticache.CopyServerlessCacheSnapshotInput{
				SourceServerlessCacheSnapshotName: aws.String("orders-1"), TargetServerlessCacheSnapshotName: aws.String("orders-2"),
				KmsKeyId: aws.String("alias/audit")}); err != nil {
				t.Fatal(err)
			}
			s.settled("orders-2", "available")
			if out := s.cli("snapshot", "inspect", "orders-2"); !strings.Contains(out, "counted while the snapshot was captured") || !strings.Contains(out, "hash") {
				t.Errorf("inspect says %s", out)
			}

			if _, err := s.s3().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("exports")}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.ExportServerlessCacheSnapshot(ctx, &elasticache.ExportServerlessCacheSnapshotInput{
				ServerlessCacheSnapshotName: aws.String("orders-2"), S3BucketName: aws.String("exports")}); err != nil {
				t.Fatal(err)
			}
			s.settled("orders-2", "available")

			restored := s.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("restored"), Engine: &engine,
				SnapshotArnsToRestore: []string{*s.snapshot("orders-2").ARN}})
			if got := digest(t, restored); got != before {
				t.Errorf("restored from the copy: %v, want %v", got, before)
			}
			fromFile := s.createCache(&elasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("from-file"), Engine: &engine,
				SnapshotArnsToRestore: []string{"arn:aws:s3:::exports/orders-2-0001.rdb"}})
			if got := digest(t, fromFile); got != before {
				t.Errorf("restored from the exported file: %v, want %v", got, before)
			}
			s.cli("snapshot", "verify")
		})
	}
}

func digest(t *testing.T, address string) dataset.Digest {
	t.Helper()
	d, err := dataset.DigestOf(t.Context(), dataset.At(address), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// mutate writes for a moment.
func mutate(t *testing.T, address string, spec dataset.Spec) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	started := make(chan struct{})
	go func() { <-started; cancel() }()
	if _, err := dataset.Mutate(ctx, dataset.At(address), spec, started); err != nil {
		t.Fatal(err)
	}
}
