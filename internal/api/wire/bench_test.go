package wire_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/keyframe/keyframe/internal/api/ecapi"
	"github.com/keyframe/keyframe/internal/api/mdbapi"
	"github.com/keyframe/keyframe/internal/api/wire"
)

func BenchmarkDecodeCopySnapshot(b *testing.B) {
	values := url.Values{"Action": {"CopySnapshot"}, "Version": {"2015-02-02"}, "SourceSnapshotName": {"nightly"}, "TargetSnapshotName": {"nightly-copy"},
		"KmsKeyId": {"arn:aws:kms:us-east-1:123456789012:key/0b1c"}, "Tags.Tag.1.Key": {"team"}, "Tags.Tag.1.Value": {"cache"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := wire.Decode(ecapi.OpCopySnapshot.Operation, values, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeCopySnapshotJSON(b *testing.B) {
	body := []byte(`{"SourceSnapshotName":"nightly","TargetSnapshotName":"nightly-copy","KmsKeyId":"arn:aws:kms:us-east-1:123456789012:key/0b1c","Tags":[{"Key":"team","Value":"cache"}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := wire.Decode(mdbapi.OpCopySnapshot.Operation, nil, body); err != nil {
			b.Fatal(err)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func BenchmarkEncode100Snapshots(b *testing.B) {
	out := &ecapi.DescribeSnapshotsOutput{}
	when := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	for i := range 100 {
		s := ecapi.Snapshot{
			SnapshotName: ptr(fmt.Sprintf("automatic.orders-%03d", i)), ReplicationGroupId: ptr("orders"), SnapshotStatus: ptr("available"),
			SnapshotSource: ptr("automated"), CacheNodeType: ptr("cache.r7g.large"), Engine: ptr("valkey"), EngineVersion: ptr("8.0.1"), NumNodeGroups: ptr(int32(3)),
			Port: ptr(int32(6379)), VpcId: ptr("vpc-1"), SnapshotRetentionLimit: ptr(int32(7)), SnapshotWindow: ptr("03:00-04:00"),
			ARN: ptr(fmt.Sprintf("arn:aws:elasticache:us-east-1:123456789012:snapshot:automatic.orders-%03d", i)),
		}
		for n := range 3 {
			s.NodeSnapshots = append(s.NodeSnapshots, ecapi.NodeSnapshot{
				CacheClusterId: ptr("orders-0001-001"), NodeGroupId: ptr(fmt.Sprintf("%04d", n+1)), CacheNodeId: ptr("0001"), CacheSize: ptr("3 MB"),
				CacheNodeCreateTime: &when, SnapshotCreateTime: &when,
			})
		}
		out.Snapshots = append(out.Snapshots, s)
	}
	b.ReportAllocs()
	for b.Loop() {
		doc, err := wire.EncodeXML(ecapi.OpDescribeSnapshots.Operation, "id", out)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(doc)))
	}
}
