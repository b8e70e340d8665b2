package control

import (
	"context"
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keyframe/keyframe/internal/resource"
)

// What a request says is kept, shown and passed on: nothing of it may be of any size or shape that a client likes.
func TestBoundsOfFields(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	ctx := context.Background()
	for name, change := range map[string]func(*CreateCache){
		"Description":        func(c *CreateCache) { c.Description = strings.Repeat("\u00e9", 256) },
		"KmsKeyId":           func(c *CreateCache) { c.KMSKeyID = strings.Repeat("k", 2049) },
		"long object key":    func(c *CreateCache) { c.SnapshotArns = []string{"arn:aws:s3:::bucket/" + strings.Repeat("k", 1025)} },
		"bucket of dots":     func(c *CreateCache) { c.SnapshotArns = []string{"arn:aws:s3:::../key"} },
		"bucket with region": func(c *CreateCache) { c.SnapshotArns = []string{"arn:aws:s3:us-east-1:123456789012:bucket/key"} },
		"bucket elsewhere":   func(c *CreateCache) { c.SnapshotArns = []string{"arn:aws-cn:s3:::bucket/key"} },
		"snapshot elsewhere": func(c *CreateCache) {
			c.SnapshotArns = []string{"arn:x:elasticache:us-east-1:123456789012:serverlesscachesnapshot:s"}
		},
		"user group of a size": func(c *CreateCache) { c.UserGroupID = strings.Repeat("\u00e9", 1000) },
	} {
		in := CreateCache{Scope: home, Name: "cache", Engine: "valkey"}
		change(&in)
		_, err := p.CreateCache(ctx, in)
		if err == nil || len(err.Error()) > 400 || !utf8.ValidString(err.Error()) {
			t.Errorf("%s: %v", name, err)
		} else if name != "user group of a size" {
			wantKind(t, err, resource.InvalidValue)
		}
	}
	in := CreateCache{Scope: home, Name: "cache", Engine: "valkey", Description: strings.Repeat("\u00e9", 255)}
	if _, err := p.CreateCache(ctx, in); err != nil {
		t.Error(err)
	}
	long := strings.Repeat("d", 256)
	_, err := p.ModifyCache(ctx, ModifyCache{Scope: home, Name: "cache", Description: &long})
	wantKind(t, err, resource.InvalidValue)
	_, err = p.ExportSnapshot(ctx, ExportSnapshot{Scope: home, Space: serverlessSpace, Name: "s", Bucket: "a/b"})
	wantKind(t, err, resource.InvalidValue)
	for _, arn := range []string{"arn:x:elasticache:us-east-1:123456789012:serverlesscache:cache", "arn:aws:memorydb:us-east-1:123456789012:cluster/cache"} {
		_, err = p.Tags(ctx, home, "elasticache", arn)
		wantKind(t, err, resource.InvalidARN)
	}
	for _, forged := range []string{"after:\x00", "after:\xff", "x"} {
		_, _, err = p.DescribeCaches(ctx, home, "", Page{Token: base64.RawURLEncoding.EncodeToString([]byte(forged))})
		wantKind(t, err, resource.InvalidValue)
	}
}
