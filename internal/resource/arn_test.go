package resource

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseARN(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]ARN{
		"arn:aws:elasticache:us-east-1:123456789012:serverlesscachesnapshot:automatic.a-2026-01-01-00-00": {"aws", "elasticache", "us-east-1", "123456789012", "serverlesscachesnapshot", "automatic.a-2026-01-01-00-00"},
		"arn:aws-cn:memorydb:cn-north-1:123456789012:cluster/c":                                           {"aws-cn", "memorydb", "cn-north-1", "123456789012", "cluster", "c"},
		"arn:aws:s3:::bucket/a/b:c":                                  {"aws", "s3", "", "", "", "bucket/a/b:c"},
		"arn:aws:kms:us-east-1:123456789012:key/1":                   {"aws", "kms", "us-east-1", "123456789012", "key", "1"},
		"arn:aws:kms:us-east-1:123456789012:alias/a/b":               {"aws", "kms", "us-east-1", "123456789012", "alias", "a/b"},
		"arn:aws:elasticache::123456789012:globalreplicationgroup:g": {"aws", "elasticache", "", "123456789012", "globalreplicationgroup", "g"},
	} {
		if got, ok := ParseARN(s); !ok || got != want || got.String() != s {
			t.Errorf("%s is read as %+v and written as %s", s, got, got)
		}
	}
	for _, s := range []string{"", "arn", "orders", "arn:aws:elasticache:us-east-1:123456789012", "arn:aws:elasticache:us-east-1:123456789012:", "arn:aws:elasticache:us-east-1:123456789012:cluster",
		"arn:aws:elasticache:us-east-1:123456789012:cluster:", "arn:aws:elasticache:us-east-1:123456789012::x", "arn:aws:memorydb:us-east-1:123456789012:cluster:c", "arn::s3:::b/k", "arn:aws::::b/k", "arn:aws:s3:::",
		"ARN:aws:s3:::b/k", " arn:aws:s3:::b/k"} {
		if got, ok := ParseARN(s); ok {
			t.Errorf("%q is read as %+v", s, got)
		}
	}
}

// What we print we read again.
func TestARNsComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]Kind{Serverless, CacheCluster, ReplicationGroup, MemoryDBCluster}).Draw(rt, "kind")
		s := Scope{rapid.StringMatching(`[0-9]{12}`).Draw(rt, "account"), rapid.StringMatching(`(us|eu|cn|us-gov)-[a-z]+-[1-9]`).Draw(rt, "region")}
		name := rapid.StringMatching(`(automatic\.)?[a-z]([a-z0-9-]{0,30}[a-z0-9])?`).Draw(rt, "name")
		for _, text := range []string{CacheARN(kind, s, name), SnapshotARN(kind, s, name)} {
			a, ok := ParseARN(text)
			if !ok || a.String() != text || a.Name != name || a.Account != s.Account || a.Region != s.Region || a.Service != kind.Service() {
				rt.Fatalf("%s is read as %+v", text, a)
			}
			if cn := strings.HasPrefix(s.Region, "cn-"); (a.Partition == "aws-cn") != cn {
				rt.Fatalf("%s lies in %s", s.Region, a.Partition)
			}
		}
		if CacheARN(kind, s, name) == SnapshotARN(kind, s, name) {
			rt.Fatal("a cache and its snapshot have one ARN")
		}
	})
}

// An ARN that is read is written as it was, whatever it holds.
func FuzzParseARN(f *testing.F) {
	for _, s := range []string{"arn:aws:s3:::b/k", "arn:aws:elasticache:us-east-1:123456789012:cluster:c", "arn:aws:memorydb:r:a:cluster/c", "arn:::::", "arn:a:kms:::/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := ParseARN(s)
		if !ok {
			if a != (ARN{}) {
				t.Errorf("%q is refused and read as %+v", s, a)
			}
			return
		}
		if a.String() != s || a.Name == "" {
			t.Errorf("%q comes back as %q", s, a)
		}
	})
}
